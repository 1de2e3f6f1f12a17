"""The agents of the MuZero experiment: what their models predict, and how well they do."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from pve.experiments.muzero import COLORS
from pve.figures import drawing, style
from pve.figures.captions import sign
from pve.muzero.study import KINDS, by_kind

LABELS = {"plain": "plain", "past": "with past policies"}
ERRORS = {
    "along_error": "$k$ moves, along actions",
    "k_error": "$k$ moves, inside",
    "error": "endless, inside",
}
PLANS = {"look_ahead": "$k$ moves", "plan": "endless"}
APART = 0.17  # of the two arms from their common place


@style.in_style()
def unrolled_bound(
    orders: Any, bound: Any, drawn: Any, attained: Sequence[float], steady: Sequence[float]
) -> Figure:
    """The order-k loss in units of the unrolled loss, and its bound.

    Args:
      orders: ``[K]``.
      bound: ``[K]``, the largest ratios there can be.
      drawn: ``[N, K]``, ratios of random pairs of worlds.
      attained: ``[K]``, of the pair that attains the bound.
      steady: ``[K]``, of a model with the same error at every step.
    """
    figure, ax = style.new_figure(figsize=(6.4, 3.2))
    ax.plot(orders, np.transpose(drawn), color=style.GREY, lw=0.6, alpha=0.6)
    ax.plot(orders, bound, color=style.BLACK, lw=2.5)
    ax.plot(orders, attained, "o", color=COLORS["past"])
    ax.plot(orders, steady, "--", color=COLORS["plain"])
    ax.axhline(1, color=style.BLACK, lw=0.7, ls=":")
    ax.set(xlabel="order $k$", ylabel="order-$k$ loss / unrolled loss", ylim=(0, None))
    return figure


@style.in_style()
def agents_errors(results: xr.Dataset) -> Figure:
    """Errors of predictions by the kind of policy asked about, agent by agent, in pairs."""
    figure, axes = style.new_figure(1, len(ERRORS), figsize=(7.6, 3.6), sharey=True)
    for ax, (name, title) in zip(axes, ERRORS.items(), strict=True):
        _draw_pairs([by_kind(results, name).sel(kind=kind) for kind in KINDS], ax)
        ax.set(title=title, yscale="log")
        ax.set_xticks(range(len(KINDS)), list(KINDS), rotation=45)
    axes[0].set_ylabel("RMS error over states (value)")
    for arm in _arms(results):
        axes[0].plot([], [], "o", color=COLORS[arm], label=LABELS[arm])
    axes[0].legend(loc="best", fontsize=9)
    return sign(figure, agents_source(results))


@style.in_style()
def agents_learning(results: xr.Dataset) -> Figure:
    """The acting policies' values phase by phase, and those of plans in the last models."""
    figure, (ax, pairs) = style.new_figure(1, 2, figsize=(7.4, 3.6), width_ratios=[1.4, 1])
    for arm in _arms(results):
        runs = results.behaviour.sel(arm=arm).dropna("run")
        looks = {"color": COLORS[arm], "label": LABELS[arm]}
        drawing.draw_runs(1 + np.arange(runs.sizes["phase"]), runs, ax, **looks)
    optimum = results.attrs["optimal_performance"]
    for each in (ax, pairs):
        each.axhline(optimum, color=style.BLACK, ls="--", lw=1)
    ax.set(xlabel="phase", ylabel="mean true value", ylim=(0, None))
    ax.legend(loc="lower right", fontsize=9)
    _draw_pairs([results[name] for name in PLANS], pairs)
    pairs.set(
        xlabel="planning depth", ylabel="mean true value of the plan", xlim=(-0.5, 1.5)
    )
    pairs.set_xticks(range(len(PLANS)), PLANS.values())
    return sign(figure, agents_source(results))


def _draw_pairs(measures: Sequence[xr.DataArray], ax: Any) -> None:
    """Each measure's agents as dots, pairs joined, medians as bars, side by side."""
    for place, found in enumerate(measures):
        ends = {arm: place + (APART if arm == "past" else -APART) for arm in COLORS}
        if found.sizes["arm"] > 1:
            pairs = [found.sel(arm=arm).values for arm in ends]
            ax.plot([*ends.values()], pairs, color=style.GREY, lw=0.6, zorder=1)
        for arm in _arms(found):
            at, values = ends[arm], found.sel(arm=arm).dropna("run").values
            ax.plot(np.full(len(values), at), values, "o", ms=4, color=COLORS[arm])
            ax.plot(at, np.median(values), "_", ms=16, mew=2.5, color=COLORS[arm])


def _arms(found: xr.Dataset | xr.DataArray) -> list[str]:
    """The arms that there are, plain first."""
    return [arm for arm in COLORS if arm in found.arm.values]


def agents_source(results: xr.Dataset) -> str:
    """What a figure says of the agents: preset if known, seed, how many, how long."""
    facts = results.attrs
    preset = f"preset {facts['preset']}, " if "preset" in facts else ""
    return (
        f"{preset}seed {facts['seed']}, {results.sizes['run']} agents of each arm, "
        f"{facts['phases']} phases of {facts['steps']:,} steps"
    )


def draw(results: xr.Dataset, data_dir: str | Path) -> dict[str, Figure]:
    """All figures of the experiment, by the names of their files."""
    del data_dir
    return {
        "agents-errors": agents_errors(results),
        "agents-learning": agents_learning(results),
    }
