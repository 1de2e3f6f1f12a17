"""The capacity experiment: performance and loss against rank."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from pve.experiments.capacity import PUBLISHED
from pve.figures import drawing, style
from pve.figures.captions import outside_legend, sign, source_line
from pve.results.endings import final_losses

SEEDS = "; thin: single runs, thick: medians"


@style.in_style()
def improvement(paths: dict[str, tuple[Any, Any]], optimum: float, source: str) -> Figure:
    """The true values of the policies along improvement paths.

    Args:
      paths: for each kind of path, which gets a panel, the mean true values of its base
        policies ``[policies]`` and of those perturbed from them ``[policies, each]``.
      optimum: the mean of v*.
      source: what the figure says of the paths.
    """
    figure, axes = style.new_figure(
        1, len(paths), figsize=(7.2, 3.3), sharey=True, squeeze=False
    )
    for ax, (name, (values, perturbed)) in zip(axes[0], paths.items(), strict=True):
        ax.plot(perturbed, ".", ms=4, mew=0, color=style.MODE_COLORS["stochastic"])
        ax.plot(values, color=style.BLACK, lw=1)
        ax.axhline(optimum, ls="--", color=style.GREY, lw=1)
        ax.set(title=name, xlabel="base policy")
    axes[0, 0].set_ylabel("mean true value")
    return sign(figure, source)


@style.in_style()
def capacity(results: xr.Dataset) -> Figure:
    """Performance against rank: every run, means with errors, and medians."""
    figure, ax = style.new_figure(figsize=(6.8, 4.4))
    final = results.performance.isel(step=-1)
    shift = 0.009 * float(np.ptp(final["rank"].values))
    for offset, mode in zip((-shift, shift), results.mode.values, strict=False):
        color, values = style.MODE_COLORS[mode], final.sel(mode=mode)
        ranks = values["rank"].values + offset
        count = values.notnull().sum("run")
        error = values.std("run", ddof=1) / np.sqrt(count) if count.max() > 1 else None
        for run in values.run.values:
            ax.plot(ranks, values.sel(run=run), "o", ms=4, mew=0, color=color, alpha=0.4)
        ax.errorbar(
            ranks, values.mean("run"), error, color=color, capsize=3,
            label=f"{mode}: mean ± standard error",
        )  # fmt: skip
        ax.plot(
            ranks, values.median("run"), ":", color=color, label=f"{mode}: median"
        )  # fmt: skip
    optimum = results.attrs["optimal_performance"]
    ax.axhline(optimum, ls="--", color=style.GREY, lw=1, label="v*")
    ax.set(xlabel="rank of the model", ylabel="mean true value of the model's policy")
    _rank_ticks(ax, final["rank"].values)
    outside_legend(figure, ax, 2)
    return sign(figure, source_line(results) + "; dots: single runs")


@style.in_style()
def over_training(results: xr.Dataset, rank: int) -> Figure:
    """Performance and loss against training steps, run by run, beside what was published.

    Args:
      results: with at least one finished run of the rank.
      rank: which models.
    """
    modes = results.mode.values
    figure, axes = style.new_figure(
        2, len(modes), figsize=(7.2, 5.4), sharex=True, sharey="row", squeeze=False,
        height_ratios=(3, 2),
    )  # fmt: skip
    for (ax, below), mode in zip(axes.T, modes, strict=True):
        runs = results.performance.sel(mode=mode, rank=rank).dropna("run")
        color, steps = style.MODE_COLORS[mode], runs.step.values
        ax.plot(steps, runs.transpose("step", "run"), color=color, lw=0.8, alpha=0.6)
        ax.plot(steps, runs.mean("run"), color=color, lw=2.4)
        ax.axhline(results.attrs["optimal_performance"], ls="--", color=style.GREY, lw=1)
        published = PUBLISHED[mode].get(rank)
        if published is not None:
            mean, error = published
            ax.errorbar(
                steps[-1], mean, error, fmt="D", ms=5, capsize=4, color=style.BLACK,
                label="published: mean ± standard error", zorder=5, clip_on=False,
            )  # fmt: skip
        ax.set(title=f"{mode} policies", ylim=(0, None))
        losses = loss_at_evaluations(results.sel(mode=mode, rank=rank, run=runs.run))
        below.plot(losses.step, losses.transpose("step", "run"), color=color, lw=0.8)
        below.set(xlabel="training steps", yscale="log")
        below.set_xticks([0, steps[-1] // 2, steps[-1]])
        below.xaxis.set_major_formatter("{x:,.0f}")
    axes[0, 0].set_ylabel("mean true value of the plan")
    axes[1, 0].set_ylabel("proper loss")
    outside_legend(figure, axes[0, -1], 1)
    source = source_line(results).replace(", Adam", ",\nAdam")
    return sign(figure, f"rank {rank}; {source}; thin: single runs, thick: their mean")


@style.in_style()
def plans_by_rank(results: xr.Dataset, mode: str) -> Figure:
    """What plans are worth against training steps, rank by rank, run by run.

    Args:
      results: with at least one finished run of each rank.
      mode: which policy set.
    """
    ranks = results["rank"].values
    figure, axes = style.new_figure(
        1, len(ranks), figsize=(7.2, 2.9), sharex=True, sharey=True, squeeze=False
    )
    color = style.MODE_COLORS[mode]
    for ax, rank in zip(axes[0], ranks, strict=True):
        runs = results.performance.sel(mode=mode, rank=rank).dropna("run").isel(
            step=slice(1, None)
        )  # fmt: skip
        ax.plot(runs.step, runs.transpose("step", "run"), color=color, lw=0.8, alpha=0.6)
        ax.plot(runs.step, runs.mean("run"), color=color, lw=2.4)
        ax.axhline(results.attrs["optimal_performance"], ls="--", color=style.GREY, lw=1)
        ax.set(title=f"rank {rank}, {runs.sizes['run']} runs", xscale="log", ylim=(0, None))
        ax.set_xlabel("training steps")
    axes[0, 0].set_ylabel("mean true value of the plan")
    told = f"{mode} policies, seed {results.attrs['seed']}, batch {results.attrs['batch']}"
    return sign(figure, f"{told}; thin: single runs, thick: their mean")


def loss_at_evaluations(results: xr.Dataset) -> xr.DataArray:
    """The mean of the losses recorded since the previous evaluation, by ``step``."""
    steps = results.step.values
    grouped = results.loss.groupby_bins("logged_step", steps, labels=steps[1:])
    return grouped.mean().rename(logged_step_bins="step")


def _rank_ticks(ax: Any, ranks: Any) -> None:
    """A tick for each rank, but no two whose numbers would touch; the last stays."""
    kept = [rank for rank in ranks[:-1] if ranks[-1] - rank > 0.06 * ranks[-1]]
    ax.set_xticks([*kept, ranks[-1]])


@style.in_style()
def capacity_loss(results: xr.Dataset) -> Figure:
    """The final loss against rank: every run and the medians."""
    figure, ax = style.new_figure(figsize=(6.6, 3.8))
    final = final_losses(results.loss)
    _draw_ranks(final, ax)
    ax.set(ylabel="PVE loss at the end", yscale="log")
    outside_legend(figure, ax, 2)
    return sign(figure, source_line(results) + SEEDS)


@style.in_style()
def _draw_ranks(measure: xr.DataArray, ax: Any) -> None:
    """Every run and the medians of each policy set against rank."""
    for mode in measure.mode.values:
        values = measure.sel(mode=mode).transpose("run", "rank")
        color = style.MODE_COLORS[mode]
        drawing.draw_runs(values["rank"], values, ax, color=color, label=mode, mark="o")
    ax.set_xlabel("rank of the model")
    _rank_ticks(ax, measure["rank"].values)


def draw(results: xr.Dataset, data_dir: str | Path) -> dict[str, Figure]:
    """All figures of the experiment, by the names of their files."""
    del data_dir
    return {"capacity": capacity(results), "capacity-loss": capacity_loss(results)}
