r"""From one set of functions to another: what a tolerance is worth elsewhere.

Let a model be within :math:`\varepsilon` on functions :math:`v_1, \dots, v_B`, all for the
same action: :math:`|\delta r + \gamma\, \delta p \cdot v_i| \le \varepsilon`, where
:math:`\delta p` is a difference of two distributions. Write any other function as
:math:`u = \sum_i \alpha_i v_i + w` with :math:`\sum_i \alpha_i = 1`. Then

.. math:: |\delta r + \gamma\, \delta p \cdot u| \le
   \varepsilon \sum_i |\alpha_i| + \gamma\, (\max w - \min w) .

The least of these bounds is a linear programme. Its dual is the largest left-hand side
that the tolerance allows, over all :math:`\delta r` and all differences of distributions:
so no better bound holds for all worlds.

That a tolerance on one set implies one on any other is the idea of Grimm, Barreto and
Singh, *Approximate Value Equivalence*, 2022; this form is ours.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import optimize

from pve.checks import Array


class Transfer(NamedTuple):
    """How a function is made of others, and what a tolerance on these is worth on it.

    Attributes:
      tolerance: the bound, ε times the sum of α's absolute values, plus γ (max w − min w).
      weights: ``[B]``, α, which sum to one.
      rest: ``[S]``, w.
    """

    tolerance: float
    weights: np.ndarray
    rest: np.ndarray


def transfer(values: Array, target: Array, epsilon: float, discount: float) -> Transfer:
    """The smallest tolerance on a function that one on others implies.

    Args:
      values: ``[B, S]``, the functions v on which a model is within ε.
      target: ``[S]``, the function u.
      epsilon: ε ≥ 0.
      discount: γ > 0.

    Returns:
      The tolerance and the combination that shows it.

    Raises:
      ValueError: ε is negative, or the discount not positive.
      RuntimeError: the solver failed.
    """
    if not epsilon >= 0 or not discount > 0:
        raise ValueError(
            f"epsilon is {epsilon!r}, discount {discount!r}; expected epsilon ≥ 0 and "
            "discount > 0"
        )
    values = np.asarray(values, np.float64)
    target = np.asarray(target, np.float64)
    num, states = values.shape
    # The unknowns are α⁺, α⁻ and the ends of the interval that holds w. Functions are
    # taken relative to their means, which Σ α = 1 and the interval's freedom allow.
    centred, goal = values - values.mean(-1, keepdims=True), target - target.mean()
    size = max(float(np.abs(centred).max()), float(np.abs(goal).max()), 1e-300)
    columns = np.hstack([centred.T, -centred.T]) / size
    one, zero = np.ones((states, 1)), np.zeros((states, 1))
    cost = np.concatenate([np.full(2 * num, epsilon / size), [-discount, discount]])
    within = np.vstack([np.hstack([columns, one, zero]), np.hstack([-columns, zero, -one])])
    goal = goal / size
    found = optimize.linprog(
        cost,
        A_ub=within,
        b_ub=np.concatenate([goal, -goal]),
        A_eq=np.concatenate([np.ones(num), -np.ones(num), [0.0, 0.0]])[None],
        b_eq=[1.0],
        bounds=[(0, None)] * (2 * num) + [(None, None)] * 2,
        method="highs",
    )
    if not found.success:
        raise RuntimeError(f"the linear programme failed: {found.message}")
    weights = found.x[:num] - found.x[num : 2 * num]
    weights = weights + (1 - weights.sum()) / num  # exactly one again
    rest = target - weights @ values
    bound = epsilon * np.abs(weights).sum() + discount * np.ptp(rest)
    return Transfer(float(bound), weights, rest)
