"""What the loss of each order sees of models, all on the same policies and functions."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np

from pve.checks import Array
from pve.equivalence.distances import flatten
from pve.equivalence.losses import pve_loss, target_loss
from pve.mdp.bellman import bellman_power
from pve.mdp.core import MDP


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
