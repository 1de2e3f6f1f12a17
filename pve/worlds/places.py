"""Worlds by name, with what their sources know besides the MDP: the map and the goals."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping
from typing import Any

import numpy as np

from pve.mdp.core import MDP
from pve.worlds import by_name
from pve.worlds.gridworld import ACTION_NAMES, GOAL, GridWorld
from pve.worlds.tables import END

# Gymnasium's grids number left, right, down and up differently.
MOVES = {"FrozenLakeEnv": (0, 2, 1, 3), "CliffWalkingEnv": (3, 1, 2, 0)}


@dataclasses.dataclass(frozen=True, eq=False)
class Place:
    """A world that has a name.

    Attributes:
      name: as `pve.worlds.by_name` reads it.
      mdp: the MDP; with a map, its states and actions are named after it.
      xy: ``[cells, 2]``, the column and the row of the first states; None without a map.
      walls: ``[height, width]``; None without a map.
      moves: the actions in the order left, right, down, up; empty without a map.
      goals: the states that are goals, if any are known to be.
      toys: its Gymnasium environment by its name, if its table is numbered as the MDP is
        and its starts are known; else empty.
    """

    name: str
    mdp: MDP
    xy: np.ndarray | None
    walls: np.ndarray | None
    moves: tuple[int, ...]
    goals: np.ndarray
    toys: Mapping[str, Any]


def find_place(name: str, discount: float | None = None) -> Place:
    """Make an environment by name, with its map and its goals where they are known.

    Args:
      name: see `pve.worlds.by_name.make_environment`.
      discount: γ; None keeps that of the name or the file.

    Returns:
      The place.

    Raises:
      ValueError: the name, an option, the file, the map or the discount is not legal.
      TypeError: the name is not a string.
    """
    if discount is not None and isinstance(name, str):
        name = by_name.with_discount(name, discount)
    mdp = by_name.make_environment(name)
    grid = by_name.map_of(name)
    if grid is not None:
        own = tuple(range(len(ACTION_NAMES)))
        mdp = _named(mdp, grid.xy, own)
        return Place(name, mdp, grid.xy, grid.walls, own, map_goals(grid), {})
    toy = by_name.gymnasium_of(name)
    if toy is None:
        return Place(name, mdp, None, None, (), np.arange(0), {})
    bare = toy.unwrapped
    plain = _plain(bare.P, mdp)
    toys = {name: toy} if plain else {}
    goals = table_goals(bare.P, mdp) if plain else np.arange(0)
    moves = MOVES.get(type(bare).__name__)
    if moves is None:
        return Place(name, mdp, None, None, (), goals, toys)
    height, width = bare.shape if hasattr(bare, "shape") else (bare.nrow, bare.ncol)
    xy = np.stack(np.divmod(np.arange(height * width), width)[::-1], -1)
    mdp = _named(mdp, xy, moves)
    return Place(name, mdp, xy, np.zeros((height, width), bool), moves, goals, toys)


def _named(mdp: MDP, xy: np.ndarray, moves: tuple[int, ...]) -> MDP:
    """An MDP on a map, its states and actions named by cell and move if they have no names.

    Cells are counted from 1, as a text file's lines and columns are; a state after them is
    an end that was added.
    """
    cells = [f"row {y + 1}, column {x + 1}" for x, y in xy]
    ends = [END] * (mdp.num_states - len(cells))
    actions = [ACTION_NAMES[moves.index(a)] for a in range(mdp.num_actions)]
    return dataclasses.replace(
        mdp,
        state_names=mdp.state_names or tuple(cells + ends),
        action_names=mdp.action_names or tuple(actions),
    )


def map_goals(grid: GridWorld) -> np.ndarray:
    """The states of a grid world's goals, increasing."""
    lines = grid.text.split("\n")
    return np.flatnonzero([lines[y][x] == GOAL for x, y in grid.xy])


def table_goals(table: Mapping[int, Any], mdp: MDP) -> np.ndarray:
    """The states to which the best-paid outcomes that end an episode lead.

    Args:
      table: ``table[s][a]``, outcomes as Gymnasium lists them.
      mdp: what `pve.from_gymnasium` made of it; where the table goes on from the state that
        an ending outcome enters, the goal is the end state that was added.

    Returns:
      The states, increasing; none if no outcome ends.
    """
    ends = [
        (float(gain), int(following))
        for row in table.values()
        for outcomes in row.values()
        for chance, following, gain, ended in outcomes
        if ended and chance > 0
    ]
    best = max((gain for gain, _ in ends), default=0.0)
    entered = np.array(sorted({s for gain, s in ends if gain == best}), int)
    stays = (mdp.transition[entered, :, entered] == 1).all(-1) & ~mdp.reward[entered].any(
        -1
    )
    return np.unique(np.where(stays, entered, mdp.num_states - 1))


def _plain(table: Any, mdp: MDP) -> bool:
    """Whether a table is numbered as its MDP, with all actions everywhere and a start."""
    numbers = list(range(mdp.num_actions))
    return (
        isinstance(table, Mapping)
        and sorted(table) == list(range(len(table)))
        and all(isinstance(row, Mapping) for row in table.values())
        and all(sorted(row) == numbers for row in table.values())
        and mdp.start is not None
    )
