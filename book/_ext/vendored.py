"""Serve the vendored files (MathJax) from the book itself.

They are neither under `_static`, whose every script Jupyter Book loads on every page, nor
in `html_static_path` of `_config.yml`, which it searches the same way.
"""

from __future__ import annotations

from pathlib import Path

from sphinx.application import Sphinx

VENDOR = Path(__file__).resolve().parents[1] / "_vendor"


def add_static_path(app: Sphinx) -> None:
    """Have the vendored files copied into the built book's `_static`."""
    app.config.html_static_path.append(str(VENDOR))


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("builder-inited", add_static_path)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
