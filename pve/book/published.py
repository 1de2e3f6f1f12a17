"""What the pages say of results at the published size, beside what was published."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import xarray as xr

from pve.book.text import or_dash, table, with_error
from pve.equivalence.distances import GROUP_OF_RUNS
from pve.experiments import capacity, diameter
from pve.results.endings import final_losses, group_diameters

POOR = 0.5  # of the optimum: a plan that is worth less is a poor one


def plans(results: xr.Dataset, rank: int) -> dict[str, Any]:
    """What the page on capacity says of the plans of one rank.

    Args:
      results: of the capacity experiment, with a finished run of each set.
      rank: of the models.

    Returns:
      Of each policy set the published mean and error and ours as texts, how many joint
      standard errors lie between them, and how many plans end below half of the optimum;
      after the first evaluation the worst plan and by how much the mean of the stochastic
      ones is lower; how many standard errors of ours lie between the two sets; of the
      stochastic run whose plan gained most in the last tenth, from what and to what it
      rose; of the one that ends worst its plan's value after the first evaluation and at
      the end, and by what factor its loss fell meanwhile; and between what values the plan
      of the least steady deterministic run moves in the second half.
    """
    values = results.performance.sel(rank=rank).dropna("run")
    steps = values.step.values
    first, last = (values.sel(step=step, drop=True) for step in (steps[1], steps[-1]))
    optimum = results.attrs["optimal_performance"]
    facts: dict[str, Any] = {
        "rank": rank,
        "finished": values.sizes["run"],
        "gap": _mean(last, "deterministic") - _mean(last, "stochastic"),
    }
    for mode in ("deterministic", "stochastic"):
        mean, error = capacity.PUBLISHED[mode].get(rank, (np.nan, np.nan))
        own = _error(last, mode)
        facts[f"published-{mode}"] = with_error(mean, error, None)
        facts[f"own-{mode}"] = with_error(_mean(last, mode), own)
        facts[f"apart-{mode}"] = abs(_mean(last, mode) - mean) / np.hypot(own, error)
        facts[f"poor-{mode}"] = int((last.sel(mode=mode) < POOR * optimum).sum())
    before = values.sel(step=0.9 * steps[-1], method="nearest").sel(mode="stochastic")
    late = last.sel(mode="stochastic")
    latest = (late - before).idxmax("run").item()
    facts["rise-from"], facts["rise-to"] = (
        float(x.sel(run=latest)) for x in (before, late)
    )
    facts["early-worst"] = float(first.min())
    facts["early-gap"] = _mean(first, "deterministic") - _mean(first, "stochastic")
    error = np.hypot(_error(last, "deterministic"), _error(last, "stochastic"))
    facts["contrast"] = facts["gap"] / float(error)
    worst = last.sel(mode="stochastic").idxmin("run").item()
    run = {"mode": "stochastic", "run": worst}
    losses = results.loss.sel(rank=rank, **run)
    facts["worst-run"] = int(worst)
    facts["worst-early"] = float(first.sel(run))
    facts["worst-end"] = float(last.sel(run))
    facts["worst-loss"] = _loss_at(losses, steps[1]) / _loss_at(losses, steps[-1])
    second = values.sel(mode="deterministic", step=steps[steps >= steps[-1] / 2])
    swing = second.max("step") - second.min("step")
    widest = second.sel(run=swing.idxmax("run").item())
    facts["swing-low"], facts["swing-high"] = float(widest.min()), float(widest.max())
    return facts


def beside_published(results: xr.Dataset) -> dict[str, Any]:
    """What the page on capacity says of all ranks beside the published ones.

    Args:
      results: see `plans`.

    Returns:
      The ``high``-est rank with a published value, and how many joint standard errors
      ours is ``apart-high`` from it; the most that ours is ``apart`` at any other rank; the
      rank with the plan ``moving`` most in the last tenth, and from what and to what it
      rose.
    """
    ranks = [int(rank) for rank in results["rank"].values]
    high = max(rank for rank in ranks if rank in capacity.PUBLISHED["stochastic"])
    said = {rank: plans(results, rank) for rank in ranks}
    apart = [
        said[rank][f"apart-{mode}"]
        for rank in ranks if rank != high
        for mode in ("deterministic", "stochastic")
    ]  # fmt: skip
    moving = max(said, key=lambda rank: said[rank]["rise-to"] - said[rank]["rise-from"])
    return {
        "high": high,
        "apart-high": said[high]["apart-stochastic"],
        "apart": float(np.nanmax(apart)),
        "moving": moving,
        "rise-from": said[moving]["rise-from"],
        "rise-to": said[moving]["rise-to"],
    }


def plans_table(results: xr.Dataset) -> str:
    """The published plans of each rank beside ours, a table in Markdown.

    Args:
      results: see `plans`.
    """
    early = f"{int(results.step[1]):,}"
    header = [
        "rank", "policies", "published", "ours, at the end", "joint standard errors apart",
        f"ours, after {early} steps", "worst, median, best at the end",
    ]  # fmt: skip
    rows = []
    for rank in results["rank"].values:
        said = plans(results, rank)
        values = results.performance.sel(rank=rank).dropna("run")
        first, last = values.isel(step=1), values.isel(step=-1)
        rows += [
            [
                rank,
                mode,
                said[f"published-{mode}"],
                said[f"own-{mode}"],
                or_dash(said[f"apart-{mode}"]),
                with_error(_mean(first, mode), _error(first, mode)),
                ", ".join(
                    f"{float(value):.1f}"
                    for value in last.sel(mode=mode).quantile([0, 0.5, 1], "run")
                ),
            ]
            for mode in ("deterministic", "stochastic")
        ]
    return table(header, rows, align="rlrrrrr")


def dips(results: xr.Dataset, mode: str) -> dict[int, dict[str, float]]:
    """How far the mean plan of each rank falls in training, and where it ends.

    Args:
      results: see `plans`.
      mode: the policy set.

    Returns:
      For each rank the ``step`` after which the mean over its runs is ``lowest``, the
      first evaluation aside, and its value at the ``end``.
    """
    told = {}
    for rank in results["rank"].values:
        mean = results.performance.sel(mode=mode, rank=rank).dropna("run").mean("run")
        mean = mean.isel(step=slice(1, None))
        told[int(rank)] = {
            "step": float(mean.idxmin("step")),
            "lowest": float(mean.min()),
            "end": float(mean[-1]),
        }
    return told


def _mean(values: xr.DataArray, mode: str) -> float:
    return float(values.sel(mode=mode).mean())


def _error(values: xr.DataArray, mode: str) -> float:
    """The standard error of the mean over runs."""
    of_mode = values.sel(mode=mode)
    if of_mode.sizes["run"] < 2:
        return math.nan
    return float(of_mode.std("run", ddof=1) / np.sqrt(of_mode.sizes["run"]))


def _loss_at(losses: xr.DataArray, step: int) -> float:
    until = losses.where(losses.logged_step <= step, drop=True)
    return float(final_losses(until).mean())


def diameters(results: xr.Dataset, early: int) -> str:
    """The published diameters beside ours and our spreads, a table in Markdown.

    Args:
      results: of the diameter experiment, of some orders.
      early: a step at which a shorter training would end.

    Returns:
      A row for each published order; where it has not been computed yet, it says so.
    """
    header = [
        "order", "published diameter", "ours", "our spread at the start",
        f"after {early:,} steps", f"after {results.step.values[-1]:,}",
    ]  # fmt: skip
    ours = group_diameters(results)
    rows = []
    for order, (mean, error) in diameter.PUBLISHED.items():
        label = "∞" if order == np.inf else f"{order}"
        told = ["not yet", "", "", ""]
        if order in results.order:
            spread = results.spread.sel(order=order)
            at = (
                ours["mean"].sel(order=order),
                spread[0],
                spread.sel(step=early),
                spread[-1],
            )
            mean_of_ours, *spreads = map(float, at)
            error_of_ours = float(ours["error"].sel(order=order))
            told = [with_error(mean_of_ours, error_of_ours, 2)]
            told += [or_dash(value, 2) for value in spreads]
        rows.append([label, with_error(mean, error, 2), *told])
    return table(header, rows, align="rrrrrr")


def apart(results: xr.Dataset, order: float) -> float:
    """How many standard errors lie between our diameter and the published one.

    A published error is that of a mean over groups of 20 runs; where ours is one group, its
    own error is what that of the mean says of one.

    Args:
      results: of the diameter experiment at the published size.
      order: with at least one group of finished runs.

    Returns:
      The number; NaN if neither has an error.
    """
    ours = group_diameters(results).sel(order=order)
    mean, error = diameter.PUBLISHED[order]
    groups = diameter.preset("paper").runs // GROUP_OF_RUNS
    own = float(ours["error"].fillna(error * np.sqrt(groups)))
    joint = float(np.hypot(error, own))
    return abs(float(ours["mean"]) - mean) / joint if joint else math.nan


def verdicts(
    wide: xr.Dataset, wide_short: xr.Dataset, plan: xr.Dataset, plan_short: xr.Dataset
) -> str:
    """Each claim of the published figures, and what of it stands, a table in Markdown.

    Args:
      wide: of the diameter experiment at the published size, at least orders 1 and ∞.
      wide_short: of the same experiment, trained for less, all orders.
      plan: of the capacity experiment at the published size, at least one rank.
      plan_short: of the same experiment, trained for less, all ranks.
    """
    header = ["published", "at the published size", "in shorter training"]
    rows = [
        ["*Diameter.* Order 1 ends in a point", *map(_point, (wide, wide_short))],
        ["Order ∞ ends wider than order 1", *map(_wider, (wide, wide_short))],
        [
            "Orders 40 to 60 end wider than order 30",
            *map(_wider_than_first, (wide, wide_short)),
        ],
        ["∞ is the widest of all", *map(_widest, (wide, wide_short))],
        [
            "*Capacity.* At low rank, stochastic sets give bad plans",
            *(_bad(x, "stochastic") for x in (plan, plan_short)),
        ],
        [
            "At low rank, deterministic sets give good plans",
            *(_bad(x, "deterministic", bad=False) for x in (plan, plan_short)),
        ],
        [
            "With stochastic sets plans get better up to rank 70",
            *(_rank_helps(x) for x in (plan, plan_short)),
        ],
    ]
    return table(header, rows)


UNKNOWN = "not computed"
COLLAPSED = 0.02  # of the spread at the start: what is left of models at one point
NEAR = 0.9  # of the way from the uniform policy to the optimum: a good plan


def _verdict(holds: bool, because: str) -> str:
    return f"**{'stands' if holds else 'not seen'}**: {because}"


def _left(results: xr.Dataset, order: float) -> float:
    spread = results.spread.sel(order=order)
    return float(spread[-1] / spread[0])


def _point(results: xr.Dataset) -> str:
    left = _left(results, 1)
    return _verdict(left < COLLAPSED, f"{100 * left:.1f} % of the spread is left")


def _wider(results: xr.Dataset) -> str:
    ends = [float(results.spread.sel(order=order)[-1]) for order in (np.inf, 1)]
    return _verdict(ends[0] > ends[1], f"spreads {ends[0]:.2f} and {ends[1]:.2f}")


def _between(results: xr.Dataset) -> xr.DataArray | None:
    ends = results.spread.isel(step=-1)
    finite = ends.sel(order=[k for k in ends.order.values if 1 < k < np.inf])
    return finite if finite.sizes["order"] > 1 else None


def _wider_than_first(results: xr.Dataset) -> str:
    finite = _between(results)
    if finite is None:
        return UNKNOWN
    values = ", ".join(f"{float(value):.1f}" for value in finite)
    orders = ", ".join(f"{order:g}" for order in finite.order.values)
    wider = finite.isel(order=slice(1, None)) > finite[0]
    return _verdict(bool(wider.all()), f"spreads {values} at {orders}")


def _widest(results: xr.Dataset) -> str:
    finite, last = _between(results), float(results.spread.sel(order=np.inf)[-1])
    if finite is None:
        return UNKNOWN
    return _verdict(
        last > float(finite.max()),
        f"spread {last:.1f}, of the finite orders up to {float(finite.max()):.1f}",
    )


def _bad(results: xr.Dataset, mode: str, *, bad: bool = True) -> str:
    rank = results["rank"].values[0]
    final = results.normalised_performance.isel(step=-1).sel(mode=mode, rank=rank)
    final = final.dropna("run")
    good = int((final > NEAR).sum())
    few = 2 * good <= final.sizes["run"]
    return _verdict(
        few if bad else not few,
        f"at rank {rank}, {good} of {final.sizes['run']} plans cover {NEAR:.0%} of the way",
    )


def _rank_helps(results: xr.Dataset) -> str:
    final = results.normalised_performance.isel(step=-1).sel(mode="stochastic")
    final = final.median("run").dropna("rank")
    ranks = [rank for rank in final["rank"].values if rank <= 70]
    if len(ranks) < 2:
        return UNKNOWN
    if ranks[-1] < 70:
        covered = ", ".join(f"{float(final.sel(rank=rank)):.0%}" for rank in ranks)
        return f"**open**: median plans cover {covered} at {', '.join(map(str, ranks))}"
    low, high = (float(final.sel(rank=rank)) for rank in (ranks[0], ranks[-1]))
    told = f"the median plan covers {low:.0%} at {ranks[0]}, {high:.0%} at {ranks[-1]}"
    helps = high > low + (1 - NEAR)
    return _verdict(helps, told if helps or high < low else f"{told}, hardly more")
