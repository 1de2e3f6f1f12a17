"""What a model believes of its plan: identities and bounds, on worlds and by hand."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

import pve
from pve.equivalence.overrating import (
    blind_spot,
    conditional_values,
    mixing_matrix,
    overrating,
    residuals,
    with_errors,
    wrong_choice_bound,
)
from pve.keys import stream

GAMMA = 0.9


def random_mdp(random, S=5, A=3):
    reward = random.normal(size=(S, A))
    return pve.MDP(reward, random.dirichlet(np.ones(S) / 2, (S, A)), GAMMA)


worlds = st.integers(0, 10_000).map(np.random.default_rng)


@given(worlds)
def test_the_overrating_is_what_the_walk_collects(random):
    env, model = random_mdp(random), random_mdp(random)
    found = overrating(model, env)
    states = np.arange(env.num_states)
    gain = (found.error - found.gap)[states, found.action]
    assert found.excess.mean() == pytest.approx((found.visits @ gain) / (1 - GAMMA))
    assert found.visits.sum() == pytest.approx(1)
    # And in every state by the model's own Bellman equation.
    chain = model.transition[states, found.action]
    np.testing.assert_allclose(found.excess, gain + GAMMA * chain @ found.excess)
    # What the model takes for an action's value.
    imagined = model.reward + GAMMA * model.expect(found.own)
    q_star = env.reward + GAMMA * env.expect(found.best)
    carried = GAMMA * model.expect(found.excess)
    np.testing.assert_allclose(imagined, q_star + found.error + carried)
    assert found.worth.mean() == pytest.approx(pve.performance(model, env))


@given(worlds)
def test_a_choice_gives_away_at_most_its_bound(random):
    env, model = random_mdp(random), random_mdp(random)
    gap, bound = wrong_choice_bound(model, env)
    assert (gap <= bound + 1e-9).all()


@given(worlds)
def test_errors_and_transitions_are_a_model(random):
    env, one, other = (random_mdp(random) for _ in range(3))
    again = with_errors(overrating(one, env).error, one.transition, env)
    np.testing.assert_allclose(again.reward, one.reward, atol=1e-9)
    mixed = with_errors(overrating(one, env).error, other.transition, env)
    np.testing.assert_allclose(overrating(mixed, env).error, overrating(one, env).error)
    # Without errors the plan is the best one, whatever the transitions.
    none = with_errors(np.zeros_like(env.reward), other.transition, env)
    found = overrating(none, env)
    np.testing.assert_allclose(found.own, found.best)
    np.testing.assert_allclose(found.worth, found.best)


def test_transitions_decide_what_an_error_does():
    """Staying pays 0.1 too much: a plan stays for it where the model lets it."""
    stay, leave = np.eye(2), np.array([[0, 1], [0, 1]])
    env = pve.MDP([[0, 0], [0.5, 0.5]], np.stack([leave, leave], 1), GAMMA)
    error = np.array([[0.6, 0], [0, 0]])
    local = with_errors(error, np.stack([stay, leave], 1), env)
    spread = with_errors(error, np.full((2, 2, 2), 0.5), env)
    assert overrating(local, env).excess == pytest.approx([6, 0])
    assert overrating(spread, env).excess == pytest.approx([3.3, 2.7])


def test_an_even_overrating_misleads_nobody():
    env = random_mdp(np.random.default_rng(1))
    model = pve.MDP(env.reward + 5, env.transition, GAMMA)
    found = overrating(model, env)
    np.testing.assert_allclose(found.excess, 5 / (1 - GAMMA))
    assert pve.performance(model, env) == pytest.approx(found.best.mean())
    np.testing.assert_allclose(wrong_choice_bound(model, env)[0], 0, atol=1e-12)


@given(worlds)
def test_underrating_wrong_actions_is_harmless_at_any_size(random):
    env = random_mdp(random)
    plain = overrating(env, env)
    punished = np.where(plain.wrong, env.reward - random.uniform(0, 50), env.reward)
    found = overrating(pve.MDP(punished, env.transition, GAMMA), env)
    np.testing.assert_allclose(found.excess, 0, atol=1e-9)
    np.testing.assert_allclose(found.worth, found.best)
    assert found.lean < 0
    assert found.tempting == 0


def test_one_overrated_place_where_one_can_stay_draws_the_plan():
    """A corridor of five cells, goal at the right; staying at the left looks too good."""
    S = 5
    moves = np.zeros((S, 3, S))  # left, right, stay
    for s in range(S):
        for a, to in enumerate((max(s - 1, 0), min(s + 1, S - 1), s)):
            moves[s, a, to] = 1
    reward = np.zeros((S, 3))
    reward[-1, 2] = 1
    env = pve.MDP(reward, moves, GAMMA)
    tempting = reward.copy()
    tempting[0, 2] = 1.5
    mirage = overrating(pve.MDP(tempting, moves, GAMMA), env)
    assert mirage.worth[0] == 0 < mirage.best[0]
    assert mirage.visits.argmax() == 0
    # The same reward where the model's walk is carried off at once spoils next to nothing.
    leaky = moves.copy()
    leaky[0, 2] = 1 / S
    brief = overrating(pve.MDP(tempting, leaky, GAMMA), env)
    assert np.ptp(brief.excess) < np.ptp(mirage.excess)
    assert brief.worth.mean() > mirage.worth.mean()


def test_mixing_matrix_against_draws():
    draws = np.asarray(pve.random_policies(stream(0, "mix"), 50_000, 4, 4, "stochastic"))
    draws = draws.reshape(-1, 4)
    expected = (draws[:, :, None] * draws[:, None]).mean(0)
    np.testing.assert_allclose(mixing_matrix("stochastic", 4), expected, atol=4e-4)
    for kind in ("deterministic", "stochastic"):
        for num in (1, 2, 5):
            found = mixing_matrix(kind, num)
            assert found.sum() == pytest.approx(1)  # equal errors are seen in full
            np.testing.assert_allclose(found, found.T)
    # Two actions, by hand: E (U / (U + U'))² = 1 − log 2.
    assert mixing_matrix("stochastic", 2)[0, 0] == pytest.approx(1 - np.log(2))
    with pytest.raises(ValueError, match="kind is 'mixed'; expected"):
        mixing_matrix("mixed", 4)


def test_opposite_errors_cancel_in_the_mixture():
    env = random_mdp(np.random.default_rng(3), S=2, A=2)
    model = pve.MDP(env.reward + np.array([[1, -1], [0, 0]]), env.transition, GAMMA)
    half, first = np.full((2, 2), 0.5), np.array([[1.0, 0], [1, 0]])
    policies = np.stack([half, first])
    values = pve.policy_value(env, policies)
    found = residuals(model, env, policies, values)
    assert found.mixture == pytest.approx(0)
    assert found.single == pytest.approx(np.sqrt(1 / 2))
    assert found.everywhere == pytest.approx(np.sqrt(1 / 4))  # one state of one policy
    pure = residuals(model, env, first[None], values[1:])
    assert np.isnan(pure.mixture)
    assert np.isnan(pure.single)


def test_conditional_values_by_hand():
    policies = np.array([[[1, 0]], [[0, 1]], [[0.5, 0.5]]], float)
    taken, means = conditional_values(policies, [[2.0], [4.0], [8.0]])
    np.testing.assert_allclose(taken, [[0.5, 0.5]])
    np.testing.assert_allclose(means[0, :, 0], [(2 + 4) / 1.5, (4 + 4) / 1.5])


@given(worlds)
def test_the_blind_spot_is_the_error_under_the_best_reward(random):
    env, model = random_mdp(random), random_mdp(random)
    policies = np.eye(3)[random.integers(3, size=(60, 5))]
    taken, means = conditional_values(policies, pve.policy_value(env, policies))
    assert (taken > 0).all()
    apart = model.transition - env.transition
    best = env.reward - GAMMA * (apart * means).sum(-1)
    found = overrating(pve.MDP(best, model.transition, GAMMA), env)
    np.testing.assert_allclose(blind_spot(model, env, means), found.error, atol=1e-9)
