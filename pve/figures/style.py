"""How figures look: sizes, fonts, colours, and the words for orders."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt

from pve.experiments import capacity, diameter

STYLE: dict[Any, Any] = {
    "figure.facecolor": "white",
    "figure.figsize": (6.4, 3.8),
    "figure.constrained_layout.use": True,
    "figure.dpi": 110,
    "savefig.dpi": 200,
    "svg.fonttype": "path",
    "svg.hashsalt": "pve",
    "font.size": 10,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10,
    "axes.grid": False,
    "legend.frameon": False,
    "lines.linewidth": 1.6,
    "image.cmap": "viridis",
    "figure.max_open_warning": 0,
}
BLACK, GREY = "#222222", "#8a8a8a"
FAINT = "#6a6a6a"  # of small text
ORDER_COLORS, MODE_COLORS = diameter.COLORS, capacity.COLORS


def use_style() -> None:
    """Set the book's style for all figures that follow, whatever a matplotlibrc says."""
    mpl.rcdefaults()
    mpl.rcParams.update(STYLE)


@contextlib.contextmanager
def in_style() -> Iterator[None]:
    """Draw in the book's style, and leave a script's own settings as they were.

    Also a decorator, for functions that draw.
    """
    with mpl.rc_context():
        use_style()
        yield


def order_color(order: float) -> str:
    """The colour of an order, the same in every figure; fixed for the paper's orders."""
    if order in ORDER_COLORS:
        return ORDER_COLORS[order]
    return mpl.colors.to_hex(mpl.colormaps["plasma"](min(1.0, math.log(order) / 6)))


def order_label(order: float) -> str:
    """An order's label: ``k = 30``, ``k = ∞``."""
    return "k = ∞" if order == math.inf else f"k = {int(order)}"


def new_figure(*args: Any, **kwargs: Any) -> Any:
    """``plt.subplots`` in the book's style."""
    with in_style():
        return plt.subplots(*args, **kwargs)
