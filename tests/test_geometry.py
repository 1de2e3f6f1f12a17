"""The exact class: its dimension, its curvatures, its ε-widths, and the solver.

A statement is tested on random small worlds, against enumerations and closed forms, with
members that are far from the environment; and it must fail without its hypotheses.
"""

import itertools

import jax
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import (
    backup,
    chain,
    deterministic_policies,
    long_run_value,
    random_mdp,
    seeds,
    stochastic_policies,
)
from scipy import optimize

import pve
from pve.equivalence import exact_class, lazy, newton

STATES, ACTIONS = 4, 2
EVERY = deterministic_policies(STATES, ACTIONS)


def idle_world(seed, idle, states=STATES, discount=0.9):
    """A random world in whose idle states both actions are the same."""
    world = random_mdp(seed, states, ACTIONS, discount)
    reward, transition = world.reward.copy(), world.transition.copy()
    for t in idle:
        reward[t, 1], transition[t, 1] = reward[t, 0], transition[t, 0]
    return pve.MDP(reward, transition, discount)


def normal(world, state, action):
    """The vector h: (r, p − e_s / γ)."""
    h = np.append(world.reward[state, action], world.transition[state, action])
    h[1 + state] -= 1 / world.discount
    return h


def moved(world, state, action, step):
    """The world with (r, p)(s, a) moved along a step, as far as p ≥ 0 allows."""
    row = world.transition[state, action]
    shrinks = step[1:] < -1e-12
    assume(shrinks.any())
    size = (row[shrinks] / -step[1:][shrinks]).min()
    reward, transition = world.reward.copy(), world.transition.copy()
    reward[state, action] += size * step[0]
    transition[state, action] = np.maximum(row + size * step[1:], 0)
    return pve.MDP(reward, transition, world.discount)


def worst_error(world, model, policies):
    return max(
        np.abs(long_run_value(model, p) - long_run_value(world, p)).max() for p in policies
    )


# The rank lemma ---------------------------------------------------------------------


@given(seeds, st.integers(0, STATES - 1), st.booleans())
def test_one_switch_moves_the_value_along_one_column(seed, state, mixed):
    world = random_mdp(seed, STATES, ACTIONS)
    base, other = stochastic_policies(seed, 2, STATES, ACTIONS)
    switched = base.copy()
    switched[state] = other[state] if mixed else np.eye(ACTIONS)[0]
    _, matrix = chain(world, base)
    column = np.linalg.inv(np.eye(STATES) - world.discount * matrix)[:, state]
    change = long_run_value(world, switched) - long_run_value(world, base)
    along = (change @ column) / (column @ column)
    np.testing.assert_allclose(change, along * column, rtol=0, atol=1e-9)
    stake = backup(world, switched, long_run_value(world, base))[state]
    stake -= long_run_value(world, base)[state]
    assert np.sign(along) == np.sign(stake) or abs(stake) < 1e-9


@given(seeds)
def test_two_switches_leave_the_column(seed):
    world = random_mdp(seed, STATES, ACTIONS)
    base = EVERY[0]
    _, matrix = chain(world, base)
    column = np.linalg.inv(np.eye(STATES) - world.discount * matrix)[:, 0]
    change = long_run_value(world, EVERY[-1]) - long_run_value(world, base)
    assume(np.abs(change).max() > 1e-2)
    along = (change @ column) / (column @ column)
    assert np.abs(change - along * column).max() > 1e-7


@given(seeds, st.sets(st.integers(0, STATES - 1)), st.sampled_from([0.3, 0.9, 0.99]))
def test_dimension_is_the_number_of_idle_states(seed, idle, discount):
    world = idle_world(seed, idle, discount=discount)
    expected = np.array([len(idle - {s}) for s in range(STATES)])
    found = exact_class.solution_dimension(world, EVERY)
    np.testing.assert_array_equal(found, np.repeat(expected[:, None], ACTIONS, 1))


def test_without_a_discount_transitions_are_free():
    world = random_mdp(0, STATES, ACTIONS, 0.0)
    model = pve.MDP(world.reward, random_mdp(1, STATES, ACTIONS).transition, 0.0)
    assert worst_error(world, model, EVERY) == 0  # though no state is idle
    assert exact_class.point_certificate(world, EVERY).min() > 1e-6
    assert (exact_class.solution_dimension(world, EVERY) == STATES - 1).all()


@given(seeds, st.integers(1, STATES - 1))
def test_solutions_beside_an_idle_state_are_proper_and_far(seed, idle):
    world = idle_world(seed, {idle})
    step = normal(world, 0, 0) - normal(world, idle, 0)
    member = moved(world, 0, 0, step)
    assume(np.abs(member.transition - world.transition).max() > 0.02)
    assert worst_error(world, member, EVERY) < 1e-8
    # A policy that mixes in the very state sees it: the class is of deterministic ones.
    mixing = np.array(EVERY[0])
    mixing[0] = 0.5
    gap = np.diff(world.reward[0] + 0.9 * world.expect(long_run_value(world, mixing))[0])
    assume(np.abs(gap).max() > 1e-2)
    assert worst_error(world, member, [mixing]) > 1e-6


@given(seeds)
def test_the_same_step_is_not_proper_where_the_choice_matters(seed):
    world = random_mdp(seed, STATES, ACTIONS)
    model = moved(world, 0, 0, normal(world, 0, 0) - normal(world, 1, 0))
    assume(np.abs(model.transition - world.transition).max() > 0.02)
    assert worst_error(world, model, EVERY) > 1e-6


@given(seeds)
def test_waiting_at_no_cost_is_exactly_free_but_no_distribution(seed):
    world = random_mdp(seed, STATES, ACTIONS)
    r, p = np.split(np.append(world.reward[0, 1], world.transition[0, 1])
                    - 0.7 * normal(world, 0, 1), [1])  # fmt: skip
    for policy in EVERY[EVERY[:, 0, 1] == 1]:
        value = long_run_value(world, policy)
        assert r[0] + 0.9 * p @ value == pytest.approx(value[0], abs=1e-9)
    assert p.sum() == pytest.approx(1 + 0.7 * (1 / 0.9 - 1))


@given(seeds)
def test_certificate_means_a_point_and_idle_states_deny_it(seed):
    world = random_mdp(seed, STATES, ACTIONS)
    certificate = exact_class.point_certificate(world, exact_class.rotations(EVERY[:1]))
    assume((certificate > 1e-3).all())
    assert (exact_class.solution_dimension(world, EVERY) == 0).all()
    denied = exact_class.point_certificate(idle_world(seed, {1}), EVERY)
    assert denied[[0, 2, 3]].max() < 1e-12
    assert denied[1].min() > 0  # its own state is no other state


@given(seeds)
def test_certificate_needs_only_a_policy_and_its_switches(seed):
    world = random_mdp(seed, STATES, ACTIONS)
    base = EVERY[0]
    switches = [base]
    for t in range(1, STATES):
        switches.append(base.copy())
        switches[-1][t] = base[t, ::-1]
    assume(exact_class.point_certificate(world, base[None])[0, 0] > 1e-3)
    found = exact_class.solution_dimension(world, np.array(switches))
    assert found[0, 0] == 0
    fewer = exact_class.solution_dimension(world, np.array(switches[:-1]))
    assert fewer[0, 0] == 1


def test_four_rooms_has_no_idle_state(rooms):
    few = exact_class.balanced_policies(jax.random.key(0), 5, 104, 4)
    assert exact_class.point_certificate(rooms.mdp, few).min() > 1e-10


def test_stakes_against_loops():
    world = random_mdp(3, STATES, 3)
    policies = stochastic_policies(3, 2, STATES, 3)
    for policy, found in zip(
        policies, exact_class.action_gaps(world, policies), strict=True
    ):
        value = long_run_value(world, policy)
        for s, b in np.ndindex(STATES, 3):
            q = world.reward[s, b] + 0.9 * world.transition[s, b] @ value
            assert found[s] >= abs(q - value[s]) - 1e-9
        assert found.max() > 0


# Policies ---------------------------------------------------------------------------


def test_balanced_policies_take_every_action_equally_often():
    policies = exact_class.balanced_policies(jax.random.key(1), 7, 5, 3)
    assert policies.shape == (21, 5, 3)
    np.testing.assert_array_equal(policies.sum(0), np.full((5, 3), 7))
    np.testing.assert_array_equal(policies.sum(-1), 1)


def test_values_by_pair_against_a_loop_and_its_refusals():
    policies = exact_class.balanced_policies(jax.random.key(1), 4, 3, 2)
    values = np.arange(24.0).reshape(8, 3)
    found = exact_class.values_by_pair(policies, values)
    for s, a in np.ndindex(3, 2):
        np.testing.assert_array_equal(found[s, a], values[policies[:, s, a] == 1])
    with pytest.raises(ValueError, match="not balanced"):
        exact_class.values_by_pair(policies[:-1], values[:-1])
    with pytest.raises(ValueError, match="not balanced"):
        exact_class.values_by_pair(np.full((4, 3, 2), 0.5), values[:4])


# Curvature --------------------------------------------------------------------------


def of_pair(world, state, action):
    """Values of all deterministic policies that take an action."""
    chosen = EVERY[EVERY[:, state, action] == 1]
    return np.array([long_run_value(world, policy) for policy in chosen])


@given(seeds)
def test_loss_with_the_best_reward_is_a_variance(seed):
    world, model = (random_mdp(seed + i, STATES, ACTIONS) for i in (0, 1))
    values = of_pair(world, 2, 1)
    left = 0.9 * values @ model.transition[2, 1] - values[:, 2]
    best = optimize.minimize_scalar(lambda r: ((r + left) ** 2).mean()).fun
    apart = model.transition[2, 1] - world.transition[2, 1]
    assert best == pytest.approx(0.81 * (values @ apart).var(), rel=1e-6)
    along = exact_class.curvature_along(values, apart, 0.9)
    assert best == pytest.approx(along * apart @ apart, rel=1e-6)
    bowl = exact_class.curvatures(values, 0.9)
    np.testing.assert_allclose(bowl.directions @ bowl.directions.T, np.eye(3), atol=1e-12)
    np.testing.assert_allclose(bowl.directions.sum(-1), 0, atol=1e-12)
    assert best == pytest.approx(
        (bowl.curvature * (bowl.directions @ apart) ** 2).sum(), rel=1e-6
    )
    assert (np.diff(bowl.curvature) <= 0).all()
    # With the world's own reward the loss is larger: the mean counts, too.
    assert (0.81 * (values @ apart) ** 2).mean() >= best - 1e-12


@given(seeds)
def test_the_loss_over_several_directions(seed):
    random = np.random.default_rng(seed)
    values = 10 * random.normal(size=(3, 7, STATES))
    directions = random.normal(size=(3, 2, STATES))
    directions -= directions.mean(-1, keepdims=True)
    found = exact_class.curvature_over(values, directions, 0.9)
    for of_pair, ways, bowl in zip(values, directions, found, strict=True):
        w = random.normal(size=2)
        # The residuals' mean square, after a least-squares fit of the reward.
        wrong = 0.9 * of_pair @ (w @ ways)
        left = optimize.minimize_scalar(lambda r, x=wrong: np.mean((r + x) ** 2)).fun
        assert w @ bowl @ w == pytest.approx(left, rel=1e-6)


@pytest.mark.parametrize("count", [1, 2, 3])
def test_curvatures_of_few_policies_are_zero_in_the_rest(count):
    values = np.random.default_rng(0).normal(size=(count, 5))
    bowl = exact_class.curvatures(values, 0.9)
    assert bowl.curvature.shape == (4,)
    assert (bowl.curvature > 1e-12).sum() == count - 1


# Lazy models ------------------------------------------------------------------------


@given(seeds, st.floats(0, 1))
def test_lazy_model_and_its_line_against_loops(seed, share):
    world = random_mdp(seed, STATES, ACTIONS)
    policies = stochastic_policies(seed, 5, STATES, ACTIONS)
    values = np.array([long_run_value(world, policy) for policy in policies])
    line = lazy.lazy_line(world, [share], policies)
    model = lazy.lazy_model(world, share, values.mean(0))
    left = np.array(
        [backup(model, p, v) - v for p, v in zip(policies, values, strict=True)]
    )
    error = np.array([long_run_value(model, p) for p in policies]) - values
    assert line.loss[0] == pytest.approx((left**2).sum(-1).mean(), abs=1e-9)
    assert line.residual[0] == pytest.approx(np.abs(left).max(), abs=1e-9)
    squares = (error**2).sum(-1)
    assert line.value_error_mean[0] == pytest.approx(squares.mean(), rel=1e-6, abs=1e-9)
    assert line.value_error_median[0] == pytest.approx(
        np.median(squares), rel=1e-6, abs=1e-9
    )
    apart = np.sqrt(((model.transition - world.transition) ** 2).sum())
    assert line.distance[0] == pytest.approx(apart)
    assert line.performance[0] == pytest.approx(pve.performance(model, world))


@given(seeds, st.floats(0, 0.99))
def test_lazy_model_with_the_optimal_value_plans_perfectly(seed, share):
    world = random_mdp(seed, STATES, ACTIONS)
    best = np.array([long_run_value(world, policy) for policy in EVERY]).max(0)
    model = lazy.lazy_model(world, share, best)
    imagined = np.array([long_run_value(model, policy) for policy in EVERY]).max(0)
    np.testing.assert_allclose(imagined, best, rtol=0, atol=1e-8)
    assert pve.performance(model, world) == pytest.approx(best.mean(), abs=1e-8)


def test_lazy_model_with_another_baseline_need_not_plan():
    # It is richer to stay at the poor state than to walk to the rich one.
    world = pve.MDP([[0, 0], [1, 1]], [[[1, 0], [0, 1]], [[0, 1], [0, 1]]], 0.9)
    assert pve.performance(lazy.lazy_model(world, 0.9, [100, 0]), world) < 7.5
    assert pve.performance(world, world) == pytest.approx(9.5)


@pytest.mark.parametrize("share", [-0.1, 1.1, np.nan])
def test_lazy_model_refuses_shares_out_of_range(share):
    with pytest.raises(ValueError, match=r"number in \[0, 1\]"):
        lazy.lazy_model(random_mdp(0), share)


@given(seeds, st.integers(0, STATES - 1), st.integers(0, ACTIONS - 1))
def test_value_range_by_enumeration(seed, state, action):
    world = random_mdp(seed, STATES, ACTIONS)
    values = of_pair(world, state, action)[:, state]
    found = exact_class.value_range(world, state, action)
    assert found == pytest.approx((values.min(), values.max()), abs=1e-8)


@given(seeds, st.floats(1e-3, 0.1))
def test_lazy_reach_is_attained_and_not_exceeded(seed, epsilon):
    world = random_mdp(seed, STATES, ACTIONS)
    values = of_pair(world, 1, 0)
    share = lazy.lazy_reach(world, 1, 0, epsilon)
    middle = (values[:, 1].min() + values[:, 1].max()) / 2
    model = lazy.lazy_model(world, share, middle)
    left = model.reward[1, 0] + 0.9 * values @ model.transition[1, 0] - values[:, 1]
    assert np.abs(left).max() <= epsilon + 1e-9
    if share < 1:
        assert np.abs(left).max() == pytest.approx(epsilon, rel=1e-6)


# ε-classes --------------------------------------------------------------------------


@given(seeds, st.sampled_from([1e-6, 1e-3, 0.1, 10.0]))
def test_order_one_in_closed_form(seed, epsilon):
    # The functions at the corners of the cube, in place of values: order 1 for them all.
    world = random_mdp(seed, STATES, ACTIONS)
    corners = np.array(list(itertools.product((-1.0, 1.0), repeat=STATES)))
    p, direction = world.transition[2, 1], np.eye(1 + STATES)[1 + 3]
    low, high = exact_class.epsilon_range(world, corners, 2, 1, epsilon, direction)
    assert high == pytest.approx(min(epsilon / 1.8, 1 - p[3]), rel=1e-5)
    assert low == pytest.approx(-min(epsilon / 1.8, p[3]), rel=1e-5)
    of_reward = exact_class.epsilon_range(world, corners, 2, 1, epsilon, np.eye(5)[0])
    assert of_reward == pytest.approx((-epsilon, epsilon), rel=1e-5)


@given(seeds, st.floats(1e-4, 0.3))
def test_range_holds_every_member_and_no_less_than_lazy_ones(seed, epsilon):
    world = random_mdp(seed, STATES, ACTIONS)
    values = of_pair(world, 1, 0)
    random = np.random.default_rng(seed)
    direction = random.normal(size=1 + STATES)
    low, high = exact_class.epsilon_range(world, values, 1, 0, epsilon, direction)
    # A random model, mixed with the world until its residual is ε.
    other = random_mdp(seed + 1, STATES, ACTIONS)
    step = np.append(
        other.reward[1, 0] - world.reward[1, 0],
        other.transition[1, 0] - world.transition[1, 0],
    )
    residual = np.abs(step[0] + 0.9 * values @ step[1:]).max()
    member = min(1.0, epsilon / residual) * step
    assert low - 1e-7 <= direction @ member <= high + 1e-7
    staying = lazy.lazy_reach(world, 1, 0, epsilon) * (1 - world.transition[1, 0, 1])
    _, most = exact_class.epsilon_range(world, values, 1, 0, epsilon, np.eye(5)[2])
    assert most >= staying - 1e-6
    # Fewer policies bound less.
    wider = exact_class.epsilon_range(world, values[:3], 1, 0, epsilon, direction)
    assert wider[0] <= low + 1e-6
    assert wider[1] >= high - 1e-6


def test_range_shrinks_to_a_point_unless_a_state_is_idle():
    point, line = random_mdp(5, STATES, ACTIONS), idle_world(5, {2})
    direction = np.eye(1 + STATES)[1]
    for world, small in ((point, True), (line, False)):
        values = of_pair(world, 0, 0)
        low, high = exact_class.epsilon_range(world, values, 0, 0, 1e-9, direction)
        assert (high - low < 1e-5) is small


def test_range_refuses_what_is_not_positive_and_tells_of_failures(monkeypatch):
    world = random_mdp(0, STATES, ACTIONS)
    values, direction = of_pair(world, 0, 0), np.eye(5)[1]
    with pytest.raises(ValueError, match="number > 0"):
        exact_class.epsilon_range(world, values, 0, 0, 0.0, direction)
    failed = optimize.OptimizeResult(status=4, message="numerical trouble")
    monkeypatch.setattr(exact_class.optimize, "linprog", lambda *_, **__: failed)
    with pytest.raises(RuntimeError, match="numerical trouble"):
        exact_class.epsilon_range(world, values, 0, 0, 0.1, direction)


# The solver -------------------------------------------------------------------------


def problem(world, policies=None):
    policies = EVERY if policies is None else policies
    values = np.array([long_run_value(world, policy) for policy in policies])
    return newton.equations(policies, values, world.discount)


def starts(seed, states=STATES):
    random = np.random.default_rng([seed, 1])  # not the stream of `random_mdp`
    return random.dirichlet(np.ones(states), (2, states, ACTIONS))


@given(seeds)
def test_equations_hold_the_losses(seed):
    world, model = (random_mdp(seed + i, STATES, ACTIONS) for i in (0, 1))
    asked = problem(world)
    loss, reward = asked.loss(model.transition), asked.reward(model.transition)
    for s, a in np.ndindex(STATES, ACTIONS):
        values = of_pair(world, s, a)
        left = 0.9 * values @ model.transition[s, a] - values[:, s]
        assert reward[s, a] == pytest.approx(-left.mean(), abs=1e-9)
        assert loss[s, a] == pytest.approx(left.var(), abs=1e-9)


@given(seeds)
def test_newton_ends_at_the_environment_from_every_start(seed):
    world = random_mdp(seed, STATES, ACTIONS)
    assume(exact_class.point_certificate(world, EVERY).min() > 1e-2)
    asked = problem(world)
    for start in starts(seed):
        path = newton.solve(asked, start, 40)
        assert path.distance(world)[0] > 0.1
        assert path.distance(world)[-1] < 1e-4
        np.testing.assert_allclose(path.reward, world.reward, atol=1e-4)
        np.testing.assert_allclose(path.transition.sum(-1), 1, atol=1e-9)
        assert (path.transition > 0).all()
        assert path.loss[-1] < 1e-12


def test_newton_ends_apart_where_the_class_is_larger():
    world = idle_world(3, {2})
    asked = problem(world)
    ends = [newton.solve(asked, start, 40) for start in starts(3)]
    for end in ends:
        assert end.loss[-1] < 1e-12
        model = pve.MDP(end.reward, end.transition[-1], 0.9)
        assert worst_error(world, model, EVERY) < 1e-4
    apart = np.abs(ends[0].transition[-1] - ends[1].transition[-1]).max()
    assert apart > 0.01


@given(seeds)
def test_newton_against_least_squares_with_signs(seed):
    # Targets that no model meets: values of another world. The optimum lies on the rim.
    world, other = (random_mdp(seed + i, STATES, ACTIONS) for i in (0, 1))
    asked = problem(world)._replace(target=problem(other).target)
    path = newton.solve(asked, starts(seed)[0], 40)
    for s, a in np.ndindex(STATES, ACTIONS):
        factor, target = asked.factor[s, a], asked.target[s, a]
        heavy = 1e4 * np.abs(factor).max()
        rows = np.vstack([factor, heavy * np.ones(STATES)])
        best, _ = optimize.nnls(rows, np.append(target, heavy))
        found = ((factor @ path.transition[-1, s, a] - target) ** 2).sum()
        expected = ((factor @ best - target) ** 2).sum()
        assert found == pytest.approx(expected, rel=1e-4, abs=1e-7)


def test_newton_with_fewer_policies_than_states():
    world = random_mdp(0, STATES, ACTIONS)
    asked = problem(world, exact_class.rotations(EVERY[:2]))
    assert asked.factor.shape == (STATES, ACTIONS, STATES, STATES)
    path = newton.solve(asked, starts(0)[0], 40)
    assert path.loss[-1] < 1e-12
    assert path.distance(world)[-1] > 1e-2  # few policies, a large class


def test_newton_from_the_solution_and_with_no_steps():
    world = random_mdp(0, STATES, ACTIONS)
    path = newton.solve(problem(world), world.transition, 5)
    assert path.distance(world).max() < 1e-2
    start = starts(1)[0]
    still = newton.solve(problem(world), start, 0)
    np.testing.assert_allclose(still.transition, start[None], atol=1e-12)


def test_newton_refuses_illegal_starts():
    asked = problem(random_mdp(0, STATES, ACTIONS))
    with pytest.raises(ValueError, match="sums to 2"):
        newton.solve(asked, 2 * starts(0)[0])
    with pytest.raises(ValueError, match="positive probabilities"):
        newton.solve(asked, np.eye(STATES)[:, None].repeat(ACTIONS, 1))
