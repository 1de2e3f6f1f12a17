"""Immutable settings of the experiments that train models on policies, and their presets.

A setting is checked when it is made. Its *identity* is what decides a run's numbers;
which runs, orders, ranks and modes are asked for may grow or change in one data folder.
"""

from __future__ import annotations

import dataclasses
import math
from typing import Any, ClassVar, Self

from pve.checks import (
    MODES,
    check_distinct,
    check_mode,
    check_order,
    check_positive_integer,
    check_rank,
    parse_integer,
    parse_number,
)
from pve.experiments.base import ExperimentSettings, Option, check_runs
from pve.training.problem import Recipe

SHARED_OPTIONS = (  # on the command line
    Option("runs", parse_integer, "N", "runs of each kind"),
    Option("steps", parse_integer, "N", "of training"),
    Option("batch", parse_integer, "N", "pairs in a batch"),
    Option("policies", parse_integer, "N", "policies in a run's data"),
    Option("learning_rate", parse_number, "X", "Adam's, > 0"),
    Option("decay", str, None, "of the learning rate: constant or cosine"),
    Option("every", parse_integer, "N", "steps between two snapshots"),
)


@dataclasses.dataclass(frozen=True)
class Config(ExperimentSettings):
    """What the settings of these experiments share.

    Attributes:
      runs: independent runs of each kind, N, from 1 to 100,000.
      steps: of training, ≥ 1.
      batch: pairs of policy and value in a batch.
      policies: how many policies make up a run's data.
      learning_rate: Adam's.
      decay: ``"constant"`` or ``"cosine"``.
      every: steps between two snapshots or evaluations; it divides ``steps``.
      log_every: steps over which the recorded loss is averaged; it divides ``every``.
      env: the environment's name, see `pve.worlds.by_name`.
    """

    runs: int
    steps: int
    batch: int
    policies: int
    learning_rate: float
    decay: str
    every: int
    log_every: int
    env: str = "four-rooms"

    def __post_init__(self) -> None:
        for name in ("runs", "policies", "every", "log_every"):
            check_positive_integer(name, getattr(self, name))
        check_runs(self.runs)
        self.recipe  # noqa: B018 (checks the rest)
        if self.steps % self.every:
            raise ValueError(
                f"steps is {self.steps}; expected a multiple of {self.every}, the steps "
                "between two snapshots"
            )
        if self.every % self.log_every:
            raise ValueError(
                f"every is {self.every}; expected a multiple of log_every, {self.log_every}"
            )

    @property
    def recipe(self) -> Recipe:
        """How a run trains."""
        return Recipe(self.steps, self.batch, self.learning_rate, self.decay)

    @property
    def curve_bytes(self) -> int:
        """What the losses and measures of a run take on disk."""
        return 4 * self.steps // self.log_every + 16 * self.steps // self.every

    @property
    def run_steps(self) -> int:
        """The training steps of a run."""
        return self.steps

    def changed(self, given: dict[str, Any]) -> Self:
        """The same settings but for some fields.

        Given the steps alone, the interval between snapshots stays or becomes the next
        shorter one that divides them; that of the recorded losses follows.
        """
        given = dict(given)
        if "steps" in given and "every" not in given:
            given["every"] = _divisor(given["steps"], self.every)
        every = given.get("every", self.every)
        if every > 0 and every % self.log_every:
            given["log_every"] = math.gcd(every, self.log_every)
        return dataclasses.replace(self, **given)


def _divisor(steps: int, at_most: int) -> int:
    return max((d for d in range(1, at_most + 1) if steps % d == 0), default=1)


@dataclasses.dataclass(frozen=True)
class DiameterConfig(Config):
    """The diameter experiment: how far apart do models of order k end?

    Attributes:
      orders: k = 1, 2, …, ∞, distinct.
    """

    orders: tuple[int | float, ...] = (1, 30, 40, 50, 60, math.inf)

    NOT_IDENTITY: ClassVar[frozenset[str]] = frozenset({"runs", "orders"})

    def __post_init__(self) -> None:
        object.__setattr__(
            self, "orders", check_distinct("orders", self.orders, check_order)
        )
        super().__post_init__()


@dataclasses.dataclass(frozen=True)
class CapacityConfig(Config):
    """The capacity experiment: how well do models of limited rank plan?

    Attributes:
      ranks: d, distinct integers from 1 to the number of states.
      modes: policy sets, ``"deterministic"`` and ``"stochastic"``.
      perturbations: policies made from each one on an improvement path; it divides
        ``policies``.
      published_paths: follow the published code's improvement paths, see
        `pve.equivalence.policies.improvement_path`.
    """

    ranks: tuple[int, ...] = (20, 30, 40, 50, 60, 70, 80, 90, 100, 104)
    modes: tuple[str, ...] = MODES
    perturbations: int = 100
    published_paths: bool = False

    NOT_IDENTITY: ClassVar[frozenset[str]] = frozenset({"runs", "ranks", "modes"})

    def __post_init__(self) -> None:
        object.__setattr__(self, "ranks", check_distinct("ranks", self.ranks, check_rank))
        object.__setattr__(self, "modes", check_distinct("modes", self.modes, check_mode))
        check_positive_integer("perturbations", self.perturbations)
        if self.policies % self.perturbations:
            raise ValueError(
                f"policies is {self.policies}; expected a multiple of "
                f"{self.perturbations}, the perturbed policies of one base policy"
            )
        super().__post_init__()


# A cosine decay from a high rate reaches in thousands of steps what the published constant
# 1e-3 reaches in hundreds of thousands; all orders of an experiment share it.
DIAMETER = {
    "smoke": DiameterConfig(
        orders=(1, 30, math.inf), runs=3, steps=200, batch=8, policies=200,
        learning_rate=2e-2, decay="cosine", every=50, log_every=10,
    ),
    "quick": DiameterConfig(
        orders=(1, 30, math.inf), runs=6, steps=8_000, batch=20, policies=2_000,
        learning_rate=2e-2, decay="cosine", every=250, log_every=50,
    ),
    "standard": DiameterConfig(
        runs=20, steps=20_000, batch=20, policies=10_000,
        learning_rate=2e-2, decay="cosine", every=500, log_every=100,
    ),
    "paper": DiameterConfig(
        runs=120, steps=500_000, batch=50, policies=100_000,
        learning_rate=1e-3, decay="constant", every=1_000, log_every=100,
    ),
}  # fmt: skip
CAPACITY = {
    "smoke": CapacityConfig(
        ranks=(2, 20, 104), runs=2, steps=200, batch=8, policies=200, perturbations=10,
        learning_rate=3e-2, decay="cosine", every=100, log_every=10,
    ),
    "quick": CapacityConfig(
        ranks=(20, 40, 60, 80, 104), runs=4, steps=3_000, batch=20, policies=4_000,
        perturbations=10, learning_rate=3e-2, decay="cosine", every=300, log_every=50,
    ),
    "standard": CapacityConfig(
        runs=10, steps=20_000, batch=50, policies=20_000, perturbations=20,
        learning_rate=3e-2, decay="cosine", every=1_000, log_every=100,
    ),
    "paper": CapacityConfig(
        runs=10, steps=1_000_000, batch=50, policies=100_000,
        learning_rate=5e-4, decay="constant", every=10_000, log_every=100,
        published_paths=True,
    ),
}  # fmt: skip
