"""What a run trains on, and how: data with their targets, the recipe, the problem."""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import optax

from pve.checks import Array, check_one_of, check_positive_integer, check_positive_number
from pve.equivalence.models import Model
from pve.mdp.bellman import bellman_power
from pve.mdp.core import MDP, full_precision
from pve.mdp.planning import policy_value
from pve.training.objective import Objective

DECAYS = ("constant", "cosine")


class Data(NamedTuple):
    """What a run trains on.

    Attributes:
      policies: ``[N, S, A]``, float32.
      values: ``[N, S]``, float32.
      targets: ``[N, S]``, float32: T_π^k v in the environment.
    """

    policies: Array
    values: Array
    targets: Array


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train: immutable, hashable, checked when made.

    Attributes:
      steps: how many steps, ≥ 1.
      batch: pairs of policy and value in a batch, ≥ 1.
      learning_rate: Adam's, > 0.
      decay: ``"constant"`` or ``"cosine"`` (to zero at the last step).

    Raises:
      ValueError: an attribute is out of range.
      TypeError: a number of steps or pairs is not an integer.
    """

    steps: int
    batch: int = 50
    learning_rate: float = 1e-3
    decay: str = "constant"

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            check_positive_integer(name, getattr(self, name))
        check_positive_number("learning_rate", self.learning_rate)
        check_one_of("decay", self.decay, DECAYS)

    def optimiser(self) -> optax.GradientTransformation:
        """Adam under the schedule."""
        if self.decay == "constant":
            return optax.adam(self.learning_rate)
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.steps))


@functools.partial(
    jax.tree_util.register_dataclass,
    data_fields=["key", "data", "env"],
    meta_fields=["model", "objective", "recipe", "discount"],
)
@dataclasses.dataclass(frozen=True)
class Problem:
    """All that decides a run except where it stands: what a compiled step is given.

    It is a JAX pytree: the arrays are its leaves, the rest is compiled in. Problems that
    differ in their leaves alone share one compiled program, and can be stacked for `vmap`.

    Attributes:
      key: for batches; step i uses ``fold_in(key, i)``.
      data: what to train on.
      model: the family of models.
      objective: the loss, see `pve.training.objective`.
      recipe: how to train.
      discount: of environment and model.
      env: the environment, for objectives that ask for it; None for those that do not.
    """

    key: Array
    data: Data
    model: Model
    objective: Objective
    recipe: Recipe
    discount: float
    env: Any = None


def make_data(env: MDP, policies: Array, values: Array | None, order: int | float) -> Data:
    """Add targets to policies and values.

    Args:
      env: the environment.
      policies: ``[N, S, A]``.
      values: ``[N, S]``; None for the policies' exact values.
      order: 1, 2, … or ∞. For ∞ the targets are the values themselves.

    Returns:
      The data, float32.
    """
    if values is None:
        values = policy_value(env, policies)
    policies = jnp.asarray(policies, jnp.float32)
    values = jnp.asarray(values, jnp.float32)
    if order == math.inf:
        return Data(policies, values, values)
    return Data(policies, values, _targets(env, policies, values, int(order)))


@functools.partial(jax.jit, static_argnames="order")
@full_precision
def _targets(env: MDP, policies: Array, values: Array, order: int) -> Array:
    env = jax.tree.map(functools.partial(jnp.asarray, dtype=jnp.float32), env)
    block = math.gcd(len(policies), 1000)  # bounds the memory of [block, S, S] chains
    split = [x.reshape(-1, block, *x.shape[1:]) for x in (policies, values)]
    targets = jax.lax.map(lambda pv: bellman_power(env, pv[0], pv[1], order), tuple(split))
    return targets.reshape(values.shape)
