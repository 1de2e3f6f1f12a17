"""What plans are good for beside their performance, against closed forms."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import random_mdp, seeds, stochastic_policies

import pve
from pve.book import own_world
from pve.mdp.planning import performance_limits
from pve.mdp.simulation import assess_plan, constant_plans, hitting_probability
from pve.worlds import places

CLIFF, LAKE = "gymnasium:CliffWalking-v1", "gymnasium:FrozenLake-v1"


@pytest.mark.parametrize("up", [0.5, 0.6, 0.3])
def test_the_gamblers_ruin(up):
    size = 11
    transition = np.zeros((size, 1, size))
    transition[0, 0, 0] = transition[-1, 0, -1] = 1
    for s in range(1, size - 1):
        transition[s, 0, s + 1], transition[s, 0, s - 1] = up, 1 - up
    mdp = pve.MDP(np.zeros((size, 1)), transition, 0.9)
    found = hitting_probability(mdp, np.ones((size, 1)), [size - 1])
    n, odds = np.arange(size), (1 - up) / up
    closed = n / n[-1] if up == 0.5 else (1 - odds**n) / (1 - odds ** n[-1])
    np.testing.assert_allclose(found, closed, atol=1e-12)


@given(seeds, st.integers(1, 3))
def test_hitting_probabilities_are_those_of_long_walks(seed, traps):
    """Absorbing traps catch what does not reach the target first."""
    random = np.random.default_rng(seed)
    transition = random_mdp(seed, 7, 2, 0.9).transition.copy()
    transition[:traps] = np.eye(7)[:traps, None]
    mdp = pve.MDP(np.zeros((7, 2)), transition, 0.9)
    policy = stochastic_policies(seed, 1, 7, 2)[0]
    target = [6, int(random.integers(traps, 7))]
    stopped = np.einsum("sa,sat->st", policy, transition)
    stopped[target] = np.eye(7)[target]
    walks = np.linalg.matrix_power(stopped, 2**14)[:, sorted(set(target))].sum(-1)
    found = hitting_probability(mdp, policy, target)
    np.testing.assert_allclose(found, walks, atol=1e-6)
    assert not found[:traps].any()


def test_targets_that_are_no_states_are_refused():
    mdp = random_mdp(0, 3, 2, 0.9)
    with pytest.raises(
        ValueError, match=r"targets are \[3\]; expected integers from 0 to 2"
    ):
        hitting_probability(mdp, pve.uniform_policy(mdp), [3])


def test_always_up_on_the_cliff_scores_well_and_is_worthless():
    mine = own_world.read(CLIFF, None)
    up = constant_plans(mine.mdp)[0]
    low, high = performance_limits(mine.mdp)
    mean = pve.policy_value(mine.mdp, up).mean()
    assert (mean - low) / (high - low) == pytest.approx(0.90, abs=0.005)
    found = assess_plan(up, mine.mdp, mine.goals)
    assert found.start_value == pytest.approx(-1 / (1 - 0.99))  # a step costs 1, for ever
    assert found.goal_probability == 0
    # Up is optimal in the start's corner and on the cliff, but not beside the goal, and in
    # the end state, where nothing matters.
    assert found.optimal_share == pytest.approx(11 / 49)


def test_an_optimal_plan_on_the_cliff_takes_the_thirteen_moves():
    mine = own_world.read(CLIFF, None)
    found = assess_plan(pve.policy_iteration(mine.mdp)[1], mine.mdp, mine.goals)
    assert found.start_value == pytest.approx(-(1 - 0.99**13) / (1 - 0.99))
    assert found.goal_probability == pytest.approx(1)
    assert found.optimal_share == 1


def test_a_goal_is_where_the_best_end_is_paid():
    assert own_world.read(LAKE, None).goals.tolist() == [15]
    assert own_world.read(CLIFF, None).goals.tolist() == [48]
    assert own_world.read("gymnasium:Taxi-v4", None).goals.tolist() == [500]
    endless = {0: {0: [(1.0, 0, 0.0, False)]}}
    mdp = pve.from_table(endless)
    assert places.table_goals(endless, mdp).tolist() == []


def test_goals_of_a_map_are_its_cells(tmp_path):
    rooms = pve.four_rooms()
    assert places.map_goals(rooms).tolist() == [rooms.index(11, 1)]
    (tmp_path / "map.txt").write_text("G S\n##G\n")
    mine = own_world.read(f"map:{tmp_path / 'map.txt'}", None)
    assert mine.goals.tolist() == [0, 3]


def test_without_a_start_all_states_count_and_without_goals_none_is_reached():
    mdp = random_mdp(3, 5, 3, 0.9)
    value, plan = pve.policy_iteration(mdp)
    found = assess_plan(plan, mdp)
    assert found.start_value == pytest.approx(value.mean())
    assert np.isnan(found.goal_probability)


@given(seeds)
def test_where_a_plan_is_optimal_is_found_by_enumeration(seed):
    """An action is optimal if some optimal plan of all plans takes it."""
    mdp = random_mdp(seed, 4, 2, 0.8)
    eye = np.eye(2)
    every = np.array([eye[list(c)] for c in itertools.product(range(2), repeat=4)])
    optimal = every[pve.policy_value(mdp, every).mean(-1).argmax()]
    plan = stochastic_policies(seed, 1, 4, 2)[0]
    share = (plan * optimal).sum() / 4
    assert assess_plan(plan, mdp).optimal_share == pytest.approx(share)


def test_constant_plans_take_what_is_legal_everywhere():
    legal = [[True, False, True], [True, True, True]]
    mdp = pve.MDP(np.zeros((2, 3)), np.full((2, 3, 2), 0.5), 0.9, legal)
    found = constant_plans(mdp)
    assert [plan.argmax(-1).tolist() for plan in found] == [[0, 0], [2, 2]]


def test_rows_of_the_table_show_medians():
    # One state pays 1 for staying and 0 for leaving to where nothing is paid.
    mdp = pve.MDP([[1, 0], [0, 0]], [[[1, 0], [0, 1]], [[0, 1], [0, 1]]], 0.5, start=[1, 0])
    stay, leave = np.eye(2)[[0, 0]], np.eye(2)[[1, 1]]
    shown = {"one": [leave], "three": [leave, stay, stay]}
    rows = own_world.assessment_rows("W", mdp, [1], shown, lambda _, plan: plan[0, 0])
    assert rows == [
        ["W", "one", "0.00", "0", "100%", "50%"],
        ["W", "three", "1.00", "2", "0%", "100%"],
    ]
    rows = own_world.assessment_rows("W", mdp, [], {"one": [stay]}, lambda *_: np.nan)
    assert rows == [["W", "one", "—", "2", "—", "100%"]]
