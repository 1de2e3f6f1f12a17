"""What the pages say of diameters and spreads, order by order, in tables."""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import Any

import numpy as np
import xarray as xr

from pve.book.text import table
from pve.equivalence import distances
from pve.figures import style
from pve.figures.captions import digits
from pve.results.endings import at_half_time, final_losses, movement

MOVES = {-1: "falls on", 0: "stands still", 1: "grows on"}


def listed(orders: Iterable[float]) -> str:
    """Orders in a sentence: ``k = 30, k = 40``, or ``none``."""
    return ", ".join(style.order_label(order) for order in orders) or "none"


def column(order: float) -> str:
    """An order in a table's cell."""
    return "∞" if order == math.inf else f"{order:g}"


def still_moving(results: xr.Dataset) -> list[float]:
    """The orders whose spread has not come to rest."""
    moving = movement(results.spread)
    return [float(k) for k in results.order.values if moving.sel(order=k) != 0]


def falling_on(results: xr.Dataset) -> list[float]:
    """The orders whose spread falls in the second half of training."""
    moving = movement(results.spread)
    return [float(k) for k in results.order.values if moving.sel(order=k) < 0]


def ends_table(results: xr.Dataset) -> str:
    """Where the models of each order end, a table in Markdown.

    Args:
      results: of the diameter experiment.
    """
    moving, ends, starts = (
        still_moving(results),
        results.isel(step=-1),
        results.isel(step=0),
    )
    losses = final_losses(results.loss).median("run")
    plans = ends.normalised_performance.median("run")
    header = [
        "order", "loss at the end", "spread, start", "spread, end", "diameter",
        "plans (1: optimal)", "still moving",
    ]  # fmt: skip
    rows = [
        [
            column(order),
            digits(float(losses.sel(order=order))),
            f"{float(starts.spread.sel(order=order)):.2f}",
            f"{float(ends.spread.sel(order=order)):.2f}",
            f"{float(results.diameter.sel(order=order)):.2f}",
            f"{float(plans.sel(order=order)):.3f}",
            "yes" if order in moving else "no",
        ]
        for order in results.order.values
    ]
    return table(header, rows, align="rrrrrrl")


def second_half_table(results: xr.Dataset) -> str:
    """What the spread of each order does in the second half of training, in Markdown.

    Args:
      results: of the diameter experiment, trained at a constant rate.
    """
    header = [
        "order", "largest spread", "at half time", "at the end", "in the second half it",
        "loss in the second half", "plans (1: optimal)",
    ]  # fmt: skip
    rows = []
    for order in results.order.values:
        course = results.spread.sel(order=order)
        stands = (course.max(), at_half_time(course), course[-1])
        losses = results.loss.sel(order=order).median("run").values
        middle = len(losses) // 2
        window = min(20, middle)
        lower = losses[-window:].mean() / losses[middle - window : middle].mean()
        plan = results.normalised_performance.sel(order=order).isel(step=-1).median()
        rows.append(
            [
                column(order),
                *(f"{float(spread):.2f}" for spread in stands),
                MOVES[int(movement(course))],
                f"× {lower:.2f}",
                f"{float(plan):.3f}",
            ]
        )
    return table(header, rows, align="rrrrlrr")


def shares(results: xr.Dataset) -> dict[str, Any]:
    """What the prose says of how far the orders have come, numbers and texts by name.

    Args:
      results: of the diameter experiment, with orders 1 and ∞.

    Returns:
      For orders 1 and ∞ the spread that is left, in per cent of that at the start; the
      median plan of order ∞ in per cent of the way to the optimum; which of the finite
      orders above 1 end wider than order ∞, and which orders still move.
    """
    spread = results.spread
    left = 100 * spread.isel(step=-1) / spread.isel(step=0)
    plans = 100 * results.normalised_performance.isel(step=-1).median("run")
    between = [k for k in results.order.values if 1 < k < math.inf]
    last = spread.isel(step=-1)
    return {
        "one": float(left.sel(order=1)),
        "inf": float(left.sel(order=math.inf)),
        "inf-plans": float(plans.sel(order=math.inf)),
        "wider": listed(k for k in between if last.sel(order=k) > last.sel(order=math.inf)),
        "still": listed(still_moving(results)),
    }


def group_ratio(cloud: np.ndarray) -> float:
    """The published diameter of a cloud of points in units of its spread.

    Args:
      cloud: ``[N, D]``, points for at least two groups of the published measure.

    Returns:
      The mean range of the first component over groups, divided by the RMS distance.
    """
    scores = distances.principal_components(cloud, 1).scores[:, 0]
    return float(distances.published_diameter(scores)[0] / distances.spread(cloud))
