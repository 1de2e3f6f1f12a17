"""Four Rooms and other maps, against a walk written another way."""

import numpy as np
import pytest

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
        with pytest.raises(ValueError, match=r"no state; legal are the free cells"):
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
        ("###\n#G", ["2 to 3", "one length"]),
        ("#x#\n#G#", ["'x'", "'#', ' ' and 'G'"]),
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


@pytest.mark.parametrize("p_intended", [-0.1, 1.1, float("nan")])
def test_illegal_probabilities(p_intended):
    with pytest.raises(ValueError, match=r"p_intended is .*; legal are numbers in"):
        pve.four_rooms(p_intended=p_intended)


def test_illegal_discount():
    with pytest.raises(ValueError, match="discount is 1; legal"):
        pve.four_rooms(discount=1.0)
