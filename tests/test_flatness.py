"""How blind the loss is: curvatures in their unit, stored deviations, courses, reaches."""

import dataclasses
import math

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import random_mdp, seeds
from tiny import TINY

import pve
from pve.book import flatness
from pve.equivalence import exact_class, newton
from pve.equivalence.lazy import lazy_line, lazy_model
from pve.figures import exact_class as pictures

WORLD = random_mdp(2, 4, 2)


def policies_of(world, num=12, key=0):
    return exact_class.balanced_policies(jax.random.key(key), num, *world.reward.shape)


def by_pair(world, num=12):
    policies = policies_of(world, num)
    return exact_class.values_by_pair(policies, pve.policy_value(world, policies))


# Curvatures ---------------------------------------------------------------------------


def test_independent_functions_have_one_curvature_in_every_direction():
    functions = np.random.default_rng(0).uniform(-1, 1, (100_000, 5))
    assert flatness.variance(functions) == pytest.approx(1 / 3, rel=0.01)
    found = flatness.bowl(functions, 0.9)
    np.testing.assert_allclose(found.curvature, 0.81, rtol=0.02)


@given(seeds, st.floats(0.01, 100))
def test_the_unit_of_the_reward_does_not_matter(seed, unit):
    world = random_mdp(seed, 4, 2)
    richer = dataclasses.replace(world, reward=unit * world.reward)
    values, scaled = by_pair(world), by_pair(richer)
    stay = flatness.to_stay(world)
    first, second = (flatness.bowl(v, 0.9).curvature for v in (values, scaled))
    np.testing.assert_allclose(second, first, rtol=1e-6, atol=1e-12)
    first, second = (flatness.curvature_along(v, stay, 0.9) for v in (values, scaled))
    np.testing.assert_allclose(second, first, rtol=1e-6)
    plain = [exact_class.curvatures(v, 0.9).curvature.max() for v in (values, scaled)]
    assert plain[1] == pytest.approx(unit**2 * plain[0], rel=1e-6)  # theirs does


@given(seeds)
def test_the_mean_curvature_is_the_same_for_all_functions(seed):
    functions = np.random.default_rng(seed).gamma(0.3, size=(6, 9, 4))  # any
    for values in (functions, by_pair(random_mdp(seed, 4, 2))):
        np.testing.assert_allclose(flatness.bowl(values, 0.9).curvature.mean(-1), 0.81)


def spread(functions):
    """The variance without constants, from all pairs of states."""
    pairs = [(i, j) for i in range(4) for j in range(4)]
    return sum(np.var(functions[:, i] - functions[:, j]) for i, j in pairs) / 24


def test_curvature_along_by_a_loop_and_without_moves_that_are_none():
    values, moves = by_pair(WORLD), flatness.to_stay(WORLD)
    moves[1, 0] = 0
    wanted = []
    for s, a in np.ndindex(4, 2):
        if (s, a) == (1, 0):
            continue
        unit = moves[s, a] / np.sqrt((moves[s, a] ** 2).sum())
        seen = [float(unit @ v) for v in values[s, a]]
        wanted.append(0.81 * np.var(seen) / spread(values[s, a]))
    np.testing.assert_allclose(flatness.curvature_along(values, moves, 0.9), wanted)


def test_named_curvatures_are_medians_along_their_moves(rooms):
    env, goal = rooms.mdp, rooms.index(11, 1)
    values = by_pair(env, 6)
    found = flatness.named_curvatures(values, env, goal)
    jump = np.eye(104)[goal] - env.transition
    wanted = np.median(flatness.curvature_along(values, jump, 0.99))
    assert found["jump to the goal"] == pytest.approx(wanted)
    slip = env.transition[:, 0] - env.transition[:, 1]
    some = [
        0.9801 * (values[s, 0] @ slip[s]).var() / (slip[s] ** 2).sum()
        / flatness.variance(values[s, 0])
        for s in range(104) if np.abs(slip[s]).max() > 0
    ]  # fmt: skip
    assert found["mistake left for right"] == pytest.approx(np.median(some))
    assert found["stay"] < found["jump to the goal"]


def turned(world, degrees):
    """Directions whose last one is the lazy one, turned."""
    stay = flatness.to_stay(world)
    directions = np.zeros((4, 2, 3, 4))
    for s, a in np.ndindex(4, 2):
        unit = stay[s, a] / np.linalg.norm(stay[s, a])
        # An orthonormal basis of the vectors with sum zero that begins with staying.
        basis = np.linalg.qr(np.stack([np.ones(4), unit, *np.eye(4)[:2]], 1))[0].T[1:]
        c, d = np.cos(np.radians(degrees)), np.sin(np.radians(degrees))
        last, other = basis[0], basis[1]
        directions[s, a] = basis[2], c * other - d * last, c * last + d * other
    return directions


@given(st.floats(0, 90))
def test_the_tilt_is_the_angle(degrees):
    found = flatness.tilt(turned(WORLD, degrees), WORLD)
    np.testing.assert_allclose(found, degrees, atol=1e-5)


def test_what_is_said_of_the_bowl():
    values = by_pair(WORLD)
    told = flatness.bowl_facts(values, WORLD)
    found = flatness.bowl(values, 0.9)
    ratios = np.log10(found.curvature[..., 0] / found.curvature[..., -1])
    assert told["digits"] == pytest.approx(np.median(ratios))
    angle = flatness.tilt(found.directions, WORLD)
    assert told["angle"] == pytest.approx(np.median(angle))
    assert told["angle-tail"] >= told["angle"]


# Where training ends ------------------------------------------------------------------


def test_deviations_of_stored_models(finished, rooms):
    runs = range(TINY["diameter"].runs)
    found = flatness.deviations(finished, math.inf, runs, rooms.mdp)
    assert found.shape == (len(runs), 104, 4, 104)
    model = pve.load_model(finished, "diameter", order=math.inf, run=1)
    np.testing.assert_allclose(found[1] + rooms.mdp.transition, model.transition, atol=1e-6)
    start = flatness.deviations(finished, math.inf, runs, rooms.mdp, step=0)
    assert np.abs(start - found).max() > 1e-3


def test_components_are_all_of_a_deviation():
    apart = np.random.default_rng(0).normal(size=(3, 4, 2, 4))
    apart -= apart.mean(-1, keepdims=True)
    found = flatness.components(apart, flatness.bowl(by_pair(WORLD), 0.9).directions)
    assert (found**2).sum() == pytest.approx((apart**2).sum(-1).mean())


@given(st.floats(0.01, 0.99))
def test_a_lazy_model_is_as_lazy_as_it_is(share):
    apart = lazy_model(WORLD, share).transition - WORLD.transition
    found = flatness.laziness(apart[None], WORLD)
    np.testing.assert_allclose(found.cosine, 1)
    np.testing.assert_allclose(found.share, share)


FAR = np.array([True, False, False, False])


def drawn_and_lazy():
    before = np.random.default_rng(1).normal(size=(2, 4, 2, 4))
    before -= before.mean(-1, keepdims=True)
    return before, np.repeat(0.3 * flatness.to_stay(WORLD)[None], 2, 0)


def test_what_is_said_of_a_training_that_ends_in_laziness():
    before, after = drawn_and_lazy()
    told = flatness.training_facts(after, turned(WORLD, 0), WORLD, FAR)
    assert told["far"] == pytest.approx(1)
    assert told["in-last"] == pytest.approx(100)
    told = flatness.training_facts(before, turned(WORLD, 0), WORLD, FAR)
    assert told["near"] < 0.9
    assert told["in-last"] < 90


def test_what_is_said_where_nothing_was_learnt():
    before, after = drawn_and_lazy()
    after[:, 0] = before[:, 0]
    told = flatness.training_facts(after, turned(WORLD, 0), WORLD, FAR)
    stay = flatness.to_stay(WORLD)
    wanted = np.median([
        before[n, 0, a] @ stay[0, a]
        / np.linalg.norm(before[n, 0, a]) / np.linalg.norm(stay[0, a])
        for n, a in np.ndindex(2, 2)
    ])  # fmt: skip
    assert told["near"] == pytest.approx(1)
    assert told["far"] == pytest.approx(wanted)


# Solving ------------------------------------------------------------------------------


def equations(world):
    policies = policies_of(world)
    return newton.equations(policies, pve.policy_value(world, policies), 0.9)


def test_the_course_of_lazy_models():
    found = flatness.lazy_course([0.0, 0.2, 0.4], equations(WORLD), WORLD)
    size = np.linalg.norm(flatness.to_stay(WORLD))
    np.testing.assert_allclose(found.distance, [0, 0.2 * size, 0.4 * size])
    # The residual of a lazy pair is c (1 − γ) (v − b), b the mean: quadratic in c.
    spread = by_pair(WORLD).var(-2)[np.arange(4), :, np.arange(4)].mean(-1).sum()
    np.testing.assert_allclose(
        found.loss, 0.01 * np.array([0, 0.04, 0.16]) * spread, atol=1e-12
    )


def test_the_course_of_a_stored_run(finished, rooms):
    env = rooms.mdp
    policies = policies_of(env, 8)
    system = newton.equations(policies, pve.policy_value(env, policies), 0.99)
    found = flatness.training_course(finished, 0, [0, 20, 40], system, env)
    last = pve.load_model(finished, "diameter", order=math.inf, run=0)
    apart = np.asarray(last.transition, float) - env.transition
    assert found.distance[-1] == pytest.approx(np.linalg.norm(apart), rel=1e-5)
    wanted = system.loss(env.transition + apart).mean(-1).sum()
    assert found.loss[-1] == pytest.approx(wanted, rel=1e-4)
    assert len(found.loss) == 3


def test_what_is_said_of_the_solved_equations():
    system = equations(WORLD)
    starts = [random_mdp(seed, 4, 2).transition for seed in (5, 6)]
    paths = [newton.solve(system, start, steps=30) for start in starts]
    trained = flatness.Course(np.array([2.0, 1.5]), np.array([3.0, paths[0].loss[4]]))
    told = flatness.solving_facts(paths, trained, WORLD)
    assert told["runs"] == 2
    assert told["same"] == pytest.approx(paths[0].distance(WORLD)[4])
    assert "10" in told["worst"]


# Nearly proper ------------------------------------------------------------------------


def two_sets():
    values = by_pair(WORLD)
    return {"some": values[..., :3, :], "all": values}


def test_reaches_are_those_of_the_programmes_and_hold_lazy_models():
    found = flatness.reaches(WORLD, two_sets(), [(1, 0, 1), (2, 1, 3)], [1e-3, 0.01])
    for one, (s, a, cell) in zip(found, [(1, 0, 1), (2, 1, 3)], strict=True):
        for name, values in two_sets().items():
            for epsilon, rise in zip(one.epsilon, one.outer[name], strict=True):
                wanted = exact_class.epsilon_range(
                    WORLD, values[s, a], s, a, epsilon, np.eye(5)[1 + cell]
                )[1]
                assert rise == pytest.approx(wanted)
        assert (one.outer["all"] <= one.outer["some"] + 1e-9).all()
    staying, other = found
    assert other.inner is None
    assert (staying.inner <= staying.outer["all"] + 1e-9).all()
    assert (staying.inner > 0).all()


def test_the_largest_residual_and_the_rise_by_a_loop():
    other, values = random_mdp(3, 4, 2), by_pair(WORLD)[2, 1]
    gaps = [
        other.reward[2, 1] + 0.9 * other.transition[2, 1] @ v
        - WORLD.reward[2, 1] - 0.9 * WORLD.transition[2, 1] @ v
        for v in values
    ]  # fmt: skip
    found = flatness.rises([other, WORLD], WORLD, values, (2, 1))
    rise = other.transition[2, 1, 2] - WORLD.transition[2, 1, 2]
    np.testing.assert_allclose(found, [[np.abs(gaps).max(), rise], [0, 0]], atol=1e-12)


# Pictures -----------------------------------------------------------------------------


def test_the_picture_of_curvatures(drawn):
    found = flatness.bowl(by_pair(WORLD), 0.9)
    figure = pictures.curvatures(found.curvature, 0.81, {"stay": 0.1}, "by hand")
    drawn(figure)
    ax = figure.axes[0]
    median, level, mark = ax.get_lines()
    np.testing.assert_allclose(median.get_ydata(), np.median(found.curvature, (0, 1)))
    assert set(level.get_ydata()) == {0.81}
    assert set(mark.get_ydata()) == {0.1}
    assert ax.get_yscale() == "log"


def test_the_picture_of_lazy_models(drawn):
    line = lazy_line(WORLD, [0.1, 0.5], policies_of(WORLD))
    figure = pictures.lazy_models(line, 3.0, "by hand")
    drawn(figure)
    for ax, field in zip(
        figure.axes, ("loss", "distance", "value_error_mean", "performance"), strict=True
    ):
        np.testing.assert_array_equal(ax.get_lines()[0].get_ydata(), getattr(line, field))


def test_the_picture_of_a_heavy_tail(drawn):
    losses = {"first": np.array([1.0, 2, 3, 10]), "second": np.array([2.0, 2, 2, 2])}
    figure = pictures.heavy_tail(losses, {10: [1.0, 2, 3]}, "by hand")
    drawn(figure)
    single, several = figure.axes
    rising, mean, *_ = single.get_lines()
    assert list(rising.get_xdata()) == [1, 2, 3, 10]
    assert list(rising.get_ydata()) == [0.25, 0.5, 0.75, 1]
    assert (float(mean.get_xdata()[0]), float(mean.get_ydata()[0])) == (4, 0.75)
    bar, middle, truth = several.get_lines()
    assert list(bar.get_ydata()) == [1.1, 2.9]
    assert float(middle.get_ydata()[0]) == 2
    assert set(truth.get_ydata()) == {2}


def test_the_picture_of_where_training_ends(drawn, rooms):
    curves = {"a": (np.array([1.0, 2]), "black", "--"), "b": (np.ones(2), "red", "-")}
    figure = pictures.training_ends(curves, np.linspace(0, 1, 104), rooms, "by hand")
    drawn(figure)
    first, second = figure.axes[0].get_lines()
    assert list(first.get_ydata()) == [1, 2]
    assert first.get_linestyle() == "--"
    assert second.get_label() == "b"
    assert figure.axes[1].images[0].get_clim() == (0, 1)


def test_the_picture_of_the_solved_equations(drawn):
    far, loss = np.array([[3.0, 1, 0.1]]), np.array([[1.0, 0.1, 1e-4]])
    trained = [flatness.Course(np.array([3.0, 2]), np.array([1.0, 0.5]))]
    figure = pictures.solved(far, loss, trained, ([1, 2], [0.1, 0.2]), "by hand")
    drawn(figure)
    left, right = figure.axes
    assert list(left.get_lines()[0].get_ydata()) == [3, 1, 0.1]
    solved, course, end, lazy, *_ = right.get_lines()
    assert list(solved.get_xdata()) == [1, 0.1, 1e-4]
    assert list(course.get_xdata()) == [1, 0.5]
    assert float(end.get_ydata()[0]) == 2
    assert list(lazy.get_ydata()) == [1, 2]


def test_the_picture_of_reaches_leaves_out_what_does_not_rise(drawn):
    outer = {"some": np.array([0.1, 0.2]), "all": np.array([0.05, 0.1])}
    one = flatness.Reach(np.array([0.1, 0.2]), outer, np.array([0.01, 0.02]))
    dots = [(0.3, 0.2), (0.3, -0.1)]
    figure = pictures.reaches({"here": one}, {"here": dots}, "by hand")
    drawn(figure)
    loose, tight, inner, found = figure.axes[0].get_lines()
    assert list(loose.get_ydata()) == [0.1, 0.2]
    assert list(tight.get_ydata()) == [0.05, 0.1]
    assert list(inner.get_ydata()) == [0.01, 0.02]
    assert list(found.get_ydata()) == [0.2]
