"""Models of limited rank under several losses: plans, losses, and what rewards absorb."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from pve.figures import drawing, style
from pve.figures.captions import sign

COLORS = {
    "likelihood": "#009E73",
    "random functions": "#0072B2",
    "values": "#56B4E9",
    "own values": style.order_color(math.inf),
}
TITLES = {
    "likelihood": "likelihood, above the best",
    "random functions": "order 1, random functions",
    "values": "order 1, values",
    "own values": "own values: the proper loss",
}


def _lines(ax: Any, numbers: xr.DataArray) -> None:
    ranks = numbers["rank"].values
    for loss in numbers.loss_name.values:
        runs = numbers.sel(loss_name=loss).transpose("run", "rank")
        drawing.draw_runs(ranks, runs, ax, color=COLORS[loss], label=loss, mark="o")
    ax.set_xticks(ranks)
    ax.set_xlabel("rank of the model")


def _legend(figure: Figure, ax: Any) -> None:
    figure.legend(
        *ax.get_legend_handles_labels(), loc="outside upper center", ncols=2, frameon=False
    )


@style.in_style()
def plans(
    panels: Mapping[str, xr.DataArray], optimum: float, uniform: float, source: str
) -> Figure:
    """What plans are worth against rank, a colour for each loss.

    Args:
      panels: by title the performance along ``loss_name``, ``rank`` and ``run``.
      optimum: the mean of v*.
      uniform: the mean value of the uniform policy.
      source: what the figure says of its data.
    """
    figure, axes = style.new_figure(
        1, len(panels), figsize=(7.2, 4), sharey=True, squeeze=False
    )
    for ax, (title, performance) in zip(axes[0], panels.items(), strict=True):
        _lines(ax, performance)
        ax.axhline(optimum, ls="--", color=style.GREY, lw=1)
        ax.axhline(uniform, ls=":", color=style.GREY, lw=1)
        ax.set_title(title)
    axes[0, 0].set_ylabel("mean true value of the plan")
    _legend(figure, axes[0, 0])
    return sign(figure, source)


@style.in_style()
def everybodys_losses(found: xr.DataArray, source: str) -> Figure:
    """All models under all four losses against rank.

    Args:
      found: along ``loss_name``, ``rank``, ``run`` and ``measure``.
      source: what the figure says of its data.
    """
    figure, axes = style.new_figure(2, 2, figsize=(7.2, 5.6), sharex=True)
    for ax, (measure, title) in zip(axes.flat, TITLES.items(), strict=True):
        _lines(ax, found.sel(measure=measure))
        ax.set(yscale="log", title=title)
    for ax in axes[0]:
        ax.set_xlabel("")
    for ax in axes[:, 0]:
        ax.set_ylabel("loss")
    _legend(figure, axes[0, 0])
    return sign(figure, source)


@style.in_style()
def variance_left(left: Mapping[str, Any], source: str) -> Figure:
    """The share of functions' variance beyond their first principal components.

    Args:
      left: by kind of function, named like the loss it is for, ``[components + 1]``.
      source: what the figure says of its data.
    """
    figure, ax = style.new_figure(figsize=(6.4, 3.4))
    for name, rest in left.items():
        ax.plot(np.maximum(rest, 1e-7), color=COLORS[name], label=name)
    ax.set(yscale="log", xlabel="components $n$", ylabel="share of variance left")
    ax.set_ylim(1e-6, 1.5)
    ax.legend(loc="lower left")
    return sign(figure, source)


@style.in_style()
def absorbed(points: Mapping[str, tuple[Any, Any]], weights: Any, source: str) -> Figure:
    """The errors of rewards against those that would be best, a panel for each loss.

    Args:
      points: by loss −γ δp·μ and δr, ``[S, A]`` each.
      weights: ``[S, A]``, how often an action is taken; areas are in proportion.
      source: what the figure says of its data.
    """
    figure, axes = style.new_figure(2, 2, figsize=(6.8, 6.4))
    taken = np.asarray(weights) > 0
    for ax, (loss, (best, reward)) in zip(axes.flat, points.items(), strict=True):
        ax.scatter(
            best[taken], reward[taken], s=16 * np.asarray(weights)[taken],
            color=COLORS[loss], lw=0, alpha=0.7,
        )  # fmt: skip
        ax.axhline(0, color=style.GREY, lw=0.8, zorder=0)
        drawing.draw_diagonal(ax)
        ax.set_title(loss)
    for ax in axes[1]:
        ax.set_xlabel(r"$-\gamma\, \delta p \cdot \mu$")
    for ax in axes[:, 0]:
        ax.set_ylabel(r"$\delta r$")
    return sign(figure, source)
