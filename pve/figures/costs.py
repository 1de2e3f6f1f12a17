"""What training costs: a step by order and rank, and whole experiments by preset."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from matplotlib.figure import Figure

from pve.checks import PRESETS
from pve.figures import style

MARKS = {"a minute": 60, "an hour": 3_600, "a day": 86_400, "a week": 604_800}
LINES = {"diameter": ("o-", style.BLACK), "capacity": ("s--", style.GREY)}


@style.in_style()
def steps_and_presets(
    orders: Mapping[float, float],
    ranks: Mapping[int, float],
    estimates: Mapping[str, Sequence[float]],
) -> Figure:
    """Seconds of a step as bars, and of the training of each preset as lines.

    Args:
      orders: seconds of a step of full models, by order; orders 1 and ∞ share a bar.
      ranks: likewise at order ∞, by rank.
      estimates: seconds of training, one for each preset, by experiment: ``"diameter"``
        and ``"capacity"``.
    """
    figure, (left, right) = style.new_figure(1, 2, figsize=(7.2, 3.2))
    bars = {"k = 1 or ∞": (orders[math.inf], style.order_color(math.inf))}
    for order in sorted(k for k in orders if 1 < k < math.inf):
        bars[style.order_label(order)] = (orders[order], style.order_color(order))
    for rank, seconds in ranks.items():
        bars[f"∞, rank {rank}"] = (seconds, style.GREY)
    for name, (seconds, color) in bars.items():
        left.barh(name, 1e3 * seconds, color=color)
    left.invert_yaxis()
    left.set(xlabel="ms for a training step")
    for experiment, trainings in estimates.items():
        mark, color = LINES[experiment]
        right.plot(PRESETS, trainings, mark, color=color, label=experiment)
    for name, size in MARKS.items():
        right.axhline(size, color=style.GREY, lw=0.5, zorder=0)
        right.annotate(
            name, (3.1, size), va="center", ha="left", color=style.FAINT, fontsize=8,
            annotation_clip=False,
        )  # fmt: skip
    right.set(yscale="log", ylabel="training, seconds")
    right.set_xlim(-0.2, 3.05)
    right.legend(loc="lower right")
    return figure
