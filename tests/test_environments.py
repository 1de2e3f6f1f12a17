"""Environments by name, and Gymnasium's tables."""

import enum
import warnings

import gymnasium
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import check_is_mdp, check_optimum, jacks_cars, seeds

import pve
from pve.worlds import by_name
from pve.worlds.by_name import fingerprint, make_environment, map_of, with_discount


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


def table_value(table, discount, sweeps):
    """The optimal value by sweeps over the table; nothing follows a terminated outcome."""
    value = np.zeros(len(table))
    for _ in range(sweeps):
        value = np.array([
            max(
                sum(p * (g + discount * (not end) * value[t]) for p, t, g, end in outs)
                for outs in table[s].values()
            )
            for s in range(len(table))
        ])  # fmt: skip
    return value


@pytest.mark.parametrize(
    ("name", "states"), [("FrozenLake-v1", 16), ("CliffWalking-v1", 49), ("Taxi-v4", 501)]
)
def test_every_value_is_the_tables_own(name, states):
    env = gymnasium.make(name)
    mdp = pve.from_gymnasium(env, 0.9)
    assert mdp.num_states == states
    value, _ = pve.policy_iteration(mdp)
    table = env.unwrapped.P
    own = table_value(table, 0.9, 250)
    np.testing.assert_allclose(value[: len(table)], own, atol=1e-9)
    assert not value[len(table) :].any()
    start = env.unwrapped.initial_state_distrib
    assert pve.performance(mdp, mdp, start=mdp.start) == pytest.approx(start @ own)


def round_trip(chance):
    return {
        s: {
            a: [(1 - chance, (s + a) % 3, s, False), (chance, (s + a) % 3, s, True)]
            for a in range(2)
        }
        for s in range(3)
    }


@pytest.mark.parametrize(
    ("chance", "expected"), [(0.05, [30.673, 32.613, 33.613]), (0, [197.01, 199, 200])]
)
def test_an_outcome_ends_and_not_a_state(chance, expected):
    value, _ = pve.policy_iteration(pve.from_table(round_trip(chance), 0.99))
    assert len(value) == 3 + (chance > 0)
    np.testing.assert_allclose(value[:3], expected, atol=5e-4)


def test_a_reward_on_leaving_the_last_square():
    table = [[[(1, 1, -0.04)]], [[(1, 2, -0.04)]], [[(1, 2, 1, True)]]]
    mdp = pve.from_table(table, 0.99)
    value, _ = pve.policy_iteration(mdp)
    np.testing.assert_allclose(value, [0.9005, 0.95, 1, 0], atol=1e-12)


def test_a_cliff_starts_in_its_corner():
    cliff = pve.from_gymnasium("CliffWalking-v1", 0.99)
    value, _ = pve.policy_iteration(cliff)
    assert value[36] == pytest.approx(-(1 - 0.99**13) / 0.01)  # thirteen steps to go
    assert cliff.start.tolist() == np.eye(49)[36].tolist()
    assert pve.performance(cliff, cliff, start=cliff.start) == pytest.approx(value[36])


class Move(enum.Enum):
    LEFT = "l"
    RIGHT = "r"


def test_keys_of_any_kind():
    """A corridor of three, its cells and moves named in several ways."""
    by_index = [
        [[(1, 0, 0)], [(1, 1, 0)]],
        [[(1, 0, 0)], [(0.5, 2, 1), (0.5, 1, 0)]],
        [[(1, 2, 0)], [(1, 2, 0)]],
    ]
    expected = pve.from_table(by_index, 0.9)
    assert expected.state_names is None
    for cells, moves in (
        (range(3), range(2)),
        ((1, 2, 3), ("left", "right")),
        (((0, 0), (0, 1), (0, 2)), tuple(Move)),
        ("xyz", (1, 2)),
    ):
        table = {
            cells[s]: {
                moves[a]: tuple((p, cells[t], g) for p, t, g in by_index[s][a])
                for a in range(2)
            }
            for s in range(3)
        }
        mdp = pve.from_table(table, 0.9)
        assert fingerprint(mdp) == fingerprint(expected)
    assert mdp.state_names == ("x", "y", "z")
    assert pve.from_table(table, 0.9, start={"y": 1}).start.tolist() == [0, 1, 0]
    by_enumeration = pve.from_table({0: {Move.RIGHT: [(1, 0, 0)]}})
    assert by_enumeration.action_names == ("RIGHT",)


def test_states_with_some_actions_or_none():
    table = {
        "work": {"rest": [(1, "home", 1)], "on": [(0.9, "work", 2), (0.1, "ill", -5)]},
        "ill": {"rest": [(1, "home", 0)]},
        "home": {},
    }
    mdp = pve.from_table(table, 0.9)
    assert mdp.legal.tolist() == [[True, True], [True, False], [True, True]]
    value, policy = pve.policy_iteration(mdp)
    # Working on is worth w = 0.9 (2 + 0.9 w) − 0.1 · 5.
    np.testing.assert_allclose(value, [1.3 / 0.19, 0, 0])
    assert policy.argmax(-1).tolist() == [1, 0, 0]
    assert mdp.state_names == ("work", "ill", "home")


OK = [(1, 0, 0)]


@pytest.mark.parametrize(
    ("table", "error", "message"),
    [
        (
            [[[(1, -1, 0)]]],
            ValueError,
            r"next state is -1; expected one of the table's states, 0",
        ),
        ([[[(1, 7, 0)]]], ValueError, r"outcome 0 of state 0, action 0: next state is 7"),
        ([[[(1, [0], 0)]]], ValueError, r"next state is \[0\]"),
        ([[[(0.5, 0, 0)]]], ValueError, r"state 0, action 0: .* sum to 0.5; .* sum to 1"),
        ([[[]]], ValueError, r"state 0, action 0: probabilities sum to 0"),
        ([[[(1.5, 0, 0), (-0.5, 0, 0)]]], ValueError, r"outcome 1 .* is -0.5; expected"),
        ([[[(1, 0, np.nan)]]], ValueError, r"reward is nan; expected a finite number"),
        ([[[(1, 0, "1")]]], TypeError, r"reward is '1'; expected a finite number"),
        ([[[(1, 0)]]], TypeError, r"has 2 parts; expected outcomes \(probability, next"),
        ([[[(1, 0, 0, None)]]], TypeError, r"terminated is None; expected true or false"),
        ([[[3]]], TypeError, r"outcome 0 of .* is a int; expected a mapping or a sequence"),
        ([[{0: (1, 0, 0)}]], TypeError, r"state 0, action 0 is a dict; expected outcomes"),
        ([[[{"s": 0, "p": 1, "r": 0}]]], TypeError, r"outcome 0 of .* is a dict; expected"),
        ([], ValueError, r"table has no states and actions"),
        (None, TypeError, r"table is a NoneType; expected a mapping or a sequence"),
        ({"a": 3}, TypeError, r"state 'a' is a int; expected"),
    ],
)
def test_tables_that_are_none(table, error, message):
    with pytest.raises(error, match=message):
        pve.from_table(table)


def test_rounded_probabilities_weigh_rewards_as_they_weigh_states():
    mdp = pve.from_table([[[(0.333333, 0, 1)] * 3]], 0.9)
    assert mdp.reward.tolist() == [[1]]
    np.testing.assert_allclose(pve.policy_iteration(mdp)[0], [10], rtol=1e-15)


def test_starts_that_are_none():
    for start, message in (
        ([1, 0], r"start has shape \[2\]; expected \[1\]"),
        ({3: 1}, r"start: 3 is no state; expected one of 0"),
        ([0.5], r"start.* sums to 0.5"),
    ):
        with pytest.raises(ValueError, match=message):
            pve.from_table([[OK]], start=start)
    with pytest.raises(TypeError, match="start is not an array of real numbers"):
        pve.from_table([[OK]], start=["1"])


numbers = st.one_of(
    st.floats(), st.integers(-3, 3), st.sampled_from([0.5, 1, 1.0, 0.25, "1", None, 1e400])
)
keys = st.one_of(st.integers(-1, 3), st.text(max_size=1), st.tuples(st.integers(0, 1)))
outcomes = st.lists(
    st.one_of(
        st.tuples(st.sampled_from([1, 0.5]), keys, st.integers(-2, 2), st.booleans()),
        st.tuples(numbers, keys, numbers),
        numbers,
    ),
    max_size=3,
)
some_actions = st.one_of(
    st.lists(outcomes, max_size=2), st.dictionaries(keys, outcomes, max_size=2), numbers
)


@settings(max_examples=300)
@given(
    st.one_of(
        st.lists(some_actions, max_size=3),
        st.dictionaries(keys, some_actions, max_size=3),
        numbers,
    ),
    st.booleans(),
)
def test_any_table_is_an_mdp_or_refused(table, sparse):
    try:
        mdp = pve.from_table(table, sparse=sparse)
    except (ValueError, TypeError):
        return
    check_is_mdp(mdp)


class Corner(enum.Enum):
    NORTH, EAST, SOUTH, WEST = range(4)


keyed = st.sampled_from([
    [0, 1, 2, 3], [1, 2, 3, 4], [7, 3, 5, 1], list(np.arange(4)), list("dcab"),
    list(Corner), [(1, 0), (0, 1), (0, 0), (1, 1)],
])  # fmt: skip
odds = st.sampled_from([
    (1,), (1.0, 0.0), (0.5, 0.5), (1 / 3,) * 3, (0.333333,) * 3, (np.float32(0.25), 0.75),
])  # fmt: skip
gains = st.sampled_from([0, 1, -0.04, np.float32(2.5), np.int64(-3), -1e10, 1e-9])
marks = st.sampled_from([True, False, 0, 1, np.True_, None])  # None: the mark is left out
FAULTS = {  # of one outcome (probability, next state, reward, terminated)
    "probability": [-0.5, 2, np.nan, "1", None, 1j],
    "following": ["nowhere", None, [0], 99, -1],
    "reward": [np.inf, -np.inf, np.nan, "much", None, 10**400],
    "terminated": ["no", 2, None, []],
}


@st.composite
def tables(draw):
    """A table with all that tables may have, as keys and outcomes in order; and a fault."""
    states = draw(keyed)[: draw(st.integers(1, 4))]
    actions = draw(keyed)[: draw(st.integers(1, 3))]
    table = {}
    for state in states:
        some = draw(st.lists(st.sampled_from(actions), unique=True, max_size=3))
        table[state] = {action: [] for action in some}
        for outcomes in table[state].values():
            for chance in draw(odds):
                mark = draw(marks)
                outcome = chance, draw(st.sampled_from(states)), draw(gains)
                outcomes.append(outcome if mark is None else (*outcome, mark))
    if not any(table.values()):
        table[states[0]][actions[0]] = [(1, states[-1], 1)]
    fault = draw(st.sampled_from([None] * 4 + list(FAULTS)))
    if fault is not None:
        pairs = [(s, a) for s, row in table.items() for a in row]
        state, action = draw(st.sampled_from(pairs))
        outcome = [*table[state][action][0], False][:4]
        outcome[list(FAULTS).index(fault)] = draw(st.sampled_from(FAULTS[fault]))
        table[state][action][0] = tuple(outcome)
    return table, fault


def in_order(keys):
    return sorted(keys) if isinstance(keys[0], int | np.integer) else list(keys)


def as_sequences(table):
    """A table as lists of lists, as far as its keys are 0, 1, 2, …"""
    listed = {
        key: list(row.values()) if list(row) == list(range(len(row))) else row
        for key, row in table.items()
    }
    plain = list(table) == list(range(len(table)))
    return list(listed.values()) if plain else listed


@settings(max_examples=150)
@given(
    tables(),
    st.booleans(),
    st.sampled_from([0, 0.5, 0.99, 0.999999, 1 - 1e-9]),
    st.sampled_from([None, "array", "mapping"]),
    st.sampled_from([None, False, True]),
)
def test_any_table_against_its_own_backup(drawn, listed, discount, start, sparse):
    """Keys, marks, containers, starts and discounts as people have them."""
    (table, fault), states = drawn, in_order(list(drawn[0]))
    chances = np.arange(1.0, len(states) + 1) / sum(range(1, len(states) + 1))
    starts = {
        None: None,
        "array": chances.tolist(),
        "mapping": dict(zip(states, chances, strict=True)),
    }

    def make():
        given_ = as_sequences(table) if listed else table
        return pve.from_table(given_, discount, start=starts[start], sparse=sparse)

    if fault is not None:
        with pytest.raises((ValueError, TypeError), match=r"expected|must sum to 1"):
            make()
        return
    mdp = make()
    check_is_mdp(mdp)
    actions = in_order(list(dict.fromkeys(a for row in table.values() for a in row)))
    legal = np.array([[action in table[state] for action in actions] for state in states])

    def backup(value):
        worth, size = np.zeros((2, *legal.shape))
        for s, a in np.argwhere(legal):
            outcomes = table[states[s]][actions[a]]
            total = sum(float(outcome[0]) for outcome in outcomes)
            for chance, following, gain, *mark in outcomes:
                later = 0.0 if any(mark) else discount * value[states.index(following)]
                worth[s, a] += float(chance) / total * (float(gain) + later)
                size[s, a] += float(chance) / total * (abs(float(gain)) + abs(later))
        return worth, size

    check_optimum(mdp, legal, backup)
    if start is not None:
        np.testing.assert_allclose(mdp.start[: len(states)], chances)
        best = pve.policy_iteration(mdp)[0][: len(states)]
        found = pve.performance(mdp, mdp, start=mdp.start)
        np.testing.assert_allclose(found, chances @ best, rtol=1e-9, atol=1e-9)


@given(seeds)
def test_any_ends_against_the_table(seed):
    """Marks anywhere, states that stay, outcomes of probability 0."""
    random = np.random.default_rng(seed)
    table = {}
    for s in range(4):
        still = random.random() < 0.3
        table[s] = {
            a: [
                (
                    chance,
                    s if still else int(random.integers(4)),
                    0.0 if still else random.uniform(-1, 1),
                    bool(random.random() < 0.4),
                )
                for chance in (0.5, 0.5 * random.integers(2), 0.0)
            ]
            for a in range(2)
        }
        for outs in table[s].values():
            outs[0] = (1 - outs[1][0], *outs[0][1:])
    mdp = pve.from_table(table, 0.9)
    value, _ = pve.policy_iteration(mdp)
    np.testing.assert_allclose(value[:4], table_value(table, 0.9, 250), atol=1e-9)


# What a table does not say ----------------------------------------------------------


def test_what_the_table_does_not_say_is_refused():
    double = gymnasium.wrappers.TransformReward(gymnasium.make("Taxi-v4"), lambda r: 2 * r)
    with pytest.raises(
        ValueError, match=r"wrapped in TransformReward, which changes its re"
    ):
        pve.from_gymnasium(gymnasium.wrappers.TimeLimit(double, 10))
    with pytest.raises(
        ValueError, match=r"fickle passenger, .*; expected one made with fickle_p"
    ):
        pve.from_gymnasium(gymnasium.make("Taxi-v4", fickle_passenger=True))
    sticky = gymnasium.wrappers.StickyAction(gymnasium.make("FrozenLake-v1"), 0.5)
    with pytest.raises(ValueError, match=r"wrapped in StickyAction, which changes its act"):
        pve.from_gymnasium(sticky)
    with pytest.raises(TypeError, match=r"environment is a dict; .*pve.from_table"):
        pve.from_gymnasium({0: {0: OK}})


def test_an_unknown_wrapper_is_warned_of():
    class Mine(gymnasium.Wrapper):
        pass

    with pytest.warns(UserWarning, match="wrapped in Mine; if that changes rewards or"):
        pve.from_gymnasium(Mine(gymnasium.make("FrozenLake-v1")))


@pytest.mark.parametrize(
    ("env", "message"),
    [
        ("Nowhere-v0", "'Nowhere-v0' cannot be made: .*; expected a name"),
        ("CartPole-v1", "CartPole-v1 has no tabular model `P`; expected a toy-text"),
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


def test_jacks_cars_by_name():
    """Against every count of requests and returns up to 60, one by one."""
    mdp = make_environment("jacks-cars")
    reward, transition, legal = jacks_cars()
    assert (mdp.legal == legal).all()
    np.testing.assert_allclose(mdp.reward, reward, rtol=0, atol=1e-11)
    np.testing.assert_allclose(mdp.transition, transition, rtol=0, atol=1e-13)
    value, policy = pve.policy_iteration(mdp)
    assert round(value.mean(), 3) == 563.687
    # Sutton and Barto, figure 4.2, the last plan: with no cars at the first place and all
    # at the second some are moved back; the other way round, all five there.
    moves = [mdp.action_names[a] for a in policy.argmax(-1)]
    place = {name: number for number, name in enumerate(mdp.state_names)}
    assert moves[place["20 and 0 cars"]] == "move 5 there"
    assert moves[place["0 and 20 cars"]] == "move 4 back"
    assert moves[place["0 and 0 cars"]] == "move none"
    assert make_environment("jacks-cars?discount=0.5").discount == 0.5


def test_environments_with_options(tmp_path, rooms):
    path = tmp_path / "cave.txt"
    path.write_text("#####\n#S G#\n#####\n", encoding="utf-8-sig")
    mdp = pve.MDP([[1.0, 0.0]], [[[1.0], [1.0]]], 0.5)
    mdp.save(tmp_path / "mine.npz")
    lake = gymnasium.make("FrozenLake-v1", map_name="8x8", is_slippery=False)
    cave = "#####\n#S G#\n#####"
    for name, expected in (
        ("four-rooms?discount=0.95", pve.four_rooms(discount=0.95).mdp),
        ("four-rooms?slip=0.5&discount=0.9", pve.four_rooms(0.5, 0.9).mdp),
        (
            "gymnasium:FrozenLake-v1?is_slippery=false&map_name=8x8",
            pve.from_gymnasium(lake),
        ),
        (
            "gymnasium:FrozenLake-v1?map_name=8x8&discount=0.9&is_slippery=False",
            pve.from_gymnasium(lake, 0.9),
        ),
        (f"map:{path}?slip=0.1", pve.grid_world(cave, p_intended=0.9).mdp),
        (
            f"map:{path}?absorbing=true&step_cost=0.5",
            pve.grid_world(cave, absorbing=True, step_cost=0.5).mdp,
        ),
        (f"npz:{tmp_path / 'mine.npz'}", mdp),
        (
            f"npz:{tmp_path / 'mine.npz'}?discount=0.25",
            pve.MDP(mdp.reward, mdp.transition, 0.25),
        ),
    ):
        assert fingerprint(make_environment(name)) == fingerprint(expected)
    assert with_discount("four-rooms", 0.5) == "four-rooms?discount=0.5"
    assert with_discount("map:m?slip=0.1", 0.5) == "map:m?slip=0.1&discount=0.5"
    assert map_of("four-rooms?discount=0.5").mdp.discount == 0.5
    assert map_of(f"map:{path}?slip=0").mdp.transition[0, 1, 1] == 1
    assert map_of("gymnasium:FrozenLake-v1?is_slippery=false") is None


LAKE = "gymnasium:FrozenLake-v1"


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("", "expected one of 'four-rooms'"),
        ("rooms", "expected one of 'four-rooms'"),
        ("gymnasium:", "expected one of 'four-rooms'"),
        ("map:", "expected one of 'four-rooms'"),
        ("npz:", "expected one of 'four-rooms'"),
        ("jacks-cars:20", "expected one of 'four-rooms'"),
        ("jacks-cars?cars=20", "option 'cars'; expected one of discount"),
        ("map:nowhere.txt", "map 'nowhere.txt' cannot be read"),
        ("npz:nowhere.npz", "MDP 'nowhere.npz' cannot be read"),
        ("four-rooms?slip=2", r"slip is 2.0; expected a number in \[0, 1\]"),
        ("four-rooms?slip=much", "slip is 'much'; expected a number"),
        ("four-rooms?discount=1", "discount is 1; expected a number"),
        ("four-rooms?discount", "option 'discount'; expected [?]NAME=VALUE"),
        ("four-rooms?slip=0&slip=1", "option 'slip=1'; expected .* each name once"),
        ("four-rooms?absorbing=true", "option 'absorbing'; expected one of slip, discount"),
        (f"{LAKE}?ice=3", "cannot be made with ice=3: .*; expected its own options"),
        (f"{LAKE}?map_name=9x9", "cannot be made with map_name='9x9'"),
        (f"{LAKE}?discount=0.9&discount=0.8", "each name once"),
    ],
)
def test_names_that_are_none(name, message):
    with pytest.raises(ValueError, match=message):
        make_environment(name)


def test_a_name_is_a_word():
    with pytest.raises(TypeError, match="environment is 3; expected one of 'four-rooms'"):
        make_environment(3)
    with pytest.raises(ValueError, match="has a discount; give it once"):
        with_discount("four-rooms?discount=0.9", 0.5)


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


class Way(enum.IntEnum):
    LEFT = 0
    RIGHT = 1


class Turn(enum.Enum):
    LEFT = "l"


def test_names_are_kept_whatever_they_look_like():
    outcomes = [(1.0, 0, 0.0)]
    table = {0: {Way.LEFT: outcomes, Way.RIGHT: outcomes}}
    assert pve.from_table(table).action_names == ("LEFT", "RIGHT")
    table = {0: {Way.LEFT: outcomes, Turn.LEFT: outcomes, "up": outcomes}}
    assert pve.from_table(table).action_names == ("Way.LEFT", "Turn.LEFT", "up")
    table = {1: {0: [(1, "1", 1)]}, "1": {0: [(1, 1, 5)]}}
    assert pve.from_table(table).state_names == ("1", "'1'")


def test_an_end_takes_a_name_that_is_free():
    table = {"x": {"go": [(1, "end", 1, True)]}, "end": {"go": [(1, "x", 5)]}}
    assert pve.from_table(table).state_names == ("x", "end", "end 2")


@pytest.mark.parametrize("mark", [0, 1, False, np.bool_(True), np.int8(1), 1.0, 0.0])
def test_marks_of_ends_as_tables_have_them(mark):
    table = [[[(1.0, 1, 1.0, mark)]], [[(1.0, 0, 0.0, False)]]]
    expected = 1.0 if mark else 1 / (1 - 0.9**2)
    assert pve.policy_iteration(pve.from_table(table, 0.9))[0][0] == pytest.approx(expected)


@pytest.mark.parametrize("mark", [2, "no", None, 0.5])
def test_marks_that_are_none(mark):
    table = [[[(1.0, 0, 1.0, mark)]]]
    with pytest.raises(TypeError, match=r"terminated is .*; expected true or false"):
        pve.from_table(table)


def test_a_sparse_world_by_the_name_of_its_file(tmp_path, monkeypatch):
    mdp = pve.four_rooms().mdp
    path = tmp_path / "rooms.npz"
    pve.grid_world(pve.four_rooms().text, sparse=True).mdp.save(path)
    found = make_environment(f"npz:{path}?discount=0.9")
    assert found.discount == 0.9
    np.testing.assert_allclose(found.transition, mdp.transition, atol=1e-15)
    monkeypatch.setattr(by_name, "LARGEST", 10_000)
    for name in (f"npz:{path}", f"map:{tmp_path / 'rooms.txt'}"):
        (tmp_path / "rooms.txt").write_text(pve.four_rooms().text)
        with pytest.raises(ValueError, match=r"has 104 states: its transitions are 43,264"):
            make_environment(name)


def test_a_version_that_is_gone_is_one_line():
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        with pytest.raises(ValueError, match="'FrozenLake-v0' cannot be made"):
            pve.from_gymnasium("FrozenLake-v0")
