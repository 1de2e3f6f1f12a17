"""A unit for the reward in which the values to be learned have mean 0 and deviation 1.

Rewards of models start in U(−1, 1), and Adam moves a parameter by about its learning rate
per step, whatever the loss. With c r + b for r every v_π becomes c v_π + b / (1 − γ): the
class of models, the optimal policies and the normalised performance stay the same, and the
loss is c² times as large.
"""

from __future__ import annotations

import dataclasses

import numpy as np

from pve.checks import Array
from pve.mdp.core import MDP


def unit_of_values(values: Array, discount: float) -> tuple[float, float]:
    """The c and b for values of mean 0 and deviation 1.

    Args:
      values: of some policies.
      discount: γ.

    Returns:
      Both; c is 1 where all values are equal up to rounding.
    """
    values = np.asarray(values, np.float64)
    size = float(np.abs(values).max())
    with np.errstate(over="ignore", invalid="ignore"):
        deviation = float(values.std())
    if size and not 0 < deviation < np.inf:  # their squares are too large or too small
        deviation = size * float((values / size).std())
    equal = deviation <= 1e-12 * size
    factor = 1.0 if equal else 1 / deviation
    return factor, float(-(1 - discount) * factor * values.mean())


def in_units(mdp: MDP, factor: float, shift: float) -> MDP:
    """The MDP with the reward c r + b."""
    return dataclasses.replace(mdp, reward=factor * mdp.reward + shift)
