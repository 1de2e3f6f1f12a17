"""The execution cache mends itself, and keeps no chapter whose figures are missing.

A disk that was full, or a process that was killed, leaves a cache that cannot be read, and
every later build would stop at it. What cannot be read is dropped here, so that it is
executed again. A cell that declares a figure and shows none fails the build, and is not
kept either: what was missing may be there the next time.
"""

from __future__ import annotations

import json
import shutil
import sqlite3
from pathlib import Path

from docutils import nodes
from jupyter_cache import get_cache
from jupyter_cache.base import JupyterCacheAbstract
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

logger = logging.getLogger(__name__)

DATABASE = "global.db"
NO_OUTPUT = {"remove-cell", "remove-output"}


def mend(folder: Path) -> JupyterCacheAbstract:
    """The cache in a folder, without what cannot be read."""
    if _broken(folder / DATABASE):
        logger.info("The execution cache is damaged: chapters are executed again")
        shutil.rmtree(folder)
        folder.mkdir()
    cache = get_cache(str(folder))
    for record in cache.list_cache_records():
        try:
            json.loads((folder / "executed" / record.hashkey / "base.ipynb").read_bytes())
        except (OSError, ValueError):
            logger.info("%s is damaged in the execution cache", Path(record.uri).name)
            drop(cache, record.uri)
    for kept in (folder / "executed").glob("*"):
        if kept.name not in {record.hashkey for record in cache.list_cache_records()}:
            shutil.rmtree(kept, ignore_errors=True)
    return cache


def _broken(database: Path) -> bool:
    """Whether a database can never be read; one that another process has locked can be."""
    if not database.exists():
        return False
    try:
        connection = sqlite3.connect(database, timeout=30)
        try:
            checked = connection.execute("pragma quick_check").fetchone()
            connection.execute("select count(*) from nbcache")
        finally:
            connection.close()
    except sqlite3.Error as error:
        return "locked" not in str(error)
    return checked != ("ok",)


def drop(cache: JupyterCacheAbstract, uri: str) -> None:
    """Forget the execution of a chapter."""
    for record in cache.list_cache_records():
        if record.uri == uri:
            folder = Path(cache.path) / "executed" / record.hashkey
            folder.mkdir(parents=True, exist_ok=True)
            (folder / "base.ipynb").touch()  # the cache insists on one
            cache.remove_cache(record.pk)


def without_figure(doctree: nodes.document) -> list[str]:
    """The names of declared figures that no picture was made for."""
    missing = []
    for cell in doctree.findall(nodes.container):
        metadata = cell.get("cell_metadata", {})
        figure = metadata.get("mystnb", {}).get("figure")
        if figure is None or NO_OUTPUT & set(metadata.get("tags", [])):
            continue
        if not any(cell.findall(nodes.figure)):
            missing.append(str(figure.get("name", "a figure without a name")))
    return missing


def check_figures(app: Sphinx, doctree: nodes.document) -> None:
    """Fail the build where a figure is missing."""
    missing = without_figure(doctree)
    if missing:
        path = app.env.doc2path(app.env.docname)
        drop(get_cache(app.config.nb_execution_cache_path), path)
        raise ExtensionError(
            f"{Path(path).name}: no picture for {', '.join(missing)}; expected one from "
            "each cell that declares a figure"
        )


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("doctree-read", check_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
