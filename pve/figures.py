"""The experiments' figures, from results to whole pictures.

Each function takes what `pve.load` returns and gives a figure that says under it which
seed and how many runs it shows. The chapters and ``python -m pve figures`` draw the same.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from pve import plots
from pve.gridworld import GridWorld, four_rooms
from pve.measures import optimal_action_share, trajectories
from pve.mdp import MDP
from pve.planning import policy_iteration
from pve.policies import stream
from pve.results import load, load_model, present, unconverged
from pve.store import make_folder

NUM_TRAJECTORIES, TRAJECTORY_LENGTH = 5_000, 30


def provenance(results: xr.Dataset) -> str:
    """What a figure says of its data: preset if known, seed, runs, steps, schedule."""
    facts = results.attrs
    preset = f"preset {facts['preset']}, " if "preset" in facts else ""
    return (
        f"{preset}seed {facts['seed']}, {results.sizes['run']} runs each, "
        f"{facts['steps']:,} steps of batch {facts['batch']}, "
        f"Adam {facts['learning_rate']:g} {facts['decay']}"
    )


def _sign(figure: Figure, text: str) -> Figure:
    figure.supxlabel(text, fontsize=7, color=plots.GREY, x=0.01, ha="left")
    return figure


def diameters(results: xr.Dataset) -> Figure:
    """Diameter and spread of the trained models against the order."""
    figure, axes = plots.new_figure(1, 2, figsize=(7.2, 3.4))
    orders = results.order.values
    hollow = unconverged(results.spread).values
    if "published_diameter" in results:
        measure, errors = results.published_diameter, results.published_diameter_error
        title = "diameter: range of the 1st component\nmean over groups of 20 runs"
    else:
        measure, errors = results.diameter, None
        title = f"diameter: range of the 1st component\namong {results.sizes['run']} runs"
    plots.draw_diameters(orders, measure.values, hollow, axes[0], errors=errors)
    axes[0].set_title(title)
    axes[0].set_ylabel("distance")
    plots.draw_diameters(orders, results.spread.isel(step=-1).values, hollow, axes[1])
    start = float(results.spread.isel(step=0).mean())
    axes[1].axhline(start, color=plots.GREY, ls=":", lw=1)
    axes[1].annotate("before training", (0, start), va="bottom", color=plots.GREY)
    axes[1].set_title("spread: RMS distance between models")
    return _sign(figure, provenance(results) + "; hollow: still moving at the end")


def spreads(results: xr.Dataset) -> Figure:
    """Spread of the models of each order against training, and against the loss."""
    figure, axes = plots.new_figure(1, 2, figsize=(7.2, 3.4), sharey=True)
    loss = _loss_at_steps(results)
    for order in results.order.values:
        color, label = plots.order_color(order), plots.order_label(order)
        spread = results.spread.sel(order=order)
        axes[0].plot(spread.step, spread, color=color, label=label)
        # The snapshot before training has no loss of its own.
        axes[1].plot(loss.sel(order=order), spread[1:], ".-", ms=4, color=color)
    axes[0].set(xlabel="training step", ylabel="RMS distance between models")
    axes[0].set_yscale("log")
    axes[1].set(xlabel="loss, median over runs", xscale="log")
    axes[1].invert_xaxis()
    axes[0].legend(loc="lower left")
    return _sign(figure, provenance(results))


def _loss_at_steps(results: xr.Dataset) -> xr.DataArray:
    """The median over runs of the recorded loss just before each snapshot."""
    return results.loss.median("run").sel(logged_step=results.step.values[1:])


def progress(results: xr.Dataset) -> Figure:
    """Loss and normalised performance of every run against training, by order."""
    figure, axes = plots.new_figure(1, 2, figsize=(7.2, 3.4))
    for order in results.order.values:
        style = {"color": plots.order_color(order), "label": plots.order_label(order)}
        chosen = results.sel(order=order)
        plots.draw_runs(chosen.logged_step, chosen.loss, axes[0], **style)
        plots.draw_runs(chosen.step, chosen.normalised_performance, axes[1], **style)
    axes[0].set(xlabel="training step", ylabel="loss", yscale="log")
    axes[1].set(xlabel="training step", ylabel="performance (0: uniform, 1: optimal)")
    axes[1].axhline(1, color=plots.GREY, ls="--", lw=1)
    axes[0].legend()
    return _sign(figure, provenance(results) + "; thick: medians")


def clouds(results: xr.Dataset) -> Figure:
    """Models in the principal plane of each order, by training time and performance."""
    orders = results.order.values
    figure, axes = plots.new_figure(
        2, len(orders), figsize=(2.4 * len(orders) + 0.9, 5.2), squeeze=False,
        sharex=True, sharey=True, subplot_kw={"box_aspect": 1},
    )  # fmt: skip
    last = float(results.step[-1])
    performance = results.normalised_performance
    limits = (min(0.0, float(performance.min())), 1.0)
    for column, order in enumerate(orders):
        chosen = results.sel(order=order).stack(point=("run", "step"))
        # Late snapshots are drawn over early ones.
        chosen = chosen.sortby("step").dropna("point", subset=["score"])
        scores = chosen.score.transpose("point", "component").values
        time = plots.draw_cloud(
            scores, chosen.step, axes[0, column], limits=(0, last), cmap="viridis"
        )
        value = plots.draw_cloud(
            scores, chosen.normalised_performance, axes[1, column], limits=limits,
            cmap="cividis",
        )  # fmt: skip
        axes[0, column].set(title=plots.order_label(order), xlabel="")
    for row in axes:
        row[0].set_ylabel("2nd component")
    figure.colorbar(time, ax=list(axes[0]), label="training step", pad=0.01)
    figure.colorbar(value, ax=list(axes[1]), label="performance (1: optimal)", pad=0.01)
    return _sign(figure, provenance(results) + "; one point per run and snapshot")


def imagined(world: GridWorld, model: MDP, seed: int, source: str) -> Figure:
    """Trajectories of each one's optimal policy, in the environment and in a model.

    Args:
      world: the grid world.
      model: a model of it.
      seed: of the sampling.
      source: what the figure says of the model.
    """
    figure, axes = plots.new_figure(1, 2, figsize=(7.2, 3.9))
    low = world.xy[:, 1] == world.xy[:, 1].max()
    start = int(np.flatnonzero(low)[0])
    for ax, mdp, name in zip(
        axes, (world.mdp, model), ("in the environment", "in the model"), strict=True
    ):
        _, policy = policy_iteration(mdp)
        states = trajectories(
            stream(seed, "figures", "trajectories", name),
            mdp, policy, start, NUM_TRAJECTORIES, TRAJECTORY_LENGTH,
        )  # fmt: skip
        lines = plots.draw_trajectories(world.xy[states], world.walls, ax)
        ax.set_title(f"{name}")
        ax.plot(*world.xy[start], "o", color="#D55E00", ms=6, zorder=5)
    bar = figure.colorbar(lines, ax=list(axes), label="moves made", shrink=0.8)
    bar.solids.set_alpha(1)
    share = optimal_action_share(model, world.mdp)
    return _sign(
        figure,
        f"{NUM_TRAJECTORIES:,} trajectories of {TRAJECTORY_LENGTH} moves from the dot; "
        f"the model's greedy action is optimal in {share:.0%} of states; {source}",
    )


def capacity(results: xr.Dataset) -> Figure:
    """Performance against rank: every seed, means with errors, and medians."""
    figure, ax = plots.new_figure(figsize=(6.6, 4))
    final = results.performance.isel(step=-1)
    for offset, mode in zip((-0.9, 0.9), results.mode.values, strict=False):
        color, values = plots.MODE_COLORS[mode], final.sel(mode=mode)
        ranks = values["rank"].values
        count = values.notnull().sum("run")
        error = values.std("run", ddof=1) / np.sqrt(count) if count.max() > 1 else None
        for run in values.run.values:
            ax.plot(ranks + offset, values.sel(run=run), "o", ms=3, color=color, alpha=0.4)
        ax.errorbar(
            ranks + offset, values.mean("run"), error, color=color, capsize=3,
            label=f"{mode}: mean ± standard error",
        )  # fmt: skip
        ax.plot(
            ranks + offset,
            values.median("run"),
            ":",
            color=color,
            label=f"{mode}: median",
        )
    optimum = results.attrs["optimal_performance"]
    ax.axhline(optimum, ls="--", color=plots.GREY, lw=1)
    ax.annotate("v*", (float(final["rank"][0]), optimum), va="bottom", color=plots.GREY)
    ax.set(xlabel="rank of the model", ylabel="mean true value of the model's policy")
    ax.legend(loc="lower right")
    return _sign(figure, provenance(results) + "; dots: single runs")


def capacity_loss(results: xr.Dataset) -> Figure:
    """The final loss against rank: every seed and the medians."""
    figure, ax = plots.new_figure(figsize=(6.6, 3.6))
    final = results.loss.isel(logged_step=slice(-5, None)).mean("logged_step")
    for mode in results.mode.values:
        values = final.sel(mode=mode).transpose("run", "rank")
        color = plots.MODE_COLORS[mode]
        plots.draw_runs(values["rank"], values, ax, color=color, label=mode, mark="o")
    ax.set(xlabel="rank of the model", ylabel="PVE loss at the end", yscale="log")
    ax.legend(title="policies")
    return _sign(figure, provenance(results) + "; thin: single runs, thick: medians")


def _imagined_by_run_0(data_dir: str | Path, results: xr.Dataset) -> Figure | None:
    if results.attrs["env"] != "four-rooms" or math.inf not in results.order.values:
        return None
    model = load_model(data_dir, "diameter", order=math.inf, run=0)
    world = four_rooms()
    return imagined(world, model, results.attrs["seed"], "PVE model of run 0")


def save_figures(data_dir: str | Path, out: str | Path) -> list[Path]:
    """Draw every figure that the data allow, as PNG and PDF.

    Args:
      data_dir: the data folder.
      out: the folder to write to; it is made.

    Returns:
      The files.

    Raises:
      ValueError: the data folder holds no finished runs, or ``out`` cannot be written.
    """
    drawn: dict[str, Figure | None] = {}
    for experiment in present(data_dir):
        results = load(data_dir, experiment)
        if experiment == "capacity":
            drawn |= {
                "capacity": capacity(results),
                "capacity-loss": capacity_loss(results),
            }
            continue
        drawn["progress"] = progress(results)
        if "spread" in results:
            several: dict[str, Callable[[Any], Figure]] = {
                "diameters": diameters,
                "spreads": spreads,
                "clouds": clouds,
            }
            drawn |= {name: draw(results) for name, draw in several.items()}
        drawn["trajectories"] = _imagined_by_run_0(data_dir, results)
    folder = make_folder(Path(out))
    paths = []
    for name, figure in drawn.items():
        if figure is None:
            continue
        for kind in ("png", "pdf"):
            paths.append(folder / f"{name}.{kind}")
            figure.savefig(paths[-1])
        plt.close(figure)
    return paths
