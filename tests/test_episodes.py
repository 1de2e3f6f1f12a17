"""Where episodes end, and what absorbing states would change, on a table by hand."""

import numpy as np
import pytest

import pve
from pve.book import episodes
from pve.worlds.tables import from_table

# State 0 goes to 1, which ends by entering 0; state 2 is an end; 3 enters 2 for 5.
OUTCOMES = {
    0: {0: [(1.0, 1, 1.0, False)]},
    1: {0: [(0.5, 0, 2.0, True), (0.5, 1, 0.0, False)]},
    2: {0: [(1.0, 2, 0.0, True)]},
    3: {0: [(1.0, 2, 5.0, True)]},
}


def test_the_table_as_arrays():
    found = episodes.unrolled(OUTCOMES, 0.5)
    np.testing.assert_array_equal(found.gains[:, 0], [1, 1, 0, 5])
    wanted = np.zeros((4, 4))
    wanted[0, 1], wanted[1, 1] = 0.5, 0.25
    np.testing.assert_array_equal(found.onward[:, 0], wanted)
    assert found.entered == [0, 2]


def test_the_value_of_an_episode():
    found = episodes.unrolled(OUTCOMES, 0.5)
    # w(1) = 1 + w(1) / 4, w(0) = 1 + w(1) / 2
    np.testing.assert_allclose(
        episodes.value(found.gains, found.onward, np.ones((4, 1))), [5 / 3, 4 / 3, 0, 5]
    )


def test_what_is_reached():
    onward = episodes.unrolled(OUTCOMES, 0.5).onward
    first = np.array([True, False, False, False])
    assert list(episodes.reached(onward, first)) == [True, True, False, False]


def test_absorbing_states_change_what_goes_on():
    mdp = from_table(OUTCOMES, discount=0.5)
    found = episodes.compared(OUTCOMES, mdp, np.ones((mdp.num_states, 1)))
    assert list(found.ends) == [2]
    assert found.added == mdp.num_states - 4 == 1
    # State 0 would be worth nothing; no other value goes through it.
    assert list(found.changed) == [True, False, False, False]
    assert list(episodes.table({"toy": found}).splitlines())[-1].startswith(
        "| toy | 4 | 1 | 1 |"
    )


def test_another_mdp_is_refused():
    mdp = from_table(OUTCOMES, discount=0.5)
    other = pve.MDP(mdp.reward + 1, mdp.transition, 0.5)
    with pytest.raises(ArithmeticError, match="other values than its table"):
        episodes.compared(OUTCOMES, other, np.ones((mdp.num_states, 1)))
