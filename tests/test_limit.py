"""Residual, order-k differences and value errors: what bounds what, and what does not.

For a policy π: e = ṽ_π − v_π, ρ_k = T̃_π^k v_π − v_π and δ_k(v) = T̃_π^k v − T_π^k v.
"""

import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import backups, chain, long_run_value, pairs_of_mdps, random_mdp, seeds
from oracles import stochastic_policies as policies_of

import pve

orders = st.integers(1, 6)


def one_policy(seed, env):
    return policies_of(seed, 1, *env.reward.shape)[0]


def error_of(env, model, policy):
    return long_run_value(model, policy) - long_run_value(env, policy)


def difference(env, model, policy, value, order):
    """δ_k(v)."""
    return backups(model, policy, value, order) - backups(env, policy, value, order)


def residual(env, model, policy, order):
    """ρ_k."""
    value = long_run_value(env, policy)
    return backups(model, policy, value, order) - value


def largest(x):
    return np.abs(x).max()


def markov(reward, matrix, discount=0.9):
    """A Markov chain with rewards: an MDP without a choice."""
    return pve.MDP(np.array(reward, float)[:, None], np.array(matrix)[:, None], discount)


ALONE = np.ones((2, 1))
SWAP, STAY = np.eye(2)[::-1], np.eye(2)


# The limit ----------------------------------------------------------------------------


@given(pairs_of_mdps(), seeds, st.integers(1, 40))
def test_order_k_differences_tend_to_the_error(pair, seed, order):
    env, model = pair
    policy = one_policy(seed, env)
    value = np.random.default_rng(seed).uniform(-1, 1, len(env.reward))
    gap = difference(env, model, policy, value, order) - error_of(env, model, policy)
    far = sum(largest(value - long_run_value(m, policy)) for m in pair)
    assert largest(gap) <= env.discount**order * far + 1e-9


def test_the_limit_is_not_the_residual():
    """One state, a reward off by ε: residual ε, error ε / (1 − γ)."""
    env, model = markov([1], [[1.0]], 0.99), markov([1.1], [[1.0]], 0.99)
    policy = np.ones((1, 1))
    late = difference(env, model, policy, np.array([0.5]), 2500)
    assert late == pytest.approx(10, rel=1e-6)
    assert residual(env, model, policy, 1) == pytest.approx(0.1)


def test_the_limit_needs_both_distances():
    """With the distance to the world's value alone the bound fails."""
    env, model = markov([0], [[1.0]]), markov([1], [[1.0]])
    policy, value = np.ones((1, 1)), np.zeros(1)  # v = v_π
    gap = difference(env, model, policy, value, 1) - error_of(env, model, policy)
    assert largest(gap) == pytest.approx(9)  # γ ‖v − ṽ‖, and ‖v − v_π‖ = 0


# The identity and the brackets ----------------------------------------------------------


@given(pairs_of_mdps(), seeds, orders)
def test_error_is_the_sum_of_the_residuals_in_the_model(pair, seed, order):
    env, model = pair
    policy = one_policy(seed, env)
    rho, error = residual(env, model, policy, order), error_of(env, model, policy)
    _, matrix = chain(model, policy)
    step = np.linalg.matrix_power(env.discount * matrix, order)
    np.testing.assert_allclose(rho, error - step @ error, atol=1e-9)
    total, term = np.zeros_like(rho), rho
    for _ in range(4000):
        total, term = total + term, step @ term
    np.testing.assert_allclose(total, error, atol=1e-8)


def test_the_sum_is_taken_in_the_model():
    """Along the world's paths the residuals add up to something else."""
    env = markov([0, 1], SWAP)
    model = markov([0, 2], STAY)
    rho, error = residual(env, model, ALONE, 1), error_of(env, model, ALONE)
    in_world = np.linalg.solve(np.eye(2) - 0.9 * SWAP, rho)
    in_model = np.linalg.solve(np.eye(2) - 0.9 * STAY, rho)
    np.testing.assert_allclose(in_model, error, atol=1e-9)
    assert largest(in_world - error) > 1


def column(matrix):
    return matrix.sum(0).max()


@given(pairs_of_mdps(), seeds)
def test_squares_are_bracketed_with_the_columns(pair, seed):
    env, model = pair
    policy = one_policy(seed, env)
    rho, error = residual(env, model, policy, 1), error_of(env, model, policy)
    _, matrix = chain(model, policy)
    states, gamma = len(matrix), env.discount
    visits = (1 - gamma) * np.linalg.inv(np.eye(states) - gamma * matrix)
    np.testing.assert_allclose(visits.sum(-1), 1)
    assert 1 - 1e-9 <= column(visits) <= states + 1e-9
    rho, error = np.linalg.norm(rho), np.linalg.norm(error)
    assert (1 - gamma) * error <= np.sqrt(column(visits)) * rho + 1e-9
    assert rho <= (1 + gamma * np.sqrt(column(matrix))) * error + 1e-9
    assert error**2 <= states / (1 - gamma) ** 2 * rho**2 + 1e-9
    assert rho**2 <= (1 + gamma * np.sqrt(states)) ** 2 * error**2 + 1e-9


def made(error, matrix, discount):
    """A world without reward, and a model of these transitions with this error."""
    reward = error - discount * matrix @ error
    env = markov(np.zeros(len(error)), matrix, discount)
    return env, markov(reward, matrix, discount)


def funnel(states):
    matrix = np.zeros((states, states))
    matrix[:, 0] = 1
    return matrix


@pytest.mark.parametrize("states", [2, 10, 100])
def test_the_root_of_the_states_cannot_be_left_out_below(states):
    matrix, rho = funnel(states), np.eye(states)[0]
    env, model = made(np.linalg.solve(np.eye(states) - 0.99 * matrix, rho), matrix, 0.99)
    policy = np.ones((states, 1))
    np.testing.assert_allclose(residual(env, model, policy, 1), rho, atol=1e-9)
    ratio = 0.01 * np.linalg.norm(error_of(env, model, policy))
    assert 0.95 * np.sqrt(states) < ratio <= np.sqrt(states)  # the plain bracket says 1


@pytest.mark.parametrize("states", [10, 100])
def test_the_root_of_the_states_cannot_be_left_out_above(states):
    error = -np.eye(states)[0] + 0.001
    env, model = made(error, funnel(states), 0.99)
    policy = np.ones((states, 1))
    rho = np.linalg.norm(residual(env, model, policy, 1))
    error = np.linalg.norm(error_of(env, model, policy))
    assert 1 + 0.99 < rho / error <= 1 + 0.99 * np.sqrt(states)
    assert rho / error > 0.9 * np.sqrt(states)


def stationary(matrix):
    share = np.full(len(matrix), 1 / len(matrix))
    for _ in range(3000):
        share = share @ matrix
    return share


@given(pairs_of_mdps(), seeds)
def test_the_plain_bracket_holds_under_the_models_stationary_distribution(pair, seed):
    env, model = pair
    policy = one_policy(seed, env)
    weights = stationary(chain(model, policy)[1])
    rho, error = (
        np.sqrt(weights @ x**2)
        for x in (residual(env, model, policy, 1), error_of(env, model, policy))
    )
    assert (1 - env.discount) * error <= rho + 1e-9
    assert rho <= (1 + env.discount) * error + 1e-9


def test_it_does_not_hold_under_the_worlds():
    model_matrix, rho = funnel(2), np.array([1.0, 0.0])
    error = np.linalg.solve(np.eye(2) - 0.9 * model_matrix, rho)
    world = np.array([[0.0, 1.0], [0.0, 1.0]])  # everyone ends in state 1
    env = markov([0, 0], world)
    model = markov(error - 0.9 * model_matrix @ error, model_matrix)
    weights = stationary(world)
    found = residual(env, model, ALONE, 1), error_of(env, model, ALONE)
    np.testing.assert_allclose(found, (rho, error), atol=1e-9)
    assert np.sqrt(weights @ rho**2) < 1e-9 < 0.1 * np.sqrt(weights @ error**2)


# Random functions -----------------------------------------------------------------------


def cube(states):
    """All corners of [−1, 1]^S: mean zero and covariance the identity, exactly."""
    return 2.0 * np.array(np.meshgrid(*[[0, 1]] * states)).reshape(states, -1).T - 1


def loss_at(env, model, policy, order, functions):
    gaps = [difference(env, model, policy, value, order) for value in functions]
    return np.mean([(gap**2).sum() for gap in gaps])


@given(seeds, st.integers(1, 4), st.sampled_from([0.1, 1.0, 3.0]))
def test_order_k_at_random_functions_bounds_the_error(seed, order, sigma):
    env, model = random_mdp(seed, 3, 2, 0.9), random_mdp(seed + 1, 3, 2, 0.9)
    policy = one_policy(seed, env)
    loss = loss_at(env, model, policy, order, sigma * cube(3))
    at_zero = difference(env, model, policy, np.zeros(3), order)
    powers = [np.linalg.matrix_power(chain(m, policy)[1], order) for m in (model, env)]
    apart = ((powers[0] - powers[1]) ** 2).sum()
    wanted = (at_zero**2).sum() + 0.9 ** (2 * order) * sigma**2 * apart
    assert loss == pytest.approx(wanted)
    value = long_run_value(env, policy)
    factor = np.sqrt(1 + (value**2).sum() / sigma**2) / (1 - 0.9**order)
    assert largest(error_of(env, model, policy)) <= factor * np.sqrt(loss) + 1e-9


def test_the_factor_with_the_values_cannot_be_left_out():
    """A small loss and a large error: the values are large, the functions small."""
    env = markov([100, 0], STAY)
    model = markov([100, 0], [[0.99, 0.01], [0, 1.0]])
    loss = loss_at(env, model, ALONE, 1, cube(2))
    error = largest(error_of(env, model, ALONE))
    assert error > 100 * np.sqrt(loss) / (1 - 0.9)


def test_no_error_and_yet_a_loss():
    """The twins: 0 goes to 1 or to its twin 2, both pay 1 and lead to the end."""
    env = markov([0, 1, 1, 0], np.eye(4)[[1, 3, 3, 3]])
    model = markov([0, 1, 1, 0], np.eye(4)[[2, 3, 3, 3]])
    policy = np.ones((4, 1))
    assert largest(error_of(env, model, policy)) < 1e-12
    assert loss_at(env, model, policy, 1, cube(4)) > 1


def test_functions_with_a_mean_are_another_matter():
    """With a mean the loss can be zero where the error is not: a single function."""
    env = markov([0, 0], SWAP)
    model = markov([0.9, 0], [[1.0, 0], [1, 0]])
    function = np.array([0.0, 1.0])
    assert loss_at(env, model, ALONE, 1, [function]) < 1e-20
    assert largest(error_of(env, model, ALONE)) > 1


# The lazy model -------------------------------------------------------------------------


@given(seeds, st.floats(0.01, 0.99))
def test_the_lazy_models_error_is_a_mean_of_its_residual(seed, c):
    env = random_mdp(seed, 4, 2, 0.9)
    policy = one_policy(seed, env)
    b = np.random.default_rng(seed).normal(size=4)
    reward = (1 - c) * env.reward + c * (1 - 0.9) * b[:, None]
    transition = (1 - c) * env.transition + c * np.eye(4)[:, None]
    model = pve.MDP(reward, transition, 0.9)
    value = long_run_value(env, policy)
    assume(largest(value - b) > 1e-3)
    visits = 0.1 * np.linalg.inv(np.eye(4) - 0.9 * chain(model, policy)[1])
    said = -c * visits @ (value - b)
    np.testing.assert_allclose(error_of(env, model, policy), said, atol=1e-9)
    np.testing.assert_allclose(
        residual(env, model, policy, 1), -c * 0.1 * (value - b), atol=1e-9
    )
