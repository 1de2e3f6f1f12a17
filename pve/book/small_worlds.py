"""Worlds so small that every deterministic policy can be tried, and what planning loses."""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from pve.mdp.bellman import bellman
from pve.mdp.core import MDP
from pve.mdp.planning import policy_iteration, policy_value


class Measured(NamedTuple):
    """How wrong a model is, over all deterministic policies and all states.

    Attributes:
      error: the largest error of a value.
      residual: the largest one-step residual at a value of the world.
      loss: how much less than the optimum the model's plan is worth, in the worst state.
    """

    error: float
    residual: float
    loss: float


def every_deterministic(num_states: int, num_actions: int) -> np.ndarray:
    """All deterministic policies.

    Args:
      num_states: S.
      num_actions: A.

    Returns:
      ``[A**S, S, A]``.
    """
    choices = itertools.product(range(num_actions), repeat=num_states)
    return np.eye(num_actions)[list(choices)]


def measure(world: MDP, model: MDP) -> Measured:
    """How wrong a model is and what that costs, over every deterministic policy.

    Args:
      world: the environment, of few states.
      model: a model of it.
    """
    policies = every_deterministic(*world.reward.shape)
    values = policy_value(world, policies)
    residual = bellman(model, policies, values) - values
    best, _ = policy_iteration(world)
    _, plan = policy_iteration(model)
    return Measured(
        float(np.abs(policy_value(model, policies) - values).max()),
        float(np.abs(residual).max()),
        float((best - policy_value(world, plan)).max()),
    )


def perturbed(world: MDP, other: MDP, size: float) -> MDP:
    """A model on the way from the world towards another one.

    Args:
      world: the environment.
      other: of the same states and actions.
      size: the share of the other's transitions mixed in, and of its rewards added.
    """
    mixed = (1 - size) * world.transition + size * other.transition
    return MDP(world.reward + size * other.reward, mixed, world.discount)
