r"""What an ε-class leaves of the triangle of all distributions over three next states.

With the world's reward, a model that differs from the world in one pair :math:`(s, a)`
has the residual :math:`\gamma\,(\tilde p - p) \cdot v_\pi` for a policy with
:math:`\pi(s) = a`. To bound it by :math:`\varepsilon` in absolute value leaves a strip
about the line of all :math:`\tilde p` with the right mean value; what several policies
leave is where their strips and the triangle of all distributions overlap, a convex polygon.
"""

from __future__ import annotations

import itertools

import numpy as np

from pve.checks import Array

# Where the corners of the triangle of distributions are drawn: its sides are one.
CORNERS = np.array([[0.0, 0.0], [1.0, 0.0], [0.5, 0.75**0.5]])


def allowed(
    transition: Array, values: Array, discount: float, epsilon: float
) -> np.ndarray:
    """The corners of what residuals of at most ε leave of the distributions.

    Args:
      transition: ``[3]``, the world's distribution p of the next state.
      values: ``[N, 3]``, the policies' values, N ≥ 0.
      discount: γ.
      epsilon: ε ≥ 0.

    Returns:
      ``[corners, 3]``, distributions, in the order in which they lie around the polygon.
      A corner is where two bounding lines meet, on the right side of all the others. Two
      of them are the ends of a segment, one is a point.

    Raises:
      ValueError: there are not three next states, or ε is negative.
    """
    transition = np.asarray(transition, np.float64)
    values = np.asarray(values, np.float64).reshape(-1, 3)
    if transition.shape != (3,):
        raise ValueError(f"transition has shape {list(transition.shape)}; expected [3]")
    if epsilon < 0:
        raise ValueError(f"epsilon is {epsilon}; expected a number ≥ 0")
    # Each of the constraints says: normal · p̃ ≤ bound.
    seen = discount * values
    middle = seen @ transition
    normals = np.concatenate([-np.eye(3), seen, -seen])
    bounds = np.concatenate([np.zeros(3), epsilon + middle, epsilon - middle])
    size = 1 + np.abs(normals).max(1)
    found: list[np.ndarray] = []
    for pair in itertools.combinations(range(len(normals)), 2):
        lines = np.vstack([np.ones(3), normals[list(pair)]])
        if abs(np.linalg.det(lines)) < 1e-9 * size[list(pair)].prod():
            continue
        point = np.linalg.solve(lines, np.append(1.0, bounds[list(pair)]))
        inside = normals @ point <= bounds + 1e-9 * size
        if inside.all() and all(np.abs(point - other).max() > 1e-9 for other in found):
            found.append(point)
    corners = np.array(found).reshape(-1, 3)
    around = (corners - corners.mean(0)) @ CORNERS
    return corners[np.argsort(np.arctan2(around[:, 1], around[:, 0]))]


def share(corners: Array) -> float:
    """The area of a polygon of distributions, as a share of the triangle of all.

    Args:
      corners: ``[corners, 3]``, in order around it.

    Returns:
      A number in [0, 1].
    """
    x, y = (np.asarray(corners, np.float64) @ CORNERS).T
    twice = np.sum(x * np.roll(y, -1) - y * np.roll(x, -1))
    return float(abs(twice) / np.sqrt(0.75))
