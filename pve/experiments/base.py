"""What an experiment is made of, and what its module says of itself.

A module of an experiment holds

- ``NAME``, its name, and ``QUESTION``, what it asks;
- ``DIMENSIONS``, the names of a run's coordinates;
- ``ONE_PROGRAM``, the dimensions in which runs must agree to be trained by one program;
- ``COMPARED``, the dimension along which models are told apart when their distances are
  measured, or None if they are not;
- ``OPTIONS``, its own options on the command line;
- ``FIGURES``, the module whose ``draw`` makes its figures;
- ``preset(name)``, its settings; ``fitted(settings, num_states)``, the same for a world of
  another size;
- ``tasks(settings)``, all runs that are asked for; ``prepare(settings, seed, env, task)``,
  one of them made ready; ``run_bytes(settings, env, task)``, what it writes.
"""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pve.training.loop import State
from pve.training.problem import Problem


@dataclasses.dataclass(frozen=True)
class Task:
    """One run's place in its experiment.

    Attributes:
      coordinates: names and values, such as ``(("order", 30), ("run", 7))``.
      weight: the cost of one step, relative to other tasks'.
    """

    coordinates: tuple[tuple[str, Any], ...]
    weight: int

    @property
    def name(self) -> str:
        """The run's name and its folder, such as ``order=30/run=7``."""
        return "/".join(f"{k}={format_coordinate(v)}" for k, v in self.coordinates)

    def __getitem__(self, name: str) -> Any:
        """A coordinate by its name."""
        return dict(self.coordinates)[name]


def format_coordinate(value: Any) -> str:
    """A coordinate in a file's name."""
    if value == math.inf:
        return "inf"
    return str(value)


class Job(NamedTuple):
    """A run ready to go.

    Attributes:
      state: its first state.
      problem: what it trains, and how.
      snapshot: from parameters to the arrays that are stored.
      measure: from parameters to named numbers.
      snapshots: store all snapshots, or the last one only.
    """

    state: State
    problem: Problem
    snapshot: Callable[[Any], dict[str, np.ndarray]]
    measure: Callable[[Any], dict[str, float]]
    snapshots: bool


class Option(NamedTuple):
    """An option of an experiment on the command line.

    Attributes:
      name: the setting's name, such as ``"orders"``.
      parse: from a word to a value; raises a ``ValueError`` that says what is legal.
      metavar: how a value is called.
      help: what is legal, in a few words.
    """

    name: str
    parse: Callable[[str], Any]
    metavar: str
    help: str
