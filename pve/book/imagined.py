"""What the page on one trained model says: its transitions, its values, its plan."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pve.book.text import or_dash, table
from pve.checks import Array
from pve.mdp.bellman import bellman
from pve.mdp.core import MDP, exact
from pve.mdp.planning import policy_iteration, policy_value
from pve.mdp.simulation import optimal_action_share


def plan_facts(model: MDP, env: MDP) -> dict[str, Any]:
    """How good a model's plan is, and what its departures cost.

    Args:
      model: the model.
      env: the environment.

    Returns:
      The percentage of states in which the plan's action is optimal; the median cost of
      an action that is not; and the median gap between a state's best action and its
      worst.
    """
    env = exact(env)
    best, plan = policy_iteration(env)[0], policy_iteration(model)[1]
    of_actions = env.reward + env.discount * env.expect(best)
    cost = best - (plan * of_actions).sum(-1)
    wrong = cost > 1e-9 * np.abs(of_actions).max()
    return {
        "agree": 100 * float(optimal_action_share(model, env)),
        "cost": float(np.median(cost[wrong])) if wrong.any() else 0.0,
        "gap": float(np.median(np.ptp(of_actions, axis=-1))),
    }


class Moves(NamedTuple):
    """Where a model's transitions lead; means over all states and actions.

    Attributes:
      beyond: the probability of cells that no action of the world reaches.
      stay: the probability of staying.
      length: how many cells a move covers.
      from_start: how many cells one move reaches from the start with more than 1 %.
    """

    beyond: float
    stay: float
    length: float
    from_start: int


def moves(model: MDP, env: MDP, xy: Array, start: int) -> Moves:
    """Describe transitions on a map.

    Args:
      model: the model; the environment may be described, too.
      env: the environment, whose actions say which cells are near.
      xy: ``[S, 2]``, columns and rows.
      start: a state.
    """
    p, near = exact(model).transition, exact(env).transition.max(1) > 0
    xy = np.asarray(xy)
    far = np.abs(xy[:, None] - xy).sum(-1)
    return Moves(
        float((p * ~near[:, None]).sum(-1).mean()),
        float(np.einsum("sas->sa", p).mean()),
        float((p * far[:, None]).sum(-1).mean()),
        int((p[start].max(0) > 0.01).sum()),
    )


def moves_table(world: Moves, model: Moves) -> str:
    """Moves of the world and of a model side by side, a table in Markdown.

    Args:
      world: of the environment.
      model: of the model.
    """
    rows: list[list[Any]] = [
        ["probability of cells that no action reaches", *_percent(world, model, "beyond")],
        ["probability of staying", *_percent(world, model, "stay")],
        ["cells that a move covers", f"{world.length:.2f}", f"{model.length:.2f}"],
        [
            "cells that one move from the corner reaches, above 1 %",
            world.from_start,
            model.from_start,
        ],
    ]
    return table(["", "environment", "model"], rows, align="lrr")


def _percent(world: Moves, model: Moves, field: str) -> list[str]:
    return [f"{100 * getattr(x, field):.0f} %" for x in (world, model)]


class Compared(NamedTuple):
    """Values of a set of policies; root mean squares over policies and states.

    Attributes:
      size: of the true values.
      error: of the model's.
      before: of the untrained model's.
      residual: of the model, at the true values.
      correlation: between the policies' mean values in the model and the true ones; NaN
        of one policy.
      largest: absolute error of a value.
    """

    size: float
    error: float
    before: float
    residual: float
    correlation: float
    largest: float


def compared(model: MDP, untrained: MDP, env: MDP, policies: Array) -> Compared:
    """Compare a model's values with the true ones.

    Args:
      model: the model.
      untrained: the model as it was before training.
      env: the environment.
      policies: ``[B, S, A]``.
    """
    true, found, old = (policy_value(m, policies) for m in (env, model, untrained))
    left = np.asarray(bellman(model, policies, true), np.float64) - true
    return Compared(
        size=_rms(true),
        error=_rms(found - true),
        before=_rms(old - true),
        residual=_rms(left),
        correlation=float(np.corrcoef(true.mean(-1), found.mean(-1))[0, 1])
        if len(true) > 1
        else np.nan,
        largest=float(np.abs(found - true).max()),
    )


def _rms(numbers: np.ndarray) -> float:
    return float(np.sqrt(np.mean(numbers**2)))


def compared_table(found: Mapping[str, Compared]) -> str:
    """A table in Markdown of `compared`.

    Args:
      found: by name of the policies.
    """
    header = [
        "policies", "size of the true values", "error of the model's values",
        "of the untrained model's", "residual of the model",
        "correlation between policies",
    ]  # fmt: skip
    rows = [
        [name, *(f"{x:.2f}" for x in one[:4]), or_dash(one.correlation, 2)]
        for name, one in found.items()
    ]
    return table(header, rows, align="lrrrrr")
