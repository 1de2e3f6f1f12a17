"""Losses against their formulas, and where they vanish."""

import math

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import (
    backups,
    mdps,
    pairs_of_mdps,
    random_mdp,
    seeds,
    stochastic_policies,
)

import pve

B = 5


def batch(seed, mdp):
    policies = stochastic_policies(seed, B, *mdp.reward.shape)
    return policies, np.random.default_rng(seed).normal(size=(B, mdp.num_states))


def squares(first, second, policies, values, order):
    """Mean over the batch of the sum over states of the squared difference."""
    total = 0.0
    for policy, value in zip(policies, values, strict=True):
        difference = backups(first, policy, value, order)
        difference = difference - backups(second, policy, value, order)
        total += sum(d**2 for d in difference)
    return total / B


@given(pairs_of_mdps(), seeds, st.integers(1, 5))
def test_ve_loss_is_its_formula(pair, seed, order):
    env, model = pair
    policies, values = batch(seed, env)
    got = pve.ve_loss(model, env, policies, values, order)
    expected = squares(env, model, policies, values, order)
    assert got == pytest.approx(expected, rel=1e-10, abs=1e-24)


@given(pairs_of_mdps(), seeds)
def test_pve_loss_is_its_formula(pair, seed):
    env, model = pair
    policies, _ = batch(seed, env)
    values = pve.policy_value(env, policies)
    expected = sum(
        ((value - backups(model, policy, value, 1)) ** 2).sum()
        for policy, value in zip(policies, values, strict=True)
    )
    got = pve.pve_loss(model, policies, values)
    assert got == pytest.approx(expected / B, rel=1e-10, abs=1e-24)


@given(pairs_of_mdps(), seeds)
def test_order_one_at_the_policies_values_is_the_proper_loss(pair, seed):
    env, model = pair
    policies, _ = batch(seed, env)
    values = pve.policy_value(env, policies)
    ve = pve.ve_loss(model, env, policies, values, 1)
    assert ve == pytest.approx(pve.pve_loss(model, policies, values), rel=1e-6, abs=1e-20)


@given(mdps(), seeds, st.sampled_from([1, 2, 7, 60]))
def test_the_environment_has_no_loss(mdp, seed, order):
    policies, values = batch(seed, mdp)
    assert pve.ve_loss(mdp, mdp, policies, values, order) == 0
    values = pve.policy_value(mdp, policies)
    assert pve.pve_loss(mdp, policies, values) < 1e-20


@pytest.mark.parametrize("order", [1, 30])
def test_the_environment_has_no_loss_in_single_precision(rooms, order):
    policies = stochastic_policies(0, 20, 104, 4)
    values = np.random.default_rng(0).uniform(-1, 1, (20, 104))
    exact = pve.policy_value(rooms.mdp, policies)

    @jax.jit
    def losses(env, policies, values, targets, exact):
        reached = pve.bellman_power(env, policies, values, order)
        return ((reached - targets) ** 2).sum(-1).mean(), pve.pve_loss(env, policies, exact)

    targets = pve.bellman_power(rooms.mdp, policies, values, order)
    ve, proper = losses(
        *jax.tree.map(
            lambda x: jnp.asarray(x, jnp.float32),
            (rooms.mdp, policies, values, targets, exact),
        )
    )
    assert ve < 1e-9
    assert proper < 1e-8


@given(mdps(), seeds)
def test_proper_loss_is_zero_only_with_the_same_values(mdp, seed):
    # A model of the same values but another transition: r̃ takes up the difference.
    policies = stochastic_policies(seed, 1, *mdp.reward.shape)
    values = pve.policy_value(mdp, policies)
    other = random_mdp(seed + 1, *mdp.reward.shape).transition
    reward = mdp.reward + mdp.discount * ((mdp.transition - other) @ values[0])
    member = pve.MDP(reward, other, mdp.discount)
    assert pve.pve_loss(member, policies, values) < 1e-20
    np.testing.assert_allclose(pve.policy_value(member, policies), values, atol=1e-9)
    stranger = pve.MDP(reward + 0.1, other, mdp.discount)
    loss = pve.pve_loss(stranger, policies, values)
    assert loss == pytest.approx(0.01 * mdp.num_states, rel=1e-9)
    gap = np.abs(pve.policy_value(stranger, policies) - values)
    assert gap.min() > 0.09


def test_losses_agree_between_numpy_and_a_bound_model():
    env, model = random_mdp(0, 4, 3), pve.LowRankModel(2)
    policies, values = batch(0, env)
    params = model.init(jax.random.key(0), 4, 3)
    finished = model.mdp(params, 0.9)
    exact = pve.MDP(
        np.asarray(finished.reward, float), np.asarray(finished.transition, float), 0.9
    )
    bound = model.bind(params, 0.9)
    for order in (1, 4):
        got = pve.ve_loss(bound, env, policies, values, order)
        expected = squares(env, exact, policies, values, order)
        assert float(got) == pytest.approx(expected, rel=1e-4)


def test_order_infinity_is_sent_to_the_proper_loss():
    env = random_mdp(0)
    policies, values = batch(0, env)
    with pytest.raises(ValueError, match=r"order is inf; .*pve_loss\(model"):
        pve.ve_loss(env, env, policies, values, math.inf)


@pytest.mark.parametrize("order", [0, -1, 2.5])
def test_illegal_orders(order):
    env = random_mdp(0)
    policies, values = batch(0, env)
    with pytest.raises(ValueError, match=f"order is {order}; expected"):
        pve.ve_loss(env, env, policies, values, order)


def test_wrong_shapes():
    env = random_mdp(0)
    policies, values = batch(0, env)
    with pytest.raises(ValueError, match=r"policy has shape \[5, 2, 2\]; expected"):
        pve.ve_loss(env, env, policies[:, :2], values, 1)
    with pytest.raises(ValueError, match=r"value has shape \[5, 2\]; expected"):
        pve.pve_loss(env, policies, values[:, :2])
