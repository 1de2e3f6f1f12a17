"""A world of the reader's own, for the chapter that brings worlds to the library.

The chapter's parameters ``env`` and ``discount`` name it, as the command line's options
do; what the chapter asks of its own worlds is then asked of this one alone.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping
from typing import Any

import matplotlib.pyplot as plt
import numpy as np

from pve.book import text
from pve.figures import drawing, style
from pve.mdp.core import MDP
from pve.mdp.simulation import assess_plan
from pve.worlds import by_name
from pve.worlds.gridworld import GOAL, GridWorld

LARGEST = 10_000_000  # probabilities of a model that the chapter's trainings can hold
LISTED = 30  # states in a table
# Gymnasium's grids number left, right, down and up otherwise.
MOVES = {"FrozenLakeEnv": (0, 2, 1, 3), "CliffWalkingEnv": (3, 1, 2, 0)}


@dataclasses.dataclass(frozen=True, eq=False)
class OwnWorld:
    """A world that a parameter named.

    Attributes:
      name: the parameter ``env``.
      mdp: the MDP.
      xy: ``[cells, 2]``, the column and the row of the first states; None without a map.
      walls: ``[height, width]``; None without a map.
      moves: the actions in the order left, right, down, up.
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

    def lacks(self, what: str) -> str:
        """What the chapter says where a part of it does not apply to the world."""
        return f"Does not apply to `{self.name}`: {what}."

    def greeting(self) -> str:
        """What the chapter says first."""
        mdp = self.mdp
        return (
            f"**This run analyses `{self.name}`**: states: {mdp.num_states}, "
            f"actions: {mdp.num_actions}, γ = {mdp.discount:g}. The text speaks of the "
            "book's five worlds; the tables and figures are those of this one, and where a "
            "part does not apply to it, its output says so."
        )

    def draw(self, value: np.ndarray, plan: np.ndarray) -> bool:
        """Draw a value and a plan on the world's map, if it has one."""
        if self.xy is None or self.walls is None:
            return False
        picture, cells = np.full(self.walls.shape, np.nan), len(self.xy)
        picture[self.xy[:, 1], self.xy[:, 0]] = value[:cells]
        _, ax = style.new_figure(1, 1, figsize=(5.2, 4))
        drawing.draw_map(picture, self.walls, ax, label="$v_*$", cmap="Wistia")
        stay = self.mdp.transition[range(cells), :, range(cells)]
        moving = (stay < 1).any(-1)
        actions = plan[:cells, list(self.moves)]
        if moving.any():
            drawing.draw_arrows(actions[moving], self.xy[moving], ax, color=style.BLACK)
        plt.show()
        return True

    def table(self, value: np.ndarray, plan: np.ndarray) -> str:
        """A value and a plan as a table, the states with the highest values first."""
        mdp, shown = self.mdp, np.argsort(-value, kind="stable")[:LISTED]
        states = mdp.state_names or tuple(map(str, range(mdp.num_states)))
        actions = mdp.action_names or tuple(map(str, range(mdp.num_actions)))
        rows = [
            [_cell(states[s]), f"{value[s] + 0.0:.4g}", _cell(actions[plan[s].argmax()])]
            for s in shown
        ]
        left = mdp.num_states - len(rows)
        more = f"\n\n({left} states of lower value are not listed.)" if left else ""
        return text.table(["state", "$v_*$", "action"], rows) + more

    def confusion(self, twins: np.ndarray, far: float) -> str:
        """What the chapter says of states that a model may take for one another."""
        names = self.mdp.state_names or tuple(map(str, range(self.mdp.num_states)))
        shown = [_cell(names[s]) for s in twins[:LISTED]]
        more = ", …" if len(twins) > LISTED else ""
        return (
            f"In `{self.name}` {len(twins)} states are worth the same under each of the "
            f"policies: {', '.join(shown)}{more}. A model that takes all of them for the "
            f"last has loss zero to rounding, at a distance of {far:.2f} from the world."
        )


def _cell(word: str) -> str:
    return word.replace("|", "\\|")


def read(env: str | None, discount: float | None) -> OwnWorld | None:
    """The world of the chapter's parameters; None if there is none.

    Args:
      env: ``map:FILE``, ``npz:FILE``, ``gymnasium:NAME`` or ``four-rooms``, with options
        after a question mark; None for the book's worlds.
      discount: its discount; None leaves that of the name or the file.

    Raises:
      ValueError: the name, the file, the discount or the world's size is not legal.
      TypeError: the name is no text.
    """
    if env is None:
        if discount is not None:
            raise ValueError(
                f"discount is {discount!r} without env; legal is that of a world of your "
                "own, env"
            )
        return None
    name = env
    if discount is not None and isinstance(env, str):
        name = by_name.with_discount(env, discount)
    mdp = by_name.make_environment(name)
    if mdp.transition.size > LARGEST:
        raise ValueError(
            f"environment {name!r} has {mdp.num_states} states and {mdp.num_actions} "
            f"actions: a model is {mdp.transition.size:,} numbers; legal in this chapter "
            f"are {LARGEST:,}, as many models are trained"
        )
    grid = by_name.map_of(name)
    if grid is not None:
        goals = map_goals(grid)
        return OwnWorld(name, mdp, grid.xy, grid.walls, (0, 1, 2, 3), goals, {})
    toy = by_name.gymnasium_of(name)
    if toy is None:
        return OwnWorld(name, mdp, None, None, (), np.arange(0), {})
    bare = toy.unwrapped
    plain = _plain(bare.P, mdp)
    toys = {name: toy} if plain else {}
    goals = table_goals(bare.P, mdp) if plain else np.arange(0)
    moves = MOVES.get(type(bare).__name__)
    if moves is None:
        return OwnWorld(name, mdp, None, None, (), goals, toys)
    height, width = bare.shape if hasattr(bare, "shape") else (bare.nrow, bare.ncol)
    xy = np.stack(np.divmod(np.arange(height * width), width)[::-1], -1)
    return OwnWorld(name, mdp, xy, np.zeros((height, width), bool), moves, goals, toys)


def map_goals(grid: GridWorld) -> np.ndarray:
    """The states of a grid world's goals, increasing."""
    lines = grid.text.split("\n")
    return np.flatnonzero([lines[y][x] == GOAL for x, y in grid.xy])


def table_goals(table: Mapping[int, Any], mdp: MDP) -> np.ndarray:
    """The states where the best paid of all outcomes that end an episode lead.

    Args:
      table: ``table[s][a]``, outcomes as Gymnasium lists them.
      mdp: what `pve.from_gymnasium` made of it: where the table goes on from the state that
        an ending outcome enters, its goal is the end state, which was added.

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


def constant_plans(mdp: MDP) -> list[np.ndarray]:
    """The policies that always take one action, of the actions legal everywhere."""
    plans = np.eye(mdp.num_actions)
    legal = np.ones(mdp.num_actions, bool) if mdp.legal is None else mdp.legal.all(0)
    return [np.tile(plans[a], (mdp.num_states, 1)) for a in np.flatnonzero(legal)]


def assessment_rows(
    world: str,
    mdp: MDP,
    goals: np.ndarray,
    plans: Mapping[str, list[np.ndarray]],
    score: Callable[[str, np.ndarray], float],
) -> list[list[str]]:
    """The rows of one world in the chapter's table on what plans are good for.

    Args:
      world: its name.
      mdp: the world.
      goals: its goals, states.
      plans: plans by what they are called; of several the medians are shown.
      score: the normalised performance of a plan in the world of a name.
    """
    rows = []
    for called, several in plans.items():
        found = [(score(world, plan), *assess_plan(plan, mdp, goals)) for plan in several]
        performance, start, reached, share = np.median(found, axis=0)
        rows.append(
            [
                world,
                called,
                "—" if np.isnan(performance) else f"{performance:.2f}",
                f"{start + 0.0:.4g}",
                "—" if np.isnan(reached) else f"{reached:.0%}",
                f"{share:.0%}",
            ]
        )
    return rows


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


def twins(values: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """The largest set of states that are worth the same under each of some policies.

    Args:
      values: ``[N, S]``, the values of the policies.
      tolerance: by how much, as a share of the largest value, two may differ.

    Returns:
      The states, increasing; fewer than two if all differ.
    """
    values = np.asarray(values, np.float64)
    slack, best = tolerance * np.abs(values).max(), np.arange(0)
    for state in range(values.shape[-1]):
        same = (np.abs(values - values[:, state, None]) <= slack).all(0)
        best = max(best, np.flatnonzero(same), key=len)
    return best if len(best) > 1 else best[:0]


def answers(
    *,
    kept: float,
    plans: np.ndarray,
    taught: np.ndarray,
    loss_left: float,
    crude_kept: float,
    crude_plan: float,
    rank: int | None,
) -> str:
    """The chapter's questions and what they came to, a table in Markdown.

    Args:
      kept: the spread of trained models, as a share of that of drawn ones.
      plans: their normalised performances; NaN where all policies are worth the same.
      taught: those of models trained on improvement paths.
      loss_left: the loss at the end, as a share of that at the first step.
      crude_kept: as ``kept``, with rewards as they come.
      crude_plan: their median performance.
      rank: the smallest rank that plans within 0.05 of the full model, if any does.
    """
    if np.isnan(plans).any():
        planning = training = "does not apply: the uniform policy is optimal"
        smallest = plain = planning
    else:
        planning, training = map(_spread, (plans, taught))
        plain = f"{crude_kept:.0%} of the spread kept, median performance {crude_plan:.2f}"
        smallest = "none of those tried" if rank is None else str(rank)
    rows = [
        ["How far apart do trained models end?", f"{kept:.0%} of the spread kept"],
        ["Does planning in them work?", planning],
        ["… trained on improvement paths?", training],
        ["Is the training done?", f"{loss_left:.2g} of the first loss is left"],
        ["… with rewards as they come?", plain],
        ["The smallest rank that plans within 0.05 of the full model", smallest],
    ]
    return text.table(["question", "answer"], rows)


def _spread(performances: np.ndarray) -> str:
    low, middle, high = np.quantile(performances, (0, 0.5, 1))
    return f"performance {middle:.2f} ({low:.2f} to {high:.2f})"


def inverse_deviation(values: np.ndarray) -> float:
    """1 over the standard deviation of values; 1 where all are equal to rounding."""
    deviation = float(np.std(values))
    equal = deviation <= 1e-12 * float(np.abs(values).max())
    return 1.0 if equal else 1 / deviation
