"""Drawing: arrays and an ``Axes`` in, the ``Axes`` out.

One style for the whole book: the colours of Okabe and Ito, which colour-blind readers
tell apart, and the same colour for the same order or policy set everywhere.
"""

from __future__ import annotations

import math
from typing import Any

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from pve.figures import themes
from pve.figures.style import BLACK, GREY, order_color

WALL_COLOR = "#3b3b3b"
CELL_PIXELS = 40  # of a map with many paths on it
MANY_POINTS = 2_000  # more are drawn as pixels, lest a vector file swell


def draw_map(
    image: Any,
    walls: Any,
    ax: Axes,
    *,
    label: str | None = None,
    cmap: str = "viridis",
    limits: tuple[float, float] | None = None,
    logarithmic: bool = False,
) -> Axes:
    """Draw numbers on a grid's cells.

    Args:
      image: ``[height, width]``; what is NaN is not drawn.
      walls: ``[height, width]``, booleans.
      ax: the axes to draw on.
      label: of the colour bar; None draws none.
      cmap: a colour map's name.
      limits: of the colours; None takes the numbers' range.
      logarithmic: whether the colours are; numbers below the lower limit get its colour.
    """
    low, high = limits or (np.nanmin(image), np.nanmax(image))
    if logarithmic:
        norm: mpl.colors.Normalize = mpl.colors.LogNorm(low, high)
        image = np.maximum(image, low)
    else:
        norm = mpl.colors.Normalize(low, high)
    shown = ax.imshow(image, cmap=cmap, norm=norm, interpolation="nearest")
    draw_walls(walls, ax)
    if label is not None:
        ax.figure.colorbar(shown, ax=ax, label=label, shrink=0.85)
    return ax


def draw_walls(walls: Any, ax: Axes) -> Axes:
    """Draw a grid's walls and take the axes' ticks away."""
    picture = np.where(np.asarray(walls), 1.0, np.nan)
    ax.imshow(
        picture,
        cmap=mpl.colors.ListedColormap([WALL_COLOR]),
        vmin=0,
        vmax=1,
        interpolation="nearest",
    )
    height, width = np.shape(walls)
    ax.set(xticks=[], yticks=[], xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    ax.set_aspect("equal")
    for spine in ax.spines.values():
        spine.set_visible(False)
    return ax


def outline_cell(xy: Any, ax: Axes) -> Axes:
    """Draw a frame around one cell of a map.

    Args:
      xy: ``[2]``, its column and row.
      ax: the axes to draw on.
    """
    x, y = xy
    frame = Rectangle((x - 0.5, y - 0.5), 1, 1, fill=False, ec=themes.COAL, lw=1.5)
    ax.add_patch(frame)
    return ax


def draw_arrows(policy: Any, xy: Any, ax: Axes, *, color: str = themes.CHALK) -> Axes:
    """Draw a deterministic grid policy as arrows.

    Args:
      policy: ``[S, A]``; the most probable action of each state is drawn.
      xy: ``[S, 2]``, columns and rows.
      ax: the axes to draw on.
      color: of the arrows.
    """
    steps = np.array([(-1, 0), (1, 0), (0, 1), (0, -1)])[np.argmax(policy, -1)]
    x, y = np.asarray(xy).T
    ax.quiver(
        x, y, *steps.T, angles="xy", scale_units="xy", scale=1.7, pivot="mid",
        color=color, ec=themes.COAL, lw=0.3, width=0.007, headwidth=4.5,
    )  # fmt: skip
    return ax


def draw_trajectories(
    xy: Any, walls: Any, ax: Axes, *, jitter: float = 0.28, seed: int = 0
) -> Any:
    """Draw trajectories on a map, coloured by time.

    They are drawn as one image: the more moves cross a pixel, the more opaque it is; its
    colour shows the mean of their times.

    Args:
      xy: ``[num, length + 1, 2]``, columns and rows.
      walls: ``[height, width]``, booleans.
      ax: the axes to draw on.
      jitter: how far points are moved within their cells, so that paths do not hide
        one another.
      seed: of the jitter.

    Returns:
      What a colour bar needs.
    """
    random = np.random.default_rng(seed)
    xy = np.asarray(xy, float)
    num, moments, _ = xy.shape
    shift = random.uniform(-jitter, jitter, (num, 1, 2))
    shift = shift + random.uniform(-jitter, jitter, xy.shape) * 0.35
    height, width = np.shape(walls)
    counts, times = _crossings(xy + shift + 0.5, (height, width))
    colors = mpl.cm.ScalarMappable(mpl.colors.Normalize(0, moments - 2), "viridis")
    image = colors.to_rgba(times / np.maximum(counts, 1))
    image[..., 3] = 1 - (1 - min(1.0, 60 / num + 0.03)) ** counts
    draw_walls(walls, ax)
    extent = (-0.5, width - 0.5, height - 0.5, -0.5)
    ax.imshow(image, extent=extent, zorder=2, interpolation="antialiased")
    return colors


def _crossings(points: Any, shape: tuple[int, int]) -> tuple[np.ndarray, np.ndarray]:
    """How many moves cross each pixel of a map, and the sum of their times."""
    height, width = (CELL_PIXELS * n for n in shape)
    counts, times = np.zeros((2, height * width))
    for time in range(points.shape[1] - 1):
        first, last = points[:, time] * CELL_PIXELS, points[:, time + 1] * CELL_PIXELS
        # One point for each pixel on the way, all moves' points in a row.
        number = np.ceil(np.abs(last - first).max(-1)).astype(int) + 1
        move = np.repeat(np.arange(len(first)), number)
        along = np.arange(number.sum()) - np.repeat(np.cumsum(number) - number, number)
        way = (along / number[move])[:, None]
        x, y = (first[move] + way * (last - first)[move]).astype(int).T
        here = np.bincount(y * width + x, minlength=height * width)
        counts += here
        times += time * here
    return counts.reshape(height, width), times.reshape(height, width)


def draw_diameters(
    orders: Any, diameters: Any, hollow: Any, ax: Axes, *, errors: Any = None
) -> Axes:
    """Draw one number per order, hollow where it has not converged.

    Args:
      orders: ``[orders]``, increasing; ∞ may be the last.
      diameters: ``[orders]``.
      hollow: ``[orders]``, booleans.
      ax: the axes to draw on.
      errors: ``[orders]`` or None.
    """
    places = np.arange(len(orders))
    if errors is not None:
        ax.errorbar(places, diameters, errors, fmt="none", ecolor=GREY, capsize=3)
    for place, order, value, empty in zip(places, orders, diameters, hollow, strict=True):
        color = order_color(float(order))
        ax.plot(place, value, "o", ms=9, mec=color, mew=2, mfc="white" if empty else color)
    labels = ["∞" if order == math.inf else str(int(order)) for order in orders]
    ax.set_xticks(places, labels)
    ax.set(xlabel="order k")
    ax.margins(x=0.1)
    ax.set_ylim(0, 1.08 * ax.get_ylim()[1])
    return ax


def draw_cloud(
    scores: Any,
    colors: Any,
    ax: Axes,
    *,
    limits: tuple[float, float],
    cmap: str = "viridis",
) -> Any:
    """Draw models as points in their principal plane.

    Args:
      scores: ``[points, 2]``.
      colors: ``[points]``.
      ax: the axes to draw on.
      limits: of the colours.
      cmap: a colour map's name.

    Returns:
      The points, for a colour bar.
    """
    x, y = np.asarray(scores).T
    return ax.scatter(
        x, y, c=colors, s=14, cmap=cmap, vmin=limits[0], vmax=limits[1], lw=0, alpha=0.9,
        rasterized=len(x) > MANY_POINTS,
    )  # fmt: skip


def draw_runs(
    x: Any, runs: Any, ax: Axes, *, color: str, label: str, mark: str | None = None
) -> Axes:
    """Draw every run as a thin line and their median as a thick one.

    Args:
      x: ``[points]``.
      runs: ``[N, points]``; NaN where there is none.
      ax: the axes to draw on.
      color: of the lines.
      label: of the median.
      mark: the median's marker.
    """
    runs = np.asarray(runs)
    ax.plot(x, runs.T, color=color, lw=0.5, alpha=0.4)
    ax.plot(x, np.nanmedian(runs, 0), color=color, lw=2, marker=mark, label=label)
    return ax


def draw_agreement(
    true: Any, model: Any, ax: Axes, *, color: str, label: str | None = None
) -> Axes:
    """Draw a model's numbers against the true ones; they agree on the diagonal.

    Args:
      true: any shape.
      model: the same shape.
      ax: the axes to draw on.
      color: of the points.
      label: of the points.
    """
    x, y = np.ravel(true), np.ravel(model)
    ax.plot(
        x, y, ".", ms=4, mew=0, color=color, alpha=0.6, label=label,
        rasterized=len(x) > MANY_POINTS,
    )  # fmt: skip
    return ax


def draw_diagonal(ax: Axes) -> Axes:
    """Give both axes the same limits and draw the line on which they agree."""
    low = min(ax.get_xlim()[0], ax.get_ylim()[0])
    high = max(ax.get_xlim()[1], ax.get_ylim()[1])
    ax.plot([low, high], [low, high], color=BLACK, lw=0.8, zorder=0)
    ax.set(xlim=(low, high), ylim=(low, high), aspect="equal")
    return ax
