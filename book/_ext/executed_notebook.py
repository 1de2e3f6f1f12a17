"""Every executed page offers its notebook, outputs included, beside its Markdown.

What MyST-NB writes for a chapter in the cache has no outputs: they are taken from there.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import nbformat
from docutils import nodes
from jupyter_cache import get_cache
from myst_nb.sphinx_ext import OUTPUT_FOLDER
from sphinx.application import Sphinx


def with_outputs(written: Path, cache: str) -> nbformat.NotebookNode:
    """The notebook as it was executed.

    Args:
      written: what MyST-NB wrote of it.
      cache: the folder of executed notebooks.
    """
    notebook = nbformat.read(written, nbformat.NO_CONVERT)
    if any(cell.get("outputs") for cell in notebook.cells) or not Path(cache).is_dir():
        return notebook
    try:
        _, executed = get_cache(cache).merge_match_into_notebook(notebook)
    except KeyError:  # it was not executed
        return notebook
    return executed


def offer(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Put the notebook beside the page's source, where the theme's button looks for it."""
    written = Path(app.outdir).parent / OUTPUT_FOLDER / f"{pagename}.ipynb"
    if doctree is None or not written.exists():
        return
    name = f"{pagename}.ipynb"
    beside = Path(app.outdir) / "_sources" / name
    beside.parent.mkdir(parents=True, exist_ok=True)
    nbformat.write(
        with_outputs(written, app.env.mystnb_config.execution_cache_path), beside
    )
    context["ipynb_source"] = name


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    # Before the theme makes its buttons.
    app.connect("html-page-context", offer, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
