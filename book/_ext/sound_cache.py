"""The execution cache mends itself, and keeps no chapter whose figures are missing.

A disk that was full, or a process that was killed, leaves a cache that cannot be read, and
every later build would stop at it. What cannot be read is dropped here, so that it is
executed again. A cell that declares a figure and shows none fails the build, and is not
kept either: what was missing may be there the next time. Two builds at once may share a
cache: one at a time looks a chapter up, keeps it or mends.
"""

from __future__ import annotations

import functools
import json
import shutil
import sqlite3
from collections.abc import Callable
from pathlib import Path

from docutils import nodes
from filelock import FileLock
from jupyter_cache import get_cache
from jupyter_cache.base import JupyterCacheAbstract
from jupyter_cache.cache.main import JupyterCacheBase
from sphinx.application import Sphinx
from sphinx.errors import ExtensionError
from sphinx.util import logging

logger = logging.getLogger(__name__)

DATABASE = "global.db"
NO_OUTPUT = {"remove-cell", "remove-output"}
IN_TURN = (
    "match_cache_notebook",
    "merge_match_into_notebook",
    "cache_notebook_bundle",
    "remove_cache",
)


def _turn(folder: Path) -> FileLock:
    """What the builds that share a cache take turns by; it may be taken within itself."""
    beside = folder.resolve()
    return FileLock(beside.with_name(beside.name + ".lock"), is_singleton=True)


def _in_turn(method: Callable) -> Callable:
    """A method of a cache that waits until no other build reads or writes the cache."""

    @functools.wraps(method)
    def waiting(cache: JupyterCacheBase, *args, **kwargs):
        with _turn(Path(cache.path)):
            return method(cache, *args, **kwargs)

    return waiting


def take_turns() -> None:
    """Have this process's caches wait for each other and for those of other builds.

    By itself, a cache writes a chapter's record, folder and file one after another, and
    a second build that finds a part of them fails.
    """
    for name in IN_TURN:
        method = getattr(JupyterCacheBase, name)
        if not hasattr(method, "__wrapped__"):
            setattr(JupyterCacheBase, name, _in_turn(method))


def mend(folder: Path) -> JupyterCacheAbstract:
    """The cache in a folder, without what cannot be read."""
    with _turn(folder):
        return _mended(folder)


def _mended(folder: Path) -> JupyterCacheAbstract:
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
    """Whether a database can never be read; one that another build has locked can be."""
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
    take_turns()
    app.connect("doctree-read", check_figures)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
