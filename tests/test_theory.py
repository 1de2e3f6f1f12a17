"""The statements of the theory, and what becomes of them without their hypotheses.

`M^k(Π, V)` is the set of models with T̃_π^k v = T_π^k v for all π in Π and v in V, and
`M^∞(Π)` that of models with ṽ_π = v_π. An inclusion is tested with a member that is far
from the environment: the environment itself is in every class.
"""

import math

import numpy as np
import pytest
import scipy.linalg
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import (
    chain,
    deterministic_policies,
    long_run_value,
    mdps,
    pairs_of_mdps,
    random_mdp,
    seeds,
    stochastic_policies,
)

import pve

EXACT = {"rtol": 0, "atol": 1e-9}
orders = st.integers(1, 6)


def power(mdp, policy, value, order):
    """T_π^k v from the matrix of the chain."""
    reward, matrix = chain(mdp, policy)
    for _ in range(order):
        value = reward + mdp.discount * matrix @ value
    return value


def gap(env, model, policy, value, order):
    """‖T̃_π^k v − T_π^k v‖∞."""
    difference = power(model, policy, value, order) - power(env, policy, value, order)
    return np.abs(difference).max()


def distance(env, model):
    """The largest difference of two transition matrices' entries."""
    return np.abs(env.transition - model.transition).max()


def directions(env, policies, values):
    """A basis of the changes of (r̃, p̃) that leave T̃_π v where it is, all π and v.

    ``policies`` ``[B, S, A]`` and ``values`` ``[B, S]`` go in pairs. Rows of p̃ keep
    their sums. ``[dimension, S A + S A S]``.
    """
    states, actions = env.reward.shape
    rows = []
    for policy, value in zip(policies, values, strict=True):
        for s in range(states):
            reward = np.zeros((states, actions))
            transition = np.zeros((states, actions, states))
            reward[s] = policy[s]
            transition[s] = env.discount * policy[s][:, None] * value
            rows.append(np.concatenate([reward.ravel(), transition.ravel()]))
    for s in range(states):
        for a in range(actions):
            transition = np.zeros((states, actions, states))
            transition[s, a] = 1
            rows.append(np.append(np.zeros(states * actions), transition.ravel()))
    return scipy.linalg.null_space(np.array(rows)).T


def far_member(env, policies, values, seed):
    """A random model with T̃_π v = T_π v for the given pairs, as far as p̃ ≥ 0 allows."""
    basis = directions(env, policies, values)
    assume(len(basis))
    change = np.random.default_rng(seed).normal(size=len(basis)) @ basis
    count = env.reward.size
    transition = change[count:].reshape(env.transition.shape)
    shrinking = transition < -1e-12
    assume(shrinking.any())
    reach = (env.transition[shrinking] / -transition[shrinking]).min()
    member = pve.MDP(
        env.reward + reach * change[:count].reshape(env.reward.shape),
        np.maximum(env.transition + reach * transition, 0),
        env.discount,
    )
    assume(distance(env, member) > 0.02)
    return member


def pairs(policies, values):
    """Every policy with every value, as two arrays of one length."""
    return (
        np.repeat(policies, len(values), axis=0),
        np.tile(values, (len(policies), 1)),
    )


def values_at(seed, num, states):
    return np.random.default_rng(seed).uniform(-1, 1, (num, states))


def one_state(*rewards, discount=0.0):
    """A single state that leads to itself, one action per reward."""
    return pve.MDP([list(rewards)], np.ones((1, len(rewards), 1)), discount)


def one_action(reward, matrix, discount=0.9):
    """A Markov chain with rewards: an MDP without a choice."""
    return pve.MDP(np.array(reward)[:, None], np.array(matrix)[:, None], discount)


SWAP = one_action([0.0, 0.0], [[0.0, 1.0], [1.0, 0.0]])
STAY = one_action([0.0, 0.0], [[1.0, 0.0], [0.0, 1.0]])
ALONE = np.ones((2, 1))  # the only policy of two states with one action


# Values and residuals ---------------------------------------------------------------


@given(pairs_of_mdps(), seeds, orders)
def test_residual_of_order_k_brackets_the_error_of_the_value(pair, seed, order):
    env, model = pair
    policy = stochastic_policies(seed, 1, *env.reward.shape)[0]
    value = long_run_value(env, policy)
    error = np.abs(long_run_value(model, policy) - value).max()
    residual = np.abs(power(model, policy, value, order) - value).max()
    shrunk = env.discount**order
    assert (1 - shrunk) * error <= residual + 1e-10
    assert residual <= (1 + shrunk) * error + 1e-10


@pytest.mark.parametrize("order", [1, 2, 5])
def test_lower_bracket_is_attained(order):
    # A self-loop with another reward: the error is a constant, which shrinks by γ^k.
    env, model = one_state(1.0, discount=0.9), one_state(3.0, discount=0.9)
    policy = np.ones((1, 1))
    value = long_run_value(env, policy)
    error = np.abs(long_run_value(model, policy) - value).max()
    residual = np.abs(power(model, policy, value, order) - value).max()
    assert residual == pytest.approx((1 - 0.9**order) * error, rel=1e-12)


@pytest.mark.parametrize("order", [1, 3, 5])
def test_upper_bracket_is_attained(order):
    # A swap turns the error (1, −1) round at every odd order.
    error = np.array([1.0, -1.0])
    reward = -(np.eye(2) - 0.9 * SWAP.transition[:, 0]) @ error  # so that v − ṽ = error
    model = one_action(reward, SWAP.transition[:, 0])
    residual = np.abs(power(model, ALONE, np.zeros(2), order)).max()
    assert np.abs(long_run_value(model, ALONE)).max() == pytest.approx(1)
    assert residual == pytest.approx(1 + 0.9**order, rel=1e-12)


def test_bracket_needs_the_discount_of_the_model():
    # With the environment's γ = 0.5 in place of the model's 0.99 the lower one fails.
    env, model = one_state(1.0, discount=0.5), one_state(0.5, discount=0.99)
    policy = np.ones((1, 1))
    value = long_run_value(env, policy)
    error = np.abs(long_run_value(model, policy) - value).max()
    residual = np.abs(power(model, policy, value, 1) - value).max()
    assert residual < (1 - 0.5) * error


@given(pairs_of_mdps(), seeds)
def test_small_residual_gives_a_value_within_its_share(pair, seed):
    env, model = pair
    policy = stochastic_policies(seed, 1, *env.reward.shape)[0]
    value = long_run_value(env, policy)
    residual = np.abs(power(model, policy, value, 1) - value).max()
    error = np.abs(long_run_value(model, policy) - value).max()
    assert error <= residual / (1 - env.discount) + 1e-9


def test_small_residual_does_not_give_a_value_as_near():
    env, model = one_state(1.0, discount=0.99), one_state(1.01, discount=0.99)
    policy = np.ones((1, 1))
    value = long_run_value(env, policy)
    residual = np.abs(power(model, policy, value, 1) - value).max()
    assert residual == pytest.approx(0.01)
    assert np.abs(long_run_value(model, policy) - value).max() == pytest.approx(1)


# Orders -----------------------------------------------------------------------------


@given(seeds, st.integers(2, 6), st.integers(1, 12))
def test_multiples_of_the_order_of_a_permutation(seed, states, order):
    # P a permutation whose period is k, P̃ the identity, r = 0, and V everything, which
    # is closed: equal at every multiple of k, and only there.
    random = np.random.default_rng(seed)
    matrix = np.eye(states)[random.permutation(states)]
    period, reached = 1, matrix
    while not np.array_equal(reached, np.eye(states)):
        period, reached = period + 1, reached @ matrix
    assume(period > 1)
    policy = np.ones((states, 1))
    env = one_action(np.zeros(states), matrix)
    model = one_action(np.zeros(states), np.eye(states))
    assert distance(env, model) == 1
    value = random.normal(size=states)
    assert gap(env, model, policy, value, period) < 1e-12
    assert gap(env, model, policy, value, period * order) < 1e-12  # k divides K
    if order % period:
        assert gap(env, model, policy, value, order) > 1e-6


def test_next_order_is_not_implied():
    value = np.array([1.0, -1.0])
    assert gap(SWAP, STAY, ALONE, value, 2) == 0
    assert gap(SWAP, STAY, ALONE, value, 3) > 1


def twins(seed, states=5):
    """States 1 and 2 alike, and nobody enters 0: T̃ of a shift between them is not T."""
    random = np.random.default_rng(seed)
    transition = random.dirichlet(np.ones(states), (states, 2))
    transition[1:, :, 0] = 0
    transition[0, :, 0] = 0
    transition[1:3] = random.dirichlet(np.ones(states - 1)) @ np.eye(states)[1:]
    transition /= transition.sum(-1, keepdims=True)
    reward = random.uniform(-1, 1, (states, 2))
    reward[1:3] = random.uniform(-1, 1)
    return pve.MDP(reward, transition, 0.9)


def shifted(mdp, rows, share):
    """A model that redistributes what leads to the twins between them."""
    transition = mdp.transition.copy()
    total = transition[rows, :, 1] + transition[rows, :, 2]
    transition[rows, :, 1], transition[rows, :, 2] = share * total, (1 - share) * total
    return pve.MDP(mdp.reward, transition, mdp.discount)


@given(seeds, st.floats(0, 1))
def test_twins_make_the_second_class_larger_than_the_first(seed, share):
    env = twins(seed)
    model = shifted(env, [0], share)
    assume(distance(env, model) > 0.02)
    policies = stochastic_policies(seed, 4, 5, 2)
    for policy, value in zip(policies, values_at(seed, 4, 5), strict=True):
        for order in (2, 3, 4, 5):
            assert gap(env, model, policy, value, order) < 1e-12
    value = np.array([0.0, 1, -1, 0, 0])  # tells the twins apart
    assert gap(env, model, policies[0], value, 1) > 1e-3


def test_twins_by_hand():
    # 0 → 1 → absorbing 3, with a twin 2 of 1.
    env = one_action([0, 1, 1, 0], np.eye(4)[[1, 3, 3, 3]])
    model = one_action([0, 1, 1, 0], np.eye(4)[[2, 3, 3, 3]])
    policy, value = np.ones((4, 1)), np.array([0.0, 1, 2, 0])
    gaps = [gap(env, model, policy, value, order) for order in (1, 2, 3, 4)]
    assert gaps == [pytest.approx(0.9), 0, 0, 0]
    # Where the twins' rewards differ they are none, and no order agrees.
    reward = [0, 1, 1.5, 0]
    env = one_action(reward, np.eye(4)[[1, 3, 3, 3]])
    model = one_action(reward, np.eye(4)[[2, 3, 3, 3]])
    assert gap(env, model, policy, value, 2) > 0.4


@given(seeds, st.floats(0, 1), orders)
def test_closed_functions_carry_every_order(seed, share, order):
    # V: functions that are equal on the twins. T_π maps V into V, since the twins are
    # alike; a model that redistributes between them *anywhere* is in M^1, so in M^K.
    env = twins(seed)
    model = shifted(env, [0, 1, 2, 3, 4], share)
    assume(distance(env, model) > 0.02)
    policy = stochastic_policies(seed, 1, 5, 2)[0]
    value = values_at(seed, 1, 5)[0]
    value[2] = value[1]
    assert power(env, policy, value, 1)[2] == pytest.approx(
        power(env, policy, value, 1)[1], abs=1e-12
    )
    assert gap(env, model, policy, value, 1) < 1e-12
    assert gap(env, model, policy, value, order) < 1e-12


@given(seeds)
def test_functions_that_are_not_closed_carry_one_order_alone(seed):
    env = random_mdp(seed, 4, 2, 0.9)
    policies, values = stochastic_policies(seed, 1, 4, 2), values_at(seed, 1, 4)
    model = far_member(env, policies, values, seed)
    assert gap(env, model, policies[0], values[0], 1) < 1e-9
    assert gap(env, model, policies[0], values[0], 2) > 1e-6


# Policies and functions of order 1 ----------------------------------------------------


@given(seeds)
def test_deterministic_policies_suffice_at_order_one(seed):
    env = random_mdp(seed, 4, 2, 0.9)
    deterministic = deterministic_policies(4, 2)
    values = values_at(seed, 2, 4)
    model = far_member(env, *pairs(deterministic, values), seed)
    for policy, value in zip(*pairs(stochastic_policies(seed, 5, 4, 2), values),
                             strict=True):  # fmt: skip
        assert gap(env, model, policy, value, 1) < 1e-9


@given(seeds)
def test_policies_of_one_action_do_not_suffice(seed):
    # Fewer policies than a basis: the other action is free.
    env = random_mdp(seed, 4, 2, 0.9)
    always_first = np.eye(2)[[[0] * 4]]
    values = values_at(seed, 2, 4)
    model = far_member(env, *pairs(always_first, values), seed)
    policy = stochastic_policies(seed, 1, 4, 2)[0]
    assert gap(env, model, always_first[0], values[0], 1) < 1e-9
    assert gap(env, model, policy, values[0], 1) > 1e-6


@given(seeds)
def test_affine_hull_of_the_functions_comes_for_free(seed):
    env = random_mdp(seed, 5, 2, 0.9)
    values = values_at(seed, 3, 5)
    policies = stochastic_policies(seed, 3, 5, 2)
    model = far_member(env, *pairs(policies, values), seed)
    weights = np.random.default_rng(seed).normal(size=3)
    affine = (weights / weights.sum()) @ values
    for policy in policies:
        assert gap(env, model, policy, affine, 1) < 1e-6


@given(seeds)
def test_span_of_the_functions_does_not(seed):
    env = random_mdp(seed, 5, 2, 0.9)
    value = values_at(seed, 1, 5)[0]
    other = random_mdp(seed + 1, 5, 2).transition
    # A free reward takes up the difference at v, so it is wrong at 0 and at 2 v.
    reward = env.reward + 0.9 * (env.transition - other) @ value
    model = pve.MDP(reward, other, 0.9)
    policy = stochastic_policies(seed, 1, 5, 2)[0]
    assert gap(env, model, policy, value, 1) < 1e-12
    assert gap(env, model, policy, 2 * value, 1) > 1e-4
    assert gap(env, model, policy, 0 * value, 1) > 1e-4
    # With the environment's own reward the span is free, too.
    bound = pve.MDP(env.reward, other, 0.9)
    scaled = [gap(env, bound, policy, c * value, 1) for c in (1.0, 2.0)]
    assert scaled[1] == pytest.approx(2 * scaled[0])


# The proper class -------------------------------------------------------------------


def proper_member(env, policies, seed):
    """A model far away with ṽ_π = v_π for the given policies."""
    values = np.array([long_run_value(env, policy) for policy in policies])
    return far_member(env, policies, values, seed)


@given(seeds)
def test_proper_class_is_the_class_of_one_order_at_the_values(seed):
    env = random_mdp(seed, 4, 2, 0.9)
    policies = stochastic_policies(seed, 3, 4, 2)
    member = proper_member(env, policies, seed)
    stranger = random_mdp(seed + 1, 4, 2, 0.9)
    for policy in policies:
        value = long_run_value(env, policy)
        # A member of every M^k({π}, {v_π}) …
        np.testing.assert_allclose(long_run_value(member, policy), value, **EXACT)
        assert max(gap(env, member, policy, value, k) for k in (1, 2, 3, 7)) < 1e-9
        # … and who is not proper is in none.
        assert np.abs(long_run_value(stranger, policy) - value).max() > 1e-4
        assert min(gap(env, stranger, policy, value, k) for k in (1, 2, 3, 7)) > 1e-5


@given(seeds, st.integers(1, 5))
def test_any_order_at_the_value_gives_the_value(seed, order):
    # A model solved for T̃_π^k v = T_π^k v and for nothing else.
    env = random_mdp(seed, 4, 2, 0.9)
    policy = stochastic_policies(seed, 1, 4, 2)[0]
    other = random_mdp(seed + 1, 4, 2).transition
    matrix = 0.9 * np.einsum("sa,sat->st", policy, other)
    sums = sum(np.linalg.matrix_power(matrix, i) for i in range(order))

    def solved_at(value):
        wanted = power(env, policy, value, order)
        wanted = wanted - np.linalg.matrix_power(matrix, order) @ value
        reward = np.linalg.solve(sums, wanted)
        model = pve.MDP(np.repeat(reward[:, None], 2, 1), other, 0.9)
        assert gap(env, model, policy, value, order) < 1e-9
        return np.abs(long_run_value(model, policy) - long_run_value(env, policy)).max()

    assert solved_at(long_run_value(env, policy)) < 1e-8
    assert solved_at(values_at(seed, 1, 4)[0]) > 1e-4  # at another function: not so


@given(seeds, st.floats(-0.2, 1))
def test_proper_class_is_convex(seed, share):
    env = random_mdp(seed, 4, 2, 0.9)
    policies = stochastic_policies(seed, 3, 4, 2)
    first, second = (proper_member(env, policies, seed + i) for i in (0, 1))
    transition = share * first.transition + (1 - share) * second.transition
    assume((transition >= 0).all())
    reward = share * first.reward + (1 - share) * second.reward
    between = pve.MDP(reward, transition, 0.9)
    for policy in policies:
        value = long_run_value(env, policy)
        np.testing.assert_allclose(long_run_value(between, policy), value, **EXACT)


def test_classes_of_finite_order_above_one_are_not_convex():
    # The swap and the identity agree at k = 2; half of each does not.
    half = one_action([0.0, 0.0], [[0.5, 0.5], [0.5, 0.5]])
    value = np.array([1.0, -1.0])
    assert gap(SWAP, STAY, ALONE, value, 2) == 0
    assert gap(SWAP, half, ALONE, value, 2) == pytest.approx(0.81)


@given(seeds, st.floats(0, 1))
def test_class_of_order_one_is_convex(seed, share):
    env = random_mdp(seed, 4, 2, 0.9)
    both = pairs(stochastic_policies(seed, 2, 4, 2), values_at(seed, 2, 4))
    first, second = (far_member(env, *both, seed + i) for i in (0, 1))
    between = pve.MDP(
        share * first.reward + (1 - share) * second.reward,
        share * first.transition + (1 - share) * second.transition,
        0.9,
    )
    for policy, value in zip(*both, strict=True):
        assert gap(env, between, policy, value, 1) < 1e-9


# Planning in a model ----------------------------------------------------------------


def best_and_planned(env, model, policies):
    """v* and the environment's value of the model's optimal policy, by enumeration."""
    of_env = np.array([long_run_value(env, policy) for policy in policies])
    of_model = np.array([long_run_value(model, policy) for policy in policies])
    error = np.abs(of_env - of_model).max()
    chosen = of_model.sum(-1).argmax()  # one that is best in all states has this sum
    assert (of_model[chosen] >= of_model.max(0) - 1e-9).all()
    return of_env.max(0), of_env[chosen], error


@given(mdps(3, 3), seeds, st.sampled_from([0.01, 0.1, 1.0]))
def test_accurate_values_of_all_policies_plan_within_twice_the_error(env, seed, scale):
    other = random_mdp(seed, *env.reward.shape)
    model = pve.MDP(
        env.reward + scale * other.reward,
        (1 - scale) * env.transition + scale * other.transition,
        env.discount,
    )
    best, planned, error = best_and_planned(
        env, model, deterministic_policies(*env.reward.shape)
    )
    assert (best - planned).max() <= 2 * error + 1e-9


@given(seeds)
def test_proper_models_plan_perfectly(seed):
    # Two actions that differ in one state alone leave room for far members.
    env = random_mdp(seed, 4, 2, 0.9)
    transition, reward = env.transition.copy(), env.reward.copy()
    transition[1:, 1], reward[1:, 1] = transition[1:, 0], reward[1:, 0]
    env = pve.MDP(reward, transition, 0.9)
    policies = deterministic_policies(4, 2)
    member = proper_member(env, policies, seed)
    best, planned, error = best_and_planned(env, member, policies)
    assert error < 1e-8
    np.testing.assert_allclose(planned, best, rtol=0, atol=1e-7)
    assert pve.performance(member, env) == pytest.approx(best.mean(), abs=1e-7)


def test_twice_the_error_is_attained():
    # The model finds no difference and takes the first action, the worse one.
    env, model = one_state(-1.0, 1.0), one_state(0.0, 0.0)
    best, planned, error = best_and_planned(env, model, deterministic_policies(1, 2))
    assert error == 1
    assert best - planned == 2 * error


def test_a_sample_of_policies_does_not_plan():
    # Every policy but those that take action 1: the model may say anything about it.
    env = one_state(0.0, 1.0, discount=0.9)
    model = one_state(0.0, -1.0, discount=0.9)
    first, second = deterministic_policies(1, 2)
    assert long_run_value(model, first) == long_run_value(env, first)
    assert pve.performance(model, env) == 0
    assert long_run_value(env, second) == pytest.approx(10)


@given(seeds)
def test_random_members_for_a_sample_of_policies_can_plan_badly(seed):
    env = random_mdp(seed, 3, 3, 0.9)
    everything = deterministic_policies(3, 3)
    sample = everything[:1]
    member = proper_member(env, sample, seed)
    best, planned, error = best_and_planned(env, member, everything)
    assert (
        np.abs(long_run_value(member, sample[0]) - long_run_value(env, sample[0])).max()
        < 1e-8
    )
    assert error > 1e-3  # and the bound by it still holds
    assert (best - planned).max() <= 2 * error + 1e-9


# The unrolled loss ------------------------------------------------------------------


def unrolled(env, model, policy, value, order):
    """Σ_{i<k} ‖P^i r − P̃^i r̃‖² + ‖P^k v − P̃^k v‖²."""
    reward, matrix = chain(env, policy)
    imagined_reward, imagined = chain(model, policy)
    total, steps, imagined_steps = 0.0, np.eye(len(value)), np.eye(len(value))
    for _ in range(order):
        total += ((steps @ reward - imagined_steps @ imagined_reward) ** 2).sum()
        steps, imagined_steps = steps @ matrix, imagined_steps @ imagined
    return total + ((steps @ value - imagined_steps @ value) ** 2).sum()


@given(pairs_of_mdps(), seeds, orders)
def test_unrolled_loss_bounds_the_order_k_loss(pair, seed, order):
    env, model = pair
    policy = stochastic_policies(seed, 1, *env.reward.shape)[0]
    value = values_at(seed, 1, env.num_states)[0]
    difference = power(env, policy, value, order) - power(model, policy, value, order)
    constant = sum(env.discount ** (2 * i) for i in range(order + 1))
    bound = constant * unrolled(env, model, policy, value, order)
    assert (difference**2).sum() <= bound + 1e-10


@pytest.mark.parametrize("order", [2, 5])
def test_unrolled_bound_with_constant_one_fails(order):
    env, model = one_state(0.0, discount=0.99), one_state(1.0, discount=0.99)
    policy, value = np.ones((1, 1)), np.zeros(1)
    difference = (power(env, policy, value, order) - power(model, policy, value, order))[0]
    loss = unrolled(env, model, policy, value, order)
    assert loss == order
    assert difference**2 > 1.5 * loss
    assert difference**2 <= sum(0.99 ** (2 * i) for i in range(order + 1)) * loss


def test_unrolled_bound_is_attained():
    # Differences in the ratio γ^i: a reward in a state whose mass decays by γ.
    discount = 0.9
    decay = np.array([[discount, 1 - discount], [0, 1]])
    env, model = (one_action([r, 0.0], decay, discount) for r in (1.0, 0.0))
    value = np.zeros(2)
    for order in (1, 2, 5):
        difference = power(env, ALONE, value, order) - power(model, ALONE, value, order)
        loss = unrolled(env, model, ALONE, value, order)
        constant = sum(discount ** (2 * i) for i in range(order))  # no term in v here
        assert (difference**2).sum() == pytest.approx(constant * loss, rel=1e-12)


# Small and large classes ------------------------------------------------------------


def self_loops(y_a, y_b, discount=0.9):
    """State 0 with actions a and b, which stay with chances y; state 1 is the end."""
    transition = [[[y_a, 1 - y_a], [y_b, 1 - y_b]], [[0, 1], [0, 1]]]
    return pve.MDP([[1 - discount * y_a, 0], [0, 0]], transition, discount)


@given(st.floats(0, 1), st.floats(0, 1), st.floats(0.05, 0.95))
def test_self_loops_are_proper_for_deterministic_policies(y_a, y_b, p):
    env, model = self_loops(0, 0), self_loops(y_a, y_b)
    for policy in deterministic_policies(2, 2):
        expected = long_run_value(env, policy)
        np.testing.assert_allclose(long_run_value(model, policy), expected, **EXACT)
    mixed = np.array([[p, 1 - p], [1, 0]])
    error = long_run_value(model, mixed)[0] - long_run_value(env, mixed)[0]
    closed_form = p * (1 - 0.9 * y_a) / (1 - 0.9 * (p * y_a + (1 - p) * y_b)) - p
    assert error == pytest.approx(closed_form, abs=1e-12)


def test_self_loops_are_proper_for_all_policies_only_when_equal():
    env, mixed = self_loops(0, 0), np.array([[0.5, 0.5], [1, 0]])
    errors = [
        long_run_value(self_loops(y_a, y_b), mixed)[0] - long_run_value(env, mixed)[0]
        for y_a, y_b in ((0.7, 0.7), (0.7, 0.2), (0.0, 0.7))
    ]
    assert abs(errors[0]) < 1e-12
    assert errors[1] < -0.1
    assert errors[2] > 0.1


def rank(matrix, tolerance=1e-8):
    singular = np.linalg.svd(matrix, compute_uv=False)
    return int((singular > tolerance * singular[0]).sum())


def constraints(mdp, policies, state, action):
    """What proper value equivalence asks of (r̃(s, a), p̃(· | s, a)), one row a policy.

    For π with π(s) = a it is r̃ + γ p̃ v_π = v_π(s), and the row's sum is one.
    """
    policies = policies.copy()
    policies[:, state] = np.eye(mdp.num_actions)[action]
    values = pve.policy_value(mdp, policies)
    ones = np.ones((len(values), 1))
    values_part = np.hstack([ones, mdp.discount * values])
    return values_part, np.append(0, np.ones(mdp.num_states))[None]


def test_proper_class_of_four_rooms_is_a_point(rooms):
    # The vectors (1, γ v_π), π(s) = a, are all orthogonal to (r, p − e_s / γ), since v_π
    # solves Bellman's equation at s: their rank is S, not S + 1. The normalisation
    # (0, 1, …, 1) is not orthogonal to it (1 − 1/γ), and makes the rank S + 1: full.
    mdp = rooms.mdp
    actions = np.random.default_rng(0).integers(4, size=(240, 104))
    policies = np.eye(4)[actions]
    for state, action in ((0, 0), (rooms.index(11, 1), 1), (rooms.index(6, 3), 2)):
        values, normalisation = constraints(mdp, policies, state, action)
        normal = np.append(mdp.reward[state, action], mdp.transition[state, action])
        normal[1 + state] -= 1 / mdp.discount
        np.testing.assert_allclose(values @ normal, 0, atol=1e-10)
        assert (normalisation @ normal)[0] == pytest.approx(1 - 1 / 0.99)
        assert rank(values) == 104
        assert rank(np.vstack([values, normalisation])) == 105
        # Fewer policies than states leave the class larger than a point.
        few = np.vstack([values[:60], normalisation])
        assert rank(few) == 61
    # What is nearly left free is why trained models stay apart: about 1e-5.
    singular = np.linalg.svd(np.vstack([values, normalisation]), compute_uv=False)
    assert 1e-7 < singular[-1] / singular[0] < 1e-3


def test_proper_class_of_self_loops_is_a_line_in_each_action():
    env = self_loops(0, 0)
    policies = deterministic_policies(2, 2)
    for action in (0, 1):
        values, normalisation = constraints(env, policies, 0, action)
        assert rank(np.vstack([values, normalisation])) == 2  # of 3: y is free


def test_proper_class_of_a_random_mdp_is_a_point():
    env = random_mdp(0, 4, 2, 0.9)
    policies = deterministic_policies(4, 2)
    values = np.array([long_run_value(env, policy) for policy in policies])
    assert len(directions(env, policies, values)) == 0
    # One policy alone leaves (S A + S A S) − S A − S: all but a row's value per state.
    assert len(directions(env, policies[:1], values[:1])) == 8 + 32 - 8 - 4


# What is far and yet nearly proper ---------------------------------------------------


def test_free_reward_makes_rank_one_plan_perfectly(rooms):
    env = rooms.mdp
    best, policy = pve.policy_iteration(env)
    of_actions = env.reward + 0.99 * env.expect(best)
    model = pve.MDP(of_actions - 0.99 * best.mean(), np.full((104, 4, 104), 1 / 104), 0.99)
    assert np.linalg.matrix_rank(model.transition[:, 0]) == 1
    value, planned = pve.policy_iteration(model)
    np.testing.assert_allclose(value, best, rtol=1e-9)
    np.testing.assert_array_equal(planned, policy)
    assert pve.performance(model, env) == pytest.approx(72.89057, abs=5e-6)
    # It is not proper: the uniform policy's value is far off.
    uniform = pve.uniform_policy(env)
    error = pve.policy_value(model, uniform) - pve.policy_value(env, uniform)
    assert np.abs(error).max() > 1


@pytest.fixture(scope="module")
def lazy(rooms):
    """Policies, their values, and p̃ = (1 − c) p + c·stay with r̃ refitted, by c."""
    env = rooms.mdp
    random = np.random.default_rng(0)
    policies = np.eye(4)[random.integers(4, size=(400, 104))]
    weights = random.uniform(size=(400, 104, 4))
    policies[::2] = (weights / weights.sum(-1, keepdims=True))[::2]
    values = pve.policy_value(env, policies)
    stay = np.eye(104)[:, None]

    def model(c):
        reward = (1 - c) * env.reward + c * 0.01 * values.mean(0)[:, None]
        return pve.MDP(reward, (1 - c) * env.transition + c * stay, 0.99)

    return env, policies, values, model


def test_lazy_model_is_far_and_nearly_proper(lazy):
    env, policies, values, model = lazy
    far = model(0.9)
    assert np.linalg.norm(far.transition - env.transition) == pytest.approx(21, abs=0.5)
    loss = pve.pve_loss(far, policies, values)
    # The residual is c (1 − γ) (v_π(s) − mean) in every state.
    closed_form = (0.9 * 0.01) ** 2 * values.var(0).sum()
    assert loss == pytest.approx(closed_form, rel=1e-9)
    assert loss == pytest.approx(0.10, abs=0.02)
    assert pve.performance(far, env) == pytest.approx(72.87, abs=0.02)


def test_proper_residual_is_not_the_error_of_the_value(lazy):
    env, policies, values, model = lazy
    near = model(0.1)
    assert pve.pve_loss(near, policies, values) == pytest.approx(1.3e-3, rel=0.25)
    errors = ((pve.policy_value(near, policies) - values) ** 2).sum(-1)
    assert 6 < errors.mean() < 18
    assert 0.5 < np.median(errors) < 2
    # The order-k loss at v_π grows with k, from the residual's square to that of v.
    losses = [pve.ve_loss(near, env, policies[:200], values[:200], k) for k in (1, 30, 300)]
    assert losses[0] == pytest.approx(
        pve.pve_loss(near, policies[:200], values[:200]), rel=1e-6
    )
    assert losses[0] < losses[1] < losses[2]
    assert losses[2] == pytest.approx(errors[:200].mean(), rel=0.2)
    assert math.isclose(losses[0], 1.3e-3, rel_tol=0.5)
