"""What policies leave of the triangle of distributions, against SciPy's polytopes."""

import numpy as np
import pytest
from scipy.spatial import ConvexHull, HalfspaceIntersection

from pve.equivalence.simplex import CORNERS, allowed, share

P = np.array([0.3, 0.25, 0.45])


def polytope(values, discount, epsilon):
    """The same set in the coordinates of its first two probabilities."""
    # p̃ = (x, y, 1 − x − y); each row (a, b) says a·(x, y) + b ≤ 0.
    rows = [(-1, 0, 0), (0, -1, 0), (1, 1, -1)]
    for v in discount * values:
        slope, rest = v[:2] - v[2], v[2] - v @ P
        rows += [(*slope, rest - epsilon), (*-slope, -rest - epsilon)]
    return HalfspaceIntersection(np.array(rows, float), P[:2]).intersections


@pytest.mark.parametrize("count", range(5))
@pytest.mark.parametrize("epsilon", [0.01, 0.1, 0.5, 3.0])
def test_area_and_corners(count, epsilon):
    values = np.random.default_rng(count).normal(size=(count, 3)) * 3
    found = allowed(P, values, 0.9, epsilon)
    expected = polytope(values, 0.9, epsilon)
    hull = ConvexHull(expected)
    # In these coordinates the whole triangle has the area one half.
    assert share(found) == pytest.approx(2 * hull.volume, rel=1e-9)
    corners = expected[hull.vertices]
    assert len(found) == len(corners)
    for corner in corners:
        assert np.abs(found[:, :2] - corner).max(1).min() < 1e-9
    assert np.abs(values @ found.T - (values @ P)[:, None]).max(initial=0) <= (
        epsilon / 0.9 + 1e-9
    )


def test_nothing_allowed_leaves_a_segment_then_the_world():
    values = np.array([[1.0, 2, 4], [0, 3, 1]])
    ends = allowed(P, values[:1], 0.9, 0)
    assert len(ends) == 2
    # Its ends are on two sides of the triangle, and it passes through the world.
    np.testing.assert_allclose(ends.min(1), 0, atol=1e-12)
    np.testing.assert_allclose(ends @ values[0], P @ values[0])
    assert share(ends) == pytest.approx(0, abs=1e-15)
    np.testing.assert_allclose(allowed(P, values, 0.9, 0), [P])


def test_a_constant_function_forbids_nothing():
    assert share(allowed(P, np.full((1, 3), 7.0), 0.9, 0)) == pytest.approx(1)


def test_the_triangle_is_drawn_with_equal_sides():
    sides = np.linalg.norm(CORNERS - np.roll(CORNERS, 1, 0), axis=1)
    np.testing.assert_allclose(sides, 1)


def test_illegal():
    with pytest.raises(ValueError, match=r"has shape \[4\]; expected \[3\]"):
        allowed(np.full(4, 0.25), [], 0.9, 0)
    with pytest.raises(ValueError, match="expected a number ≥ 0"):
        allowed(P, [], 0.9, -0.1)
