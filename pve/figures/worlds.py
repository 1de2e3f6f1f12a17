"""Several worlds side by side: optima on maps, and what rank buys in each."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pve.figures import drawing, style

# Gymnasium's maps: their shapes, and its numbers of the moves left, right, down, up.
TOYS = {
    "FrozenLake": ((4, 4), [0, 2, 1, 3]),
    "CliffWalking": ((4, 12), [3, 1, 2, 0]),
}
PALETTE = ("#0072B2", "#E69F00", "#009E73", "#D55E00", "#CC79A7")


@style.in_style()
def optima_on_maps(
    garden: Any,
    best: Mapping[str, tuple[np.ndarray, np.ndarray]],
    ends: Mapping[str, Collection[int]],
) -> Figure:
    """Optimal values in colour and actions as arrows: a map, and two of Gymnasium's.

    Args:
      garden: the map's world, called Garden.
      best: optimal values and policies by world.
      ends: of Gymnasium's worlds, the states that get no arrow.
    """
    shown = ("Garden", *TOYS)
    figure, axes = style.new_figure(
        len(shown), 1, figsize=(5.2, 8.2), height_ratios=(7, 5, 4)
    )
    for ax, name in zip(axes, shown, strict=True):
        value, plan = best[name]
        xy, walls = garden.xy, garden.walls
        if name in TOYS:
            (height, width), moves = TOYS[name]
            walls, plan = np.zeros((height, width), bool), plan[:, moves]
            xy = np.stack(np.divmod(np.arange(height * width), width)[::-1], -1)
            picture = value[: height * width].reshape(height, width)
        else:
            picture = garden.image(value)
        drawing.draw_map(picture, walls, ax, label="$v_*$")
        moving = [s for s in range(len(xy)) if s not in ends.get(name, ())]
        drawing.draw_arrows(plan[moving], xy[moving], ax)
        ax.set_title(name)
    return figure


@style.in_style()
def ranks_of_worlds(
    losses: Mapping[str, Sequence[float]],
    plans: Mapping[str, Sequence[np.ndarray]],
    ranks: Sequence[int],
    worlds: Sequence[str],
) -> Figure:
    """The loss and the plans of each world against rank, the full model last.

    Args:
      losses: at the end, by world, one for each rank and one for the full model.
      plans: normalised performances ``[N]``, likewise.
      ranks: of the models.
      worlds: all those of the page; its place among them decides a world's colour.
    """
    figure, (left, right) = style.new_figure(1, 2, figsize=(7.2, 3.7))
    colors = dict(zip(worlds, PALETTE, strict=False))
    places = range(len(ranks) + 1)
    for name, values in losses.items():
        color = colors[name]
        left.plot(places, values, label=name, color=color, marker="o", ms=4)
        right.plot(places, [np.median(found) for found in plans[name]], color=color)
        for place, found in zip(places, plans[name], strict=True):
            right.plot([place] * len(found), found, ".", color=color, alpha=0.5)
    for ax in (left, right):
        ax.set_xticks(places, [*map(str, ranks), "full"])
        ax.set_xlabel("rank of the model")
    left.set(ylabel="proper loss at the end", yscale="log")
    right.set_ylabel("performance (0: uniform, 1: optimal)")
    right.axhline(1, color=style.GREY, ls="--", lw=1)
    figure.legend(loc="outside upper center", ncols=3)
    return figure
