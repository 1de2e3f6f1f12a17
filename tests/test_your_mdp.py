"""What the chapter on a reader's own MDP states, and where each statement ends."""

import math
from types import SimpleNamespace

import gymnasium
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import discounts, long_run_value, random_mdp, seeds, stochastic_policies

import pve
from pve import figures
from pve.cli import _parser, _settings
from pve.engines.dispatch import run_experiment
from pve.results.load import load

STATES, ACTIONS = 5, 2


def random_table(seed, *, leak):
    """A table with marked outcomes into states 3 and 4; a leak enters 4 unmarked."""
    random = np.random.default_rng(seed)
    table = {}
    for s in range(STATES):
        table[s] = {}
        for a in range(ACTIONS):
            chances = random.dirichlet(np.ones(STATES))
            gains = random.uniform(-1, 1, STATES)
            table[s][a] = [
                (chance, t, gain, t >= 3 and not (leak and (s, t) == (0, 4)))
                for t, (chance, gain) in enumerate(zip(chances, gains, strict=True))
            ]
    return SimpleNamespace(unwrapped=SimpleNamespace(P=table))


def episodic_value(env, policy, discount, sweeps=400):
    """The value of episodes by sweeping over the table; nothing follows an end."""
    value = np.zeros(STATES)
    for _ in range(sweeps):
        value = np.array([
            sum(
                policy[s, a] * chance * (gain + discount * (not ended) * value[t])
                for a, outcomes in env.unwrapped.P[s].items()
                for chance, t, gain, ended in outcomes
            )
            for s in range(STATES)
        ])  # fmt: skip
    return value


@given(seeds, st.booleans())
def test_ends_leave_every_value(seed, leak):
    env, policy = random_table(seed, leak=leak), stochastic_policies(seed, 1, STATES)[0]
    mdp = pve.from_gymnasium(env, 0.9)
    assert mdp.num_states == STATES + 1
    value = pve.policy_value(mdp, np.vstack([policy, policy[:1]]))
    np.testing.assert_allclose(value[:-1], episodic_value(env, policy, 0.9), atol=1e-9)
    assert value[-1] == 0


@given(seeds)
def test_an_absorbing_state_that_goes_on_changes_values(seed):
    """Why an end is added: where unmarked outcomes enter it, a state must not absorb."""
    env, policy = random_table(seed, leak=True), stochastic_policies(seed, 1, STATES)[0]
    table = env.unwrapped.P
    for state in (3, 4):
        table[state] = {a: [(1.0, state, 0.0, True)] for a in range(ACTIONS)}
    value = pve.policy_value(pve.from_gymnasium(env, 0.9), policy)
    assert not value[3:].any()
    before = random_table(seed, leak=True)
    assert not np.isclose(value[0], episodic_value(before, policy, 0.9)[0], atol=1e-6)


def test_which_toys_have_ends_of_their_own():
    found = {}
    for name in ("FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"):
        env = gymnasium.make(name)
        mdp, size = pve.from_gymnasium(env), len(env.unwrapped.P)
        still = (mdp.transition[range(size), :, range(size)] == 1).all(-1)
        found[name] = int((still & ~mdp.reward[:size].any(-1)).sum()), mdp.num_states - size
    assert found == {"FrozenLake-v1": (5, 0), "CliffWalking-v1": (0, 1), "Taxi-v4": (0, 1)}


def in_units(mdp, c, b):
    return pve.MDP(c * mdp.reward + b, mdp.transition, mdp.discount)


@given(seeds, discounts, st.floats(0.01, 100), st.floats(-10, 10))
def test_units_do_not_matter_to_the_class(seed, discount, c, b):
    env, model = random_mdp(seed, 4, 3, discount), random_mdp(seed + 1, 4, 3, discount)
    policies = stochastic_policies(seed, 3, 4, 3)
    values = pve.policy_value(env, policies)
    other_env, other = in_units(env, c, b), in_units(model, c, b)
    other_values = np.stack([long_run_value(other_env, policy) for policy in policies])
    np.testing.assert_allclose(other_values, c * values + b / (1 - discount), rtol=1e-8)
    loss, other_loss = (
        float(pve.pve_loss(*arguments, policies, vs))
        for *arguments, vs in ((model, values), (other, other_values))
    )
    assert other_loss == pytest.approx(c**2 * loss, rel=1e-6)
    scale = [pve.policy_value(e, pve.uniform_policy(e)).mean() for e in (env, other_env)]
    gain, other_gain = (
        pve.performance(m, e) - low
        for m, e, low in ((model, env, scale[0]), (other, other_env, scale[1]))
    )
    assert other_gain == pytest.approx(c * gain, rel=1e-6, abs=1e-7 * c + 1e-9)


def test_a_negative_unit_turns_the_plan():
    env = pve.MDP([[1.0, 0.0]], np.ones((1, 2, 1)), 0.5)
    assert pve.policy_iteration(env)[1].tolist() == [[1, 0]]
    assert pve.policy_iteration(in_units(env, -1, 0))[1].tolist() == [[0, 1]]


def world_with_twins(seed):
    """States 3 and 4 have the same actions: twins for policies that are alike there."""
    mdp = random_mdp(seed, STATES, ACTIONS, 0.9)
    reward, transition = mdp.reward.copy(), mdp.transition.copy()
    reward[4], transition[4] = reward[3], transition[3]
    env = pve.MDP(reward, transition, 0.9)
    confused = transition.copy()
    confused[..., 4] += confused[..., 3]
    confused[..., 3] = 0
    return env, pve.MDP(reward, confused, 0.9)


@given(seeds)
def test_twins_may_be_confused(seed):
    env, model = world_with_twins(seed)
    alike = stochastic_policies(seed, 4, STATES, ACTIONS)
    alike[:, 4] = alike[:, 3]
    assert np.abs(model.transition - env.transition).sum() > 0.3
    for policy in alike:
        value = long_run_value(model, policy)
        np.testing.assert_allclose(value, pve.policy_value(env, policy), atol=1e-9)


@given(seeds)
def test_states_of_unequal_value_may_not(seed):
    env, model = world_with_twins(seed)
    apart = np.zeros((STATES, ACTIONS))
    apart[:, 0] = 1
    apart[4] = 0, 1
    value = pve.policy_value(env, apart)
    if abs(value[3] - value[4]) > 1e-3:
        assert not np.allclose(long_run_value(model, apart), value, atol=1e-6)


@pytest.mark.parametrize("name", ["FrozenLake-v1", "CliffWalking-v1", "Taxi-v4"])
def test_every_toy_can_be_trained_on(name):
    import jax

    env = pve.from_gymnasium(name)
    policies = np.tile(pve.uniform_policy(env), (4, 1, 1))
    trained = pve.train(
        jax.random.key(0), env, pve.LowRankModel(1), policies=policies,
        recipe=pve.Recipe(20, batch=2, learning_rate=1e-1),
    )  # fmt: skip
    assert np.isfinite(trained.losses).all()
    assert trained.losses[0, -1] < trained.losses[0, 0]
    assert pve.performance(trained.models[0], env) <= pve.policy_iteration(env)[0].mean()


@pytest.mark.parametrize(
    ("environment", "ranks"),
    [
        ("four-rooms", (2, 20, 104)),
        ("gymnasium:FrozenLake-v1", (1, 3, 16)),
        ("gymnasium:Taxi-v4", (9, 96, 501)),
    ],
)
def test_ranks_fit_the_environment(environment, ranks):
    given = ["capacity", "folder", "0", "--preset", "smoke", "--env", environment]
    assert _settings(_parser().parse_args(given)).ranks == ranks
    given += ["--ranks", "1", "5"]
    assert _settings(_parser().parse_args(given)).ranks == (1, 5)


def test_results_on_a_map(tmp_path):
    path = tmp_path / "map.txt"
    path.write_text("####\n#G #\n#  #\n####\n")
    from pve.experiments.settings import DiameterConfig

    config = DiameterConfig(
        orders=(math.inf,), runs=2, steps=20, batch=2, policies=10, learning_rate=1e-2,
        decay="constant", every=20, log_every=10, env=f"map:{path}",
    )  # fmt: skip
    run_experiment("diameter", config, 0, tmp_path / "data", progress=False)
    assert load(tmp_path / "data", "diameter").attrs["optimal_performance"] > 0
    names = {p.stem for p in figures.save_figures(tmp_path / "data", tmp_path / "out")}
    assert {"trajectories", "transitions", "clouds"} <= names
    path.write_text("####\n# G#\n#  #\n####\n")
    with pytest.raises(ValueError, match=r"has changed since .*; expected"):
        load(tmp_path / "data", "diameter")
