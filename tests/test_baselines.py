"""Other losses and their loop; what a free reward absorbs, and what it cannot."""

import dataclasses
import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import assume, given
from hypothesis import strategies as st
from oracles import (
    backup,
    central_difference,
    deterministic_policies,
    long_run_value,
    pairs_of_mdps,
    random_mdp,
    seeds,
    stochastic_policies,
)

import pve
from pve.equivalence import losses
from pve.training.loop import fit, initial_state
from pve.training.objective import Likelihood, Proper, SquaredValueError
from pve.training.problem import Problem, make_data

ENV = random_mdp(0, 3, 2, 0.8)
RECIPE = pve.Recipe(steps=60, batch=4, learning_rate=1e-2, decay="cosine")


# The losses -------------------------------------------------------------------------


@given(pairs_of_mdps())
def test_likelihood_is_the_cross_entropy_and_the_reward_error(pair):
    env, model = pair
    states, actions = env.reward.shape
    total = 0.0
    for s in range(states):
        for a in range(actions):
            total += (model.reward[s, a] - env.reward[s, a]) ** 2
            for t in range(states):
                total -= env.transition[s, a, t] * math.log(model.transition[s, a, t])
    found = float(losses.likelihood_loss(model, env))
    assert found == pytest.approx(total / (states * actions), rel=1e-4, abs=1e-5)


@given(pairs_of_mdps())
def test_likelihood_is_smallest_at_the_environment(pair):
    env, model = pair
    at_env = losses.likelihood_loss(env, env)
    assert at_env <= losses.likelihood_loss(model, env) + 1e-5


def test_likelihood_minds_no_impossible_transitions(rooms):
    """Four Rooms' zeros: neither the loss nor its gradient is NaN at the environment."""
    env = rooms.mdp

    def loss(transition):
        return losses.likelihood_loss(pve.MDP(env.reward, transition, 0.9), env)

    value, gradient = jax.value_and_grad(loss)(jnp.asarray(env.transition, jnp.float32))
    assert np.isfinite(value)
    assert np.isfinite(gradient).all()


@given(pairs_of_mdps(), seeds)
def test_value_error_is_the_long_runs(pair, seed):
    env, model = pair
    policies = stochastic_policies(seed, 3, *env.reward.shape)
    values = np.array([long_run_value(env, policy) for policy in policies])
    imagined = np.array([long_run_value(model, policy) for policy in policies])
    wanted = ((imagined - values) ** 2).sum(-1).mean()
    found = float(losses.value_error_loss(model, policies, values))
    assert found == pytest.approx(wanted, rel=1e-3, abs=1e-4)


@given(seeds)
def test_value_error_has_the_derivative_of_finite_differences(seed):
    env, model = random_mdp(seed, 3, 2, 0.9), random_mdp(seed + 1, 3, 2, 0.9)
    policies = stochastic_policies(seed, 2)
    values = np.array([long_run_value(env, policy) for policy in policies])
    direction = np.random.default_rng(seed).normal(size=model.transition.shape)
    direction -= direction.mean(-1, keepdims=True)  # rows keep their sums

    def slow(transition):  # no validation: a step may leave the simplex
        total = 0.0
        for policy, value in zip(policies, values, strict=True):
            chain = np.einsum("sa,sat->st", policy, transition)
            reward = (policy * model.reward).sum(-1)
            total += ((np.linalg.inv(np.eye(3) - 0.9 * chain) @ reward - value) ** 2).sum()
        return total / 2

    with jax.enable_x64(True):

        def fast(transition):
            changed = jax.tree.unflatten(
                jax.tree.structure(model), [jnp.asarray(model.reward), transition, 0.9]
            )
            return losses.value_error_loss(changed, policies, values)

        gradient = np.asarray(jax.grad(fast)(jnp.asarray(model.transition)))
    wanted = central_difference(slow, model.transition, direction)
    assert (gradient * direction).sum() == pytest.approx(wanted, rel=1e-5, abs=1e-6)


# The loop ---------------------------------------------------------------------------


@pytest.fixture(scope="module")
def data():
    policies = pve.random_policies(jax.random.key(1), 60, 3, 2)
    return make_data(ENV, policies, None, math.inf)


@dataclasses.dataclass(frozen=True)
class FormedResidual:
    """The proper loss of the formed model, as an objective of one's own."""

    chunk = 500

    def loss(self, model, params, discount, batch, env):
        del env
        return pve.pve_loss(model.mdp(params, discount), batch.policies, batch.values)


def fitted(data, objective, *, chunk=30, recipe=RECIPE):
    model = pve.SoftmaxModel()
    state = initial_state(jax.random.key(2), model, 3, 2, recipe)
    key = jax.random.key(5)
    problem = Problem(key, data, model, objective, recipe, 0.8, ENV)
    state, losses = fit(state, problem, chunk=chunk)
    return model.mdp(state.params, 0.8), losses


def test_every_objective_meets_the_same_batches(data):
    """The proper loss and one written here: the same batches, the same optimiser."""
    model, losses = fitted(data, Proper())
    mine, found = fitted(data, FormedResidual())
    np.testing.assert_allclose(found, losses, rtol=1e-3)
    np.testing.assert_allclose(pve.flatten(mine), pve.flatten(model), atol=1e-4)


def test_bits_do_not_depend_on_the_chunk(data):
    first, second = (fitted(data, SquaredValueError(), chunk=c)[0] for c in (20, 30))
    np.testing.assert_array_equal(pve.flatten(first), pve.flatten(second))


@pytest.mark.parametrize("objective", [Likelihood(), SquaredValueError()])
def test_losses_fall_to_the_environment_or_its_values(data, objective):
    recipe = pve.Recipe(steps=1500, batch=10, learning_rate=5e-2, decay="cosine")
    model, losses = fitted(data, objective, recipe=recipe, chunk=500)
    if objective == Likelihood():
        np.testing.assert_allclose(model.transition, ENV.transition, atol=5e-3)
        np.testing.assert_allclose(model.reward, ENV.reward, atol=5e-3)
    else:
        assert losses[-20:].mean() < 1e-2 * losses[0]


def test_an_infinite_loss_is_an_error(data):
    broken = data._replace(values=data.values * np.inf)
    with pytest.raises(FloatingPointError, match=r"the loss is (inf|nan) at step 0"):
        fitted(broken, SquaredValueError())


# What the reward absorbs --------------------------------------------------------------


def order_one(env, model, policies, functions):
    """The order-1 loss over pairs, by three loops."""
    total = 0.0
    for policy, value in zip(policies, functions, strict=True):
        gap = backup(env, policy, value) - backup(model, policy, value)
        total += (gap**2).sum() / len(policies)
    return total


def decomposed(env, model, policies, functions):
    """The proposition's right side, with policies as weights of the moments."""
    dr, dp = model.reward - env.reward, model.transition - env.transition
    bias = variance = 0.0
    for s, a in np.ndindex(*env.reward.shape):
        weight = policies[:, s, a]
        if weight.sum() < 1e-12:
            continue
        mean = weight @ functions / weight.sum()
        rest = functions - mean
        covariance = (weight[:, None] * rest).T @ rest / weight.sum()
        share = weight.sum() / len(policies)
        bias += share * (dr[s, a] + env.discount * dp[s, a] @ mean) ** 2
        variance += share * env.discount**2 * dp[s, a] @ covariance @ dp[s, a]
    return bias, variance


def law(seed, kind, states=4, actions=2, num=12):
    """Pairs of policies and functions that depend on each other."""
    random = np.random.default_rng(seed)
    if kind == "deterministic":
        every = deterministic_policies(states, actions)
        policies = every[random.integers(len(every), size=num)]
    else:
        policies = stochastic_policies(seed, num, states, actions)
    functions = random.normal(size=(num, states)) + 3 * policies[:, :, 0]
    return policies, functions


@given(seeds)
def test_order_one_loss_is_bias_and_variance_given_the_action(seed):
    env, model = random_mdp(seed, 4, 2), random_mdp(seed + 1, 4, 2)
    policies, functions = law(seed, "deterministic")
    loss = order_one(env, model, policies, functions)
    assert loss == pytest.approx(sum(decomposed(env, model, policies, functions)))


@given(seeds)
def test_mixing_policies_are_only_bounded(seed):
    env, model = random_mdp(seed, 4, 2), random_mdp(seed + 1, 4, 2)
    policies, functions = law(seed, "stochastic")
    loss = order_one(env, model, policies, functions)
    assert loss < sum(decomposed(env, model, policies, functions)) * (1 - 1e-6)


@given(seeds)
def test_best_reward_absorbs_the_mean_and_nothing_else(seed):
    env, other = random_mdp(seed, 4, 2), random_mdp(seed + 1, 4, 2)
    policies, functions = law(seed, "deterministic")
    taken = policies.sum(0)
    assume((taken > 0).all())
    means = np.einsum("bsa,bt->sat", policies, functions) / taken[..., None]
    dp = other.transition - env.transition
    best = env.reward - env.discount * (dp * means).sum(-1)
    model = pve.MDP(best, other.transition, env.discount)
    bias, variance = decomposed(env, model, policies, functions)
    assert bias < 1e-20 < variance
    loss = order_one(env, model, policies, functions)
    assert loss == pytest.approx(variance)
    nudge = np.random.default_rng(seed).normal(size=best.shape)
    worse = pve.MDP(best + 0.1 * nudge, other.transition, env.discount)
    assert order_one(env, worse, policies, functions) > loss
    truth = pve.MDP(env.reward, other.transition, env.discount)
    assert order_one(env, truth, policies, functions) > loss  # the true reward is not best


def cube(states):
    """All corners of [−1, 1]^S: mean zero and covariance the identity, exactly."""
    return 2.0 * np.array(np.meshgrid(*[[0, 1]] * states)).reshape(states, -1).T - 1


def product(policies, functions):
    """Every policy with every function."""
    return (
        np.repeat(policies, len(functions), 0), np.tile(functions, (len(policies), 1))
    )  # fmt: skip


def floor(env, policies, rank):
    """The corollary's bound, σ² = 1."""
    total = 0.0
    for a in range(env.reward.shape[1]):
        weighted = np.sqrt(policies.mean(0)[:, a, None]) * env.transition[:, a]
        total += (np.linalg.svd(weighted, compute_uv=False)[rank:] ** 2).sum()
    return env.discount**2 * total


@given(seeds, st.integers(1, 3))
def test_random_functions_fit_transitions_and_have_a_floor(seed, rank):
    env = random_mdp(seed, 4, 2)
    random = np.random.default_rng(seed)
    leave, arrive = (
        random.dirichlet(np.ones(n), shape) for n, shape in ((rank, (4, 2)), (4, (2, rank)))
    )
    transition = np.einsum("sad,adt->sat", leave, arrive)
    policies = deterministic_policies(4, 2)[random.integers(16, size=5)]
    pairs = product(policies, cube(4))
    model = pve.MDP(env.reward, transition, env.discount)
    loss = order_one(env, model, *pairs)
    squares = ((transition - env.transition) ** 2).sum(-1)
    assert loss == pytest.approx(env.discount**2 * (policies.mean(0) * squares).sum())
    assert loss >= floor(env, policies, rank) - 1e-12
    # The true reward is best, however wrong the transitions are …
    nudged = pve.MDP(env.reward + random.normal(size=(4, 2)), transition, env.discount)
    assert order_one(env, nudged, *pairs) > loss
    # … but not if the functions have a mean.
    moved = pairs[0], pairs[1] + np.array([3.0, 0, 0, 0])
    absorbed = env.reward - env.discount * 3 * (transition - env.transition)[..., 0]
    refit = pve.MDP(absorbed, transition, env.discount)
    assert order_one(env, refit, *moved) == pytest.approx(loss)
    assert order_one(env, model, *moved) > loss


def test_the_floor_is_the_theorem_of_eckart_and_young():
    """Attained by the truncated singular value decomposition, probabilities or not."""
    env = random_mdp(3, 4, 2)
    policies = deterministic_policies(4, 2)  # w = 1/2 everywhere
    total = 0.0
    for a in (0, 1):
        u, sigma, v = np.linalg.svd(env.transition[:, a])
        low = (u[:, :2] * sigma[:2]) @ v[:2]
        total += 0.5 * ((low - env.transition[:, a]) ** 2).sum()
    assert floor(env, policies, 2) == pytest.approx(env.discount**2 * total)


# Rank ---------------------------------------------------------------------------------


def optimal(mdp):
    """The optimal value by enumeration."""
    policies = deterministic_policies(*mdp.reward.shape)
    return np.array([long_run_value(mdp, policy) for policy in policies]).max(0)


@given(seeds)
def test_any_transitions_plan_perfectly_with_the_right_reward(seed):
    env, other = random_mdp(seed, 3, 2), random_mdp(seed + 1, 3, 2)
    best = optimal(env)
    q = env.reward + env.discount * env.transition @ best
    knowing = q - env.discount * other.transition @ best
    model = pve.MDP(knowing, other.transition, env.discount)
    np.testing.assert_allclose(optimal(model), best, atol=1e-9)
    action = (knowing + env.discount * other.transition @ optimal(model)).argmax(-1)
    np.testing.assert_allclose(long_run_value(env, np.eye(2)[action]), best, atol=1e-9)
    # The true reward on these transitions has another optimum.
    assert np.abs(optimal(pve.MDP(env.reward, other.transition, 0.9)) - best).max() > 1e-3


@given(seeds, st.floats(0.001, 1))
def test_nearly_right_action_values_give_a_near_optimum(seed, size):
    env, other = random_mdp(seed, 3, 2), random_mdp(seed + 1, 3, 2)
    best = optimal(env)
    q = env.reward + env.discount * env.transition @ best
    noise = np.random.default_rng(seed).uniform(-size, size, q.shape)
    wrong = q - env.discount * other.transition @ best + noise
    model = pve.MDP(wrong, other.transition, env.discount)
    error = np.abs(optimal(model) - best).max()
    assert error <= np.abs(noise).max() / (1 - env.discount) + 1e-9


def test_a_nearly_right_action_value_is_not_a_value_as_near():
    """A constant error attains ε / (1 − γ)."""
    env = random_mdp(1, 3, 2)
    model = pve.MDP(env.reward + 0.1, env.transition, 0.9)
    assert np.abs(optimal(model) - optimal(env)).max() == pytest.approx(1.0)


def two_states(env, first, second):
    """The model of rank two for the functions on a line, as the proof has it."""
    u = second - first
    x, y = u.argmax(), u.argmin()
    share = ((env.transition @ u - u[y]) / (u[x] - u[y]))[..., None]
    eye = np.eye(len(u))
    transition = share * eye[x] + (1 - share) * eye[y]
    reward = env.reward - env.discount * (transition - env.transition) @ first
    return pve.MDP(reward, np.clip(transition, 0, 1), env.discount)


@given(seeds, st.floats(-3, 3))
def test_two_functions_cost_rank_two(seed, along):
    env = random_mdp(seed, 5, 2)
    first, second = np.random.default_rng(seed).normal(size=(2, 5))
    model = two_states(env, first, second)
    assert max(np.linalg.matrix_rank(model.transition[:, a]) for a in (0, 1)) <= 2
    assert np.abs(model.transition - env.transition).max() > 0.05
    for policy in stochastic_policies(seed, 3, 5, 2):
        on_line = first + along * (second - first)
        np.testing.assert_allclose(
            backup(model, policy, on_line), backup(env, policy, on_line), atol=1e-9
        )
        off = on_line + np.random.default_rng(seed + 1).normal(size=5)
        assert np.abs(backup(model, policy, off) - backup(env, policy, off)).max() > 1e-6


@given(seeds)
def test_rank_one_is_not_enough_for_two_functions(seed):
    # δp·u = 0 would need p u to be the same in all states, for an action.
    env = random_mdp(seed, 4, 2)
    u = np.random.default_rng(seed).normal(size=4)
    assert np.ptp(env.transition @ u, axis=0).min() > 1e-6
