"""Worlds small enough to ask every policy, and the diagrams and figures of them."""

import numpy as np
import pytest
from matplotlib.text import Annotation
from oracles import chain, deterministic_policies, long_run_value, random_mdp

import pve
from pve.book import small_worlds
from pve.figures import proper as pictures
from pve.figures.diagrams import Arrow, draw_clock, draw_states
from pve.figures.style import new_figure


def ends(ax):
    """Where the arrows of a diagram start and end, ``[arrows, 2, 2]``."""
    arrows = [text for text in ax.texts if isinstance(text, Annotation)]
    return np.array([(arrow.xyann, arrow.xy) for arrow in arrows])


def words(ax):
    return [text.get_text() for text in ax.texts if text.get_text()]


# Worlds ------------------------------------------------------------------------------


def test_every_deterministic_policy_is_there_once():
    found = small_worlds.every_deterministic(3, 2)
    np.testing.assert_array_equal(found, deterministic_policies(3, 2))


def test_measured_by_hand():
    # One acts once: the world pays 0 or 4, the model pays 2 for either and takes the first.
    end = [[[0, 1], [0, 1]]] * 2
    world = pve.MDP([[0, 4], [0, 0]], end, 0.9)
    model = pve.MDP([[2, 2], [0, 0]], end, 0.9)
    assert small_worlds.measure(world, model) == pytest.approx((2, 2, 4))
    # A reward that is 1 too high in a state that leads to itself: one step tells 1, the
    # value is off by ten; there is nothing to choose, and so nothing to lose.
    alone, brighter = (pve.MDP([[r]], [[[1]]], 0.9) for r in (0, 1))
    assert small_worlds.measure(alone, brighter) == pytest.approx((10, 1, 0))


@pytest.mark.parametrize("seed", range(4))
def test_measured_policy_by_policy(seed):
    world, model = random_mdp(seed, 3, 2), random_mdp(seed + 10, 3, 2)
    error, residual, loss = small_worlds.measure(world, model)
    errors, residuals, worth = [], [], []
    for policy in deterministic_policies(3, 2):
        value, claimed = (long_run_value(mdp, policy) for mdp in (world, model))
        reward, matrix = chain(model, policy)
        errors.append(np.abs(claimed - value).max())
        residuals.append(np.abs(reward + 0.9 * matrix @ value - value).max())
        worth.append((claimed.mean(), value))
    assert (error, residual) == pytest.approx((max(errors), max(residuals)))
    best = np.max([value for _, value in worth], axis=0)  # one policy is best everywhere
    plan = max(worth, key=lambda pair: pair[0])[1]
    assert loss == pytest.approx((best - plan).max(), abs=1e-9)


def test_perturbed_by_hand():
    world, other = (pve.MDP([[r]], [[[1]]], 0.5) for r in (1, 8))
    assert small_worlds.perturbed(world, other, 0.25).reward == 3
    world, other = random_mdp(0), random_mdp(1)
    moved = small_worlds.perturbed(world, other, 1.0)
    np.testing.assert_allclose(moved.transition, other.transition)
    still = small_worlds.perturbed(world, other, 0.0)
    np.testing.assert_allclose(still.reward, world.reward)


# Diagrams ----------------------------------------------------------------------------


def test_an_arrow_goes_from_rim_to_rim():
    _, ax = new_figure()
    places = {"x": (0, 0), "y": (3, 4)}
    arrows = [Arrow("x", "y", "go", (1, 0)), Arrow("y", "y", "stay", (0, 2), bend=-1)]
    draw_states(places, arrows, ax, radius=0.5)
    straight, loop = ends(ax)
    # Of the way of length five, a tenth is inside each circle.
    np.testing.assert_allclose(straight, [(0.3, 0.4), (2.7, 3.6)])
    np.testing.assert_allclose(loop, [(2.75, 3.55), (3.25, 3.55)])  # below its state
    assert words(ax) == ["x", "y", "go", "stay"]
    written = {text.get_text(): text.get_position() for text in ax.texts}
    assert written["go"] == pytest.approx((2.5, 2))
    assert written["stay"] == pytest.approx((3, 6))
    assert [circle.center for circle in ax.patches] == list(places.values())


def test_a_clock_is_read_from_the_top():
    _, ax = new_figure()
    draw_clock({1: ("k", 0), 3: ("r", 0)}, ax, hours=4)
    assert words(ax) == ["4", "1", "2", "3"]
    top, right, bottom, left = (0, 1), (1, 0), (0, -1), (-1, 0)
    ticks, wrong = ends(ax)[:4], ends(ax)[4:]
    ring = [(top, right), (right, bottom), (bottom, left), (left, top)]
    np.testing.assert_allclose(ticks, ring, atol=1e-12)
    back = [(top, left), (right, top), (bottom, right), (left, bottom)]
    np.testing.assert_allclose(wrong, back, atol=1e-12)


# Figures -----------------------------------------------------------------------------


def test_clocks_are_drawn_by_hand():
    right = [[True, True], [False, True], [False, False]]
    figure = pictures.clocks([1, 2, 4], [1, 2], right)
    rows = figure.axes[1].get_lines()
    drawn = [row.get_xydata().tolist() for row in rows]
    assert drawn == [[[1, 1], [2, 1]], [[2, 2]], []]
    low, high = figure.axes[1].get_ylim()
    assert low > 4 > 1 > high  # the right clock stands at the top


def test_losses_of_plans_are_drawn_by_hand():
    cloud = np.array([[1.0, 0.5, 0.1], [2.0, 1.0, 0.0]])  # the second loses nothing
    hard = {"once": np.array([[3.0, 0.3, 6.0]]), "forever": np.array([[4.0, 0.4, 8.0]])}
    left, right = (ax.get_lines() for ax in pictures.plan_losses(cloud, hard, 0.75).axes)
    for column, lines in enumerate((left, right)):
        ratio = lines[0].get_ydata() / lines[0].get_xdata()
        np.testing.assert_allclose(ratio, 2)
        points = [line.get_xydata().tolist() for line in lines[1:4]]
        assert points == [
            [[row[column], row[2]]] for row in (cloud[0], [3, 0.3, 6], [4, 0.4, 8])
        ]
    bound = right[4]
    np.testing.assert_allclose(bound.get_ydata() / bound.get_xdata(), 8)
    assert len(left) == 4


def test_waiting_is_drawn_by_hand():
    worst = {"few": np.zeros((2, 2)), "all": np.array([[0.0, 0.3], [0.2, 0.0]])}
    diagram, *maps, _ = pictures.waiting(worst).axes
    assert {"0", "end", "$a$", "$b$", "$a$: $y_a$", "$b$: $y_b$"} == set(words(diagram))
    assert len(ends(diagram)) == 4
    for ax, (title, image) in zip(maps, worst.items(), strict=True):
        (shown,) = ax.images
        assert ax.get_title() == title
        np.testing.assert_array_equal(shown.get_array(), image)
        assert shown.get_clim() == (0, 0.3)  # one scale for both
        assert shown.origin == "lower"


def test_twins_are_drawn():
    (ax,) = pictures.twins().axes
    assert words(ax)[:4] == ["0", "1", "1′", "end"]
    assert len(ends(ax)) == 4
