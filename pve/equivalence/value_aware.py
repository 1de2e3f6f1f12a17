r"""Value-aware model learning: be right where the planner looks.

Value-aware model learning (VAML; Farahmand, Barreto and Nikovski, 2017) takes the reward as
known and judges :math:`\tilde p` by the functions that planning may meet,

.. math:: \ell_{\mathcal V}(\tilde p) = \frac{1}{S A} \sum_{s, a} \max_{v \in \mathcal V}
   \bigl[ (\tilde p - p)(\cdot \mid s, a) \cdot v \bigr]^2 .

Its iterative form (Farahmand, 2018) asks for less: value iteration needs
:math:`\tilde p\, v_i` for the one function :math:`v_i` at which it stands, and may learn
another model at the next. For one function two next states are enough, the lowest and the
highest, mixed to the right mean.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import numpy as np

from pve.checks import Array
from pve.mdp.core import MDP, exact


def value_aware_loss(model: Any, env: Any, values: Array) -> float:
    """The value-aware loss on finitely many functions, mean over pairs of the worst.

    Args:
      model: anything with ``.expect``; its reward plays no part.
      env: the environment, likewise.
      values: ``[B, S]``.

    Returns:
      A number ≥ 0.
    """
    values = np.asarray(values, np.float64)
    off = np.asarray(model.expect(values)) - np.asarray(env.expect(values))
    return float((off**2).max(0).mean())


def two_state_model(env: MDP, value: Array) -> MDP:
    """A model that is right for one function and goes to two states only.

    Args:
      env: the environment, whose reward it has.
      value: ``[S]``, the function v: p̃ v = p v.

    Returns:
      A model that leads from everywhere to where v is lowest or highest.
    """
    env = exact(env)
    value = np.asarray(value, np.float64)
    low, high = value.argmin(), value.argmax()
    transition = np.zeros_like(env.transition)
    if value[low] == value[high]:
        transition[..., low] = 1.0
    else:
        share = (env.expect(value) - value[low]) / (value[high] - value[low])
        share = np.clip(share, 0.0, 1.0)
        transition[..., low], transition[..., high] = 1.0 - share, share
    return dataclasses.replace(env, transition=transition)
