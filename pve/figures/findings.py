"""Both published findings at a glance, with what has been computed beside them."""

from __future__ import annotations

import math

import xarray as xr
from matplotlib.figure import Figure

from pve.experiments import capacity, diameter
from pve.figures import style
from pve.results.endings import group_diameters


@style.in_style()
def findings(wide: xr.Dataset, plan: xr.Dataset) -> Figure:
    """Published diameters by order and plans by rank, and ours where they exist.

    Args:
      wide: of the diameter experiment at the published size; of the orders with a group
        of 20 runs the diameter is drawn.
      plan: of the capacity experiment at the published size; every run is drawn.
    """
    figure, (left, right) = style.new_figure(1, 2, figsize=(7.2, 3.4))
    orders = list(diameter.PUBLISHED)
    means, errors = zip(*diameter.PUBLISHED.values(), strict=True)
    left.errorbar(
        range(len(orders)), means, errors, fmt="D", ms=5, capsize=4, color=style.BLACK,
        label="published",
    )  # fmt: skip
    ours = group_diameters(wide)
    places = [orders.index(order) for order in ours.order.values]
    left.plot(places, ours["mean"], "o", ms=8, mfc="none", color=style.GREY, label="ours")
    left.set_xticks(range(len(orders)), ["∞" if k == math.inf else f"{k}" for k in orders])
    left.set(xlabel="order of the loss", ylabel="diameter, among 20 models")
    for mode, color in style.MODE_COLORS.items():
        published = capacity.PUBLISHED[mode]
        means, errors = zip(*published.values(), strict=True)
        right.errorbar(
            list(published), means, [0 if math.isnan(e) else e for e in errors], fmt="D",
            ms=5, capsize=4, color=color, label=f"published, {mode}",
        )  # fmt: skip
        ends = plan.performance.sel(mode=mode).isel(step=-1)
        for shift, rank in enumerate(ends["rank"].values):
            values = ends.sel(rank=rank).dropna("run")
            label = f"our runs, {mode}" if shift == 0 else None
            at = [rank + 1.5] * values.sizes["run"]
            right.plot(at, values, "o", ms=4, alpha=0.7, color=color, label=label)
    right.axhline(plan.attrs["optimal_performance"], ls="--", color=style.GREY, lw=1)
    right.set(xlabel="rank of the model", ylabel="worth of the plan", ylim=(0, None))
    left.legend(loc="upper left", fontsize=8)
    right.legend(loc="lower right", fontsize=8)
    return figure
