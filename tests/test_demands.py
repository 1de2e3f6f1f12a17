"""What value equivalence demands: counts against null spaces, corners against aims."""

import numpy as np
import pytest
import scipy.linalg
from oracles import deterministic_policies, long_run_value, random_mdp, stochastic_policies

import pve
from pve.equivalence import demands
from pve.figures import equivalent as pictures

EACH_ACTION = np.eye(2)[:, None].repeat(3, axis=1)  # of three states and two actions


def free_dimensions(policies, values, discount):
    """All equations of all states at once, and the dimension of what solves them."""
    _, states, actions = policies.shape
    shape, rows = (states, actions), []
    for s in range(states):
        for policy in policies:
            for value in values:
                taken = np.zeros(shape)
                taken[s] = policy[s]
                moved = discount * taken[..., None] * value
                rows.append(np.append(taken, moved))
        for a in range(actions):
            total = np.zeros((*shape, states))
            total[s, a] = 1
            rows.append(np.append(np.zeros(shape), total))
    return scipy.linalg.null_space(np.array(rows)).shape[1]


def some_deterministic(seed, num, states, actions):
    every = deterministic_policies(states, actions)
    return np.random.default_rng(seed).permutation(every)[:num]


@pytest.mark.parametrize("draw", [some_deterministic, stochastic_policies])
@pytest.mark.parametrize("num_policies", [1, 2, 4])
@pytest.mark.parametrize("num_values", [1, 3, 5])
def test_dimension_is_that_of_the_null_space(draw, num_policies, num_values):
    policies = draw(num_policies, num_policies, 4, 2)
    values = np.random.default_rng(num_values).normal(size=(num_values, 4))
    found = demands.class_dimension(policies, values)
    assert found == free_dimensions(policies, values, 0.7)


def test_dimension_by_hand():
    # One policy binds one action a state. The first function settles the reward, whatever
    # it is; one that differs from it by a constant binds no next state; each of the other
    # unit functions does.
    one, first = EACH_ACTION[:1], np.eye(3)[:1]
    assert demands.class_dimension(one, first) == 3 * 2 * 3 - 3
    assert demands.class_dimension(one, np.full((1, 3), 7.0)) == 3 * 2 * 3 - 3
    assert demands.class_dimension(one, np.vstack([first, first + 7])) == 3 * 2 * 3 - 3
    assert demands.class_dimension(EACH_ACTION, np.eye(3)[:2]) == 3 * 2
    assert demands.class_dimension(EACH_ACTION, np.eye(3)) == 0


def test_far_member_meets_its_demands_and_its_aim():
    world = random_mdp(1, 3, 2)
    random = np.random.default_rng(1)
    values, aims = random.normal(size=(2, 3)), random.normal(size=(3, 2, 3))
    model = demands.far_member(world, values, aims)
    for policy in (*EACH_ACTION, *stochastic_policies(1, 5, 3, 2)):
        for value in values:
            ours, theirs = (pve.bellman(mdp, policy, value) for mdp in (model, world))
            np.testing.assert_allclose(ours, theirs, atol=1e-9)
    # Two functions leave a segment of the triangle between the nearest such places.
    change = np.cross(np.ones(3), values[1] - values[0])
    for pair in np.ndindex(3, 2):
        row = world.transition[pair]
        reach = -row / change
        ends = [
            row + reach[change > 0].max() * change,
            row + reach[change < 0].min() * change,
        ]
        best = min(ends, key=lambda end: end @ aims[pair])
        np.testing.assert_allclose(model.transition[pair], best, atol=1e-8)


def test_far_member_of_policies_at_their_own_functions():
    world = random_mdp(2, 5, 2)
    policies = some_deterministic(2, 3, 5, 2)
    policies[:, 0] = [1, 0]  # nobody takes the second action in the first state
    values = np.array([long_run_value(world, policy) for policy in policies])
    aims = np.random.default_rng(2).normal(size=(5, 2, 5))
    model = demands.far_member(world, values, aims, policies)
    for policy, value in zip(policies, values, strict=True):
        np.testing.assert_allclose(long_run_value(model, policy), value, atol=1e-7)
    assert np.abs(model.transition - world.transition).max() > 0.1
    np.testing.assert_array_equal(model.transition[0, 1], world.transition[0, 1])
    assert model.reward[0, 1] == world.reward[0, 1]


# Figures -----------------------------------------------------------------------------


def test_two_worlds_are_drawn(rooms):
    world = rooms.mdp
    even = np.full((104, 4, 104), 1 / 104)
    model = pve.MDP(world.reward, even, 0.99)
    figure = pictures.two_worlds(rooms, model, 5, 1)
    first, second, plan = (ax.images[0].get_array() for ax in figure.axes)
    cells = tuple(rooms.xy[:, ::-1].T)
    np.testing.assert_array_equal(first[cells], world.transition[5, 1])
    np.testing.assert_array_equal(second[cells], even[5, 1])
    # As all moves are alike, the value is the best reward here plus a constant.
    rise = world.reward.max(-1) - world.reward.max(-1).min()
    np.testing.assert_allclose(plan[cells] - plan[cells].min(), rise, atol=1e-9)
    for ax in figure.axes[:2]:
        (frame,) = ax.patches
        assert frame.get_center() == pytest.approx(rooms.xy[5])


def test_a_plane_is_cut_by_the_cube():
    # x + y + z = 1 meets it in the triangle itself, z = ¼ in a square.
    np.testing.assert_allclose(pictures.plane([1, 1, 1], 1).sum(1), 1)
    assert {*map(tuple, pictures.plane([1, 1, 1], 1))} == {(1, 0, 0), (0, 1, 0), (0, 0, 1)}
    square = pictures.plane([0, 0, 2], 0.5)
    assert {*map(tuple, square)} == {(x, y, 0.25) for x in (0, 1) for y in (0, 1)}
    sides = np.linalg.norm(square - np.roll(square, 1, 0), axis=1)
    np.testing.assert_allclose(sides, 1)  # and its corners in order around it


def test_planes_cut_the_triangle_through_the_world():
    world = np.array([0.2, 0.3, 0.5])
    functions = np.array([[1.0, 0, 0], [0, 1.0, 0]])
    one, two = pictures.planes(world, functions).axes
    cut, dot = (np.array(line.get_data_3d()).T for line in one.get_lines())
    assert {*map(tuple, cut.round(9))} == {(0.2, 0.8, 0), (0.2, 0, 0.8)}
    np.testing.assert_allclose(dot, [world])
    assert len(two.get_lines()) == 3


def test_dimensions_are_drawn_by_hand():
    by_functions = {1: [9000, 6000], 4: [9000, 1000]}
    by_policies = {
        ("deterministic", 52): [8000, 5000],
        ("deterministic", 104): [7000, 4000],
        ("stochastic", 104): [7000, 0],
    }
    figure = pictures.dimensions([1, 3], by_functions, [2, 5], by_policies)
    left, right = (ax.get_lines() for ax in figure.axes)
    assert [line.get_label() for line in left] == ["1 policy", "4 policies"]
    assert [line.get_linestyle() for line in right] == ["--", "-", "--"]
    for lines, x, given in ((left, [1, 3], by_functions), (right, [2, 5], by_policies)):
        for line, numbers in zip(lines, given.values(), strict=True):
            np.testing.assert_array_equal(line.get_xdata(), x)
            np.testing.assert_allclose(line.get_ydata(), np.array(numbers) / 1000)


def test_the_impossible_is_drawn_by_hand():
    mass = {"random": [[1.0, 0.5], [1.0, 0.1], [0.8, 0.0]], "values": [[1.0, 0.0]] * 3}
    figure = pictures.impossible([1, 4], mass)
    medians = [line for line in figure.axes[0].get_lines() if line.get_linewidth() == 2]
    assert [line.get_label() for line in medians] == list(mass)
    np.testing.assert_array_equal([x.get_ydata() for x in medians], [[1, 0.1], [1, 0]])
