"""Operators and their powers, against loops and finite differences."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import (
    backup,
    backups,
    central_difference,
    mdps,
    random_mdp,
    seeds,
    stochastic_policies,
)

import pve
from pve.checks import check_order
from pve.mdp.bellman import induced_transition

S, A, B = 4, 3, 12  # the batch is not a multiple of the group of chains


def world(seed=0):
    """An MDP, policies and values, one of each for every member of a batch."""
    values = np.random.default_rng(seed).normal(size=(B, S))
    return random_mdp(seed, S, A, 0.9), stochastic_policies(seed, B, S, A), values


@given(mdps(), seeds)
def test_bellman_is_the_triple_loop(mdp, seed):
    policy = stochastic_policies(seed, 1, *mdp.reward.shape)[0]
    value = np.random.default_rng(seed).normal(size=mdp.num_states)
    got = pve.bellman(mdp, policy, value)
    assert got.dtype == np.float64
    np.testing.assert_allclose(got, backup(mdp, policy, value), rtol=0, atol=1e-13)


@given(mdps(), seeds)
def test_optimality_operator_is_the_best_backup(mdp, seed):
    value = np.random.default_rng(seed).normal(size=mdp.num_states)
    best = [
        max(
            backup(mdp, np.eye(mdp.num_actions)[[a] * mdp.num_states], value)[s]
            for a in range(mdp.num_actions)
        )
        for s in range(mdp.num_states)
    ]
    got = pve.bellman_optimality(mdp, value)
    np.testing.assert_allclose(got, best, rtol=0, atol=1e-13)


@given(mdps(), seeds, st.integers(1, 6))
def test_powers_contract_by_powers_of_the_discount(mdp, seed, order):
    policy = stochastic_policies(seed, 1, *mdp.reward.shape)[0]
    first, second = np.random.default_rng(seed).normal(size=(2, mdp.num_states))
    distance = np.abs(first - second).max()
    for operator, power in (
        (lambda v: pve.bellman_power(mdp, policy, v, order), order),
        (lambda v: pve.bellman_optimality(mdp, v), 1),
    ):
        after = np.abs(operator(first) - operator(second)).max()
        assert after <= mdp.discount**power * distance + 1e-12


def test_contraction_is_no_faster_than_the_discount(rooms):
    # A constant shift shrinks by exactly γ, so the rate cannot be improved on.
    value = np.zeros(104)
    policy = np.full((104, 4), 0.25)
    shift = pve.bellman(rooms.mdp, policy, value + 1) - pve.bellman(
        rooms.mdp, policy, value
    )
    np.testing.assert_allclose(shift, 0.99, rtol=1e-12)


def test_bellman_broadcasts():
    mdp, policies, values = world()
    expected = [backup(mdp, policies[0], value) for value in values]
    got = pve.bellman(mdp, policies[0], values)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)
    expected = [backup(mdp, policy, values[0]) for policy in policies]
    got = pve.bellman(mdp, policies, values[0])
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-13)


@pytest.mark.parametrize(
    ("policy", "value", "message"),
    [
        (
            np.ones((2, 2)) / 2,
            np.zeros(4),
            r"policy has shape \[2, 2\]; expected .* 4, 3\]",
        ),
        (np.ones((4, 3)) / 3, np.zeros(3), r"value has shape \[3\]; expected .* 4\]"),
        (np.ones((4, 3)) / 2, np.zeros(4), r"policy\[0\] sums to 1\.5; every row"),
        (jnp.ones((4, 3)) / 2, np.zeros(4), r"policy\[0\] sums to 1\.5; every row"),
        (np.full((4, 3), np.nan), np.zeros(4), r"policy\[0, 0\] is nan; expected"),
        ([[2.0, -1.0, 0.0]] * 4, np.zeros(4), r"policy\[0, 1\] is -1; expected"),
    ],
)
def test_wrong_arguments_are_named(policy, value, message):
    mdp = random_mdp(0, 4, 3)
    for call in (
        lambda: pve.bellman(mdp, policy, value),
        lambda: pve.bellman_power(mdp, policy, value, 2),
        lambda: pve.ve_loss(mdp, mdp, policy, value, 1),
        lambda: pve.pve_loss(mdp, policy, value),
    ):
        with pytest.raises(ValueError, match=message):
            call()


# Powers -----------------------------------------------------------------------------


@pytest.mark.parametrize("order", [1, 2, 7])
@pytest.mark.parametrize("batched", [False, True])
@pytest.mark.parametrize("kind", ["numpy", "jax"])
def test_power_is_so_many_backups(order, batched, kind):
    mdp, policies, values = world(1)
    expected = np.stack(
        [backups(mdp, *pair, order) for pair in zip(policies, values, strict=True)]
    )
    if not batched:
        policies, values, expected = policies[0], values[0], expected[0]
    if kind == "numpy":
        got = pve.bellman_power(mdp, policies, values, order)
        assert type(got) is np.ndarray
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-12)
    else:
        arrays = jax.tree.map(jnp.asarray, (mdp, policies, values))
        got = pve.bellman_power(*arrays, order)
        assert isinstance(got, jax.Array)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", [1, 2, 7])
@pytest.mark.parametrize("model", [pve.SoftmaxModel(), pve.LowRankModel(2)], ids=repr)
def test_power_of_a_bound_model_is_that_of_its_mdp(model, order):
    _, policies, values = world(2)
    params = model.init(jax.random.key(3), S, A)
    mdp = model.mdp(params, 0.9)
    exact = pve.MDP(*(np.asarray(x, float) for x in (mdp.reward, mdp.transition)), 0.9)

    @jax.jit
    def power(params, policies, values):
        return pve.bellman_power(model.bind(params, 0.9), policies, values, order)

    got = power(params, policies, values)
    for policy, value, result in zip(policies, values, got, strict=True):
        expected = backups(exact, policy, value, order)
        np.testing.assert_allclose(result, expected, rtol=0, atol=1e-5)


@pytest.mark.parametrize("order", [2, 7])
def test_power_of_one_policy_and_many_values(order):
    mdp, policies, values = world(3)
    expected = [backups(mdp, policies[0], value, order) for value in values]
    for convert in (np.asarray, jnp.asarray):
        got = pve.bellman_power(mdp, convert(policies[0]), convert(values), order)
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-5)


def test_high_power_is_the_value(rooms):
    policy = np.full((104, 4), 0.25)
    got = pve.bellman_power(rooms.mdp, policy, np.zeros(104), 4000)
    assert np.abs(got - pve.policy_value(rooms.mdp, policy)).max() < 1e-12


def test_induced_transition_is_the_mixture():
    mdp, policies, _ = world(4)
    expected = np.einsum("bsa,sat->bst", policies, mdp.transition)
    got = induced_transition(mdp, policies)
    np.testing.assert_allclose(got, expected, rtol=0, atol=1e-15)


# Gradients --------------------------------------------------------------------------


def pieces(seed):
    """The five arrays that an order-k loss is a function of."""
    mdp, policies, values = world(seed)
    return {
        "reward": mdp.reward,
        "transition": mdp.transition,
        "discount": np.array(mdp.discount),
        "policies": policies,
        "values": values,
    }


def loss_by(power, order):
    def loss(reward, transition, discount, policies, values):
        mdp = jax.tree_util.tree_unflatten(
            jax.tree.structure(random_mdp(0)), (reward, transition, discount)
        )
        return (power(mdp, policies, values, order) ** 2).sum(-1).mean()

    return loss


def power_in_turn(mdp, policies, values, order):
    """What automatic differentiation makes of ``order`` backups."""
    for _ in range(order):
        values = pve.bellman(mdp, policies, values)
    return values


@pytest.mark.parametrize("order", [1, 2, 7])
@pytest.mark.parametrize("name", pieces(0))
def test_gradient_against_finite_differences(name, order):
    at = pieces(5)
    direction = np.random.default_rng(order).normal(size=at[name].shape)

    def loss_at(x):  # float64 NumPy, no JAX
        return float(loss_by(pve.bellman_power, order)(**{**at, name: x}))

    with jax.enable_x64(True):
        arrays = {key: jnp.asarray(array) for key, array in at.items()}

        def loss(x):
            return loss_by(pve.bellman_power, order)(**{**arrays, name: x})

        gradient = jax.jit(jax.grad(loss))(arrays[name])
        slope = float((gradient * direction).sum())
    expected = central_difference(loss_at, at[name], direction)
    assert slope == pytest.approx(expected, rel=1e-6, abs=1e-8)


@pytest.mark.parametrize("order", [2, 7, 30])
def test_gradient_is_that_of_backups_in_turn(order):
    with jax.enable_x64(True):
        arrays = {key: jnp.asarray(array) for key, array in pieces(6).items()}

        def gradients(power):
            loss = loss_by(power, order)
            return jax.jit(jax.grad(lambda tree: loss(**tree)))(arrays)

        ours, automatic = gradients(pve.bellman_power), gradients(power_in_turn)
        for name, gradient in automatic.items():
            np.testing.assert_allclose(ours[name], gradient, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("model", [pve.SoftmaxModel(), pve.LowRankModel(2)], ids=repr)
def test_gradient_reaches_the_parameters(model):
    mdp, policies, values = world(7)
    params = model.init(jax.random.key(0), S, A)
    with jax.enable_x64(True):
        params = jax.tree.map(lambda x: jnp.asarray(np.asarray(x, float)), params)

        @jax.jit
        def loss(params):
            return pve.ve_loss(model.bind(params, 0.9), mdp, policies, values, 3)

        gradient = jax.jit(jax.grad(loss))(params)
        random = np.random.default_rng(1)
        direction = jax.tree.map(lambda x: random.normal(size=x.shape), params)
        slope = sum(
            float((g * d).sum())
            for g, d in zip(
                jax.tree.leaves(gradient), jax.tree.leaves(direction), strict=True
            )
        )

        def moved(step):
            return float(loss(jax.tree.map(lambda x, d: x + step * d, params, direction)))

        expected = (moved(1e-6) - moved(-1e-6)) / 2e-6
    assert slope == pytest.approx(expected, rel=1e-6)


# Orders -----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "meant"),
    [(1, 1), (60, 60), (np.int64(3), 3), (30.0, 30), (math.inf, math.inf)],
)
def test_legal_orders(given, meant):
    order = check_order(given)
    assert order == meant
    assert isinstance(order, float if meant == math.inf else int)


@pytest.mark.parametrize(
    ("order", "error"),
    [
        (0, ValueError),
        (-1, ValueError),
        (2.5, ValueError),
        (-math.inf, ValueError),
        (math.nan, ValueError),
        (True, TypeError),
        ("3", TypeError),
        (None, TypeError),
    ],
)
def test_illegal_orders(order, error):
    with pytest.raises(error) as caught:
        check_order(order)
    message = str(caught.value)
    assert str(order) in message
    assert "expected an integer ≥ 1, or inf" in message
    assert "\n" not in message


def test_power_of_order_infinity_names_the_value():
    mdp, policies, values = world()
    with pytest.raises(ValueError, match=r"order is inf; .* pve\.policy_value"):
        pve.bellman_power(mdp, policies, values, math.inf)
