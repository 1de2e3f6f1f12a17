"""What the book's first page says of one model and its plan."""

from __future__ import annotations

from typing import Any

import xarray as xr

from pve.book.models import impossible_moves
from pve.book.spreads import column
from pve.experiments import capacity, diameter
from pve.mdp.core import MDP
from pve.mdp.planning import performance, policy_iteration

GOOD = 0.8  # a plan worth more than this share of the best is a good one


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
    return {
        "verdict": verdict(float(performance(model, env) / best)),
        "leaps": impossible_moves(model, env),
    }


def coverage(wide: xr.Dataset, plan: xr.Dataset) -> str:
    """How much of both experiments has been computed at the published size, in words.

    Args:
      wide: of the diameter experiment.
      plan: of the capacity experiment.
    """
    parts = []
    for results, along, of in (
        (wide, "order", diameter.preset("paper")),
        (plan, "rank", capacity.preset("paper")),
    ):
        finished = results.performance.isel(step=-1).notnull()
        others = [name for name in finished.dims if name not in (along, "run")]
        runs = finished.all(others).sum("run")
        counts = [int(x) for x in runs]
        counts = counts if len(set(counts)) > 1 else counts[:1]
        values = " and ".join(map(column, results[along].values))
        parts.append(
            f"{along}s {values} of {len(getattr(of, f'{along}s'))}, with "
            f"{' and '.join(map(str, counts))} of {of.runs} runs"
        )
    return "; ".join(parts)
