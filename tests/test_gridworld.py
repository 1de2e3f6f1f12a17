"""Four Rooms and other maps, against a walk written another way."""

import warnings

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from oracles import check_is_mdp, check_optimum

import pve
from pve.worlds.gridworld import FOUR_ROOMS

MOVES = {"left": (-1, 0), "right": (1, 0), "down": (0, 1), "up": (0, -1)}

DESIGN = """\
#############
#     #    G#
#     #     #
#           #
#     #     #
#     #     #
## ####     #
#     ### ###
#     #     #
#     #     #
#           #
#     #     #
#############"""


def rebuilt(text, p_intended):
    """Reward and transition from dictionaries of cells, one move at a time."""
    lines = text.split("\n")
    free = [(x, y) for y, line in enumerate(lines) for x, c in enumerate(line) if c != "#"]
    number = {cell: i for i, cell in enumerate(free)}
    reward = np.zeros((len(free), 4))
    transition = np.zeros((len(free), 4, len(free)))
    for (x, y), state in number.items():
        for action in range(4):
            for happening, (dx, dy) in enumerate(MOVES.values()):
                chance = p_intended if happening == action else (1 - p_intended) / 3
                cell = (x + dx, y + dy)
                after = cell if cell in number else (x, y)
                transition[state, action, number[after]] += chance
                reward[state, action] += chance * (lines[after[1]][after[0]] == "G")
    return reward, transition


def test_map_is_the_published_one(rooms):
    assert FOUR_ROOMS == DESIGN
    assert rooms.text == DESIGN
    assert rooms.walls.shape == (13, 13)
    assert rooms.walls.sum() == 169 - 104
    assert (rooms.mdp.num_states, rooms.mdp.num_actions) == (104, 4)
    assert rooms.mdp.discount == 0.99
    assert rooms.mdp.transition.dtype == np.float64


def test_optimal_value_is_the_published_one(rooms):
    value, _ = pve.policy_iteration(rooms.mdp)
    assert round(float(value.mean()), 5) == 72.89057
    assert round(float(value.min()), 5) == 64.31369
    assert round(float(value.max()), 5) == 83.53097


@pytest.mark.parametrize("p_intended", [0.8, 1.0, 0.25, 0.0])
def test_rewards_and_transitions_by_single_moves(p_intended):
    world = pve.four_rooms(p_intended=p_intended)
    reward, transition = rebuilt(DESIGN, p_intended)
    np.testing.assert_allclose(world.mdp.transition, transition, rtol=0, atol=1e-15)
    np.testing.assert_allclose(world.mdp.reward, reward, rtol=0, atol=1e-15)


def test_cells_are_numbered_row_by_row(rooms):
    order = rooms.xy[:, 1] * 13 + rooms.xy[:, 0]
    assert (np.diff(order) > 0).all()
    for state, (x, y) in enumerate(rooms.xy):
        assert not rooms.walls[y, x]
        assert rooms.index(x, y) == state


def test_index_refuses_walls(rooms):
    for cell in ((0, 0), (6, 1), (-1, 3), (13, 3)):
        with pytest.raises(ValueError, match=r"no state; expected one of the free cells"):
            rooms.index(*cell)


def test_actions_move_as_they_say():
    world = pve.four_rooms(p_intended=1.0)
    start = world.index(3, 3)
    for action, (dx, dy) in enumerate(MOVES.values()):
        assert world.mdp.transition[start, action, world.index(3 + dx, 3 + dy)] == 1
    corner = world.index(1, 1)
    assert world.mdp.transition[corner, 0, corner] == 1
    assert world.mdp.transition[corner, 3, corner] == 1


def test_goal_pays_on_entry_and_holds_nobody(rooms):
    goal = rooms.index(11, 1)
    left_of_it = rooms.index(10, 1)
    assert rooms.mdp.reward[left_of_it, 1] == pytest.approx(0.8)
    assert rooms.mdp.reward[left_of_it, 0] == pytest.approx(0.2 / 3)
    assert rooms.mdp.reward[goal, 0] == pytest.approx(0.4 / 3)  # right and up stay
    assert rooms.mdp.transition[goal, 0, goal] == pytest.approx(0.4 / 3)
    far = np.abs(rooms.xy - rooms.xy[goal]).sum(1) > 1
    assert not rooms.mdp.reward[far].any()


def test_goal_in_a_corridor_without_walls():
    # Off the map one stays, and every stay on the goal is paid.
    world = pve.grid_world(" G", p_intended=1.0, discount=0.5)
    assert world.mdp.reward.tolist() == [[0, 1, 0, 0], [0, 1, 1, 1]]
    value, _ = pve.policy_iteration(world.mdp)
    np.testing.assert_allclose(value, [2, 2])


def test_image_lays_values_on_the_map(rooms):
    image = rooms.image(np.arange(104))
    assert (np.isnan(image) == rooms.walls).all()
    assert image[1, 11] == rooms.index(11, 1)


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("###\n#G", ["2 signs in line 2, 3 in line 1", "one length"]),
        ("\n  ###\n  #G#\n  #\n", ["1 signs in line 4, 3 in line 2", "one length"]),
        ("#G#\n\n###", ["0 signs in line 2, 3 in line 1"]),
        ("#?#\n#G#", ["'?' in line 1, column 2", "'#', 'x', 'X' (wall)"]),
        ("\n  ###\n  #g#\n", ["'g' in line 3, column 4", "'G'"]),
        ("###\n#\t#", ["'\\t' in line 2, column 2"]),
        ("###\n# #", ["no goal", "at least one 'G'"]),
        ("", ["no goal", "at least one 'G'"]),
    ],
)
def test_malformed_maps_are_explained(text, parts):
    with pytest.raises(ValueError, match="map") as caught:
        pve.grid_world(text)
    for part in parts:
        assert part in str(caught.value)
    assert "\n" not in str(caught.value)


CAVE = ["#######", "#S  #G#", "#  #  #", "#     #", "#######"]


@pytest.mark.parametrize(
    "text",
    [
        "\ufeff" + "\r\n".join(CAVE) + "\r\n",
        "\n\n" + "\n".join("    " + line for line in CAVE) + "\n    ",
        CAVE,
        [list(line) for line in CAVE],
        np.array([list(line) for line in CAVE], dtype="S1"),
        "\n".join(CAVE).replace("#", "x").replace(" ", "."),
        "   \n" + "\n".join("  " + x.replace("#", "X").replace(" ", ".") for x in CAVE),
    ],
)
def test_one_map_in_many_files(text):
    world, other = pve.grid_world("\n".join(CAVE)), pve.grid_world(text)
    assert (world.walls == other.walls).all()
    assert (world.mdp.transition == other.mdp.transition).all()
    assert (world.mdp.reward == other.mdp.reward).all()
    assert other.mdp.start.tolist() == [1] + [0] * (len(world.xy) - 1)


def test_free_cells_at_the_border_are_cells():
    assert len(pve.grid_world("   \n G \n   ").xy) == 9
    assert len(pve.grid_world(" #\n G\n #").xy) == 4


def test_holes_and_goals_that_end():
    world = pve.grid_world(
        "HS.G", p_intended=1.0, discount=0.5, absorbing=True, step_cost=0.25,
        rewards={"G": 4, "H": -1},
    )  # fmt: skip
    assert world.mdp.reward.tolist() == [
        [0] * 4, [-1.25, -0.25, -0.25, -0.25], [-0.25, 3.75, -0.25, -0.25], [0] * 4,
    ]  # fmt: skip
    value, policy = pve.policy_iteration(world.mdp)
    assert value.tolist() == [0, 0.5 * 3.75 - 0.25, 3.75, 0]
    assert policy[1:3].argmax(-1).tolist() == [1, 1]
    assert pve.performance(world.mdp, world.mdp, start=world.mdp.start) == value[1]


def test_rewards_of_single_cells():
    world = pve.grid_world("G G", p_intended=1.0, rewards={"G": 2, (2, 0): 5})
    assert world.mdp.reward[1].tolist() == [2, 5, 0, 0]
    for key in ("H", "#", "?", (3, 0), (0, 0, 0), 3):
        with pytest.raises(ValueError, match=r"rewards has .*; expected a sign or a cell"):
            pve.grid_world("G G", rewards={key: 1})


def test_rewards_that_are_no_numbers():
    with pytest.raises(ValueError, match="step_cost is inf; expected a finite number"):
        pve.grid_world("G G", step_cost=np.inf)
    with pytest.raises(
        TypeError, match="reward of 'G' is 'much'; expected a finite number"
    ):
        pve.grid_world("G G", rewards={"G": "much"})


def test_a_lake_of_gymnasium_by_its_map():
    import gymnasium

    env = gymnasium.make("FrozenLake-v1", map_name="8x8", is_slippery=False)
    lake = pve.from_gymnasium(env, 0.9)
    world = pve.grid_world(
        env.unwrapped.desc, p_intended=1.0, discount=0.9, absorbing=True
    ).mdp
    order = [0, 2, 1, 3]  # Gymnasium: left, down, right, up
    np.testing.assert_array_equal(world.transition, lake.transition[:, order])
    np.testing.assert_array_equal(world.reward, lake.reward[:, order])
    np.testing.assert_array_equal(world.start, lake.start)


def test_cells_that_reach_no_goal_are_reported():
    with pytest.warns(UserWarning, match=r"from 2 of 5 cells no goal .* row 1, column 4"):
        pve.grid_world(" G#  \n#H###")
    with pytest.warns(UserWarning, match=r"from 1 of 3 cells no goal .* row 1, column 1"):
        pve.grid_world(" HG")  # only through the hole


@pytest.mark.parametrize("text", [None, 3, b"#G#", [3], [[3]], np.array(3)])
def test_what_is_no_map(text):
    with pytest.raises(TypeError, match=r"^map .*; expected"):
        pve.grid_world(text)


@settings(max_examples=300)
@given(st.text("# .xXFSGHO\n\r\ufeff?", max_size=30))
def test_any_text_is_a_map_or_refused(text):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        try:
            world = pve.grid_world(text)
        except ValueError:
            return
    check_is_mdp(world.mdp)
    assert len(world.xy) == (~world.walls).sum() == world.mdp.num_states


@st.composite
def maps(draw):
    """The rows of a map with a goal, and the same map as people write it."""
    width, height = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    row = st.text("# .xXFSGHO", min_size=width, max_size=width)
    rows = draw(st.lists(row, min_size=height, max_size=height))
    y, x = draw(st.integers(0, height - 1)), draw(st.integers(0, width - 1))
    rows[y] = rows[y][:x] + "G" + rows[y][x + 1 :]
    if all(row[0] == " " for row in rows):  # which would be an indentation
        rows[0] = "." + rows[0][1:]
    form = draw(st.sampled_from(["text", "file", "rows", "signs", "bytes"]))
    if form == "rows":
        return rows, rows
    if form == "signs":
        return rows, [list(row) for row in rows]
    if form == "bytes":  # as Gymnasium's lakes have it
        return rows, np.array([list(row) for row in rows], "S1")
    end = draw(st.sampled_from(["\n", "\r\n", "\r"]))
    blank = draw(st.sampled_from(["", end, end + end]))
    # Spaces that all lines begin with are cells unless floor has a sign, or walls follow.
    floor = any(sign in "".join(rows) for sign in ".F")
    indent = " " * draw(st.integers(0, 3)) if floor else ""
    text = end.join(indent + row for row in rows)
    mark = "\ufeff" if form == "file" else ""
    return rows, mark + blank + text + blank


WRONG = {
    "p_intended": [-0.1, 1.5, np.nan, "0.8", None, True],
    "discount": [1, -1, np.nan, "0.9", None],
    "absorbing": [1, "yes", None],
    "step_cost": [np.inf, np.nan, "0.1", None],
    "rewards": [{"?": 1}, {"#": 1}, {(9, 9): 1}, {"G": np.nan}, {"G": "much"}, [1], 3],
    "sparse": [1, "yes"],
    "text": [None, 3, "", "S", "G\tG", "G\n..", ["G", 3], "G?"],
}


def by_moves(rows, settings):
    """Reward and transition of rows of signs, one move at a time."""
    signs = {(x, y): c for y, row in enumerate(rows) for x, c in enumerate(row)}
    signs = {cell: c for cell, c in signs.items() if c not in "#xX"}
    cells = sorted(signs, key=lambda cell: cell[::-1])
    alike = {".": " ", "F": " ", "O": "H"}
    told = {"G": 1.0} | {alike.get(key, key): r for key, r in settings["rewards"].items()}
    ends = "HO" + "G" * settings["absorbing"]
    reward, transition = np.zeros((len(cells), 4)), np.zeros((len(cells), 4, len(cells)))
    for s, (x, y) in enumerate(cells):
        for action in range(4):
            if signs[x, y] in ends:
                transition[s, action, s] = 1
                continue
            reward[s, action] = -settings["step_cost"]
            for happening, (dx, dy) in enumerate(MOVES.values()):
                p = settings["p_intended"]
                chance = p if happening == action else (1 - p) / 3
                after = (x + dx, y + dy) if (x + dx, y + dy) in signs else (x, y)
                sign = alike.get(signs[after], signs[after])
                transition[s, action, cells.index(after)] += chance
                reward[s, action] += chance * told.get(after, told.get(sign, 0.0))
    starts = np.array([signs[cell] == "S" for cell in cells], float)
    return reward, transition, starts


@settings(max_examples=150)
@given(
    maps(),
    st.fixed_dictionaries({
        "p_intended": st.sampled_from([0, 0.25, 0.8, np.float64(1)]),
        "discount": st.sampled_from([0, 0.5, 0.99, 0.999999, 1 - 1e-9]),
        "absorbing": st.booleans(),
        "step_cost": st.sampled_from([0, 0.04, -1, 1e10]),
        "rewards": st.sampled_from([{}, {"G": -2}, {"G": 3, "F": -0.1}]),
        "sparse": st.sampled_from([None, False, True]),
    }),
    st.booleans(),
    st.sampled_from([None] * 9 + list(WRONG)),
    st.data(),
)  # fmt: skip
def test_any_map_by_single_moves(drawn, options, by_cell, wrong, data):
    """Signs, forms of files, slips, costs, rewards, ends, starts and discounts."""
    rows, text = drawn
    there = {" ", ".", "F"} & set("".join(rows))
    rewards = {k: r for k, r in options["rewards"].items() if k != "F" or there}
    if by_cell:
        y = next(y for y, row in enumerate(rows) if "G" in row)
        rewards[rows[y].index("G"), y] = 7
    options = {**options, "rewards": rewards}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        if wrong is not None:
            given_ = {"text": text, **options}
            given_[wrong] = data.draw(st.sampled_from(WRONG[wrong]))
            with pytest.raises((ValueError, TypeError), match="expected"):
                pve.grid_world(**given_)
            return
        world = pve.grid_world(text, **options)
    mdp, (reward, transition, starts) = world.mdp, by_moves(rows, options)
    assert world.text == "\n".join(rows)
    dense = check_is_mdp(mdp)
    np.testing.assert_allclose(dense.transition, transition, rtol=0, atol=1e-15)
    np.testing.assert_allclose(dense.reward, reward, rtol=1e-14, atol=1e-14)
    if starts.any():
        np.testing.assert_array_equal(mdp.start, starts / starts.sum())
    else:
        assert mdp.start is None

    def backup(value):
        later = transition @ np.stack([value, np.abs(value)], -1) * options["discount"]
        return reward + later[..., 0], np.abs(reward) + later[..., 1]

    check_optimum(mdp, np.ones(reward.shape, bool), backup)


@pytest.mark.parametrize("p_intended", [-0.1, 1.1, float("nan")])
def test_illegal_probabilities(p_intended):
    with pytest.raises(ValueError, match=r"p_intended is .*; expected a number in"):
        pve.four_rooms(p_intended=p_intended)


def test_illegal_discount():
    with pytest.raises(ValueError, match="discount is 1; expected"):
        pve.four_rooms(discount=1.0)


@pytest.mark.parametrize("settings", [{}, {"absorbing": True}, {"p_intended": 0.3}])
@pytest.mark.parametrize("text", [FOUR_ROOMS, "S  H\n  #G\n....\n"])
def test_a_large_map_is_sparse_and_the_same_world(text, settings):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        dense = pve.grid_world(text, step_cost=0.1, **settings).mdp
        sparse = pve.grid_world(text, step_cost=0.1, sparse=True, **settings).mdp
    assert isinstance(sparse, pve.SparseMDP)
    np.testing.assert_allclose(sparse.dense().transition, dense.transition, atol=1e-15)
    np.testing.assert_allclose(sparse.reward, dense.reward, atol=1e-15)
    np.testing.assert_array_equal(sparse.start, dense.start)


def test_what_is_too_large_for_an_array_is_made_sparse():
    side = 40  # 1600² · 4 is above 2²³
    world = pve.grid_world("\n".join([" " * side] * (side - 1) + [" " * (side - 1) + "G"]))
    assert isinstance(world.mdp, pve.SparseMDP)
    assert world.mdp.num_states == side**2


@pytest.mark.parametrize("absorbing", [1, 0, "yes", np.int64(1), None])
def test_absorbing_is_true_or_false(absorbing):
    with pytest.raises(TypeError, match=r"absorbing is .*; expected true or false"):
        pve.grid_world("S G", absorbing=absorbing)


@pytest.mark.parametrize("rewards", [[1], "G", 3])
def test_rewards_are_a_mapping(rewards):
    with pytest.raises(TypeError, match=r"rewards is a .*; expected a mapping"):
        pve.grid_world("S G", rewards=rewards)


@pytest.mark.parametrize("chance", ["0.8", None, True, [0.8]])
def test_a_chance_is_a_number(chance):
    with pytest.raises(TypeError, match=r"p_intended is .*; expected a number in \[0, 1\]"):
        pve.grid_world("S G", p_intended=chance)


def test_lines_as_files_give_them():
    lines = ["\ufeffS #\n", ". G\r\n"]
    for given_ in (lines, "".join(lines), "S #\r. G\r", "S #\n. G"):
        assert pve.grid_world(given_).text == "S #\n. G"
