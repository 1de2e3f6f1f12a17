"""What an experiment is made of, and what its module says of itself.

A module of an experiment holds

- ``NAME``, its name, and ``QUESTION``, what it asks;
- ``DIMENSIONS``, the names of a run's coordinates;
- ``COMPUTE``, the full name of the function that takes a run to its end:
  ``pve.runs.attempt.compute`` for a `Job`, ``pve.runs.pieces.compute`` for a
  `PiecewiseJob`;
- ``ONE_PROGRAM``, the dimensions in which runs must agree to be trained side by side by
  one program, or None if a run has its program to itself; where they do, also
  ``applications(settings)``, how often a loss applies the Bellman operator at most;
- ``COMPARED``, the dimension along which models are told apart when their distances are
  measured, or None if they are not;
- ``AXES``, the dimensions of the arrays that are stored for a model;
- ``MEANINGS``, what its coordinates, measures and stored arrays mean, except those that
  all experiments share (`pve.runs.meanings`);
- ``OPTIONS``, its settings that the command line may change;
- ``FIGURES``, the module whose ``draw`` makes its figures, and ``COLORS``, those of a
  coordinate's values in them;
- ``preset(name)``, its settings; ``fitted(settings, num_states)``, the same for a world of
  another size; ``check_world(settings, env)``, which raises a ``ValueError`` unless they
  fit a world;
- ``tasks(settings)``, all runs that are asked for; ``prepare(settings, seed, env, task)``,
  one of them made ready; ``run_bytes(settings, env, task)``, the bytes it writes;
- ``model_of(arrays, discount)``, what is stored for a model, as an MDP.

A new one is entered in the list of `pve.experiments`, and nothing else is touched.
"""

from __future__ import annotations

import abc
import dataclasses
import math
from collections.abc import Callable
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import xarray as xr

from pve.checks import check_positive_integer
from pve.training.loop import State
from pve.training.problem import Problem

MOST_RUNS = 100_000  # of each kind; more is a typing slip


def check_runs(runs: int) -> int:
    """Return a number of runs; raise a ``ValueError`` unless it is in 1 … 100,000."""
    if check_positive_integer("runs", runs) > MOST_RUNS:
        raise ValueError(f"runs is {runs}; expected an integer from 1 to {MOST_RUNS}")
    return runs


class ExperimentSettings(abc.ABC):
    """What the settings of every experiment say: frozen dataclasses, checked when made.

    Attributes:
      runs: independent runs of each kind.
      env: the environment's name, see `pve.worlds.by_name`.
    """

    runs: int
    env: str

    # Fields that decide no run's numbers, but which runs there are.
    NOT_IDENTITY: ClassVar[frozenset[str]] = frozenset({"runs"})

    def identity(self) -> dict[str, Any]:
        """The fields that decide a run's numbers."""
        fields = dataclasses.asdict(self)  # type: ignore[call-overload]
        return {k: v for k, v in fields.items() if k not in self.NOT_IDENTITY}

    @property
    @abc.abstractmethod
    def run_steps(self) -> int:
        """The training steps of a run."""

    def changed(self, given: dict[str, Any]) -> Self:
        """The same settings but for some fields, as a command gives them."""
        return dataclasses.replace(self, **given)  # type: ignore[type-var]


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


class PiecewiseJob(NamedTuple):
    """A run ready to go whose own program computes it, in pieces.

    Attributes:
      state: its first state, a pytree of arrays.
      advance: from a state to that after one more piece, and to named arrays that the
        piece leaves behind.
      pieces: how many pieces there are.
      steps: of training in a piece.
      results: from the last state and what all pieces left, ``[pieces, …]``, to the run's
        measures, of any dimensions.
      snapshot: from the last state to the arrays that are stored of the model.
    """

    state: Any
    advance: Callable[[Any], tuple[Any, dict[str, np.ndarray]]]
    pieces: int
    steps: int
    results: Callable[[Any, dict[str, np.ndarray]], xr.Dataset]
    snapshot: Callable[[Any], dict[str, np.ndarray]]


class Option(NamedTuple):
    """An option of an experiment on the command line.

    Attributes:
      name: the setting's name, such as ``"orders"``.
      parse: from a word to a value; raises a ``ValueError`` that says what is legal.
      metavar: what a value is called; None for the setting's name.
      help: what is legal, in a few words.
      many: whether it takes one value or more.
    """

    name: str
    parse: Callable[[str], Any]
    metavar: str | None
    help: str
    many: bool = False
