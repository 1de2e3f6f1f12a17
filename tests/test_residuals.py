"""Residuals and errors of values as the page measures them: bounds, tables, a course."""

import math

import numpy as np
import pytest
from hypothesis import given
from oracles import (
    backups,
    chain,
    long_run_value,
    random_mdp,
    seeds,
    stochastic_policies,
)

import pve
from pve.book import residuals, yardstick
from pve.equivalence.lazy import lazy_model
from pve.figures import limit as pictures

ENV, OTHER = random_mdp(0, 4, 2), random_mdp(1, 4, 2)
POLICIES = stochastic_policies(0, 5, 4, 2)
VALUES = np.array([long_run_value(ENV, policy) for policy in POLICIES])


@given(seeds)
def test_differences_by_loops(seed):
    starts = np.random.default_rng(seed).normal(size=(5, 4))
    found = residuals.differences(ENV, OTHER, POLICIES, starts, 4)
    for k in (1, 4):
        for policy, start, gap in zip(POLICIES, starts, found[k - 1], strict=True):
            wanted = backups(OTHER, policy, start, k) - backups(ENV, policy, start, k)
            np.testing.assert_allclose(gap, wanted, atol=1e-9)


def errors(model):
    error = np.array([long_run_value(model, p) for p in POLICIES]) - VALUES
    left = [backups(model, p, v, 1) - v for p, v in zip(POLICIES, VALUES, strict=True)]
    return error, np.array(left)


def test_the_bracket_by_loops():
    found = residuals.bracket(OTHER, POLICIES, VALUES)
    error, left = errors(OTHER)
    for i, policy in enumerate(POLICIES):
        _, under = chain(OTHER, policy)
        visits = np.linalg.inv(np.eye(4) - 0.9 * under)
        wanted = np.linalg.norm(error[i]) / np.linalg.norm(left[i])
        assert found.ratio[i] == pytest.approx(wanted, rel=1e-4)
        columns = [visits[:, s].sum() for s in range(4)]
        wanted = math.sqrt(0.1 * max(columns)) / 0.1
        assert found.upper[i] == pytest.approx(wanted)
        columns = [under[:, s].sum() for s in range(4)]
        assert found.lower[i] == pytest.approx(1 / (1 + 0.9 * math.sqrt(max(columns))))
    assert (found.lower <= found.ratio).all()
    assert (found.ratio <= found.upper).all()


def test_the_bound_by_random_functions_by_sampling():
    """The loss in it is the mean over functions U(−1, 1)."""
    bound = residuals.random_bound(ENV, OTHER, POLICIES, VALUES, 3)
    starts = np.random.default_rng(0).uniform(-1, 1, (40_000, 4))
    for i, policy in enumerate(POLICIES[:2]):
        own, true = (chain(m, policy) for m in (OTHER, ENV))
        gap = affine(own, starts, 3) - affine(true, starts, 3)
        size = 1 + 3 * (VALUES[i] ** 2).sum()
        wanted = math.sqrt(size * (gap**2).sum(-1).mean()) / (1 - 0.9**3)
        assert bound[i] == pytest.approx(wanted, rel=0.02)
        assert np.abs(errors(OTHER)[0][i]).max() <= bound[i]


def affine(reward_and_matrix, starts, order):
    reward, matrix = reward_and_matrix
    for _ in range(order):
        starts = reward + 0.9 * starts @ matrix.T
    return starts


def test_groups_are_measured_on_the_yardstick_and_told_in_a_table():
    asked = yardstick.yardstick(ENV, 1, 40)
    group = [OTHER, lazy_model(ENV, 0.5)]
    found = residuals.measured(group, asked, 7)
    assert found.proper.shape == found.value.shape == (2, 40)
    np.testing.assert_allclose(found.proper[0], yardstick.proper_loss(OTHER, asked))
    assert len(found.brackets[1].ratio) == 7
    made = residuals.Measured(
        np.array([[1.0, 3], [10, 30], [5, 5]]), np.array([[100.0, 300]] * 3),
        [residuals.Bracket(np.zeros(2), np.array([4.0, 8]), np.array([50.0, 60]))],
    )  # fmt: skip
    lines = residuals.errors_table({"mine": made}).splitlines()
    assert lines[2] == "| mine | 5.0 | 200 | 200 | 6.0 | 8.0 | 55 |"


def test_the_table_of_bounds():
    models = {"other": OTHER, "lazy": lazy_model(ENV, 0.3, VALUES.mean(0))}
    lines = residuals.bounds_table(ENV, models, POLICIES, VALUES).splitlines()
    assert len(lines) == 4
    numbers = [float(x.replace(",", "")) for x in lines[2].split("|")[2:-1]]
    error, left = errors(OTHER)
    assert numbers[0] == pytest.approx(np.median(np.abs(error).max(-1)), rel=0.01)
    assert numbers[-1] == pytest.approx(np.median(np.abs(left).max(-1)) / 0.1, rel=0.01)
    assert numbers[0] < min(numbers[1:])


def test_a_broken_bound_is_an_error(monkeypatch):
    monkeypatch.setattr(residuals, "random_bound", lambda *_: np.zeros(5))
    with pytest.raises(ArithmeticError, match="other errs more"):
        residuals.bounds_table(ENV, {"other": OTHER}, POLICIES, VALUES)


def test_the_course_of_a_run(finished, rooms):
    asked = yardstick.yardstick(rooms.mdp, 0, 20)
    found = residuals.course(finished, 1, [0, 40], asked)
    last = pve.load_model(finished, "diameter", order=math.inf, run=1)
    assert list(found.step) == [0, 40]
    assert found.proper[1] == pytest.approx(yardstick.proper_loss(last, asked).mean())
    assert found.value[1] == pytest.approx(yardstick.value_error(last, asked).mean())


def test_the_picture_of_losses_by_order(drawn):
    curves = {"mine": (np.array([1.0, 2, 3]), 5.0, 0.5, "red")}
    figure = pictures.losses_by_order(curves, "by hand")
    drawn(figure)
    curve, value, proper = figure.axes[0].get_lines()
    assert list(curve.get_xdata()) == [1, 2, 3]
    assert set(value.get_ydata()) == {5}
    assert set(proper.get_ydata()) == {0.5}


def test_the_picture_of_brackets(drawn):
    ratios = {"mine": (np.array([[0.2, 0.4], [0.5, 0.7]]), "red")}
    figure = pictures.brackets([1, 2], ratios, 0.9, "by hand")
    drawn(figure)
    median, lower, upper = figure.axes[0].get_lines()
    assert median.get_ydata() == pytest.approx([0.3, 0.6])
    assert lower.get_ydata() == pytest.approx([0.1, 0.19])
    assert upper.get_ydata() == pytest.approx([1.9, 1.81])


def test_the_picture_of_two_losses(drawn):
    way = residuals.Course(np.array([0, 10]), np.array([3.0, 1]), np.array([9.0, 8]))
    figure = pictures.two_losses(way, "by hand")
    drawn(figure)
    value, proper = figure.axes[0].get_lines()
    assert list(value.get_ydata()) == [9, 8]
    assert list(proper.get_ydata()) == [3, 1]
