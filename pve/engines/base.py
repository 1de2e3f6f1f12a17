"""What an engine is: it computes runs and reports how far they have come."""

from __future__ import annotations

import threading
from typing import Protocol

from pve.experiments.base import Task
from pve.runs.attempt import End
from pve.runs.plan import Plan


class Listener(Protocol):
    """What is told of the runs' progress, from whichever thread."""

    def advanced(self, task: Task, steps: int) -> None:
        """Steps of a run were taken."""

    def ended(self, task: Task, end: End) -> None:
        """A run came to an end."""


class Ends:
    """A listener that takes note of how runs ended.

    Attributes:
      noted: each run and its end, in the order in which they came.
    """

    def __init__(self) -> None:
        self.noted: list[tuple[Task, End]] = []

    def advanced(self, task: Task, steps: int) -> None:
        """Progress is ignored."""

    def ended(self, task: Task, end: End) -> None:
        """Note it."""
        self.noted.append((task, end))


class Engine(Protocol):
    """Computes the runs of a plan."""

    def arithmetic(self, plan: Plan) -> str:
        """How it rounds, as the identity of a folder names it.

        Raises:
          ValueError: the engine cannot compute the plan.
        """

    def announced(self, plan: Plan) -> str:
        """What is said of the engine before it starts; empty where there is nothing."""

    def compute(
        self, plan: Plan, tasks: list[Task], tell: Listener, stop: threading.Event
    ) -> None:
        """Compute runs to their ends.

        Args:
          plan: what the runs belong to; its folder is claimed.
          tasks: the runs that are due.
          tell: told of steps and ends.
          stop: set by another thread to end early, after writing checkpoints.
        """
