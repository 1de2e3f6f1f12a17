"""Files that are written whole or not at all."""

from __future__ import annotations

import contextlib
import os
import uuid
from pathlib import Path

TEMPORARY = ".writing-"  # how the names of unfinished files begin


def write_whole(path: Path, content: bytes) -> None:
    """Write a whole file or nothing.

    It is written under a temporary name in its folder, flushed to disk and renamed, so
    that a reader finds the old content or the new, never a part.

    Raises:
      OSError: the file cannot be written.
    """
    name = path.parent / f"{TEMPORARY}{path.name}-{uuid.uuid4().hex}"
    try:
        with open(name, "xb") as file:  # readable by whoever the user's umask allows
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        os.replace(name, path)
    except BaseException:
        with contextlib.suppress(OSError):
            os.unlink(name)
        raise
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
