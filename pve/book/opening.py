"""What the book's first page says of one model and its plan."""

from __future__ import annotations

from typing import Any

import xarray as xr

from pve.book import published
from pve.book.models import impossible_moves
from pve.book.spreads import column
from pve.book.text import or_dash, table, with_error
from pve.experiments import capacity, diameter
from pve.mdp.core import MDP
from pve.mdp.planning import performance, policy_iteration
from pve.results.endings import group_diameters

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


def findings_table(wide: xr.Dataset, plan: xr.Dataset) -> str:
    """What was published, and what has been computed at the same size, in Markdown.

    Args:
      wide: of the diameter experiment, orders with groups of 20 runs.
      plan: of the capacity experiment.

    Returns:
      A row for each order or rank and set of which both are known.
    """
    header = ["", "published", "ours", "our runs", "standard errors apart"]
    rows, of = [], diameter.preset("paper").runs
    ours = group_diameters(wide).dropna("order", subset=["mean"])
    for order in ours.order.values:
        mine = ours.sel(order=order)
        runs = int(_finished(wide, "order").sel(order=order))
        rows.append(
            [
                f"diameter, order {column(order)}",
                with_error(*diameter.PUBLISHED[order], 2),
                with_error(float(mine["mean"]), float(mine["error"]), 2),
                f"{runs} of {of}",
                or_dash(published.apart(wide, order)),
            ]
        )
    of = capacity.preset("paper").runs
    for rank in plan["rank"].values:
        said, runs = (
            published.plans(plan, rank),
            int(_finished(plan, "rank").sel(rank=rank)),
        )
        rows += [
            [
                f"plan, rank {rank}, {mode} policies",
                said[f"published-{mode}"],
                said[f"own-{mode}"],
                f"{runs} of {of}",
                or_dash(said[f"apart-{mode}"]),
            ]
            for mode, values in capacity.PUBLISHED.items()
            if rank in values
        ]
    return table(header, rows, align="lrrrr")


def left_open(wide: xr.Dataset, plan: xr.Dataset) -> str:
    """Of which orders and ranks nothing has been computed at the published size, in words.

    Args:
      wide: of the diameter experiment.
      plan: of the capacity experiment.
    """
    parts = []
    for results, along, settings in (
        (wide, "order", diameter.preset("paper")),
        (plan, "rank", capacity.preset("paper")),
    ):
        runs = _finished(results, along)
        known = [value for value in results[along].values if int(runs.sel({along: value}))]
        rest = [column(x) for x in getattr(settings, f"{along}s") if x not in known]
        if rest:
            parts.append(
                f"{along}s {', '.join(rest)}" if rest[1:] else f"{along} {rest[0]}"
            )
    return " and ".join(parts) or "nothing"


def _finished(results: xr.Dataset, along: str) -> xr.DataArray:
    """The number of runs that are finished under all other conditions."""
    finished = results.performance.isel(step=-1).notnull()
    others = [name for name in finished.dims if name not in (along, "run")]
    return finished.all(others).sum("run")
