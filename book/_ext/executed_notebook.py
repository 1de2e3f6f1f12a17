"""Every executed page offers its notebook, outputs included, beside its Markdown."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from myst_nb.sphinx_ext import OUTPUT_FOLDER
from sphinx.application import Sphinx


def offer(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Put the notebook beside the page's source, where the theme's button looks for it."""
    executed = Path(app.outdir).parent / OUTPUT_FOLDER / f"{pagename}.ipynb"
    if doctree is None or not executed.exists():
        return
    name = f"{pagename}.ipynb"
    beside = Path(app.outdir) / "_sources" / name
    beside.parent.mkdir(parents=True, exist_ok=True)
    shutil.copyfile(executed, beside)
    context["ipynb_source"] = name


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    # Before the theme makes its buttons.
    app.connect("html-page-context", offer, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
