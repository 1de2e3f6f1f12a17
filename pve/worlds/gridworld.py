r"""Grid worlds from readable maps, first among them Four Rooms.

A map is lines of ``#``, ``x`` or ``X`` (wall), space, ``.`` or ``F`` (free), ``S`` (free,
and a start), ``G`` (free, and a goal) and ``H`` or ``O`` (a hole, where an episode ends).
States are all cells but walls, numbered row by row from the top. The actions are left,
right, down, up. The intended action happens with probability ``p_intended``, each of the
three others with a third of the rest; a move into a wall or off the map stays put. Every
transition *into* a goal is rewarded with 1, folded into :math:`r(s, a)` by expectation;
by default a goal is not absorbing.

Four Rooms is from Sutton, Precup and Singh (1999); this version, with its map and its
rewards, is the environment of Grimm et al. (2021).
"""

from __future__ import annotations

import dataclasses
import re
import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from scipy.sparse import csr_array

from pve.checks import check_finite, check_share, check_truth
from pve.mdp.core import MDP
from pve.mdp.sparse import SparseMDP, stays_sparse

ACTION_NAMES = ("left", "right", "down", "up")
ACTION_STEPS = np.array([(-1, 0), (1, 0), (0, 1), (0, -1)])  # in x, y; y goes down
WALL, FREE, START, GOAL, HOLE = "#", " ", "S", "G", "H"
SIGNS = {"#": WALL, "x": WALL, "X": WALL, " ": FREE, ".": FREE, "F": FREE} | {
    "S": START, "G": GOAL, "H": HOLE, "O": HOLE
}  # fmt: skip
LEGAL = "expected '#', 'x', 'X' (wall), ' ', '.', 'F' (free), 'S', 'G', 'H' or 'O' (hole)"
ROWS = "expected rows of signs, as words or lists"
LINE_END = re.compile("\r\n|\r|\n")
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
      mdp: the MDP, a `pve.SparseMDP` where the map is large.
      xy: ``[S, 2]``, the column and the row (from the top) of each state.
      walls: ``[height, width]``, true where there is a wall.
      text: the map, its cells alone.
    """

    mdp: Any
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
                f"cell ({x}, {y}) is no state; expected one of the free cells of the "
                f"{width} × {height} map, such as {tuple(map(int, self.xy[0]))}"
            )
        return int(found[0])

    def image(self, values: np.ndarray) -> np.ndarray:
        """Lay values ``[S]`` on the map, ``[height, width]`` with NaN in the walls."""
        picture = np.full(self.walls.shape, np.nan)
        picture[self.xy[:, 1], self.xy[:, 0]] = values
        return picture


def grid_world(
    text: str | Sequence[Any] | np.ndarray,
    *,
    p_intended: float = 0.8,
    discount: float = 0.99,
    absorbing: bool = False,
    step_cost: float = 0.0,
    rewards: Mapping[str | tuple[int, int], float] | None = None,
    sparse: bool | None = None,
) -> GridWorld:
    """Make a grid world from a map.

    Args:
      text: the map, see `pve.worlds.gridworld`: a text or a sequence of rows, such as the
        ``desc`` of Gymnasium's lakes. A byte-order mark, line endings, blank first and last
        lines and an indentation do not count as cells; spaces that all lines begin with are
        an indentation if a wall follows them in each, or if floor has a sign of its own.
      p_intended: the probability that the intended action happens, in [0, 1].
      discount: in [0, 1).
      absorbing: whether a goal ends an episode: all actions stay there, with reward 0, as
        in a hole.
      step_cost: what each move costs, moves out of goals that do not absorb included.
      rewards: for entering, by sign (``"G"``, 1 unless given; ``"H"``, ``"S"``, ``" "``, 0)
        or, taking precedence, by cell (x, y), column and row from 0.
      sparse: whether ``mdp`` is a `pve.SparseMDP`; None makes one if S² A is above 2²³.

    Returns:
      The grid world; its ``mdp.start`` is uniform over the cells ``S``, None without any.

    Raises:
      ValueError: the map is ragged, empty, without a goal or holds another sign, which the
        message gives with its line and column; a number is out of range; or a key of the
        rewards is not on the map.
      TypeError: the map is neither text nor rows, or an argument is of another type.

    Warns:
      UserWarning: there are cells from which no goal can be reached.
    """
    check_share("p_intended", p_intended)
    check_finite("step_cost", step_cost)
    check_truth("absorbing", absorbing)
    cells, text = _parse(text)
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
    signs = cells[rows, columns]
    entering = _entering(signs, xy, rewards)
    ends = (signs == HOLE) | (absorbing & (signs == GOAL))
    _report_lost(next_state, ends, signs, xy)
    starts = (signs == START).astype(float)
    start = starts / starts.sum() if starts.any() else None
    mdp: MDP | SparseMDP
    if stays_sparse(sparse, num_actions * len(xy) ** 2):
        reward = entering[next_state] @ p_action.T - step_cost
        reward[ends], next_state[ends] = 0, np.flatnonzero(ends)[:, None]
        happens = np.broadcast_to(next_state[:, None], (len(xy), *p_action.shape))
        chances = np.broadcast_to(p_action, happens.shape)
        pairs = np.repeat(np.arange(reward.size), num_actions)
        shape = reward.size, len(xy)
        moves = csr_array((chances.ravel(), (pairs, happens.ravel())), shape)
        mdp = SparseMDP(reward, moves, discount, start=start)
    else:
        moves = np.eye(len(xy))[next_state]  # [S, action that happens, S]
        transition = np.einsum("ab,sbt->sat", p_action, moves)
        reward = transition @ entering - step_cost
        reward[ends], transition[ends] = 0, np.eye(len(xy))[ends][:, None]
        mdp = MDP(reward, transition, discount, start=start)
    return GridWorld(mdp, xy, cells == WALL, text)


def count_cells(text: str | Sequence[Any] | np.ndarray) -> int:
    """The number of cells of a map that are not walls, the states of its world.

    Raises:
      ValueError: the map is not legal.
      TypeError: the map is neither text nor rows.
    """
    return int((_parse(text)[0] != WALL).sum())


def _entering(signs: np.ndarray, xy: np.ndarray, rewards: Any) -> np.ndarray:
    """The reward for entering each state."""
    rewards = {} if rewards is None else rewards
    if not isinstance(rewards, Mapping):
        raise TypeError(
            f"rewards is a {type(rewards).__name__}; expected a mapping from signs or "
            "cells (x, y)"
        )
    found = (signs == GOAL).astype(float)
    for key, reward in sorted(rewards.items(), key=lambda item: isinstance(item[0], tuple)):
        if isinstance(key, str) and SIGNS.get(key, WALL) != WALL:
            where = signs == SIGNS[key]
        else:
            where = (xy == key).all(-1) if isinstance(key, tuple) and len(key) == 2 else [0]
        if not np.any(where):
            raise ValueError(
                f"rewards has {key!r}; expected a sign or a cell (x, y) of the map that "
                "is not a wall"
            )
        found[where] = check_finite(f"reward of {key!r}", reward)
    return found


def _report_lost(
    next_state: np.ndarray, ends: np.ndarray, signs: np.ndarray, xy: np.ndarray
) -> None:
    """Warn of cells, holes aside, from which no goal can be reached."""
    reach = signs == GOAL
    while True:
        wider = reach | (reach[next_state].any(1) & ~ends)
        if (wider == reach).all():
            break
        reach = wider
    lost = np.flatnonzero(~reach & (signs != HOLE))
    if len(lost):
        x, y = xy[lost[0]]
        warnings.warn(
            f"map: from {len(lost)} of {len(xy)} cells no goal can be reached, such as row "
            f"{y + 1}, column {x + 1}",
            stacklevel=3,
        )


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


def _parse(text: Any) -> tuple[np.ndarray, str]:
    """The cells by the signs of this module, ``[height, width]``; the map's own lines."""
    lines = _lines(text)  # with their numbers
    width = max((len(line) for _, line in lines if line.strip()), default=0)
    for end in (0, -1):
        while lines and not lines[end][1].strip() and len(lines[end][1]) != width:
            del lines[end]
    indent = min((len(line) - len(line.lstrip(" ")) for _, line in lines), default=0)
    own_floor = any(sign in line for _, line in lines for sign in ".F")
    walled = all(SIGNS.get(line.lstrip(" ")[:1]) == WALL for _, line in lines)
    indent = indent if own_floor or walled else 0
    lines = [(number, line[indent:]) for number, line in lines]
    for number, line in lines:
        for column, sign in enumerate(line, 1 + indent):
            if sign not in SIGNS:
                raise ValueError(
                    f"map holds {sign!r} in line {number}, column {column}; {LEGAL}"
                )
    for number, line in lines:
        if len(line) != len(lines[0][1]):
            raise ValueError(
                f"map has {len(line)} signs in line {number}, {len(lines[0][1])} in line "
                f"{lines[0][0]}; expected lines of one length"
            )
    if not any(GOAL in line for _, line in lines):
        raise ValueError("map has no goal; expected a map with at least one 'G'")
    cells = np.array([[SIGNS[sign] for sign in line] for _, line in lines])
    return cells, "\n".join(line for _, line in lines)


def _lines(text: Any) -> list[tuple[int, str]]:
    """The lines of a text, or of rows of words, characters or bytes, numbered from 1."""
    if isinstance(text, str):
        text = LINE_END.split(text)
    elif isinstance(text, np.ndarray) and text.ndim:
        text = text.tolist()
    if not isinstance(text, Sequence) or isinstance(text, bytes):
        raise TypeError(
            f"map is a {type(text).__name__}; expected a text or a list of rows"
        )
    lines = []
    for number, row in enumerate(text, 1):
        signs = [row] if isinstance(row, str | bytes) else row
        if not isinstance(signs, Sequence):
            raise TypeError(f"map has a {type(row).__name__} as row {number}; {ROWS}")
        words = [s.decode("latin-1") if isinstance(s, bytes) else s for s in signs]
        if words and isinstance(words[0], str) and number == 1:
            words[0] = words[0].removeprefix("\ufeff")
        if words and isinstance(words[-1], str):  # as a file's lines are read
            words[-1] = words[-1].rstrip("\r\n")
        if not all(isinstance(word, str) for word in words):
            raise TypeError(f"map holds no signs in row {number}; {ROWS}")
        lines.append((number, "".join(words)))
    return lines
