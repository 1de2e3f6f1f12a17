"""MDPs in files: NumPy's ``.npz``, arrays alone, nothing that can run."""

from __future__ import annotations

import io
import os
import zipfile
import zlib
from pathlib import Path
from typing import Any

import numpy as np

from pve.atomic import write_whole

NUMBERS = ("reward", "transition", "discount")
KNOWN = ("legal", "start", "state_names", "action_names")

STARTS = (b"PK", b"\x93NUMPY")  # of an .npz and an .npy file
# What NumPy raises on files of another kind, and on damaged ones.
BROKEN = (
    ValueError,
    KeyError,
    EOFError,
    NotImplementedError,  # a compression that zipfile does not know
    RuntimeError,  # a member that is marked as encrypted
    zipfile.BadZipFile,
    zlib.error,
)


def write_arrays(path: str | os.PathLike[str], fields: dict[str, Any]) -> None:
    """Write those of an MDP's fields that are not None, the whole file or nothing.

    Raises:
      ValueError: the file cannot be written.
    """
    path = Path(path)
    arrays: dict[str, Any] = {k: np.asarray(v) for k, v in fields.items() if v is not None}
    content = io.BytesIO()
    np.savez_compressed(content, **arrays)
    try:
        write_whole(path, content.getvalue())
    except OSError as error:
        raise ValueError(f"MDP {str(path)!r} cannot be written: {error}") from None


def read_arrays(
    path: str | os.PathLike[str], numbers: tuple[str, ...] = NUMBERS
) -> dict[str, Any]:
    """Read an MDP's fields.

    Args:
      path: the file.
      numbers: the fields that it must have.

    Returns:
      The fields by name, arrays but for the discount, a number, and the names, tuples.

    Raises:
      ValueError: the file cannot be read, or is not the ``.npz`` of an MDP.
    """
    legal = f"expected an .npz file with {', '.join(numbers)}, as MDP.save writes them"
    try:
        with open(path, "rb") as file:
            if not file.read(6).startswith(STARTS):  # or NumPy would speak of pickles
                raise ValueError("it holds no arrays")
            file.seek(0)
            stored = np.load(file, allow_pickle=False)
            if isinstance(stored, np.ndarray):
                raise ValueError("it holds a single array")
            missing = [name for name in numbers if name not in stored.files]
            strange = sorted(set(stored.files) - {*numbers, *KNOWN})
            if missing or strange:
                what = f"no {missing[0]!r}" if missing else f"{strange[0]!r}"
                raise ValueError(f"it holds {what}")
            fields: dict[str, Any] = {name: stored[name] for name in stored.files}
    except OSError as error:
        raise ValueError(f"MDP {str(path)!r} cannot be read: {error}") from None
    except BROKEN as error:
        raise ValueError(
            f"{str(path)!r} is not an MDP file: {' '.join(str(error).split())}; {legal}"
        ) from None
    for name in ("state_names", "action_names"):
        if name in fields:
            if fields[name].dtype.kind != "U" or fields[name].ndim != 1:
                raise ValueError(
                    f"{str(path)!r} is not an MDP file: {name} are not strings; {legal}"
                )
            fields[name] = tuple(map(str, fields[name]))
    if fields["discount"].shape != ():
        raise ValueError(
            f"{str(path)!r} is not an MDP file: its discount is not a number; {legal}"
        )
    fields["discount"] = fields["discount"].item()
    return fields
