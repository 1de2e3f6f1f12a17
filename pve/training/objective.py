r"""Objectives: what a model is trained to do, as hashable records that are compiled in.

All answer one question: the loss of a model's parameters on a batch. *Order k* and
*proper* are the losses of value equivalence, on targets that the environment gave before
training (`pve.equivalence.losses`). *Likelihood* and *squared value error* are baselines;
they need the model's transitions formed, and the first looks at the environment itself.
"""

from __future__ import annotations

import dataclasses
import functools
import math
from typing import Any, Protocol

import jax
import jax.numpy as jnp

from pve.checks import Array, check_order
from pve.equivalence.losses import likelihood_loss, target_loss, value_error_loss
from pve.equivalence.models import Model
from pve.mdp.core import MDP


class Objective(Protocol):
    """A loss that a run minimises: immutable and hashable."""

    @property
    def chunk(self) -> int:
        """Steps in a chunk, at most half a second of work at Four Rooms' size."""

    def loss(
        self, model: Model, params: Any, discount: float, batch: Any, env: Any
    ) -> Array:
        """The loss of parameters on a batch of `Data`; a number."""


@dataclasses.dataclass(frozen=True)
class OrderK:
    """Value equivalence of order k, the mean over a batch of Σ_s (T_π^k v − T̃_π^k v)².

    Attributes:
      order: k = 1, 2, ….
      implementation: how powers are computed, see `pve.mdp.power.policy_power`.
    """

    order: int
    implementation: str = "chains"

    @property
    def chunk(self) -> int:
        """Steps in a chunk."""
        return 500 if self.order == 1 else 50

    def loss(
        self, model: Model, params: Any, discount: float, batch: Any, env: Any
    ) -> Array:
        """`pve.ve_loss` on the batch's targets."""
        del env
        return _residual(
            model.bind(params, discount), batch, self.order, self.implementation
        )


@dataclasses.dataclass(frozen=True)
class Proper:
    """Proper value equivalence, the mean over a batch of Σ_s (v_π − T̃_π v_π)²."""

    chunk = 500

    def loss(
        self, model: Model, params: Any, discount: float, batch: Any, env: Any
    ) -> Array:
        """`pve.pve_loss` on the batch."""
        del env
        return _residual(model.bind(params, discount), batch, 1)


@dataclasses.dataclass(frozen=True)
class Likelihood:
    """Maximum likelihood: `pve.equivalence.losses.likelihood_loss`."""

    chunk = 500

    def loss(
        self, model: Model, params: Any, discount: float, batch: Any, env: Any
    ) -> Array:
        """The same for every batch: it looks at the environment itself."""
        del batch
        return likelihood_loss(model.mdp(params, discount), _single(env))


@dataclasses.dataclass(frozen=True)
class SquaredValueError:
    """The true error of the model's values: `pve.equivalence.losses.value_error_loss`."""

    chunk = 500

    def loss(
        self, model: Model, params: Any, discount: float, batch: Any, env: Any
    ) -> Array:
        """On the batch's policies and their exact values."""
        del env
        return value_error_loss(model.mdp(params, discount), batch.policies, batch.values)


def value_equivalence(order: int | float) -> OrderK | Proper:
    """The objective of an order, k = 1, 2, … or ∞.

    Raises:
      ValueError: the order is not legal.
    """
    order = check_order(order)
    return Proper() if order == math.inf else OrderK(int(order))


def _residual(model: Any, batch: Any, order: int, implementation: str = "chains") -> Array:
    return target_loss(
        model, batch.policies, batch.values, batch.targets, order,
        implementation=implementation,
    )  # fmt: skip


def _single(env: MDP) -> MDP:
    return jax.tree.map(functools.partial(jnp.asarray, dtype=jnp.float32), env)
