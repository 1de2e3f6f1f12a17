"""The figures of a report: the optimum, where trained models end, what a rank buys."""

from __future__ import annotations

import pandas as pd
from matplotlib.figure import Figure

from pve.figures import style


@style.in_style()
def by_state(states: pd.DataFrame) -> Figure:
    """The optimal value of each state as a bar, and beside it an optimal action.

    Args:
      states: the columns ``name``, ``value`` and ``action name``; the first row is drawn
        at the top.
    """
    figure, ax = style.new_figure(figsize=(6.0, 1.0 + 0.27 * len(states)))
    places, color = range(len(states)), style.MODE_COLORS["deterministic"]
    bars = ax.barh(places, states["value"], color=color, height=0.6)
    ax.set_yticks(places, states["name"].map(_plain))
    ax.bar_label(bars, states["action name"].map(_plain), padding=4)
    ax.axvline(0, color=style.GREY, lw=1)
    ax.invert_yaxis()
    ax.margins(x=0.25)
    ax.set_xlabel("optimal value")
    return figure


def _plain(name: str) -> str:
    """A name as it is written, where Matplotlib would read mathematics."""
    return str(name).replace("$", r"\$")


@style.in_style()
def by_order(orders: pd.DataFrame) -> Figure:
    """What is left of the spread and how models plan, by order, at two lengths.

    Args:
      orders: see `pve.report.analysis.Analysis`.
    """
    figure, axes = style.new_figure(1, 2, figsize=(7.2, 3.2))
    places = range(orders["order"].nunique())
    for (steps, found), marker in zip(orders.groupby("steps"), "os", strict=False):
        look = {"marker": marker, "ls": ""}  # orders are no points of one curve
        look["color"] = style.GREY if marker == "o" else style.MODE_COLORS["deterministic"]
        axes[0].plot(places, found["spread kept"], label=f"{steps:,} steps", **look)
        axes[1].plot(places, found["performance"], **look)
        low, high = found["performance, lowest"], found["performance, highest"]
        axes[1].vlines(places, low, high, color=look["color"], lw=1)
    labels = [style.order_label(order) for order in orders["order"].unique()]
    for ax in axes:
        ax.set_xticks(places, labels)
        ax.set_xlabel("order of the loss")
    axes[0].set(ylabel="spread left, of that at the start", ylim=(0, None))
    axes[1].set_ylabel("performance of the plan")
    axes[1].axhline(1, color=style.GREY, ls=":", lw=1)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure


@style.in_style()
def by_rank(ranks: pd.DataFrame) -> Figure:
    """Loss and performance of small models by rank and policy set, at two lengths.

    Args:
      ranks: see `pve.report.analysis.Analysis`.
    """
    figure, axes = style.new_figure(1, 2, figsize=(7.2, 3.4))
    longest = ranks["steps"].max()
    for (kind, steps), found in ranks.groupby(["policies", "steps"]):
        color, whole = style.MODE_COLORS[str(kind)], steps == longest
        look = {"color": color, "ls": "-" if whole else "--", "alpha": 1 if whole else 0.5}
        places = found["rank"]
        axes[0].plot(places, found["loss"], "o", label=f"{kind}, {steps:,} steps", **look)
        axes[1].plot(places, found["performance"], "o", **look)
        if whole:
            low, high = found["performance, lowest"], found["performance, highest"]
            axes[1].vlines(places, low, high, color=color, lw=1)
    for ax in axes:
        ax.set_xscale("log", base=2)
        ax.set_xticks(sorted(ranks["rank"].unique()))
        ax.xaxis.set_major_formatter("{x:g}")
        ax.minorticks_off()
        ax.set_xlabel("rank of the model")
    axes[0].set(ylabel="proper loss at the end")
    if (ranks["loss"] > 0).all():
        axes[0].set_yscale("log")
    axes[1].set_ylabel("performance of the plan")
    axes[1].axhline(1, color=style.GREY, ls=":", lw=1)
    figure.legend(loc="outside upper center", ncols=2, frameon=False)
    return figure
