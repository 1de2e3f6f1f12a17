r"""Solving proper value equivalence exactly: an interior-point Newton method.

The proper loss over deterministic policies falls apart into one convex problem for each
state and action. With the reward refitted, it is

.. math:: \min_{x}\ \tfrac12 \lVert R x - c \rVert^2
   \quad \text{subject to} \quad \textstyle\sum_{s'} x(s') = 1,\; x \ge 0,

where :math:`x = \tilde p(\cdot \mid s, a)` and :math:`R^\top R` is γ² times the
covariance of the values :math:`v_\pi` with :math:`\pi(s) = a`, and c is the regression
target. A point is optimal if numbers y and :math:`z \ge 0` exist with
:math:`R^\top (R x - c) = y + z` and :math:`x z = 0`. An interior-point method keeps
:math:`x z = \mu > 0` instead and takes Newton steps on these equations while μ falls
(Nocedal and Wright, 2006, chapters 14 and 16). R is triangular, from a QR
decomposition, so that residuals keep the digits that the covariance would lose. All
pairs take their steps side by side.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pve.checks import Array, check_distributions
from pve.equivalence.exact_class import values_by_pair
from pve.mdp.core import MDP

REST, ROUNDING = 1e-18, 1e-12  # shares of the first μ: done, and where rounding shows
PROXIMAL = 1e-15  # of H's trace on its diagonal: idle states leave H singular
TO_BOUNDARY = 0.99  # share of the way there that a step may go; 1 would land and stay on it


class Equations(NamedTuple):
    """The equations of all pairs, reduced.

    Attributes:
      factor: ``[S, A, S, S]``, R, upper triangular.
      target: ``[S, A, S]``, c.
      value_mean: ``[S, A, S]``, the mean of the values v_π with π(s) = a.
      discount: γ.
    """

    factor: np.ndarray
    target: np.ndarray
    value_mean: np.ndarray
    discount: float

    def reward(self, transition: np.ndarray) -> np.ndarray:
        """The reward of least loss for a transition: ``[S, A, S]`` to ``[S, A]``."""
        expected = np.einsum("sat,sat->sa", transition, self.value_mean)
        own = np.einsum("sas->sa", self.value_mean)
        return own - self.discount * expected

    def loss(self, transition: np.ndarray) -> np.ndarray:
        """The mean squared residual of each pair, the reward refitted, ``[S, A]``."""
        left = np.einsum("saij,saj->sai", self.factor, transition) - self.target
        return (left**2).sum(-1)


class Path(NamedTuple):
    """What the method passes through.

    Attributes:
      transition: ``[steps + 1, S, A, S]``, the start first.
      loss: ``[steps + 1]``, the squared residuals summed over states, mean over actions.
      reward: ``[S, A]``, refitted to the last transition.
    """

    transition: np.ndarray
    loss: np.ndarray
    reward: np.ndarray

    def distance(self, mdp: MDP) -> np.ndarray:
        """‖P̃ − P‖_F to an MDP's transition after each step, ``[steps + 1]``."""
        apart = self.transition - np.asarray(mdp.transition, np.float64)
        return np.sqrt((apart**2).sum((1, 2, 3)))


def equations(policies: Array, values: Array, discount: float) -> Equations:
    """Set up what policies and their values ask of a model.

    Args:
      policies: ``[A N, S, A]``, deterministic and balanced, see
        `pve.equivalence.exact_class.balanced_policies`.
      values: ``[A N, S]``, their values in the environment; nothing else of it is used.
      discount: γ.

    Returns:
      The equations of all pairs.

    Raises:
      ValueError: the policies are not deterministic or not balanced.
    """
    sorted_values = values_by_pair(policies, values)
    num_states, count = len(sorted_values), sorted_values.shape[-2]
    mean = sorted_values.mean(-2)
    centred = sorted_values - mean[:, :, None]
    own = np.einsum("sans->san", centred)
    rows = np.concatenate([discount * centred, own[..., None]], -1) / count**0.5
    if count < num_states + 1:
        rows = np.pad(rows, [(0, 0), (0, 0), (0, num_states + 1 - count), (0, 0)])
    triangle: np.ndarray = np.asarray(np.linalg.qr(rows, mode="r"))
    factor = triangle[..., :num_states, :num_states]
    return Equations(factor, triangle[..., :num_states, -1], mean, float(discount))


def solve(
    problem: Equations, start: Array, steps: int = 35, *, centring: float = 0.1
) -> Path:
    """Take Newton steps from a model towards the exact class.

    Args:
      problem: the equations.
      start: ``[S, A, S]``, distributions with no zero: where to begin.
      steps: how many steps.
      centring: the factor by which each step aims to shrink μ, in (0, 1).

    Returns:
      The path. A pair rests once rounding hides what is left of its μ.

    Raises:
      ValueError: the start is not a positive distribution everywhere.
    """
    start = np.asarray(start, np.float64)
    check_distributions("start", start)
    if not (start > 0).all():
        raise ValueError("start holds zeros; expected positive probabilities")
    shape, num_states = start.shape, start.shape[-1]
    factor = problem.factor.reshape(-1, num_states, num_states)
    target = problem.target.reshape(-1, num_states)
    x = (start / start.sum(-1, keepdims=True)).reshape(-1, num_states)

    gradient = (_left(factor, target, x)[:, None] @ factor)[:, 0]
    least = gradient.min(-1, keepdims=True)
    # y below the least gradient makes z positive: a start that is feasible throughout.
    room = (x * (gradient - least)).sum(-1, keepdims=True)
    room = np.maximum(room, 1e-12 * np.abs(gradient).max(-1, keepdims=True) + 1e-30)
    y, z = least - room, gradient - least + room
    hessian = factor.swapaxes(-1, -2) @ factor
    mu = (x * z).mean(-1)
    first, due = mu.copy(), np.arange(len(x))
    seen = [x.copy()]
    for _ in range(steps):
        due = due[mu[due] > REST * first[due]]
        if len(due):
            mine, aim = factor[due], target[due]
            left = _left(mine, aim, x[due])
            slope = (left[:, None] @ mine)[:, 0]
            moved = _step(hessian[due], slope, (x[due], y[due], z[due]), centring)
            reached = (moved[0] * moved[2]).mean(-1)
            grows = (_left(mine, aim, moved[0]) ** 2).sum(-1) > (left**2).sum(-1)
            # Where μ is tiny and yet the loss grows, rounding has taken over: rest.
            lost = grows & (reached < ROUNDING * first[due])
            better = (reached < mu[due]) & ~lost
            due = due[better]
            for array, new in zip((x, y, z, mu), (*moved, reached), strict=True):
                array[due] = new[better]
        seen.append(x.copy())
    transition = np.array(seen).reshape(-1, *shape)
    loss = np.array([problem.loss(p).mean(-1).sum() for p in transition])
    return Path(transition, loss, problem.reward(transition[-1]))


def _left(factor: np.ndarray, target: np.ndarray, x: np.ndarray) -> np.ndarray:
    return (factor @ x[..., None])[..., 0] - target


def _step(
    hessian: np.ndarray,
    gradient: np.ndarray,
    point: tuple[np.ndarray, np.ndarray, np.ndarray],
    centring: float,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """One Newton step on H dx − dy − dz = …, Σ dx = 1 − Σ x, z dx + x dz = σ μ − x z.

    It overwrites ``hessian``, ``[pairs, S, S]``.
    """
    x, y, z = point
    product = x * z
    wanted = centring * product.mean(-1, keepdims=True) - product
    size = np.trace(hessian, axis1=1, axis2=2)[:, None] + 1e-300
    diagonal = np.arange(x.shape[-1])
    hessian[:, diagonal, diagonal] += z / x + PROXIMAL * size
    # The sum of dx is given, so this changes y alone. Without it the system is singular
    # along p − e_s / γ, which no value sees.
    lift = size / x.shape[-1]
    hessian += lift[..., None]
    pull = y + z - gradient + wanted / x
    solved = np.linalg.solve(hessian, np.stack([pull, np.ones_like(x)], -1))
    plain, along = solved[..., 0], solved[..., 1]
    missing = 1 - x.sum(-1, keepdims=True)
    dy = (missing - plain.sum(-1, keepdims=True)) / along.sum(-1, keepdims=True)
    dx = plain + dy * along
    dy = dy - lift * missing
    dz = (wanted - z * dx) / x
    length = np.minimum(_to_boundary(x, dx), _to_boundary(z, dz))
    return x + length * dx, y + length * dy, z + length * dz


def _to_boundary(x: np.ndarray, dx: np.ndarray) -> np.ndarray:
    """How much of a step keeps everything positive, ``[pairs, 1]``, at most 1."""
    ratio = np.where(dx < 0, x / np.maximum(-dx, 1e-300), np.inf)
    return np.minimum(1.0, TO_BOUNDARY * ratio.min(-1, keepdims=True))
