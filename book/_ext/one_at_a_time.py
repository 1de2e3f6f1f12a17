"""Builds of one folder take turns.

Sphinx writes pages, indices and what it remembers under fixed names, and the execution
cache a chapter in several steps: of two builds at once in one folder, each may take away
what the other is about to read. So the second waits until the first has ended, and then
finds nearly all done. The lock is the operating system's: it ends with its process.
"""

from __future__ import annotations

from pathlib import Path

from filelock import FileLock, Timeout
from sphinx.application import Sphinx
from sphinx.util import logging

logger = logging.getLogger(__name__)


def take_turn(folder: Path) -> FileLock:
    """A lock on a folder, held; waits, and says so, while another build holds it."""
    folder.mkdir(parents=True, exist_ok=True)
    lock = FileLock(folder / ".building", is_singleton=True)
    try:
        lock.acquire(timeout=0)
    except Timeout:
        logger.info("Another build writes to %s; this one waits until it has ended", folder)
        lock.acquire()
    return lock


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension, which holds the lock from now until the build has ended."""
    # Beside the pages are the execution cache and what Sphinx remembers.
    lock = take_turn(Path(app.outdir).parent)
    app.connect("build-finished", lambda app, exception: lock.release(), priority=1000)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
