"""What the book's first page says: one model's plan, and what the paper found."""

from __future__ import annotations

import math
from typing import Any

from pve.book.models import impossible_moves
from pve.experiments import capacity, diameter
from pve.mdp.core import MDP
from pve.mdp.planning import performance, policy_iteration

GOOD = 0.8  # a plan worth more than this share of the best is a good one
RANK = 20  # of the published plans that the page quotes


def published() -> dict[str, str]:
    """The published numbers that the page quotes, with their errors, by name."""
    found = {}
    for order, name in ((1, "1"), (math.inf, "inf")):
        mean, error = diameter.PUBLISHED[order]
        found[f"diameter-{name}"] = f"{mean:.2f} ± {error:.2f}"
    for mode in ("deterministic", "stochastic"):
        mean, error = capacity.PUBLISHED[mode][RANK]
        found[f"plan-{mode}"] = f"{mean:g} ± {error:g}"
    return found


def verdict(covered: float) -> str:
    """What the page says of a plan that was made in a model.

    Args:
      covered: the share of the best plan's worth that it has in the world.
    """
    if covered > GOOD:
        return (
            "Yet the plan made there, carried out in the world, is worth "
            f"{covered:.1%} of the best"
        )
    return (
        f"The plan made there is worth {covered:.1%} of the best: this page was built with "
        "a training too short to show more"
    )


def facts(model: MDP, env: MDP) -> dict[str, Any]:
    """All that the page's prose says, by name.

    Args:
      model: a trained model.
      env: the world.
    """
    best = policy_iteration(env)[0].mean()
    return published() | {
        "verdict": verdict(float(performance(model, env) / best)),
        "leaps": impossible_moves(model, env),
    }
