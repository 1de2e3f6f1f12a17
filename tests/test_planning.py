"""Evaluation and planning, against closed forms and enumeration."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import (
    central_difference,
    deterministic_policies,
    dot_precisions,
    jacks_cars,
    long_run_value,
    mdps,
    pairs_of_mdps,
    random_mdp,
    rational_optimum,
    seeds,
    stochastic_policies,
    varied_mdp,
)
from oracles import (
    chain as policy_chain,
)
from scipy.sparse import csr_array

import pve
from pve.equivalence.exact_class import value_range
from pve.equivalence.lazy import lazy_model
from pve.mdp.banded import find_band
from pve.mdp.planning import performance_limits


def two_states(stay, leave, gain, loss, discount):
    """State 0 stays with one chance and is left with the rest; likewise state 1."""
    transition = [[[stay, 1 - stay]], [[leave, 1 - leave]]]
    return pve.MDP([[gain], [loss]], transition, discount)


def all_values(mdp):
    """The values of all deterministic policies, and the policies."""
    policies = deterministic_policies(*mdp.reward.shape)
    return np.array([long_run_value(mdp, policy) for policy in policies]), policies


@pytest.mark.parametrize("discount", [0.0, 0.5, 0.99])
def test_value_of_a_two_state_chain(discount):
    p, q, r, s = 0.7, 0.2, 1.0, -3.0
    mdp = two_states(p, q, r, s, discount)
    determinant = (1 - discount * p) * (1 - discount * (1 - q))
    determinant -= discount**2 * (1 - p) * q
    expected = [
        ((1 - discount * (1 - q)) * r + discount * (1 - p) * s) / determinant,
        (discount * q * r + (1 - discount * p) * s) / determinant,
    ]
    got = pve.policy_value(mdp, np.ones((2, 1)))
    np.testing.assert_allclose(got, expected, rtol=1e-13)


@given(mdps(), seeds)
def test_value_is_the_limit_of_the_series(mdp, seed):
    policy = stochastic_policies(seed, 1, *mdp.reward.shape)[0]
    expected = long_run_value(mdp, policy)
    np.testing.assert_allclose(pve.policy_value(mdp, policy), expected, atol=1e-10)


def test_values_of_stacked_policies():
    mdp = random_mdp(0)
    policies = stochastic_policies(0, 300).reshape(2, 150, 3, 2)  # several blocks
    got = pve.policy_value(mdp, policies)
    assert got.shape == (2, 150, 3)
    for i in ((0, 0), (0, 127), (0, 128), (1, 0), (1, 149)):
        np.testing.assert_allclose(got[i], long_run_value(mdp, policies[i]), atol=1e-11)


@given(seeds, st.integers(1, 4))
def test_values_where_moves_are_local(seed, reach):
    """Twenty and more policies of a world whose states lie on a line, numbered anyhow."""
    random, states, actions = np.random.default_rng(seed), 40, 3
    place = random.permutation(states)
    near = np.abs(place[:, None] - place) <= reach
    transition = random.dirichlet(np.ones(states), (states, actions)) * near[:, None]
    # Some actions stay where they are, so that the pattern is not the same for all.
    transition[random.random((states, actions)) < 0.2] = 0
    transition += 1e-9 * np.eye(states)[:, None]
    transition /= transition.sum(-1, keepdims=True)
    mdp = pve.MDP(random.uniform(-1, 1, (states, actions)), transition, 0.9)
    found = find_band(mdp)
    assert found.width <= 2 * reach
    policies = stochastic_policies(seed, 21, states, actions)
    values = pve.policy_value(mdp, policies)
    for policy, value in zip(policies, values, strict=True):
        np.testing.assert_allclose(value, long_run_value(mdp, policy), atol=1e-9)
        np.testing.assert_allclose(value, pve.policy_value(mdp, policy), atol=1e-12)


def test_a_world_without_neighbours_is_solved_densely(rooms):
    assert find_band(random_mdp(0, states=30)) is None
    ring = np.roll(np.eye(30), 7, axis=1)[:, None]  # a ring, numbered in sevens
    assert find_band(pve.MDP(np.ones((30, 1)), ring, 0.5)).width == 2
    far = np.zeros((30, 1, 30))
    far[:, 0, 0], far[0, 0, :] = 1, 1 / 30  # a star: one state next to all
    assert find_band(pve.MDP(np.ones((30, 1)), far, 0.5)) is None
    assert find_band(rooms.mdp).width < 13  # narrower than the map


def test_value_of_float32_input_is_exact():
    mdp, policy = random_mdp(1), stochastic_policies(1, 1)[0]
    got = pve.policy_value(jax.tree.map(jnp.asarray, mdp), jnp.asarray(policy))
    assert type(got) is np.ndarray
    assert got.dtype == np.float64


@pytest.mark.parametrize("name", ["reward", "transition", "discount", "policy"])
def test_value_is_differentiable(name):
    mdp = random_mdp(2)
    at = {
        "reward": mdp.reward,
        "transition": mdp.transition,
        "discount": np.array(mdp.discount),
        "policy": stochastic_policies(2, 1)[0],
    }
    weights = np.array([1.0, -2.0, 0.5])
    direction = np.random.default_rng(0).normal(size=at[name].shape)

    def total(reward, transition, discount, policy):
        return (pve.policy_value(pve.MDP(reward, transition, discount), policy)) @ weights

    def total_by_series(reward, transition, discount, policy):
        fields = {"reward": reward, "transition": transition, "discount": discount}
        return long_run_value(type("World", (), fields), policy) @ weights

    with jax.enable_x64(True):
        arrays = {key: jnp.asarray(array) for key, array in at.items()}

        def total_at(x):
            return total(**{**arrays, name: x})

        traced = float(jax.jit(total_at)(arrays[name]))
        slope = float((jax.grad(total_at)(arrays[name]) * direction).sum())
    assert traced == pytest.approx(total_by_series(**at), rel=1e-12)
    expected = central_difference(
        lambda x: total_by_series(**{**at, name: x}), at[name], direction
    )
    assert slope == pytest.approx(expected, rel=1e-7)


def test_value_traced_over_stacked_policies():
    mdp, policies = random_mdp(3), stochastic_policies(3, 5)
    with jax.enable_x64(True):
        got = jax.jit(pve.policy_value)(mdp, policies)
    np.testing.assert_allclose(got, pve.policy_value(mdp, policies), rtol=1e-12)


@pytest.mark.parametrize(
    ("policy", "message"),
    [
        (np.full((2, 2), 0.5), r"policy has shape \[2, 2\]; expected \[..., 3, 2\]"),
        (np.full((3, 2), 0.45), r"policy\[0\] sums to 0.9; every row must sum to 1"),
        (np.array([[1, 0], [2, -1], [1, 0]]), r"policy\[1, 1\] is -1; expected"),
        (np.array([[1, 0], [1, 0], [np.nan, 1]]), r"policy\[2, 0\] is nan; expected"),
    ],
)
def test_illegal_policies_are_named(policy, message):
    with pytest.raises(ValueError, match=message):
        pve.policy_value(random_mdp(0), policy)


# Planning ---------------------------------------------------------------------------


@given(mdps())
def test_policy_iteration_against_all_policies(mdp):
    values, _ = all_values(mdp)
    value, policy = pve.policy_iteration(mdp)
    np.testing.assert_allclose(value, values.max(0), rtol=0, atol=1e-9)
    assert set(np.unique(policy)) <= {0.0, 1.0}
    assert (policy.sum(-1) == 1).all()
    reached = long_run_value(mdp, policy)
    np.testing.assert_allclose(reached, values.max(0), rtol=0, atol=1e-8)


@given(mdps())
def test_value_iteration_keeps_its_promise(mdp):
    best = all_values(mdp)[0].max(0)
    for tolerance in (1.0, 1e-3, 1e-8):
        value, policy = pve.value_iteration(mdp, tolerance)
        assert np.abs(value - best).max() <= tolerance + 1e-9
        # What is greedy for a value within ε is at most 2ε γ / (1 − γ) worse.
        loss = (best - long_run_value(mdp, policy)).max()
        assert loss <= 2 * tolerance * mdp.discount / (1 - mdp.discount) + 1e-8


def test_value_iteration_stops_when_it_may(rooms):
    # From zero the error of Four Rooms' value falls by γ a backup; a loose tolerance
    # must leave an error of its own size, or the promise costs more than it need.
    best, _ = pve.policy_iteration(rooms.mdp)
    value, _ = pve.value_iteration(rooms.mdp, 1.0)
    assert 0.5 < np.abs(value - best).max() <= 1.0


def test_value_iteration_ends_below_rounding(rooms):
    best, _ = pve.policy_iteration(rooms.mdp)
    value, _ = pve.value_iteration(rooms.mdp, 1e-300)
    assert np.abs(value - best).max() < 1e-10


@pytest.mark.parametrize("tolerance", [0, -1.0, float("nan")])
def test_illegal_tolerances(tolerance):
    with pytest.raises(ValueError, match=r"tolerance is .*; expected a number > 0"):
        pve.value_iteration(random_mdp(0), tolerance)


def test_ties_go_to_the_lowest_action():
    row = [0.25, 0.75]
    mdp = pve.MDP([[0, 1, 1], [2, 2, 2]], [[row] * 3] * 2, 0.9)
    expected = [[0, 1, 0], [1, 0, 0]]
    for policy in (
        pve.policy_iteration(mdp)[1],
        pve.value_iteration(mdp)[1],
        pve.greedy_policy(mdp, np.zeros(2)),
    ):
        assert policy.tolist() == expected


def test_ties_up_to_rounding_go_to_the_lowest_action():
    # Twenty actions of one value, summed in different orders.
    random = np.random.default_rng(0)
    row, value = random.dirichlet(np.ones(50)), random.normal(size=50)
    transition = np.empty((50, 20, 50))
    value_of_actions = np.empty(20)
    for action in range(20):
        order = random.permutation(50)
        value_of_actions[action] = (row[order] * value[order]).sum()
        transition[:, action] = row
    reward = 1e-15 * random.integers(-3, 4, size=(50, 20)) + 1
    mdp = pve.MDP(reward, transition, 0.99)
    assert (pve.greedy_policy(mdp, value).argmax(-1) == 0).all()
    assert (pve.policy_iteration(mdp)[1].argmax(-1) == 0).all()


def test_symmetry_of_a_map_is_a_tie():
    # Three cells in a row with the goal on both ends: left and right are equal.
    world = pve.grid_world("G G", p_intended=1.0)
    _, policy = pve.policy_iteration(world.mdp)
    assert policy[1].argmax() == 0


# Plans where costs differ by orders of magnitude --------------------------------------


def check_plan(mdp, value, policy):
    """The value is the policy's, and no state prefers another action."""
    reward, chain = policy_chain(mdp, policy)
    size = np.abs(reward) + mdp.discount * chain @ np.abs(value)
    off = reward + mdp.discount * chain @ value - value
    assert (np.abs(off) <= 1e-13 * size).all()
    action_values = mdp.reward + mdp.discount * mdp.transition @ value
    sizes = np.abs(mdp.reward) + mdp.discount * mdp.transition @ np.abs(value)
    missed = action_values - (policy * action_values).sum(-1, keepdims=True)
    assert (missed <= 1e-13 * (sizes + size[:, None])).all()


def test_a_cost_elsewhere_hides_no_difference():
    staying, going = [1, 0], [0, 1]
    mdp = pve.MDP([[0, 1], [0, -1e8]], [[staying, going], [going, going]], 0.99)
    value, policy = pve.policy_iteration(mdp)
    assert value.tolist() == [1, 0]
    assert policy.argmax(-1).tolist() == [1, 0]
    assert pve.policy_value(mdp, policy).tolist() == [1, 0]
    assert pve.performance(mdp, mdp) == 0.5
    value, policy = pve.value_iteration(mdp)
    assert policy.argmax(-1).tolist() == [1, 0]


def test_penalties_in_place_of_legal_actions():
    # Géron, Hands-on Machine Learning, chapter 18: 0, 1, 2 are legal, then 0, 2, then 1.
    never = -1e10
    reward = [[7, 0, 0], [0, never, -50], [never, 32, never]]
    transition = [
        [[0.7, 0.3, 0], [1, 0, 0], [0.8, 0.2, 0]],
        [[0, 1, 0], [0, 1, 0], [0, 0, 1]],
        [[0, 0, 1], [0.8, 0.1, 0.1], [0, 0, 1]],
    ]
    mdp = pve.MDP(reward, transition, 0.95)
    for value, policy in (pve.policy_iteration(mdp), pve.value_iteration(mdp)):
        np.testing.assert_allclose(value, [21.899, 1.180, 53.873], atol=5e-4)
        assert policy.argmax(-1).tolist() == [0, 2, 1]
    check_plan(mdp, *pve.policy_iteration(mdp))


@pytest.mark.parametrize("penalty", [-1e9, -1e11])
def test_jacks_car_rental(penalty):
    reward, transition, legal = jacks_cars()
    mdp = pve.MDP(np.where(legal, reward, penalty), transition, 0.9)
    value, policy = pve.policy_iteration(mdp)
    assert round(value.mean(), 3) == 563.687
    assert legal[policy.astype(bool)].all()
    assert round(long_run_value(mdp, policy).mean(), 3) == 563.687
    check_plan(mdp, value, policy)


def test_values_far_below_the_largest_are_seen():
    mdp = pve.grid_world(" " * 59 + "G", p_intended=1.0, discount=0.5).mdp
    value, policy = pve.policy_iteration(mdp)
    assert (policy.argmax(-1) == 1).all()
    # On the goal every stay is paid; the cell beside it enters it first.
    expected = [*2 * 0.5 ** np.arange(58.0, -1, -1), 2]
    np.testing.assert_allclose(value, expected, rtol=1e-14)


@pytest.mark.parametrize("distance", [1e-8, 1e-10])
@pytest.mark.parametrize("seed", range(20))
def test_plans_with_a_discount_close_to_one(seed, distance):
    mdp = random_mdp(seed, 5, 3, 1 - distance)
    value, policy = pve.policy_iteration(mdp)
    best, optimal = rational_optimum(mdp)
    assert optimal[policy.astype(bool)].all()
    # Probabilities are rounded, which values feel 1 / (1 − γ) times.
    np.testing.assert_allclose(value, best, rtol=1e-14 / distance)


def test_a_small_difference_for_ever():
    mdp = pve.MDP([[1, 1 + 1e-9]], [[[1], [1]]], 1 - 1e-10)
    assert pve.policy_iteration(mdp)[1].tolist() == [[0, 1]]


@given(seeds, st.sampled_from([0.5, 0.99, 0.9999]))
def test_plans_with_penalties_against_rational_numbers(seed, discount):
    """Rewards of all sizes in some states and actions, and states that lead nowhere."""
    random = np.random.default_rng(seed)
    mdp = random_mdp(seed, 5, 3, discount)
    reward = mdp.reward.copy()
    reward[random.random((5, 3)) < 0.3] *= -(10.0 ** random.integers(3, 13))
    transition = mdp.transition * (random.random((5, 3, 5)) < 0.4)
    transition[..., 0] += 1e-3 * (transition.sum(-1) == 0)
    transition /= transition.sum(-1, keepdims=True)
    mdp = pve.MDP(reward, transition, discount)
    value, policy = pve.policy_iteration(mdp)
    best, optimal = rational_optimum(mdp)
    assert optimal[policy.astype(bool)].all()
    # Probabilities are rounded, which sums of costs feel 1 / (1 − γ) times.
    costs, chain = (policy * np.abs(reward)).sum(-1), policy_chain(mdp, policy)[1]
    summed = long_run_value(
        pve.MDP(costs[:, None], chain[:, None], discount), np.ones((5, 1))
    )
    slack = 1e-14 / (1 - discount) * summed
    assert (np.abs(value - best) <= slack).all()
    assert (np.abs(pve.policy_value(mdp, policy) - best) <= slack).all()


@pytest.mark.parametrize("first", range(0, 200, 25))
def test_two_hundred_worlds_against_rational_numbers(first):
    """Penalties, masks and discounts up to 1 − 1e-9; as arrays and as sparse matrices."""
    for seed in range(first, first + 25):
        mdp = varied_mdp(seed)
        best, optimal = rational_optimum(mdp)
        rows = csr_array(mdp.transition.reshape(-1, mdp.num_states))
        sparse = pve.SparseMDP(mdp.reward, rows, mdp.discount, mdp.legal)
        for world in (mdp, sparse):
            value, policy = pve.policy_iteration(world)
            assert optimal[policy.astype(bool)].all(), seed
            # Probabilities are rounded, which sums of costs feel 1 / (1 − γ) times.
            costs, chain = (policy * np.abs(mdp.reward)).sum(-1), policy_chain(mdp, policy)
            summed = long_run_value(
                pve.MDP(costs[:, None], chain[1][:, None], mdp.discount),
                np.ones((mdp.num_states, 1)),
            )
            slack = 1e-14 / (1 - mdp.discount) * summed
            assert (np.abs(value - best) <= slack).all(), seed
            assert (np.abs(pve.policy_value(world, policy) - best) <= slack).all(), seed


def test_values_of_states_that_lead_to_no_cost():
    """Twenty states keep to themselves; ten others that lead to them cost 1e12."""
    random = np.random.default_rng(0)
    order, modest = random.permutation(30), np.arange(30) < 20
    transition = random.dirichlet(np.full(30, 0.1), (30, 1))
    transition[:20, :, 20:] = 0
    transition[:20] += 5 * np.eye(30)[:20, None]
    transition /= transition.sum(-1, keepdims=True)
    reward = random.uniform(-1, 1, (30, 1)) * np.where(modest, 1, 1e12)[:, None]
    alone = long_run_value(
        pve.MDP(reward[:20], transition[:20, :, :20], 0.99), np.ones((20, 1))
    )
    mdp = pve.MDP(reward[order], transition[order][..., order], 0.99)
    for value in (
        pve.policy_value(mdp, np.ones((30, 1))),
        pve.policy_value(mdp, np.ones((20, 30, 1)))[7],
        pve.policy_iteration(mdp)[0],
    ):
        np.testing.assert_allclose(value[np.argsort(order)][:20], alone, atol=1e-11)


def test_value_iteration_says_that_it_reached_its_limit():
    mdp = pve.MDP([[1.0]], [[[1.0]]], 1 - 1e-10)
    message = r"limit of 1000 backups: .* off by 1e\+10, the tolerance is 1e-08; raise"
    with pytest.warns(RuntimeWarning, match=message):
        value, _ = pve.value_iteration(mdp, limit=1000)
    assert value[0] == pytest.approx(1000, rel=1e-6)
    with pytest.raises(ValueError, match=r"limit is 0; expected an integer ≥ 1"):
        pve.value_iteration(mdp, limit=0)


# Legal actions ----------------------------------------------------------------------


def masked(seed, states=4, actions=3, discount=0.9):
    """A random MDP and a mask that leaves one action or more in each state."""
    random, mdp = np.random.default_rng(seed), random_mdp(seed, states, actions, discount)
    legal = random.random((states, actions)) < 0.5
    legal[np.arange(states), random.integers(actions, size=states)] = True
    return pve.MDP(mdp.reward, mdp.transition, discount, legal), mdp


def legal_plans(mdp, free):
    """What is legal, all deterministic policies that take it alone, and their values."""
    legal = np.ones((4, 3), bool) if mdp.legal is None else mdp.legal
    policies = deterministic_policies(4, 3)
    policies = policies[(policies * ~legal).sum((1, 2)) == 0]
    return legal, policies, np.array([long_run_value(free, policy) for policy in policies])


@given(seeds)
def test_plans_take_legal_actions_alone(seed):
    mdp, free = masked(seed)
    legal, _, values = legal_plans(mdp, free)
    for value, policy in (pve.policy_iteration(mdp), pve.value_iteration(mdp)):
        np.testing.assert_allclose(value, values.max(0), atol=1e-7)
        assert legal[policy.astype(bool)].all()
    best = values.max(0)
    np.testing.assert_allclose(pve.bellman_optimality(mdp, best), best, atol=1e-9)
    assert legal[pve.greedy_policy(mdp, best).astype(bool)].all()
    assert (pve.uniform_policy(mdp) > 0).tolist() == legal.tolist()


@given(seeds)
def test_a_model_plans_with_the_worlds_legal_actions(seed):
    env, free = masked(seed)
    legal = np.ones((4, 3), bool) if env.legal is None else env.legal
    reward = np.where(legal, free.reward, 100)  # what a model may believe of them
    model = pve.MDP(reward, free.transition, 0.9)
    best = pve.policy_iteration(env)[0]
    assert pve.performance(model, env) == pytest.approx(best.mean())
    assert pve.optimal_action_share(model, env) == 1


def test_legal_actions_of_jacks_cars():
    reward, transition, legal = jacks_cars()
    mdp = pve.MDP(np.where(legal, reward, -np.inf), transition, 0.9)
    value, policy = pve.policy_iteration(mdp)
    assert round(value.mean(), 3) == 563.687
    assert legal[policy.astype(bool)].all()


@given(seeds)
def test_ranges_of_values_are_those_of_legal_policies(seed):
    mdp, free = masked(seed)
    legal, policies, values = legal_plans(mdp, free)
    for action in range(3):
        if not legal[2, action]:
            with pytest.raises(
                ValueError,
                match=rf"action is {action}; expected one of those allowed in state 2",
            ):
                value_range(mdp, 2, action)
            continue
        found = values[policies[:, 2, action] == 1, 2]
        expected = found.min(), found.max()
        np.testing.assert_allclose(value_range(mdp, 2, action), expected, atol=1e-9)
    if mdp.legal is not None:
        assert (lazy_model(mdp, 0.5).legal == legal).all()


def test_values_of_illegal_policies_are_refused():
    mdp, _ = masked(0)
    state, action = np.argwhere(~mdp.legal)[0]
    with pytest.raises(
        ValueError, match=rf"action {action} is not allowed in state {state}"
    ):
        pve.policy_value(mdp, np.full((4, 3), 1 / 3))


# Performance ------------------------------------------------------------------------


def test_performance_of_the_environment_itself(rooms):
    assert pve.performance(rooms.mdp, rooms.mdp) == pytest.approx(72.89057, abs=5e-6)


def test_performance_of_the_opposite_reward(rooms):
    opposite = pve.MDP(-rooms.mdp.reward, rooms.mdp.transition, 0.99)
    uniform = pve.policy_value(rooms.mdp, pve.uniform_policy(rooms.mdp)).mean()
    assert pve.performance(opposite, rooms.mdp) < uniform


@given(pairs_of_mdps())
def test_performance_is_the_value_of_one_of_the_models_best(pair):
    env, model = pair
    model_values, policies = all_values(model)
    env_values = np.array([long_run_value(env, policy) for policy in policies])
    best = np.flatnonzero((model_values > model_values.max(0) - 1e-9).all(-1))
    got = pve.performance(model, env)
    assert np.abs(env_values[best].mean(-1) - got).min() < 1e-8
    assert got <= env_values.max(0).mean() + 1e-9


def test_performance_refuses_another_size():
    with pytest.raises(ValueError, match=r"shape \[2, 2\]; expected .*\[3, 2\]"):
        pve.performance(random_mdp(0, 2), random_mdp(0, 3))


def test_performance_from_the_start():
    env, model = random_mdp(0), random_mdp(1)
    start = np.array([0.5, 0.5, 0])
    value = long_run_value(env, pve.policy_iteration(model)[1])
    assert pve.performance(model, env, start=start) == pytest.approx(value[:2].mean())
    low, high = performance_limits(env, start=start)
    uniform = long_run_value(env, np.full((3, 2), 0.5))
    assert low == pytest.approx(uniform[:2].mean())
    assert high == pytest.approx(pve.policy_iteration(env)[0][:2].mean())
    with pytest.raises(ValueError, match=r"start\[\] sums to 1.5; every row must sum to 1"):
        pve.performance(model, env, start=np.full(3, 0.5))


def test_a_traced_value_is_of_full_precision():
    mdp, highest = random_mdp(0, 4, 3, 0.9), (jax.lax.Precision.HIGHEST,) * 2
    policies = jnp.full((2, 4, 3), 1 / 3)
    found = dot_precisions(lambda p: pve.policy_value(mdp, p), policies)
    assert highest in found
    assert set(found) == {highest}
