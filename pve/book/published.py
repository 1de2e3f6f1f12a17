"""What the pages say of results at the published size, beside what was published."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pve.book.text import table
from pve.experiments import capacity, diameter

LAST_LOSSES = 5  # recorded means that a loss at some step is the mean of


def plans(results: xr.Dataset, rank: int) -> dict[str, Any]:
    """What the page on capacity says of the plans of one rank.

    Args:
      results: of the capacity experiment, with at least two finished runs of each set.
      rank: of the models.

    Returns:
      Of each policy set the published mean and error and ours as texts, how many joint
      standard errors lie between them, and the median after the first evaluation; and of
      the stochastic run that ends worst its plan's value then and at the end, and by what
      factor its loss fell meanwhile.
    """
    values = results.performance.sel(rank=rank).dropna("run")
    steps = values.step.values
    first, last = (values.sel(step=step, drop=True) for step in (steps[1], steps[-1]))
    facts: dict[str, Any] = {
        "rank": rank,
        "finished": values.sizes["run"],
        "first-step": f"{steps[1]:,}",
        "optimum": results.attrs["optimal_performance"],
        "gap": _mean(last, "deterministic") - _mean(last, "stochastic"),
    }
    for mode in ("deterministic", "stochastic"):
        mean, error = capacity.PUBLISHED[mode][rank]
        own = float(last.sel(mode=mode).std("run", ddof=1)) / np.sqrt(last.sizes["run"])
        facts[f"published-{mode}"] = f"{mean:g} ± {error:g}"
        facts[f"own-{mode}"] = f"{_mean(last, mode):.1f} ± {own:.1f}"
        facts[f"apart-{mode}"] = abs(_mean(last, mode) - mean) / np.hypot(own, error)
        facts[f"early-{mode}"] = float(first.sel(mode=mode).median())
    worst = last.sel(mode="stochastic").idxmin("run").item()
    run = {"mode": "stochastic", "run": worst}
    losses = results.loss.sel(rank=rank, **run)
    facts["worst-early"] = float(first.sel(run))
    facts["worst-end"] = float(last.sel(run))
    facts["worst-loss"] = _loss_at(losses, steps[1]) / _loss_at(losses, steps[-1])
    return facts


def _mean(values: xr.DataArray, mode: str) -> float:
    return float(values.sel(mode=mode).mean())


def _loss_at(losses: xr.DataArray, step: int) -> float:
    until = losses.where(losses.logged_step <= step, drop=True)
    return float(until.isel(logged_step=slice(-LAST_LOSSES, None)).mean())


def diameters(results: xr.Dataset, early: int) -> str:
    """The published diameters beside our spreads, a table in Markdown.

    Args:
      results: of the diameter experiment, of some orders.
      early: a step at which a shorter training would end.

    Returns:
      A row for each published order; where it has not been computed, it says so.
    """
    header = [
        "order", "published diameter", "our spread at the start",
        f"after {early:,} steps", f"after {results.step.values[-1]:,}",
    ]  # fmt: skip
    rows = []
    for order, (mean, error) in diameter.PUBLISHED.items():
        label = "∞" if order == np.inf else f"{order}"
        told = ["not computed yet", "", ""]
        if order in results.order:
            spread = results.spread.sel(order=order)
            at = (spread[0], spread.sel(step=early), spread[-1])
            told = [f"{float(value):.2f}" for value in at]
        rows.append([label, f"{mean:.2f} ± {error:.2f}", *told])
    return table(header, rows, align="rrrrr")


def spread_facts(results: xr.Dataset, order: float, early: int) -> dict[str, Any]:
    """What the page on diameters says of one order at the published size.

    Args:
      results: of the diameter experiment.
      order: which.
      early: a step at which a shorter training would end.

    Returns:
      The spread at the start, early, at half the training and at the end, and the median
      plan in per cent of the way from the uniform policy to the optimal one.
    """
    spread = results.spread.sel(order=order)
    plans = results.normalised_performance.sel(order=order)
    return {
        "start": float(spread[0]),
        "early": float(spread.sel(step=early)),
        "half": float(spread.sel(step=spread.step.values[-1] // 2)),
        "end": float(spread[-1]),
        "plans": 100 * float(plans.isel(step=-1).median("run")),
    }
