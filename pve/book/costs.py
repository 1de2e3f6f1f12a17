"""What the experiments cost: measured step times, estimated training times, tables."""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Iterable, Mapping
from typing import Any, NamedTuple

import jax
import numpy as np
import xarray as xr

from pve import threads
from pve.book import text
from pve.checks import PRESETS
from pve.defaults import on_cpu_cores
from pve.engines import cost, device
from pve.equivalence.models import LowRankModel, SoftmaxModel
from pve.experiments import find_experiment
from pve.experiments.base import ExperimentSettings
from pve.mdp.core import MDP
from pve.runs.plan import make_plan
from pve.training import loop
from pve.training.objective import value_equivalence
from pve.training.problem import Data, Problem, Recipe

BATCH = 50  # of the steps that are timed
TURNS = 3  # of which the fastest counts
LONG, SHORT = 200, 10  # steps in a turn: where the operator is applied once, and more often
EXPERIMENTS = ("diameter", "capacity")
UNITS = {"day": 86_400, "hour": 3_600, "minute": 60, "second": 1}

Kind = tuple[float, int | None]  # an order and a rank, None for the full one


@dataclasses.dataclass
class Step:
    """A training step of one order and rank, compiled and ready to be timed.

    Attributes:
      state: where training stands.
      work: what is trained.
      length: steps in a turn.
    """

    state: loop.State
    work: Problem
    length: int

    @classmethod
    def compiled(cls, env: MDP, order: float, rank: int | None) -> Step:
        """Compile it.

        The time does not depend on the numbers: zeros will do.

        Args:
          env: the world.
          order: k = 1, 2, … or ∞.
          rank: of the model; None for the full one.
        """
        states, actions = env.reward.shape
        model = SoftmaxModel() if rank is None else LowRankModel(rank)
        recipe = Recipe(steps=1000, batch=BATCH)
        shapes = jax.eval_shape(lambda: model.init(jax.random.key(0), states, actions))
        params = jax.tree.map(lambda leaf: np.zeros(leaf.shape, leaf.dtype), shapes)
        policies = np.full((100, states, actions), 1 / actions, np.float32)
        values = np.zeros((100, states), np.float32)
        step = cls(
            loop.State(np.int32(0), params, recipe.optimiser().init(params)),
            Problem(
                jax.random.key(0), Data(policies, values, values), model,
                value_equivalence(order), recipe, float(env.discount),
            ),
            LONG if order in (1, math.inf) else SHORT,
        )  # fmt: skip
        step.take()
        return step

    def take(self) -> None:
        """Take one turn, and wait until it is done."""
        with on_cpu_cores():
            _, losses = loop.advance(self.state, self.work, self.length)
            losses.block_until_ready()

    def seconds(self, cores: int) -> float:
        """What a step takes, a run on each core; the best of a few turns."""
        turns = []
        for _ in range(TURNS):
            start = time.perf_counter()
            threads.side_by_side(lambda _: self.take(), range(cores))
            turns.append(time.perf_counter() - start)
        return min(turns) / self.length


class Times(NamedTuple):
    """What training steps take on a machine, in seconds, at batch `BATCH`.

    Attributes:
      orders: of full models, by order; 1 and ∞ among them.
      ranks: at order ∞, by rank.
      cores: of the machine; as many runs go side by side.
    """

    orders: Mapping[float, float]
    ranks: Mapping[int, float]
    cores: int

    @property
    def ratio(self) -> float:
        """The largest finite order's time, as a multiple of order ∞'s."""
        largest = max(order for order in self.orders if order < math.inf)
        return float(self.orders[largest] / self.orders[math.inf])

    def step(self, task: Mapping[str, Any]) -> float:
        """What a step of one run takes, in seconds.

        Args:
          task: the run's coordinates by name, an order or a rank among them.
        """
        if "order" in task:
            return interpolated(self.orders, task["order"])
        return interpolated(self.ranks, task["rank"])

    def training(self, experiment: str, config: Any) -> float:
        """Seconds of an experiment's training on this machine, all runs together.

        Args:
          experiment: ``"diameter"`` or ``"capacity"``.
          config: its settings.
        """
        tasks = find_experiment(experiment).tasks(config)
        total = sum(self.step(dict(task.coordinates)) for task in tasks)
        return config.steps * total * config.batch / BATCH / self.cores

    def estimates(self) -> dict[str, list[float]]:
        """Seconds of training of both experiments, one for each preset."""
        return {
            experiment: [
                self.training(experiment, config) for config in _presets(experiment)
            ]
            for experiment in EXPERIMENTS
        }


def measured(env: MDP, kinds: Iterable[Kind], cores: int) -> Times:
    """Time the training steps of some orders and ranks.

    Orders 1 and ∞ differ in the targets alone: one is timed for both.

    Args:
      env: the world.
      kinds: orders and ranks, ranks at order ∞; order ∞ and full rank among them.
      cores: how many runs go side by side.
    """
    kinds = list(kinds)
    steps = threads.side_by_side(lambda kind: Step.compiled(env, *kind), kinds)
    seconds = {kind: step.seconds(cores) for kind, step in zip(kinds, steps, strict=True)}
    orders = {order: spent for (order, rank), spent in seconds.items() if rank is None}
    ranks = {rank: spent for (_, rank), spent in seconds.items() if rank is not None}
    return Times({1: orders[math.inf]} | orders, ranks, cores)


def interpolated(seconds: Mapping[Any, float], place: float) -> float:
    """Seconds at a place: as measured, or on a straight line between finite neighbours.

    Args:
      seconds: as measured, by order or rank.
      place: an order or a rank; beyond the outermost ones their seconds are taken.
    """
    if place in seconds:
        return float(seconds[place])
    finite = sorted(known for known in seconds if known < math.inf)
    return float(np.interp(place, finite, [seconds[known] for known in finite]))


def in_words(seconds: float) -> str:
    """A time, at least a second, in the largest unit that goes into it 1.5 times.

    >>> in_words(95), in_words(5400), in_words(0.2)
    ('1.6 minutes', '1.5 hours', '1 second')
    """
    unit = next((unit for unit, size in UNITS.items() if seconds >= 1.5 * size), "second")
    amount = max(seconds / UNITS[unit], 1)
    number = f"{amount:.{0 if amount >= 10 else 1}f}".removesuffix(".0")
    return f"{number} {unit}" + "s" * (number != "1")


def _presets(experiment: str) -> list[Any]:
    return [find_experiment(experiment).preset(name) for name in PRESETS]


def _listed(values: Iterable[Any]) -> str:
    return ", ".join("∞" if value == math.inf else str(value) for value in values)


def table(experiment: str, times: Times) -> str:
    """What each preset of an experiment computes, writes and takes, in Markdown.

    Args:
      experiment: ``"diameter"`` or ``"capacity"``.
      times: of steps on this machine.
    """
    presets = _presets(experiment)
    totals = [cost.total_cost(experiment, config) for config in presets]
    kinds = {"orders": "orders", "ranks": "ranks", "modes": "policy sets"}
    rows = {
        name: [_listed(getattr(config, field)) for config in presets]
        for field, name in kinds.items()
        if hasattr(presets[0], field)
    } | {
        "runs of each kind": [f"{c.runs}" for c in presets],
        "runs in all": [f"{total.due:,}" for total in totals],
        "steps": [f"{c.steps:,}" for c in presets],
        "batch": [f"{c.batch}" for c in presets],
        "policies, each run": [f"{c.policies:,}" for c in presets],
        "Adam": [f"{c.learning_rate:g}, {c.decay}" for c in presets],
        "evaluations, each run": [f"{c.steps // c.every + 1:,}" for c in presets],
        "disk": [cost.in_bytes(total.bytes) for total in totals],
        "training, estimated": [in_words(times.training(experiment, c)) for c in presets],
    }
    header = ["", *(f"`{name}`" for name in PRESETS)]
    return text.table(header, [[name, *cells] for name, cells in rows.items()])


def facts(times: Times, machine: Mapping[str, Any]) -> dict[str, Any]:
    """What the prose says of costs, by name.

    Args:
      times: of steps on this machine.
      machine: what `pve.runs.provenance.machine` says of it.

    Returns:
      The machine; the disk that the paper's models take and the time of training in both
      experiments, in words; the largest finite order's time, as a multiple of order ∞'s.
    """
    paper = cost.total_cost("diameter", find_experiment("diameter").preset("paper"))
    return {
        "machine": f"{machine['processor']}, {times.cores} cores",
        "paper-disk": cost.in_bytes(paper.bytes),
        "paper-time": in_words(sum(row[-1] for row in times.estimates().values())),
        "step-ratio": times.ratio,
    }


def took(experiment: str, results: xr.Dataset, cores: int) -> str:
    """How long the results of an experiment took, as their records say.

    Args:
      experiment: its name.
      results: of the experiment, with preset and seed among the attributes.
      cores: that shared the work.
    """
    runs = int(results.loss.isel(logged_step=-1).notnull().sum())
    about, spent = results.attrs, results.attrs["seconds"]
    return (
        f"{experiment}, preset {about['preset']}, seed {about['seed']}: {runs} runs, "
        f"{spent:,.0f} s in all, {spent / cores:,.0f} s on {cores} cores"
    )


def lanes_table(
    settings: Mapping[str, ExperimentSettings], gigabytes: Iterable[int]
) -> str:
    """How many lanes fit the memory of devices, a table in Markdown.

    Args:
      settings: of experiments, by name.
      gigabytes: memories of devices.
    """
    plans = [make_plan(name, config, 0, ".") for name, config in settings.items()]
    rows = [
        [f"{size} GB", *(device.fitting_lanes(plan, int(size * 1e9)) for plan in plans)]
        for size in gigabytes
    ]
    header = ["memory of the device", *(f"lanes, {name}" for name in settings)]
    return text.table(header, rows, align="r" * len(header))
