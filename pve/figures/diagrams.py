"""Small worlds as diagrams: states are circles, transitions are arrows."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Circle

from pve.figures import style


class Arrow(NamedTuple):
    """A transition in a diagram.

    Attributes:
      start: the name of the state it leaves.
      end: the name of the state it enters. If that is the start the arrow is a loop.
      label: its text.
      shift: where the text stands, from the middle of the arrow or the loop's state.
      color: of both.
      bend: of the arrow, as a share of its length; a loop is above its state if positive,
        below it if negative.
    """

    start: str
    end: str
    label: str
    shift: tuple[float, float]
    color: str = style.BLACK
    bend: float = 0.0


def draw_states(
    places: Mapping[str, tuple[float, float]],
    arrows: Sequence[Arrow],
    ax: Axes,
    *,
    radius: float = 0.2,
) -> Axes:
    """Draw states as circles and transitions as labelled arrows.

    Args:
      places: where the states are, by the names written into them.
      arrows: between them.
      ax: the axes to draw on.
      radius: of the circles.
    """
    for name, place in places.items():
        ax.add_patch(Circle(place, radius, fc="white", ec=style.BLACK, lw=1.2))
        ax.text(*place, name, ha="center", va="center")
    for arrow in arrows:
        start, end = np.array(places[arrow.start]), np.array(places[arrow.end])
        middle, bend = (start + end) / 2, arrow.bend
        if arrow.start == arrow.end:
            side = np.sign(bend)
            foot = radius * np.array([0.5, 0.9 * side])
            start, end = start + foot * (-1, 1), end + foot
            bend = -2.2 * side
        else:
            along = radius * (end - start) / np.hypot(*(end - start))
            start, end = start + along, end - along
        look = {
            "arrowstyle": "-|>", "color": arrow.color, "lw": 1.3, "shrinkA": 0,
            "shrinkB": 0, "connectionstyle": f"arc3,rad={bend}",
        }  # fmt: skip
        ax.annotate("", tuple(end), tuple(start), arrowprops=look)
        x, y = middle + arrow.shift
        ax.text(x, y, arrow.label, ha="center", va="center", color=arrow.color)
    ax.set_aspect("equal")
    ax.axis("off")
    return ax


def draw_clock(steps: Mapping[int, tuple[str, float]], ax: Axes, *, hours: int = 6) -> Axes:
    """Draw a clock's hours on a ring, and arrows for each way in which it may move on.

    Args:
      steps: by the number of hours moved at a tick, an arrow's colour and bend.
      ax: the axes to draw on.
      hours: on the ring; the last stands at the top.
    """
    angle = np.pi / 2 - 2 * np.pi * np.arange(hours) / hours
    points = list(zip(np.cos(angle), np.sin(angle), strict=True))
    for step, (color, bend) in steps.items():
        for hour in range(hours):
            look = {
                "arrowstyle": "-|>", "color": color, "shrinkA": 11, "shrinkB": 11,
                "connectionstyle": f"arc3,rad={bend}", "lw": 1.2 if step == 1 else 0.9,
            }  # fmt: skip
            ax.annotate("", points[(hour + step) % hours], points[hour], arrowprops=look)
    box = {"boxstyle": "circle", "fc": "white", "ec": style.BLACK}
    for hour, (x, y) in enumerate(points):
        ax.text(x, y, str(hour or hours), ha="center", va="center", bbox=box)
    ax.set(xlim=(-1.35, 1.35), ylim=(-1.35, 1.35), aspect="equal")
    ax.axis("off")
    return ax
