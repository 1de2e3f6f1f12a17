r"""Grid worlds from readable maps, Four Rooms first of all.

A map is lines of ``#`` (wall), space (free) and ``G`` (free, and a goal). States are the
free cells, numbered row by row from the top. The actions are left, right, down, up. The
intended action happens with probability ``p_intended``, each of the three others with a
third of the rest; a move into a wall or off the map stays. Every transition *into* a goal
is rewarded with 1, folded into :math:`r(s, a)` by expectation; a goal is not absorbing.

Four Rooms is from Sutton, Precup and Singh (1999); this version, with its map and its
rewards, is the environment of Grimm et al. (2021).
"""

from __future__ import annotations

import dataclasses

import numpy as np

from pve.checks import check_share
from pve.mdp.core import MDP

ACTION_NAMES = ("left", "right", "down", "up")
ACTION_STEPS = np.array([(-1, 0), (1, 0), (0, 1), (0, -1)])  # in x, y; y goes down
WALL, FREE, GOAL = "#", " ", "G"
FOUR_ROOMS = """\
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


@dataclasses.dataclass(frozen=True, eq=False)
class GridWorld:
    """A grid world: an MDP and where its states lie.

    Attributes:
      mdp: the MDP.
      xy: ``[S, 2]``, the column and the row (from the top) of each state.
      walls: ``[height, width]``, true where there is a wall.
      text: the map.
    """

    mdp: MDP
    xy: np.ndarray
    walls: np.ndarray
    text: str

    def index(self, x: int, y: int) -> int:
        """The state at column ``x`` and row ``y`` (from the top).

        Raises:
          ValueError: the cell is a wall or lies off the map.
        """
        found = np.flatnonzero((self.xy == (x, y)).all(-1))
        if not len(found):
            height, width = self.walls.shape
            raise ValueError(
                f"cell ({x}, {y}) is no state; legal are the free cells of the "
                f"{width} × {height} map, such as {tuple(map(int, self.xy[0]))}"
            )
        return int(found[0])

    def image(self, values: np.ndarray) -> np.ndarray:
        """Lay values ``[S]`` on the map, ``[height, width]`` with NaN in the walls."""
        picture = np.full(self.walls.shape, np.nan)
        picture[self.xy[:, 1], self.xy[:, 0]] = values
        return picture


def grid_world(text: str, *, p_intended: float = 0.8, discount: float = 0.99) -> GridWorld:
    """Make a grid world from a map.

    Args:
      text: lines of ``#`` (wall), space (free) and ``G`` (goal), all of one length.
      p_intended: the probability that the intended action happens, in [0, 1].
      discount: in [0, 1).

    Returns:
      The grid world.

    Raises:
      ValueError: the map is ragged, empty, without a goal or holds another sign, or a
        number is out of range.
    """
    check_share("p_intended", p_intended)
    cells = _parse(text)
    rows, columns = np.nonzero(cells != WALL)
    xy = np.stack([columns, rows], -1)
    state = np.full(cells.shape, -1)
    state[rows, columns] = np.arange(len(xy))

    height, width = cells.shape
    target = xy[:, None] + ACTION_STEPS  # [S, A, 2]
    inside = ((target >= 0) & (target < (width, height))).all(-1)
    x, y = np.where(inside[..., None], target, xy[:, None]).transpose(2, 0, 1)
    next_state = np.where(state[y, x] >= 0, state[y, x], np.arange(len(xy))[:, None])

    num_actions = len(ACTION_STEPS)
    p_action = np.full((num_actions,) * 2, (1 - p_intended) / (num_actions - 1))
    np.fill_diagonal(p_action, p_intended)
    moves = np.eye(len(xy))[next_state]  # [S, happening action, S]
    transition = np.einsum("ab,sbt->sat", p_action, moves)
    reward = transition @ (cells[rows, columns] == GOAL).astype(float)
    return GridWorld(MDP(reward, transition, discount), xy, cells == WALL, text)


def four_rooms(p_intended: float = 0.8, discount: float = 0.99) -> GridWorld:
    """The Four Rooms environment of Grimm et al. (2021): 104 states, 4 actions.

    Args:
      p_intended: the probability that the intended action happens, in [0, 1].
      discount: in [0, 1).

    Returns:
      The grid world, its ``.mdp`` in float64.

    >>> import pve
    >>> rooms = pve.four_rooms()
    >>> rooms.mdp.num_states, rooms.mdp.num_actions
    (104, 4)
    >>> value, policy = pve.policy_iteration(rooms.mdp)
    >>> print(f"{value.mean():.5f}")
    72.89057
    """
    return grid_world(FOUR_ROOMS, p_intended=p_intended, discount=discount)


def _parse(text: str) -> np.ndarray:
    lines = text.strip("\n").split("\n")
    widths = {len(line) for line in lines}
    if len(widths) > 1:
        raise ValueError(
            f"map has lines of {min(widths)} to {max(widths)} signs; legal are lines of "
            "one length"
        )
    cells = np.array([list(line) for line in lines])
    strange = sorted(set(cells.ravel()) - {WALL, FREE, GOAL})
    if strange:
        raise ValueError(f"map holds {strange[0]!r}; legal are '#', ' ' and 'G'")
    if not (cells == GOAL).any():
        raise ValueError("map has no goal; legal is a map with at least one 'G'")
    return cells
