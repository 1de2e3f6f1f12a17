"""Residual and limit: losses by order, brackets, and both losses in training."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pve.figures import style
from pve.figures.captions import sign


@style.in_style()
def losses_by_order(
    curves: Mapping[str, tuple[Any, float, float, str]], source: str
) -> Figure:
    """The losses of order k of some models, what they tend to, and the proper loss.

    Args:
      curves: by name the losses ``[K]`` of orders 1 to K, the loss of the values, the
        proper loss, and a colour.
      source: what the figure says of its data.
    """
    figure, ax = style.new_figure(figsize=(6.4, 4.2))
    longest = max(len(curve) for curve, *_ in curves.values())
    for name, (curve, value, proper, color) in curves.items():
        ax.plot(np.arange(1, len(curve) + 1), curve, color=color, label=name)
        ax.plot([longest / 6, 2 * longest], [value] * 2, "--", color=color, lw=1)
        ax.plot(0.6, proper, "D", ms=6, color=color)
    ax.set(
        xscale="log", yscale="log", xlabel="order k", ylabel="loss",
        xlim=(0.45, 2 * longest),
    )  # fmt: skip
    for label, place in (("$\\ell_\\infty$", 0.6), ("$\\ell_V$", 1.2 * longest)):
        ax.annotate(label, (place, 1), xycoords=("data", "axes fraction"), ha="center")
    handles = ax.get_legend_handles_labels()
    figure.legend(*handles, loc="outside upper center", ncols=2, frameon=False)
    return sign(figure, source)


@style.in_style()
def brackets(
    orders: Any, ratios: Mapping[str, tuple[Any, str]], discount: float, source: str
) -> Figure:
    """Residual over error against the order, between its bounds.

    Args:
      orders: ``[K]``.
      ratios: by name ``[K, N]`` over policies, and a colour.
      discount: γ.
      source: what the figure says of its data.
    """
    figure, ax = style.new_figure(figsize=(6.4, 3.8))
    orders = np.asarray(orders)
    for name, (found, color) in ratios.items():
        low, high = np.min(found, -1), np.max(found, -1)
        ax.fill_between(orders, low, high, color=color, alpha=0.2, lw=0)
        ax.plot(orders, np.median(found, -1), color=color, label=name)
    shrunk = discount**orders
    for bound in (1 - shrunk, 1 + shrunk):
        ax.plot(orders, bound, "--", color=style.BLACK, lw=1)
    ax.set(xscale="log", yscale="log", xlabel="order k", ylabel="residual / error")
    ax.legend(loc="lower right")
    return sign(figure, source)


@style.in_style()
def two_losses(found: Any, source: str) -> Figure:
    """The proper loss and the loss of the values over a training on the former.

    Args:
      found: ``step``, ``proper`` and ``value``, ``[K]`` each.
      source: what the figure says of its data.
    """
    figure, ax = style.new_figure(figsize=(6.4, 3.6))
    ax.semilogy(found.step, found.value, "o-", color=style.BLACK, label="$\\ell_V$")
    color = style.order_color(math.inf)
    label = "$\\ell_\\infty$, trained"
    ax.semilogy(found.step, found.proper, "o-", color=color, label=label)
    ax.set(xlabel="training steps", ylabel="loss on fresh policies")
    ax.legend()
    return sign(figure, source)
