r"""How long training will take, and how much memory, forecast before it begins.

Two things take time: the exact values of the policies, :math:`\tfrac23 S^3` operations each
where the world is dense, :math:`S w^2` where its moves lie within a band, and measured on
one policy where it is sparse; and the steps, each of which forms the model's products with
a batch and moves every parameter. Operations are divided by what one core does in a second,
as measured at the book's sizes: a forecast is right to within a small factor, no better.
"""

from __future__ import annotations

import math
import time
import warnings
from typing import Any, NamedTuple

import jax

from pve.equivalence.models import Model
from pve.mdp.banded import find_band
from pve.mdp.core import MDP, exact
from pve.mdp.planning import policy_value, uniform_policy
from pve.mdp.sparse import SparseMDP
from pve.threads import num_cores
from pve.training.problem import Recipe

LONG, MUCH = 600.0, 8e9  # seconds and bytes from which on the forecast is announced
ELIMINATION = 1e10  # operations a second in a linear solve, float64
PRODUCTS = 2e10  # likewise in products of matrices, float32
MOVED = 3e8  # parameters a second through a model's softmax, its gradient and Adam


class Forecast(NamedTuple):
    """What training is expected to take.

    Attributes:
      values: seconds for the policies' exact values, all runs.
      steps: seconds for the steps, all runs.
      bytes: of memory, at most.
    """

    values: float
    steps: float
    bytes: float

    @property
    def seconds(self) -> float:
        """Seconds until the last run is done."""
        return self.values + self.steps


def forecast(
    env: MDP | SparseMDP,
    model: Model,
    order: int | float,
    *,
    runs: int,
    num_policies: int,
    solved: bool,
    recipe: Recipe,
) -> Forecast:
    """What training is expected to take; see `pve.train` for what is meant.

    Args:
      env: the environment.
      model: the family of models.
      order: k = 1, 2, … or ∞.
      runs: N.
      num_policies: P.
      solved: whether the policies' exact values are needed and not given.
      recipe: how to train.
    """
    states, actions = env.num_states, env.num_actions
    shapes = jax.eval_shape(lambda key: model.init(key, states, actions), jax.random.key(0))
    sizes = [math.prod(leaf.shape) for leaf in jax.tree.leaves(shapes)]
    parameters, batch = float(sum(sizes)), recipe.batch
    rounds = math.ceil(runs / num_cores())
    side_by_side = math.ceil(runs / rounds)
    # A product of the batch with each parameter, and two for its gradient's two operands.
    products = 6.0 * batch * parameters
    if 1 < order < math.inf:
        products = 6.0 * batch * states**2 * order
    step = products / PRODUCTS + parameters / MOVED
    values = num_policies * _solution(env) if solved else 0.0
    pair = states * actions
    # Policies in float32 and, while they are solved for, in float64; a model's parameters
    # with their gradient and Adam's two moments; in the end its transition, checked.
    one = 12.0 * num_policies * pair + 16.0 * parameters + 16.0 * pair * states
    return Forecast(rounds * values, rounds * recipe.steps * step, side_by_side * one)


def announce(expected: Forecast, num_policies: int, recipe: Recipe) -> None:
    """Warn of training that takes long or needs much memory.

    Warns:
      UserWarning: with the forecast, and what would take less.
    """
    if expected.seconds < LONG and expected.bytes < MUCH:
        return
    warnings.warn(
        f"training is forecast to take about {_words(expected.seconds)} "
        f"({_words(expected.values)} for exact values of {num_policies:,} policies, "
        f"{_words(expected.steps)} for {recipe.steps:,} steps) and "
        f"{expected.bytes / 1e9:.1f} GB of memory; fewer policies (num_policies), steps or "
        "runs take less, and so do a model of lower rank and a pve.SparseMDP",
        UserWarning,
        stacklevel=3,
    )


def _solution(env: Any) -> float:
    """Seconds for the exact value of one policy."""
    if not isinstance(env, MDP):
        policy, seconds = uniform_policy(env), []
        for _ in range(2):  # the first also finds what serves all policies
            begun = time.perf_counter()
            policy_value(env, policy)
            seconds.append(time.perf_counter() - begun)
        return seconds[-1]
    states, actions = env.num_states, env.num_actions
    band = find_band(exact(env))
    operations = 2 / 3 * states**3 if band is None else 8.0 * states * band.width**2
    return (operations + 2.0 * states**2 * actions) / ELIMINATION


def _words(seconds: float) -> str:
    """A time as one says it: 2 seconds, 15 minutes, 3 hours."""
    for unit, size in (("hours", 3600.0), ("minutes", 60.0)):
        if seconds >= 2 * size:
            return f"{seconds / size:.0f} {unit}"
    return f"{seconds:.0f} seconds"
