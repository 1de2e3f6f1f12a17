"""The diameter experiment: how far apart models end, and the way there."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, NullFormatter

from pve.experiments.diameter import PUBLISHED
from pve.figures import drawing, style
from pve.figures.captions import outside_legend, sign, source_line, source_of_run
from pve.figures.model_on_map import imagined, transitions
from pve.results.endings import group_diameters, movement
from pve.results.load import load_model
from pve.worlds.by_name import map_of


@style.in_style()
def diameters(results: xr.Dataset) -> Figure:
    """Diameter and spread of the trained models against the order."""
    figure, axes = style.new_figure(1, 2, figsize=(7.2, 3.4))
    orders = results.order.values
    hollow = movement(results.spread).values != 0
    if "published_diameter" in results:
        measure, errors = results.published_diameter, results.published_diameter_error
        title = "diameter: range of the 1st component,\nmean over groups of 20 runs"
    else:
        measure, errors = results.diameter, None
        title = f"diameter: range of the 1st component\namong {results.sizes['run']} runs"
    drawing.draw_diameters(orders, measure.values, hollow, axes[0], errors=errors)
    axes[0].set_title(title)
    axes[0].set_ylabel("distance")
    start = float(results.spread.isel(step=0).mean())
    axes[1].axhline(start, color=style.GREY, ls=":", lw=1)
    axes[1].annotate(
        "before training", (0.03, start), xycoords=("axes fraction", "data"),
        va="bottom", color=style.FAINT, fontsize=9,
    )  # fmt: skip
    drawing.draw_diameters(orders, results.spread.isel(step=-1).values, hollow, axes[1])
    axes[1].set_title("spread: RMS distance\nbetween two models")
    return sign(figure, source_line(results) + "; hollow: still moving at the end")


@style.in_style()
def published_diameters(results: xr.Dataset) -> Figure:
    """Published diameters and ours (left), and our spreads from start to end (right).

    Args:
      results: of the diameter experiment, of some of the published orders; diameters are
        drawn of those with a group of 20 runs.
    """
    figure, axes = style.new_figure(1, 2, figsize=(7.2, 3.4))
    places = np.arange(len(PUBLISHED))
    means, errors = np.array(list(PUBLISHED.values())).T
    axes[0].errorbar(
        places, means, errors, fmt="D", ms=5, capsize=4, color=style.BLACK,
        label="published",
    )  # fmt: skip
    ours = group_diameters(results)
    axes[0].errorbar(
        [list(PUBLISHED).index(order) for order in ours.order.values], ours["mean"].values,
        ours["error"].values, fmt="o", ms=9, mfc="none", color=style.GREY, label="ours",
    )  # fmt: skip
    axes[0].legend(loc="upper left", fontsize=8)
    axes[0].set_title("diameter: range of the 1st component\namong 20 runs")
    spread = results.spread
    for place, order in enumerate(PUBLISHED):
        if order not in results.order:
            note = "not computed"
            axes[1].text(place, 0.3, note, rotation=90, color=style.FAINT, ha="center")
            continue
        start, end = (float(spread.sel(order=order)[at]) for at in (0, -1))
        color = style.order_color(float(order))
        axes[1].annotate(
            "",
            (place, end),
            (place, start),
            arrowprops={"arrowstyle": "->", "color": color},
        )
        axes[1].plot(place, start, "o", ms=7, mec=color, mfc="white", mew=1.5)
        axes[1].plot(place, end, "o", ms=9, color=color, clip_on=False)
    axes[1].set_title(f"ours: spread of {results.sizes['run']} runs,\nfrom start to end")
    for ax in axes:
        ax.set_xticks(places, ["∞" if k == math.inf else f"{k}" for k in PUBLISHED])
        ax.set(xlabel="order k", ylabel="distance", ylim=(-0.05, None))
        ax.margins(x=0.1)
    return sign(figure, source_line(results))


@style.in_style()
def spreads(results: xr.Dataset) -> Figure:
    """Spread of the models of each order against training, and against the loss."""
    figure, axes = style.new_figure(1, 2, figsize=(7.2, 3.6), sharey=True)
    loss = _loss_at_steps(results)
    for order in results.order.values:
        color, label = style.order_color(order), style.order_label(order)
        spread = results.spread.sel(order=order)
        axes[0].plot(spread.step, spread, color=color, label=label)
        # The snapshot before training has no loss of its own.
        reached = loss.sel(order=order).values
        axes[1].plot(reached, spread[1:], ".-", ms=4, lw=1, color=color)
        axes[1].plot(reached[-1], spread[-1], "o", ms=7, color=color)
    axes[0].set(xlabel="training step", ylabel="RMS distance between two models")
    axes[0].set_yscale("log")
    axes[1].set(xlabel="loss of that order, median over runs", xscale="log")
    axes[1].invert_xaxis()
    axes[1].xaxis.set_minor_formatter(NullFormatter())  # they would overlap
    axes[0].xaxis.set_major_locator(MaxNLocator(4))
    outside_legend(figure, axes[0], len(results.order))
    return sign(figure, source_line(results) + "; right: dots mark the end of training")


def _loss_at_steps(results: xr.Dataset) -> xr.DataArray:
    """The median over runs of the recorded loss just before each snapshot."""
    return results.loss.median("run").sel(logged_step=results.step.values[1:])


@style.in_style()
def progress(results: xr.Dataset) -> Figure:
    """Loss and normalised performance of every run against training, by order."""
    figure, axes = style.new_figure(1, 2, figsize=(7.2, 3.6))
    for order in results.order.values:
        looks = {"color": style.order_color(order), "label": style.order_label(order)}
        chosen = results.sel(order=order)
        drawing.draw_runs(chosen.logged_step, chosen.loss, axes[0], **looks)
        drawing.draw_runs(chosen.step, chosen.normalised_performance, axes[1], **looks)
    axes[0].set(xlabel="training step", ylabel="loss of that order", yscale="log")
    axes[1].set(xlabel="training step", ylabel="performance (0: uniform, 1: optimal)")
    axes[1].axhline(1, color=style.GREY, ls="--", lw=1)
    outside_legend(figure, axes[0], len(results.order))
    return sign(figure, source_line(results) + "; thin: single runs, thick: medians")


@style.in_style()
def clouds(results: xr.Dataset, across: int = 3) -> Figure:
    """Models in the principal plane of each order, by training time and performance.

    Args:
      results: of the diameter experiment.
      across: orders in a row.
    """
    orders = results.order.values
    bands, across = math.ceil(len(orders) / across), min(across, len(orders))
    figure, grid = style.new_figure(
        2 * bands, across, figsize=(2.3 * across + 0.9, 4.9 * bands + 0.2), squeeze=False,
        sharex=True, sharey=True, subplot_kw={"box_aspect": 1},
    )  # fmt: skip
    last = float(results.step[-1])
    performance = results.normalised_performance
    limits = (min(0.0, float(performance.min())), 1.0)
    for place in range(bands * across):
        band, column = divmod(place, across)
        above, below = grid[2 * band, column], grid[2 * band + 1, column]
        if place >= len(orders):
            above.set_axis_off()
            below.set_axis_off()
            continue
        order = orders[place]
        chosen = results.sel(order=order).stack(point=("run", "step"))
        # Late snapshots are drawn over early ones.
        chosen = chosen.sortby("step").dropna("point", subset=["score"])
        scores = chosen.score.transpose("point", "component").values
        time = drawing.draw_cloud(scores, chosen.step, above, limits=(0, last))
        value = drawing.draw_cloud(
            scores, chosen.normalised_performance, below, limits=limits, cmap="cividis"
        )
        above.set_title(style.order_label(order), pad=10 if band else 6)
        below.set_xlabel("1st component")
        below.tick_params(labelbottom=True)
    for row in grid:
        row[0].set_ylabel("2nd component")
    for band in range(bands):
        for points, row, label in (
            (time, grid[2 * band], "training step"),
            (value, grid[2 * band + 1], "performance (1: optimal)"),
        ):
            figure.colorbar(points, ax=list(row), label=label, pad=0.01)
    return sign(figure, source_line(results) + "; one point per run and snapshot")


@style.in_style()
def ranges(
    counts: Any, noise: Any, trained: dict[float, float], num: int, source: str
) -> Figure:
    """The range of the first component, as a share of the RMS distance, by the count.

    Args:
      counts: ``[counts]``, numbers of models in a cloud.
      noise: ``[counts, repeats]``, the ratios of clouds of noise.
      trained: the ratio of the trained models of each order.
      num: how many trained models of an order there are.
      source: what the figure says of its data.
    """
    figure, ax = style.new_figure(figsize=(5.6, 3.4))
    drawing.draw_runs(
        counts, np.transpose(noise), ax, color=style.GREY, label="equal clouds of noise"
    )
    # Marks of several sizes: orders may lie on one another.
    sizes = range(3 * len(trained) + 4, 4, -3)
    for size, (order, ratio) in zip(sizes, trained.items(), strict=True):
        label = f"trained models, {style.order_label(order)}"
        ax.plot(num, ratio, "o", ms=size, color=style.order_color(order), label=label)
    ax.set(xlabel="number of models N", ylabel="range / RMS distance", xscale="log")
    ticks = sorted({*counts, num})
    ticks = [n for n in ticks if n == num or abs(math.log(n / num)) > 0.15]
    ax.set_xticks(ticks, [str(n) for n in ticks], minor=False)
    ax.minorticks_off()
    ax.set_ylim(0, None)
    ax.legend(loc="lower left")
    return sign(figure, source)


@style.in_style()
def flatness(
    distances: Any,
    losses: dict[float, Any],
    trained: dict[float, tuple[Any, Any]],
    source: str,
) -> Figure:
    """Loss against distance from the environment: lazy models and trained ones.

    Args:
      distances: ``[points]``, of the lazy models.
      losses: for each order the lazy models' losses ``[points]``.
      trained: for each order the trained models' distances and losses, ``[N]`` each.
      source: what the figure says of the models.
    """
    figure, ax = style.new_figure(figsize=(6.4, 3.9))
    for order, values in losses.items():
        color, label = style.order_color(order), style.order_label(order)
        ax.plot(distances, values, color=color, label=f"lazy models, {label}")
    for order, (far, reached) in trained.items():
        color, label = style.order_color(order), style.order_label(order)
        ax.plot(far, reached, "o", ms=6, mfc=color, mec="white", label=f"trained, {label}")
    ax.set(xlabel="distance from the environment", ylabel="loss", yscale="log")
    outside_legend(figure, ax, 2)
    return sign(figure, source)


def draw(results: xr.Dataset, data_dir: str | Path) -> dict[str, Figure]:
    """All figures of the experiment that the data allow, by the names of their files."""
    drawn = {"progress": progress(results)}
    if "spread" in results:
        drawn["diameters"] = diameters(results)
        drawn["spreads"] = spreads(results)
        drawn["clouds"] = clouds(results)
    return drawn | _pictures_of_run_0(data_dir, results)


def _pictures_of_run_0(data_dir: str | Path, results: xr.Dataset) -> dict[str, Figure]:
    """What the proper value-equivalent model of run 0 imagines, if it is there."""
    facts = results.attrs
    world = map_of(facts["env"])
    if world is None or math.inf not in results.order.values:
        return {}
    if results.loss.sel(order=math.inf, run=0).isnull().all():
        return {}
    model = load_model(data_dir, "diameter", order=math.inf, run=0)
    source = source_of_run(results, math.inf, 0)
    return {
        "trajectories": imagined(world, model, facts["seed"], source),
        "transitions": transitions(world, model, source),
    }
