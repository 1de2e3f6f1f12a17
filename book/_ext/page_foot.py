"""Say at the foot of every page what made it: versions, code, preset and seed."""

from __future__ import annotations

import os
import re
from importlib import metadata
from pathlib import Path
from typing import Any

from docutils import nodes
from numerical_code import numerical_hash
from sphinx.application import Sphinx

SEED = re.compile(r"^seed(?:\s*:\s*int)?\s*=\s*(\d+)", re.MULTILINE)
DEFAULT_PRESET = "quick"


def page_foot(source: Path | None) -> str:
    """One line of HTML about the page written in `source`."""
    entries = [f"pve {metadata.version('pve')}", f"jax {metadata.version('jax')}"]
    entries += [f"numpy {metadata.version('numpy')}"]
    entries += [f"library <code>{numerical_hash()[:8]}</code>"]
    entries += [f"preset {os.environ.get('PVE_PRESET') or DEFAULT_PRESET}"]
    if source and (seed := SEED.search(source.read_text(encoding="utf-8"))):
        entries += [f"seed {seed[1]}"]
    return " · ".join(entries)


def add_page_foot(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Put the line into the footer of the theme."""
    source = Path(app.env.doc2path(pagename)) if doctree else None
    context["theme_extra_footer"] = page_foot(source)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", add_page_foot)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
