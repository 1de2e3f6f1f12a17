"""What a plan would write, said before it starts."""

from __future__ import annotations

import shutil
from typing import NamedTuple

from pve.experiments.base import ExperimentSettings
from pve.runs.plan import Plan, make_plan


class Forecast(NamedTuple):
    """What computing a plan would do.

    Attributes:
      due: runs that are not finished.
      finished: runs that are.
      bytes: what the due runs will write.
    """

    due: int
    finished: int
    bytes: int


def forecast(plan: Plan) -> Forecast:
    """What a plan would still write, without starting it; no folder is touched."""
    due = plan.due
    return Forecast(len(due), len(plan.tasks) - len(due), plan.bytes(due))


def in_bytes(number: float) -> str:
    """A number of bytes in the largest unit that it fills: 64 GB, 1.05 MB, 0 bytes."""
    for unit, size in (("TB", 1e12), ("GB", 1e9), ("MB", 1e6), ("kB", 1e3)):
        if number >= size:
            return f"{number / size:.3g} {unit}"
    return f"{number:.0f} bytes"


def total_cost(experiment: str, settings: ExperimentSettings) -> Forecast:
    """What an experiment costs from scratch: all its runs are due."""
    plan = make_plan(experiment, settings, 0, ".")
    return Forecast(len(plan.tasks), 0, plan.bytes(list(plan.tasks)))


def check_disk(plan: Plan) -> None:
    """Raise a ``ValueError`` unless the disk has room for the runs that are due."""
    needed, free = forecast(plan).bytes, shutil.disk_usage(plan.path).free
    if needed > free:
        raise ValueError(
            f"data folder {str(plan.path)!r} has {in_bytes(free)} free; the runs that are "
            f"due need {in_bytes(needed)}"
        )
