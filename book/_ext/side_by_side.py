"""Execute chapters side by side before Sphinx reads them one after another.

A chapter alone leaves cores idle while it starts, compiles and draws. So those that are due
are executed here, each in a process of its own, into the execution cache, where Sphinx
finds them when it reads them. Sphinx itself executes the chapters that `executed_alone`
names, which beside another would measure its work as well or come before it is done; a
chapter that fails, which then fails again where it is reported; and one that is alone.
"""

from __future__ import annotations

import multiprocessing
import os
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

from jupyter_cache import get_cache
from jupyter_cache.base import CacheBundleIn, JupyterCacheAbstract
from jupyter_cache.executors.utils import single_nb_execution
from myst_nb.core.read import create_nb_reader
from nbformat import NotebookNode
from numerical_code import settle_kernels
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util import logging

logger = logging.getLogger(__name__)

KERNELS = 2  # chapters that train use all cores anyway, and each takes a gigabyte


def execute(notebook: NotebookNode, folder: str, timeout: int) -> tuple | None:
    """The executed notebook and its seconds; None if a cell raises."""
    result = single_nb_execution(notebook, folder, timeout, allow_errors=False)
    return None if result.err else (result.nb, result.time)


def due(
    env: BuildEnvironment, docnames: list[str], cache: JupyterCacheAbstract
) -> dict[Path, NotebookNode]:
    """The notebooks to execute side by side, in the order of the book."""
    found = {}
    for name in env.app.config.external_site_map:
        if name not in docnames or name in env.config.executed_alone:
            continue
        path = Path(env.doc2path(name))
        text = path.read_text(encoding="utf-8")
        reader = create_nb_reader(str(path), env.myst_config, env.mystnb_config, text)
        notebook = reader and reader.read(text)
        if not notebook or all(cell.cell_type != "code" for cell in notebook.cells):
            continue
        try:
            cache.match_cache_notebook(notebook)
        except KeyError:
            found[path] = notebook
    return found


def execute_ahead(app: Sphinx, env: BuildEnvironment, docnames: list[str]) -> None:
    """Execute into the cache what Sphinx is about to read."""
    settings = env.mystnb_config
    if settings.execution_mode != "cache":
        return
    cache = get_cache(settings.execution_cache_path)
    notebooks = due(env, docnames, cache)
    if len(notebooks) < 2:
        return
    # Spawned, not forked: what reads the notebooks above may have started threads.
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(
        min(KERNELS, os.cpu_count() or 1), context, initializer=settle_kernels
    ) as pool:
        pending = {}
        for path, notebook in notebooks.items():
            logger.info("Executing notebook %s beside others", path.name)
            arguments = notebook, str(path.parent), settings.execution_timeout
            pending[path] = pool.submit(execute, *arguments)
        for path, future in pending.items():
            executed = None if future.exception() else future.result()
            if executed is None:
                continue
            notebook, seconds = executed
            logger.info("Executed notebook %s in %.2f seconds", path.name, seconds)
            bundle = CacheBundleIn(notebook, str(path), data={"execution_seconds": seconds})
            cache.cache_notebook_bundle(bundle, check_validity=False, overwrite=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_config_value("executed_alone", [], "env", list)
    # The order of the book is known, and nothing is read yet.
    app.connect("env-before-read-docs", execute_ahead)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
