"""Proper value equivalence in worlds small enough to see: orders, planning, and freedom."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pve.figures import style
from pve.figures.diagrams import Arrow, draw_clock, draw_states

BLUE, RED = "#0072B2", "#D55E00"
MARKS = (("o", BLUE), ("s", RED))


@style.in_style()
def clocks(steps: Any, orders: Any, right: Any) -> Figure:
    """A clock beside a wrong one, and the orders at which clocks are value equivalent.

    Args:
      steps: ``[J]``, how many hours the clocks move at a tick; 4 is drawn in red.
      orders: ``[K]``.
      right: ``[J, K]``, booleans: whether the clock agrees with the true one at the order.
    """
    figure, (ring, grid) = style.new_figure(1, 2, figsize=(7.4, 3), width_ratios=[1, 1.7])
    draw_clock({1: (style.BLACK, -0.25), 4: (RED, 0.15)}, ring)
    orders, colors = np.asarray(orders), {1: style.BLACK, 4: RED}
    for step, row in zip(steps, np.asarray(right), strict=True):
        color = colors.get(step, style.GREY)
        grid.plot(orders[row], np.full(row.sum(), step), "o", ms=7, color=color)
    grid.set(xlabel="order $k$", ylabel="the model moves $j$ hours")
    grid.set_ylim(max(steps) + 0.5, min(steps) - 0.5)
    grid.set_xticks(orders)
    grid.grid(color="#e5e5e5", lw=0.6)
    grid.set_axisbelow(True)
    return figure


@style.in_style()
def plan_losses(cloud: Any, hard: Mapping[str, Any], discount: float) -> Figure:
    """What planning in a model loses, against the errors of values and the residuals.

    Args:
      cloud: ``[N, 3]``, of random models: error, residual, loss. Those without a loss are
        not drawn.
      hard: likewise of models that lose the most, by name, at most two.
      discount: γ.
    """
    figure, axes = style.new_figure(1, 2, figsize=(7.6, 3.3), sharey=True)
    line, seen = np.array([0.02, 10]), cloud[cloud[:, 2] > 1e-9]
    for column, ax in enumerate(axes):
        ax.loglog(line, 2 * line, "k--", lw=1.1, label="$2\\varepsilon$")
        ax.loglog(seen[:, column], seen[:, 2], ".", color=style.GREY, ms=5)
        for (name, found), (mark, color) in zip(hard.items(), MARKS, strict=False):
            ax.loglog(found[:, column], found[:, 2], mark, color=color, label=name)
        ax.set_xlim(line)
    bound = "$2\\varepsilon/(1-\\gamma)$"
    axes[1].loglog(line, 2 * line / (1 - discount), "k-", lw=1.1, label=bound)
    axes[0].set_ylim(2e-3, 300)
    axes[0].set(
        xlabel="$\\varepsilon$, largest error of a value", ylabel="loss of the plan"
    )
    axes[1].set(xlabel="$\\varepsilon$, largest residual")
    axes[1].legend(loc="lower right", fontsize=9)
    return figure


@style.in_style()
def waiting(worst: Mapping[str, Any]) -> Figure:
    """A model that may wait at the start, and its residuals by how likely it waits.

    Args:
      worst: by title ``[points, points]``, the largest residual; y_b from bottom to top,
        y_a from left to right, both from 0 to 1.
    """
    figure, axes = style.new_figure(1, 3, figsize=(7.6, 2.7), width_ratios=[1.25, 1, 1])
    arrows = [
        Arrow("0", "end", "$a$", (0, 0.36), BLUE, -0.3),
        Arrow("0", "end", "$b$", (0, -0.36), RED, 0.3),
        Arrow("0", "0", "$a$: $y_a$", (0, 0.66), BLUE, 1),
        Arrow("0", "0", "$b$: $y_b$", (0, -0.66), RED, -1),
    ]
    draw_states({"0": (0, 0), "end": (1.5, 0)}, arrows, axes[0])
    axes[0].set(xlim=(-0.45, 1.8), ylim=(-0.9, 0.9))
    top = max(np.max(image) for image in worst.values())
    for ax, (title, image) in zip(axes[1:], worst.items(), strict=True):
        shown = ax.imshow(image, origin="lower", extent=(0, 1, 0, 1), vmin=0, vmax=top)
        ax.set(xlabel="$y_a$", title=title, xticks=[0, 0.5, 1], yticks=[0, 0.5, 1])
    axes[1].set_ylabel("$y_b$")
    axes[2].set_yticklabels([])
    figure.colorbar(shown, ax=axes[1:], label="residual", shrink=0.75)
    return figure


@style.in_style()
def twins() -> Figure:
    """A world with two states that differ in nothing, and a model that mixes them up."""
    figure, ax = style.new_figure(figsize=(4.4, 1.9))
    places = {"0": (0.0, 0.0), "1": (1.3, 0.45), "1′": (1.3, -0.45), "end": (2.6, 0.0)}
    arrows = [
        Arrow("0", "1", "$1 - z$", (-0.15, 0.22)),
        Arrow("0", "1′", "$z$", (-0.1, -0.2), RED),
        Arrow("1", "end", "reward 1", (0.3, 0.2)),
        Arrow("1′", "end", "reward 1", (0.3, -0.2)),
    ]
    draw_states(places, arrows, ax)
    ax.set(xlim=(-0.3, 2.9), ylim=(-0.75, 0.75))
    return figure
