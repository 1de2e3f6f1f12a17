"""What the loss of each order sees of models, all on the same policies and functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from pve.book import yardstick
from pve.checks import Array
from pve.equivalence.distances import flatten
from pve.equivalence.losses import pve_loss, target_loss
from pve.mdp.bellman import bellman_power
from pve.mdp.core import MDP
from pve.mdp.planning import performance


class Asked(NamedTuple):
    """What the losses are measured on.

    Attributes:
      env: the environment.
      policies: ``[B, S, A]``.
      functions: ``[B, S]``, for the losses of finite orders.
      values: ``[B, S]``, of the policies, for the proper loss.
    """

    env: MDP
    policies: Array
    functions: Array
    values: Array


def losses(models: Sequence[MDP], order: float, asked: Asked) -> list[float]:
    """The loss of an order of several models.

    Args:
      models: the models.
      order: k, ``math.inf`` for the proper loss.
      asked: policies and functions.
    """
    env, policies, functions, values = asked
    if order == math.inf:
        return [float(pve_loss(model, policies, values)) for model in models]
    k = int(order)
    targets = bellman_power(env, policies, functions, k)
    return [float(target_loss(x, policies, functions, targets, k)) for x in models]


def distances(models: Sequence[MDP], env: MDP) -> list[float]:
    """How far models are from the environment.

    Args:
      models: the models.
      env: the environment.
    """
    return [float(np.linalg.norm(flatten(model) - flatten(env))) for model in models]


def lazy_facts(
    share: float, lazy: MDP, trained: Sequence[MDP], env: MDP, seed: int
) -> dict[str, Any]:
    """What the prose says of a lazy model beside trained ones.

    Args:
      share: c, the lazy model's probability of staying; its b is the mean value.
      lazy: the lazy model.
      trained: models at the end of training by the proper loss.
      env: the environment.
      seed: of the policies that all pages ask.

    Returns:
      By name, of the lazy model the proper loss, the distance from the environment and
      what its plan is worth; of the trained ones the loss on the same policies and the
      median distance; and a verdict that compares them.
    """
    asked = yardstick.yardstick(env, seed)
    loss = float(yardstick.lazy_loss(share, asked).mean())
    end_loss = yardstick.typical(trained, asked)
    (far,) = distances([lazy], env)
    end_far = float(np.median(distances(trained, env)))
    return {
        "lazy-loss": loss,
        "lazy-distance": far,
        "lazy-plans": performance(lazy, env),
        "end-loss": end_loss,
        "end-distance": end_far,
        "verdict": "a larger loss than the lazy model's, at a smaller distance"
        if end_loss > loss and end_far < far
        else "which is to be compared with the lazy model's",
    }
