"""A world of the reader's own, for the chapter that brings worlds to the library.

The chapter's parameters ``env`` and ``discount`` name it, as the command line's options
do; the chapter then puts its questions to this world alone, not to its own.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np

from pve.book import text
from pve.figures import plan_on_map
from pve.figures.report import by_state
from pve.mdp.core import MDP
from pve.mdp.planning import plan_within
from pve.mdp.simulation import assess_plan, constant_plans
from pve.report.analysis import names_of_actions, names_of_states, states_table
from pve.worlds.places import Place, find_place

LARGEST = 10_000_000  # probabilities of a model that the chapter's trainings can hold
LISTED = 30  # states in a table


class OwnWorld(Place):
    """A world that a parameter named, and what the chapter says of it."""

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
        """Draw a value and a plan on the world's map; without one, a few states as bars.

        Returns:
          Whether anything was drawn.
        """
        if self.xy is not None:
            plan_on_map(self, value, plan)
        elif self.mdp.num_states <= LISTED:
            states = states_table(self.mdp, value, plan)
            by_state(states.sort_values("value", ascending=False, kind="stable"))
        else:
            return False
        plt.show()
        return True

    def table(self, value: np.ndarray, plan: np.ndarray) -> str:
        """A value and a plan as a table, the states with the highest values first."""
        mdp, shown = self.mdp, np.argsort(-value, kind="stable")[:LISTED]
        states, actions = names_of_states(mdp), names_of_actions(mdp)
        rows = [
            [_cell(states[s]), f"{value[s] + 0.0:.4g}", _cell(actions[plan[s].argmax()])]
            for s in shown
        ]
        left = mdp.num_states - len(rows)
        more = f"\n\n({left} states of lower value are not listed.)" if left else ""
        return text.table(["state", "$v_*$", "action"], rows) + more

    def confusion(self, twins: np.ndarray, far: float) -> str:
        """What the chapter says of states that a model may take for one another."""
        names = names_of_states(self.mdp)
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
      discount: its discount; None keeps that of the name or the file.

    Raises:
      ValueError: the name, the file, the discount or the world's size is not legal.
      TypeError: the name is not a string.
    """
    if env is None:
        if discount is not None:
            raise ValueError(
                f"discount is {discount!r} and env is None; expected a world of your "
                "own as env"
            )
        return None
    place = find_place(env, discount)
    mdp = place.mdp
    if mdp.transition.size > LARGEST:
        raise ValueError(
            f"environment {place.name!r} has {mdp.num_states} states and {mdp.num_actions} "
            f"actions: a model is {mdp.transition.size:,} numbers; expected at most "
            f"{LARGEST:,}, as this chapter trains many models"
        )
    return OwnWorld(**{f.name: getattr(place, f.name) for f in dataclasses.fields(place)})


def optima_table(
    worlds: Mapping[str, MDP],
    best: Mapping[str, tuple[np.ndarray, np.ndarray]],
    limits: Mapping[str, tuple[float, float]],
) -> str:
    """What each world is and what can be had in it, a table in Markdown.

    Args:
      worlds: by name.
      best: optimal values and policies.
      limits: mean values of the uniform and of an optimal policy.
    """
    header = [
        "world", "states", "actions", "γ", "rewards", "$v_*$, lowest to highest",
        "mean $v_*$", "mean, uniform policy",
    ]  # fmt: skip
    rows = []
    for name, mdp in worlds.items():
        value = best[name][0] + 0.0  # no minus before a zero
        rows.append(
            [
                name,
                mdp.num_states,
                mdp.num_actions,
                f"{mdp.discount:g}",
                f"{mdp.reward.min():.3g} to {mdp.reward.max():.3g}",
                f"{value.min():.1f} to {value.max():.1f}",
                f"{limits[name][1]:.2f}",
                f"{limits[name][0]:.2f}",
            ]
        )
    return text.table(header, rows).replace(" -0.0 ", " 0.0 ")


def shown_plans(
    mdp: MDP,
    optimal: np.ndarray,
    models: Sequence[MDP],
    worth: Callable[[np.ndarray], float],
) -> dict[str, list[np.ndarray]]:
    """The plans that the chapter compares in a world, by what they are called.

    Args:
      mdp: the world.
      optimal: an optimal policy.
      models: trained models; each plans. There may be none.
      worth: what decides which constant move is the best.
    """
    shown = {"an optimal one": [optimal]}
    constant = constant_plans(mdp)
    if constant:
        shown["the best constant move"] = [max(constant, key=worth)]
    if models:
        plans = [plan_within(model, mdp)[1] for model in models]
        shown["of the models (medians)"] = plans
    return shown


def assessment_table(rows: Sequence[Sequence[str]]) -> str:
    """What plans are good for, a table in Markdown.

    Args:
      rows: of `assessment_rows`.
    """
    header = [
        "world", "plan", "performance", "worth from the start", "reaches the goal",
        "optimal in",
    ]  # fmt: skip
    return text.table(header, rows)


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
      goals: its goal states.
      plans: plans by what they are called; of several the medians are shown.
      score: gives the normalised performance of a plan in the world of a name.
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
      crude_kept: as ``kept``, with unscaled rewards.
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
