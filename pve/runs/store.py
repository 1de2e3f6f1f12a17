"""Files that are never half written, and files that reveal damage.

Files are written by `pve.atomic`. Arrays are labelled xarray data in netCDF, records are
JSON with a digest of their own; nothing is pickled.
"""

from __future__ import annotations

import contextlib
import hashlib
import io
import json
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import filelock
import xarray as xr

from pve.atomic import write_whole

DIGEST = "digest"


class CorruptFile(ValueError):
    """A file's content is not what was written."""


def make_folder(path: Path) -> Path:
    """Make a folder, with its parents; raise a ``ValueError`` if it cannot be written."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=path):
            pass
    except OSError as error:
        raise ValueError(
            f"data folder {str(path)!r} cannot be written: {error.strerror}; expected a "
            "folder that you may write, or a name where one can be made"
        ) from None
    return path


def sha256(content: bytes) -> str:
    """The SHA-256 checksum, 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def write_bytes(path: Path, content: bytes) -> str:
    """Write a whole file or nothing; return its checksum."""
    write_whole(path, content)
    return sha256(content)


def write_dataset(path: Path, dataset: xr.Dataset) -> str:
    """Write a dataset as netCDF; return the file's checksum."""
    return write_bytes(path, encode_dataset(dataset))


def encode_dataset(dataset: xr.Dataset) -> bytes:
    """The bytes of a dataset as netCDF."""
    return bytes(dataset.to_netcdf(engine="h5netcdf"))


def read_dataset(path: Path, checksum: str | None = None) -> xr.Dataset:
    """Read a whole dataset into memory.

    Raises:
      CorruptFile: the file is missing, cannot be read, or has another checksum.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise CorruptFile(f"{path}: {error.strerror}") from None
    if checksum is not None and sha256(content) != checksum:
        raise CorruptFile(f"{path}: the checksum is not the recorded one")
    try:
        return xr.load_dataset(io.BytesIO(content), engine="h5netcdf")
    except Exception as error:  # h5py raises several kinds for damaged files
        raise CorruptFile(f"{path}: {error}") from None


def digest(record: dict[str, Any]) -> str:
    """The checksum of a record, whatever the order of its fields."""
    plain = {key: value for key, value in record.items() if key != DIGEST}
    return sha256(json.dumps(plain, sort_keys=True).encode())


def write_record(path: Path, record: dict[str, Any]) -> None:
    """Write a record as JSON, with its digest."""
    sealed = {**record, DIGEST: digest(record)}
    write_bytes(path, (json.dumps(sealed, indent=1, sort_keys=True) + "\n").encode())


def read_record(path: Path) -> dict[str, Any]:
    """Read a record and check its digest.

    Raises:
      CorruptFile: the file is missing or not JSON, or its digest does not match.
    """
    try:
        record = json.loads(path.read_bytes())
    except OSError as error:
        raise CorruptFile(f"{path}: {error.strerror}") from None
    except ValueError as error:
        raise CorruptFile(f"{path}: {error}") from None
    if not isinstance(record, dict) or record.get(DIGEST) != digest(record):
        raise CorruptFile(f"{path}: edited or damaged, its digest does not fit")
    return record


@contextlib.contextmanager
def locked(path: Path, *, wait: bool = False) -> Iterator[bool]:
    """Hold a lock file; unless told to wait, yields False if another process holds it.

    The system releases the lock when its holder dies, however it dies.
    """
    lock = filelock.FileLock(path, timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except filelock.Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
