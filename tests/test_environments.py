"""Environments by name, and Gymnasium's tables."""

import gymnasium
import numpy as np
import pytest

import pve
from pve.worlds.by_name import fingerprint, make_environment


def discounted_return(env, policy, state, discount, horizon):
    """A policy's value by following the environment's own table to its end."""
    if horizon == 0:
        return 0.0
    total = 0.0
    for chance, following, reward, terminated in env.unwrapped.P[state][policy[state]]:
        later = 0.0
        if not terminated:
            later = discounted_return(env, policy, following, discount, horizon - 1)
        total += chance * (reward + discount * later)
    return total


def test_table_of_a_deterministic_lake():
    env = gymnasium.make("FrozenLake-v1", is_slippery=False)
    mdp = pve.from_gymnasium(env, 0.9)
    right, down = 2, 1
    path = {0: right, 1: right, 2: down, 6: down, 10: down, 14: right}
    actions = [path.get(state, 0) for state in range(16)]
    value = pve.policy_value(mdp, np.eye(4)[actions])
    assert value[0] == pytest.approx(0.9**5)
    assert value[14] == pytest.approx(1)
    assert value[15] == 0  # the end is worth nothing, and keeps whoever is there
    for state in (5, 7, 11, 12, 15):
        assert (mdp.transition[state, :, state] == 1).all()
        assert not mdp.reward[state].any()


def test_table_of_a_slippery_lake_by_recursion():
    env = gymnasium.make("FrozenLake-v1", desc=["SF", "HG"], is_slippery=True)
    mdp = pve.from_gymnasium(env, 0.5)
    policy = [2, 1, 0, 0]
    value = pve.policy_value(mdp, np.eye(4)[policy])
    for state in (0, 1):
        expected = discounted_return(env, policy, state, 0.5, 12)
        assert value[state] == pytest.approx(expected, abs=0.5**12)


def test_cliff_and_taxi_are_mdps():
    cliff = pve.from_gymnasium("CliffWalking-v1", 0.99)
    value, _ = pve.policy_iteration(cliff)
    assert value[36] == pytest.approx(-(1 - 0.99**13) / 0.01)  # thirteen steps to go
    taxi = pve.from_gymnasium(gymnasium.make("Taxi-v4"), 0.99)
    assert (taxi.num_states, taxi.num_actions) == (500, 6)


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("Nowhere-v0", "'Nowhere-v0' cannot be made: .*; legal are names"),
        ("CartPole-v1", "CartPole-v1 has no tabular model `P`; legal are toy-text"),
    ],
)
def test_what_has_no_table(env, message):
    with pytest.raises(ValueError, match=message):
        pve.from_gymnasium(env)


def test_environments_by_name(tmp_path, rooms):
    assert fingerprint(make_environment("four-rooms")) == fingerprint(rooms.mdp)
    lake = make_environment("gymnasium:FrozenLake-v1")
    assert fingerprint(lake) == fingerprint(pve.from_gymnasium("FrozenLake-v1", 0.99))
    path = tmp_path / "map.txt"
    path.write_text(rooms.text + "\n")
    assert fingerprint(make_environment(f"map:{path}")) == fingerprint(rooms.mdp)


@pytest.mark.parametrize("name", ["", "rooms", "gymnasium:", "map:", "map:nowhere.txt"])
def test_unknown_names(name):
    with pytest.raises(ValueError, match=r"legal are|cannot be read"):
        make_environment(name)
    with pytest.raises(TypeError, match="environment is 3; legal are 'four-rooms'"):
        make_environment(3)


def test_fingerprint_sees_every_number(rooms):
    mdp = rooms.mdp
    reward, transition = mdp.reward.copy(), mdp.transition.copy()
    reward[3, 1] += 1e-15
    transition[[5, 6]] = transition[[6, 5]]
    others = [
        pve.MDP(reward, mdp.transition, 0.99),
        pve.MDP(mdp.reward, transition, 0.99),
        pve.MDP(mdp.reward, mdp.transition, 0.98),
    ]
    prints = {fingerprint(each) for each in (mdp, *others)}
    assert len(prints) == 4
