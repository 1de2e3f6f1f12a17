"""Both experiments in seconds, and what tests ask of a data folder."""

import dataclasses
import hashlib
import math

from pve.experiments.settings import CAPACITY, DIAMETER

SEED = 7
SMALL = {"runs": 2, "steps": 40, "every": 20, "log_every": 10, "policies": 50, "batch": 4}
TINY = {
    "diameter": dataclasses.replace(DIAMETER["smoke"], orders=(1, math.inf), **SMALL),
    "capacity": dataclasses.replace(
        CAPACITY["smoke"], ranks=(2, 20), perturbations=10, **SMALL
    ),
}


def files(folder):
    """The checksum of every file in a folder, locks aside."""
    return {
        path.relative_to(folder).as_posix(): hashlib.sha256(path.read_bytes()).hexdigest()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != ".lock"
    }


def data_files(folder, experiment, *parts):
    """The checksums of the runs' data whose path holds all parts."""
    return {
        name: checksum
        for name, checksum in files(folder / experiment).items()
        if name.endswith(".nc") and "geometry" not in name
        and all(part in name for part in parts)
    }  # fmt: skip


def touched(folder):
    """When each file was last written."""
    return {
        path: path.stat().st_mtime_ns
        for path in folder.rglob("*")
        if path.is_file() and path.name != ".lock"
    }
