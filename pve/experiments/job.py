"""What a run is: where it stands in its experiment, how it starts, what is measured."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pve.mdp import Array
from pve.models import Model
from pve.training import Data, Recipe, State


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
      key: its key for batches.
      data: what it trains on.
      model: the family of models.
      order: k or ∞.
      recipe: how it trains.
      discount: of environment and model.
      snapshot: from parameters to the arrays that are stored.
      measure: from parameters to named numbers.
      snapshots: store all snapshots, or the last one only.
    """

    state: State
    key: Array
    data: Data
    model: Model
    order: int | float
    recipe: Recipe
    discount: float
    snapshot: Callable[[Any], dict[str, np.ndarray]]
    measure: Callable[[Any], dict[str, float]]
    snapshots: bool
