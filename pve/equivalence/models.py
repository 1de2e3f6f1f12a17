r"""Parametric models: from unconstrained parameters to an MDP.

A model has a free reward :math:`\tilde r(s, a)` and a transition :math:`\tilde p` that
is a distribution whatever the parameters. In a `SoftmaxModel` it is a softmax over next
states, one logit each. In a `LowRankModel` each action's matrix is a product of two
softmaxes,

.. math:: \tilde p(\cdot \mid s, a) = \operatorname{softmax}(D_a)[s, :]\;
   \operatorname{softmax}(K_a), \qquad D_a \in \mathbb R^{S \times d},\;
   K_a \in \mathbb R^{d \times S},

so that its rank is at most :math:`d`: a state leads to :math:`d` latent states, and each
of those to all states.

A loss asks two things of a model: the reward, and the map :math:`v \mapsto \tilde p v`.
``bind`` answers both without leaving the parameters' layout, and a low-rank model never
forms its matrix.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple, Protocol

import jax
import jax.numpy as jnp
from jaxtyping import Float

from pve.checks import Array, check_rank
from pve.mdp.core import MDP, full_precision

REWARD_SCALE = 1.0  # initial rewards are U(−1, 1), initial logits U(−5, 5)
LOGIT_SCALE = 5.0


class Model(Protocol):
    """What training asks of a family of models."""

    def init(self, key: Array, num_states: int, num_actions: int) -> Any:
        """Draw initial parameters."""

    def bind(self, params: Any, discount: Any) -> Any:
        """Return a model with ``.reward``, ``.discount`` and ``.expect``."""

    def mdp(self, params: Any, discount: Any) -> MDP:
        """Form the finished model."""


class SoftmaxParams(NamedTuple):
    """Parameters of a `SoftmaxModel`.

    Attributes:
      reward: r̃.
      logits: as next state, action, state. With the next state first, the softmax and the
        product with a batch of values both run along contiguous memory.
    """

    reward: Float[Array, "S A"]
    logits: Float[Array, "S A S"]


class LowRankParams(NamedTuple):
    """Parameters of a `LowRankModel`.

    Attributes:
      reward: r̃.
      leave: as action, latent state, state: the logits D.
      arrive: as next state, action, latent state: the logits K.
    """

    reward: Float[Array, "S A"]
    leave: Float[Array, "A d S"]
    arrive: Float[Array, "S A d"]


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class BoundSoftmax:
    """A softmax model with its parameters: what a loss asks for."""

    reward: Float[Array, "S A"]
    next_first: Float[Array, "S A S"]  # p̃ as next state, action, state
    discount: Any

    @property
    def transition(self) -> Float[Array, "S A S"]:
        """The transition, by state, action and next state."""
        return self.next_first.transpose(2, 1, 0)

    @full_precision
    def expect(self, values: Float[Array, "*B S"]) -> Float[Array, "*B S A"]:
        """The mean value of the next state, for each state and action."""
        num_states, num_actions, _ = self.next_first.shape
        flat = values @ self.next_first.reshape(num_states, -1)
        shape = (*values.shape[:-1], num_actions, num_states)
        return flat.reshape(shape).swapaxes(-1, -2)


@jax.tree_util.register_dataclass
@dataclasses.dataclass(frozen=True, eq=False)
class BoundLowRank:
    """A low-rank model with its parameters: its factors, never its matrix."""

    reward: Float[Array, "S A"]
    leave: Float[Array, "A d S"]  # the probability of a latent state
    arrive: Float[Array, "S A d"]  # the probability of the next state
    discount: Any

    @full_precision
    def expect(self, values: Float[Array, "*B S"]) -> Float[Array, "*B S A"]:
        """The mean value of the next state, for each state and action."""
        num_states, num_actions, rank = self.arrive.shape
        batch = values.shape[:-1]
        latent = values.reshape(-1, num_states) @ self.arrive.reshape(num_states, -1)
        latent = latent.reshape(-1, num_actions, rank).swapaxes(0, 1)
        means = latent @ self.leave  # [A, B, S]
        return means.transpose(1, 2, 0).reshape(*batch, num_states, num_actions)


@dataclasses.dataclass(frozen=True)
class SoftmaxModel:
    """Models with a free reward and one logit per state, action and next state."""

    def init(self, key: Array, num_states: int, num_actions: int) -> SoftmaxParams:
        """Draw parameters: rewards U(−1, 1), logits U(−5, 5)."""
        reward_key, logits_key = jax.random.split(key)
        return SoftmaxParams(
            _uniform(reward_key, (num_states, num_actions), REWARD_SCALE),
            _uniform(logits_key, (num_states, num_actions, num_states), LOGIT_SCALE),
        )

    def bind(self, params: SoftmaxParams, discount: Any) -> BoundSoftmax:
        """Give a loss what it asks for."""
        next_first = jax.nn.softmax(params.logits, axis=0)
        return BoundSoftmax(params.reward, next_first, discount)

    def mdp(self, params: SoftmaxParams, discount: Any) -> MDP:
        """Form the finished model."""
        return MDP(params.reward, self.bind(params, discount).transition, discount)


@dataclasses.dataclass(frozen=True)
class LowRankModel:
    """Models whose transition matrices have rank at most ``rank``, action by action.

    Attributes:
      rank: d, an integer from 1 to S.

    Raises:
      ValueError: the rank is below 1, or (in ``init``) above S.
    """

    rank: int

    def __post_init__(self) -> None:
        check_rank(self.rank)

    def init(self, key: Array, num_states: int, num_actions: int) -> LowRankParams:
        """Draw parameters: rewards U(−1, 1), logits U(−5, 5)."""
        check_rank(self.rank, num_states)
        reward_key, leave_key, arrive_key = jax.random.split(key, 3)
        return LowRankParams(
            _uniform(reward_key, (num_states, num_actions), REWARD_SCALE),
            _uniform(leave_key, (num_actions, self.rank, num_states), LOGIT_SCALE),
            _uniform(arrive_key, (num_states, num_actions, self.rank), LOGIT_SCALE),
        )

    def bind(self, params: LowRankParams, discount: Any) -> BoundLowRank:
        """Give a loss what it asks for."""
        return BoundLowRank(
            params.reward,
            jax.nn.softmax(params.leave, axis=1),
            jax.nn.softmax(params.arrive, axis=0),
            discount,
        )

    @full_precision
    def mdp(self, params: LowRankParams, discount: Any) -> MDP:
        """Form the finished model."""
        bound = self.bind(params, discount)
        transition = jnp.einsum("ads,tad->sat", bound.leave, bound.arrive)
        return MDP(params.reward, transition, discount)


def _uniform(key: Array, shape: tuple[int, ...], scale: float) -> Array:
    return jax.random.uniform(key, shape, minval=-scale, maxval=scale)
