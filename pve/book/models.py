"""Trained models as chapters ask for them: many at once, and what they imagine."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np

from pve.mdp.core import MDP
from pve.mdp.planning import policy_iteration
from pve.results.load import load_model


def trained(
    folder: str | Path, orders: Iterable[float], runs: Iterable[int]
) -> dict[float, list[MDP]]:
    """The models at the end of runs of the diameter experiment, by order.

    Args:
      folder: the data folder.
      orders: k of the losses, ``math.inf`` for the proper one.
      runs: which runs of each order.

    Raises:
      ValueError: a run is not there; the message lists some that are.
    """
    runs = list(runs)
    return {
        order: [load_model(folder, "diameter", order=order, run=run) for run in runs]
        for order in orders
    }


def impossible_moves(model: MDP, env: MDP) -> float:
    """The share of a model's moves under its own plan that no action could make.

    Args:
      model: it plans, and imagines the moves; all states count alike.
      env: the world, whose actions say which moves are possible.
    """
    plan = policy_iteration(model)[1].astype(bool)
    possible = np.asarray(env.transition).max(1) > 0
    return float((np.asarray(model.transition)[plan] * ~possible).sum(-1).mean())
