"""The exact class: curvatures, lazy models, where training ends, solving, ε-classes."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pve.equivalence.lazy import LazyLine
from pve.figures import drawing, style
from pve.figures.captions import sign
from pve.worlds.gridworld import GridWorld

PROPER = style.order_color(math.inf)
SOLVED = "#009E73"


@style.in_style()
def curvatures(
    curvature: Any, one: float, named: Mapping[str, float], source: str
) -> Figure:
    """The principal curvatures of the proper loss, with some directions marked.

    Args:
      curvature: ``[S, A, S − 1]``, in decreasing order.
      one: the curvature of order 1, the same in every direction.
      named: curvatures along directions that have a name.
      source: what the figure says of its data.
    """
    curvature = np.asarray(curvature)
    count = curvature.shape[-1]
    index = np.arange(1, count + 1)
    figure, ax = style.new_figure(figsize=(6.4, 4))
    ends = curvature.min((0, 1)), curvature.max((0, 1))
    ax.fill_between(index, *ends, color=PROPER, alpha=0.2, lw=0)
    ax.plot(index, np.median(curvature, (0, 1)), color=PROPER, label="k = ∞")
    ax.axhline(one, color=style.order_color(1), label="k = 1")
    for name, height in named.items():
        ax.plot([count - 5, count + 3], [height] * 2, color=style.BLACK, lw=2)
        ax.annotate(name, (count - 7, height), ha="right", va="center", fontsize=9)
    ax.set(
        yscale="log", xlabel="principal direction, steepest first",
        ylabel="curvature / variance of the functions", xlim=(0, count + 3),
    )  # fmt: skip
    ax.legend(loc="lower left")
    return sign(figure, source)


@style.in_style()
def lazy_models(line: LazyLine, optimum: float, source: str) -> Figure:
    """Loss, distance, errors of values and plans of lazy models.

    Args:
      line: the models.
      optimum: the mean of v*.
      source: what the figure says of its data.
    """
    figure, axes = style.new_figure(2, 2, figsize=(7, 4.8), sharex=True)
    (loss, far), (error, plan) = axes
    loss.semilogy(line.share, line.loss, ".-", color=PROPER)
    loss.set_ylabel("proper loss, mean")
    far.plot(line.share, line.distance, ".-", color=PROPER)
    far.set_ylabel(r"$\Vert \tilde P - P \Vert_F$")
    for field, dashes in (("mean", ".-"), ("median", ".:")):
        numbers = getattr(line, f"value_error_{field}")
        error.semilogy(line.share, numbers, dashes, color=PROPER, label=field)
    error.set_ylabel(r"$\Vert \tilde v_\pi - v_\pi \Vert^2$")
    error.legend()
    plan.plot(line.share, line.performance, ".-", color=PROPER)
    plan.axhline(optimum, color=style.GREY, ls="--", lw=1)
    plan.set(ylabel="value of the plan", ylim=(0, 1.1 * optimum))
    for ax in axes[1]:
        ax.set_xlabel("probability of staying, $c$")
    return sign(figure, source)


@style.in_style()
def heavy_tail(losses: Mapping[str, Any], means: Mapping[int, Any], source: str) -> Figure:
    """Losses of single policies, and what means over some of them say.

    Args:
      losses: by name of the model ``[N]``, of single policies; the last one's means are
        shown at the right.
      means: by number of policies, means over samples of that many.
      source: what the figure says of its data.
    """
    figure, (single, several) = style.new_figure(1, 2, figsize=(7.2, 3.5))
    for (name, found), color in zip(losses.items(), (PROPER, style.BLACK), strict=True):
        ordered = np.sort(np.asarray(found))
        share = np.arange(1, len(ordered) + 1) / len(ordered)
        single.plot(ordered, share, color=color, label=name)
        place = np.searchsorted(ordered, ordered.mean()) / len(ordered)
        single.plot(ordered.mean(), place, "D", ms=7, color=color)
    single.set(xscale="log", xlabel="loss of one policy", ylabel="share of policies below")
    single.legend(loc="lower center", bbox_to_anchor=(0.5, 1), fontsize=9)
    for size, found in means.items():
        low, middle, high = np.quantile(found, (0.05, 0.5, 0.95))
        several.plot([size] * 2, [low, high], color=style.BLACK, lw=3, alpha=0.5)
        several.plot(size, middle, "o", ms=6, color=style.BLACK)
    truth = np.mean(list(losses.values())[-1])
    several.axhline(truth, color=style.GREY, ls="--", lw=1)
    several.set_xticks(list(means), [f"{size:,}" for size in means])
    several.set(
        xscale="log", ylim=(0, None), xlabel="policies in a mean", ylabel="mean loss"
    )
    several.set_xticks(list(means), [f"{size:,}" for size in means], minor=False)
    several.minorticks_off()
    return sign(figure, source)


@style.in_style()
def training_ends(
    curves: Mapping[str, tuple[Any, str, str]], cosine: Any, rooms: GridWorld, source: str
) -> Figure:
    """Deviations along principal directions, and a map of how lazy the models are.

    Args:
      curves: by name the deviations ``[S − 1]``, a colour and a line style.
      cosine: ``[S]``, to the lazy direction.
      rooms: the world.
      source: what the figure says of the models.
    """
    figure, (ax, where) = style.new_figure(1, 2, figsize=(7.4, 3.7))
    for name, (found, color, dashes) in curves.items():
        index = np.arange(1, len(found) + 1)
        ax.semilogy(index, found, dashes, color=color, label=name)
    ax.set(
        xlabel="principal direction, steepest first",
        ylabel="RMS deviation of $\\tilde p$",
    )
    ax.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=2, fontsize=8)
    drawing.draw_map(
        rooms.image(cosine), rooms.walls, where, label="cosine to staying", limits=(0, 1)
    )
    return sign(figure, source)


@style.in_style()
def solved(
    distances: Any, losses: Any, trained: Sequence[Any], lazy: Any, source: str
) -> Figure:
    """Newton's method from several starts, beside training and the lazy models.

    Args:
      distances: ``[N, steps + 1]``, from the environment.
      losses: the same shape, with the reward refitted.
      trained: for each training run its distances and losses on the way.
      lazy: distances and losses of the lazy models.
      source: what the figure says of its data.
    """
    figure, (left, right) = style.new_figure(1, 2, figsize=(7.2, 3.6), sharey=True)
    left.semilogy(np.transpose(distances), color=SOLVED, lw=1)
    left.set(xlabel="Newton step", ylabel=r"$\Vert \tilde P - P \Vert_F$")
    for far, loss in zip(distances, losses, strict=True):
        right.loglog(loss, far, color=SOLVED, lw=1)
    for far, loss in trained:
        right.loglog(loss, far, color=PROPER, lw=1.2)
        right.loglog(loss[-1], far[-1], "o", ms=5, color=PROPER)
    right.loglog(lazy[1], lazy[0], "--", color=style.BLACK, lw=1)
    for color, dashes, label in (
        (SOLVED, "-", "Newton"),
        (PROPER, "-", "trained, k = ∞"),
        (style.BLACK, "--", "lazy models"),
    ):
        right.plot([], [], dashes, color=color, label=label)
    right.set_xlabel("loss, the reward refitted")
    right.legend(loc="lower right", fontsize=9)
    return sign(figure, source)


@style.in_style()
def reaches(found: Mapping[str, Any], trained: Mapping[str, Any], source: str) -> Figure:
    """How far the probability of staying may rise, by allowed residual, place by place.

    Args:
      found: by place the allowed residuals ``epsilon``, the bounds ``outer`` by set of
        policies, and what lazy models attain, ``inner``.
      trained: by place ``[N, 2]``, the largest residuals and the rises of trained models.
      source: what the figure says of its data.
    """
    figure, axes = style.new_figure(
        1, len(found), figsize=(7.4, 4), sharey=True, squeeze=False
    )
    for ax, (place, one) in zip(axes[0], found.items(), strict=True):
        for (name, curve), dashes in zip(one.outer.items(), ("-", "--"), strict=True):
            ax.loglog(one.epsilon, curve, dashes, color=PROPER, label=f"at most, {name}")
        label = "at least: lazy models, all policies"
        ax.loglog(one.epsilon, one.inner, color=style.BLACK, lw=1, label=label)
        dots = np.asarray(trained[place])
        dots = dots[dots[:, 1] > 1e-4]
        ax.loglog(*dots.T, "o", ms=5, color=PROPER, label="trained models")
        ax.set(title=place, xlabel="allowed residual ε", ylim=(3e-5, 1.5))
    axes[0, 0].set_ylabel("rise of the probability of staying")
    handles, labels = axes[0, 0].get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=2, fontsize=8)
    return sign(figure, source)
