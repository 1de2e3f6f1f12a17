"""Let Sphinx find the book's own extensions and files, whoever starts it.

Jupyter Book reads ``_config.yml`` and goes to the book; a ``conf.py`` that
``jupyter-book config sphinx book`` has written knows neither where the extensions are nor
that the files it names are beside the chapters. This extension comes first and says so;
it also refuses Jupyter Book 2, another program that cannot build this book.
"""

from __future__ import annotations

import sys
from importlib import metadata
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.config import Config
from sphinx.errors import ExtensionError

FOLDER = "_ext"  # of the book
FILES = ("html_logo", "html_favicon")
LISTS = ("html_static_path", "bibtex_bibfiles")


def find_files(app: Sphinx, config: Config) -> None:
    """Look for static files in the book where they are not beside the configuration."""

    def found(name: str) -> str:
        beside, in_book = Path(app.confdir) / name, Path(app.srcdir) / name
        return str(in_book) if in_book.exists() and not beside.exists() else name

    for option in FILES:
        if config[option]:
            setattr(config, option, found(config[option]))
    for option in LISTS:
        setattr(config, option, [found(name) for name in config[option]])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension; raise an ``ExtensionError`` under Jupyter Book 2."""
    version = metadata.version("jupyter-book")
    if version.split(".")[0] != "1":
        raise ExtensionError(
            f"jupyter-book is {version}; expected 1, which alone builds this book: "
            "pip install -r requirements.txt"
        )
    folder = str(Path(app.srcdir) / FOLDER)
    if folder not in sys.path:
        sys.path.append(folder)
    app.connect("config-inited", find_files, priority=100)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
