"""The statements about unrolled losses, and the agent against slow and obvious oracles."""

import itertools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import (
    backups,
    chain,
    long_run_value,
    pairs_of_mdps,
    random_mdp,
    seeds,
    stochastic_policies,
)

import pve
from pve import muzero

TINY = muzero.Settings(
    runs=1, phases=3, steps=4, latent=4, slots=2, actors=8, length=6, batch=8, refresh=2
)
small = pairs_of_mdps(most_states=3, most_actions=2)
few = st.integers(1, 3)


# The bound ---------------------------------------------------------------------------


def differences(world, model, policy, value, order):
    """P^i r − P̃^i r̃ for i < k, then P^k v − P̃^k v: ``[k + 1, S]``."""
    rows = []
    for mdp in (world, model):
        reward, matrix = chain(mdp, policy)
        powers = [np.linalg.matrix_power(matrix, i) for i in range(order + 1)]
        rows.append([*(power @ reward for power in powers[:-1]), powers[-1] @ value])
    return np.array(rows[0]) - np.array(rows[1])


def constant(order, discount):
    return sum(discount ** (2 * i) for i in range(order + 1))


def gap(world, model, policy, value, order):
    return backups(world, policy, value, order) - backups(model, policy, value, order)


@given(pairs_of_mdps(), seeds, st.integers(1, 5))
def test_bound_holds_in_each_state_and_leads_to_the_value(pair, seed, order):
    world, model = pair
    policy = stochastic_policies(seed, 1, *world.reward.shape)[0]
    value = long_run_value(world, policy)
    apart = differences(world, model, policy, value, order)
    bound = constant(order, world.discount) * (apart**2).sum(0)
    assert np.all(gap(world, model, policy, value, order) ** 2 <= bound + 1e-9)
    error = np.abs(long_run_value(model, policy) - value).max()
    assert (1 - world.discount**order) * error <= np.sqrt(bound.sum()) + 1e-9


@pytest.mark.parametrize("order", [1, 2, 7])
def test_constant_is_attained(order):
    def fading(reward, keeps):
        return pve.MDP([[reward], [0]], [[[keeps, 1 - keeps]], [[0, 1]]], 0.9)

    case = fading(1.0, 0.9), fading(0.0, 0.0), np.ones((2, 1)), np.array([1.0, 0.0]), order
    loss = (differences(*case) ** 2).sum()
    assert (gap(*case) ** 2).sum() == pytest.approx(constant(order, 0.9) * loss, rel=1e-12)


@given(pairs_of_mdps(), seeds, st.integers(1, 5))
def test_weighted_bound(pair, seed, order):
    world, model = pair
    policy = stochastic_policies(seed, 1, *world.reward.shape)[0]
    random = np.random.default_rng(seed)
    value, weights = random.normal(size=world.num_states), random.uniform(0.1, 2, order + 1)
    apart = differences(world, model, policy, value, order)
    best = sum(world.discount ** (2 * i) / w for i, w in enumerate(weights))
    weighted = (weights[:, None] * apart**2).sum()
    assert (gap(world, model, policy, value, order) ** 2).sum() <= best * weighted + 1e-9


def test_proper_model_may_have_a_large_unrolled_loss():
    world = pve.MDP([[1.0], [0.0]], [[[0, 1]], [[1, 0]]], 0.9)
    value = long_run_value(world, np.ones((2, 1)))
    idle = pve.MDP(0.1 * value[:, None], np.eye(2)[:, None], 0.9)
    assert np.allclose(long_run_value(idle, np.ones((2, 1))), value)
    assert (differences(world, idle, np.ones((2, 1)), value, 5) ** 2).sum() > 1


# Trajectories ------------------------------------------------------------------------


def paths(world, policy, start, order):
    """Every path of ``order`` moves: states, actions, probability in the world."""
    states, actions = world.reward.shape
    for taken in itertools.product(range(actions), repeat=order):
        for passed in itertools.product(range(states), repeat=order):
            path, chance = (start, *passed), 1.0
            for i, a in enumerate(taken):
                chance *= policy[path[i], a] * world.transition[path[i], a, path[i + 1]]
            yield path, taken, chance


def trajectory_loss(world, model, policy, value, order, start):
    """J_k from Bayes' rule on an enumeration of all paths."""
    every = list(paths(world, policy, start, order))
    total = 0.0
    for taken in itertools.product(range(world.num_actions), repeat=order):
        likely = sum(chance for _, actions, chance in every if actions == taken)
        if likely == 0:
            continue
        for i in range(order + 1):
            known = taken[: i + 1] if i < order else taken
            fits = [(p, c) for p, a, c in every if a[: len(known)] == known]
            norm = sum(c for _, c in fits)
            said = np.eye(world.num_states)[start]
            for a in taken[:i]:
                said = said @ model.transition[:, a]
            if i < order:
                mean = sum(c * world.reward[p[i], taken[i]] for p, c in fits) / norm
                said = said @ model.reward[:, taken[i]]
            else:
                mean = sum(c * value[p[order]] for p, c in fits) / norm
                said = said @ value
            total += likely * (mean - said) ** 2
    return total


@given(small, seeds, few)
def test_unrolled_loss_is_below_the_trajectory_loss_of_policies_that_do_not_look(
    pair, seed, order
):
    world, model = pair
    random = np.random.default_rng(seed)
    policy = np.tile(random.dirichlet(np.ones(world.num_actions)), (world.num_states, 1))
    value = random.normal(size=world.num_states)
    apart = (differences(world, model, policy, value, order) ** 2).sum(0)
    for start in range(world.num_states):
        loss = trajectory_loss(world, model, policy, value, order, start)
        assert apart[start] <= loss + 1e-9


@given(small, seeds)
def test_first_step_bounds_the_residual_of_every_policy(pair, seed):
    world, model = pair
    policy = stochastic_policies(seed, 1, *world.reward.shape)[0]
    value = long_run_value(world, policy)
    residual = gap(world, model, policy, value, 1) ** 2
    for start in range(world.num_states):
        loss = trajectory_loss(world, model, policy, value, 1, start)
        assert residual[start] <= (1 + world.discount**2) * loss + 1e-9


def fork(to_a, reward_a, reward_b):
    move = np.zeros((4, 2, 4))
    move[0, :, 1], move[0, :, 2], move[1:, :, 3] = to_a, 1 - to_a, 1
    return pve.MDP([[0, 0], reward_a, reward_b, [0, 0]], move, 0.9)


LOOKS = np.eye(2)[[0, 0, 1, 0]]


def test_policy_that_looks_breaks_the_bound():
    world, model = (fork(p, [1.0, 0.0], [0.0, 0.0]) for p in (0.5, 1.0))
    value = long_run_value(world, LOOKS)
    losses = [trajectory_loss(world, model, LOOKS, value, 2, s) for s in range(4)]
    assert np.allclose(losses, 0)
    assert (differences(world, model, LOOKS, value, 2) ** 2).sum() > 0.2
    assert np.abs(gap(world, model, LOOKS, value, 2)).max() > 0.4


def test_right_along_every_trajectory_and_wrong_about_another_policy():
    world = fork(0.5, [1.0, 0.0], [0.0, 1.0])
    model = fork(1.0, [1.0, 1.0], [0.0, 1.0])
    value = long_run_value(world, LOOKS)
    for order in (1, 2, 3):
        for s in range(4):
            assert trajectory_loss(world, model, LOOKS, value, order, s) < 1e-12
    assert np.allclose(long_run_value(model, LOOKS), value)
    always = np.eye(2)[[0, 0, 0, 0]]
    assert long_run_value(model, always)[0] > 1.5 * long_run_value(world, always)[0]


# The agent ---------------------------------------------------------------------------


def some_model(seed, states, actions, latent=3):
    random = np.random.default_rng(seed)
    encoder = random.dirichlet(np.ones(latent), states)
    mdp = random_mdp(seed, latent, actions)
    return muzero.LatentModel(encoder, mdp, random.normal(size=latent))


def some_params(seed, states=5, actions=2):
    params = muzero.initial_params(jax.random.key(seed), states, actions, TINY)
    random = np.random.default_rng(seed)
    return params._replace(
        reward=jnp.asarray(random.normal(size=params.reward.shape), jnp.float32),
        value=jnp.asarray(random.normal(size=params.value.shape), jnp.float32),
    )


def test_unroll_follows_the_actions_one_at_a_time():
    params = some_params(0)
    states, actions = np.array([4, 0]), np.array([[0, 1, 1], [1, 0, 1]])
    rewards, values = muzero.unroll(params, jnp.array(states), jnp.array(actions))
    model = muzero.latent_model(params, 1, 0.9)
    for b in range(2):
        latent = model.encoder[states[b]]
        for i, a in enumerate(actions[b]):
            assert rewards[b, i] == pytest.approx(latent @ model.mdp.reward[:, a], abs=1e-5)
            latent = latent @ model.mdp.transition[:, a]
            value = 0.1 * latent @ model.head
            assert values[b, i + 1, 1] == pytest.approx(value, abs=1e-5)


def test_look_ahead_and_plan_agree():
    params = some_params(1)
    model = muzero.latent_model(params, 1, 0.9)
    actions = muzero.look_ahead(params, params.value[1], 0.9, 3).argmax(-1)
    assert np.array_equal(muzero.planned_policy(model, 3).argmax(-1), actions)
    deep = muzero.planned_policy(model, 500)
    assert np.array_equal(muzero.planned_policy(model), deep)


def test_returns_are_those_of_the_recursion():
    random = np.random.default_rng(0)
    rewards, values = random.normal(size=4), random.normal(size=5)
    for trace in (0.0, 0.7, 1.0):
        goal, expected = values[-1], [values[-1]]
        for t in range(3, -1, -1):
            goal = 0.1 * rewards[t] + 0.9 * ((1 - trace) * values[t + 1] + trace * goal)
            expected.insert(0, goal)
        found = muzero.returns(
            jnp.array(rewards, jnp.float32), jnp.array(values, jnp.float32), 0.9, trace
        )
        np.testing.assert_allclose(found, expected, rtol=1e-5, atol=1e-6)


@given(seeds, few)
def test_prediction_along_actions_is_the_mean_over_all_paths(seed, order):
    world = random_mdp(seed, 3, 2)
    model = some_model(seed + 1, 3, 2)
    policy = stochastic_policies(seed, 1)[0]
    expected = np.zeros(3)
    for start in range(3):
        for _, taken, chance in paths(world, policy, start, order):
            latent, total = model.encoder[start], 0.0
            for i, a in enumerate(taken):
                total += 0.9**i * latent @ model.mdp.reward[:, a]
                latent = latent @ model.mdp.transition[:, a]
            expected[start] += chance * (total + 0.9**order * latent @ model.head)
    found = muzero.along_actions(model, world, policy, order)
    np.testing.assert_allclose(found, expected, atol=1e-10)


@given(seeds, few)
def test_true_world_makes_no_error_inside_and_may_along_actions(seed, order):
    world = random_mdp(seed, 3, 2)
    policy = stochastic_policies(seed, 1)[0]
    head = np.random.default_rng(seed).normal(size=3)
    truth = muzero.LatentModel(np.eye(3), world, head)
    true = backups(world, policy, head, order)
    np.testing.assert_allclose(muzero.inside(truth, policy, order), true, atol=1e-10)
    value = long_run_value(world, policy)
    np.testing.assert_allclose(muzero.inside(truth, policy), value, atol=1e-9)
    blind = np.tile(policy[0], (3, 1))
    told = muzero.along_actions(truth, world, blind, order)
    np.testing.assert_allclose(told, backups(world, blind, head, order), atol=1e-10)
    if order == 2:  # one step is never confounded
        told = muzero.along_actions(truth, world, LOOKS[:3], order)
        assert np.abs(told - backups(world, LOOKS[:3], head, order)).max() > 1e-6


def single(world):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), world)


def test_trajectories_have_the_chances_of_world_and_policy():
    world, policy = random_mdp(0, 3, 2), stochastic_policies(0, 1)[0]
    settings = muzero.Settings(runs=1, phases=1, steps=25, actors=4000, length=5)
    found = muzero.agent.collect(
        jax.random.key(0), single(world), jnp.asarray(policy, jnp.float32), settings
    )
    states, actions, rewards = map(np.asarray, found)
    np.testing.assert_allclose(rewards, world.reward[states[:, :-1], actions], rtol=1e-6)
    for s in range(3):
        here = states[:, :-1] == s
        assert np.abs((actions[here] == 0).mean() - policy[s, 0]) < 0.02
        for a in range(2):
            after = states[:, 1:][here & (actions == a)]
            share = np.bincount(after, minlength=3) / len(after)
            assert np.abs(share - world.transition[s, a]).max() < 0.04


def test_arms_part_when_there_is_a_past_and_longer_runs_begin_alike():
    world, key = single(random_mdp(0, 5, 2)), jax.random.key(3)
    plain, added = (muzero.train(key, world, jnp.float32(w), TINY) for w in (0, 1))
    same = np.asarray(plain.value_loss) == np.asarray(added.value_loss)
    assert same[0].all()
    assert not same[1:].all()
    short = muzero.train(key, world, jnp.float32(1), muzero.Settings(
        **(TINY.__dict__ | {"phases": 2})
    ))  # fmt: skip
    np.testing.assert_allclose(short.value_loss, added.value_loss[:2], rtol=1e-5)
    assert np.allclose(np.asarray(added.policy).sum(-1), 1, atol=1e-5)


def test_an_agent_lives_phase_by_phase_as_in_one_go():
    """A state between two phases, put away and taken up again, is where the agent stood."""
    world, key, past = single(random_mdp(0, 5, 2)), jax.random.key(3), jnp.float32(1)
    whole = muzero.train(key, world, past, TINY)
    agent = muzero.begin(key, world, TINY)
    for number in range(TINY.phases):
        assert int(agent.phase) == number
        agent, phase = muzero.live(agent, key, world, past, TINY)
        agent = jax.tree.map(np.asarray, agent)
        expected = jax.tree.map(lambda leaves: leaves[number], whole)  # noqa: B023
        jax.tree.map(np.testing.assert_array_equal, phase, expected)
    filled = np.asarray(agent.ring[0]).reshape(TINY.slots, -1)
    assert filled.any(1).all()  # three phases fill both slots


def test_agent_learns_a_tiny_world():
    # Two states; action 1 changes them, and only staying in state 1 pays.
    move = [[[1, 0], [0, 1]], [[0, 1], [1, 0]]]
    world = pve.MDP([[0.0, 0.0], [1.0, 0.0]], move, 0.9)
    settings = muzero.Settings(runs=1, phases=10, steps=100, latent=4, actors=32)
    trace = muzero.train(jax.random.key(0), single(world), jnp.float32(1), settings)
    last = muzero.Params(*(x[-1] for x in trace.params))
    model = muzero.latent_model(last, 9 % settings.slots, 0.9)
    policy = muzero.normalised(trace.policy)[-1]
    value = long_run_value(world, policy)
    assert np.abs(model.encoder @ model.head - value).max() < 0.5
    assert np.abs(muzero.inside(model, policy) - value).max() < 1
    assert np.array_equal(muzero.planned_policy(model, 5).argmax(-1), [1, 0])


def test_settings_are_checked():
    for wrong in ({"steps": 26}, {"length": 3}, {"runs": 0}, {"trace": 2.0}):
        with pytest.raises(ValueError, match="expected"):
            muzero.Settings(**({"runs": 1, "phases": 1, "steps": 25} | wrong))
