"""What the pages say of results at the published size, beside what was published."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pve.experiments.capacity import PUBLISHED

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
        "runs": values.sizes["run"],
        "first-step": f"{steps[1]:,}",
        "optimum": results.attrs["optimal_performance"],
        "gap": _mean(last, "deterministic") - _mean(last, "stochastic"),
    }
    for mode in ("deterministic", "stochastic"):
        mean, error = PUBLISHED[mode][rank]
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
