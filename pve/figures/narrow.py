"""The same figure for a narrow page: panels below each other, no wider than a phone.

A page that shrinks a figure shrinks its text. So a figure that is wider than a phone is
drawn a second time, with its panels in one column and type of the same size, and both
drawings travel in one file until the page is built (`both`).
"""

from __future__ import annotations

import base64
import textwrap
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.gridspec import SubplotSpec
from matplotlib.legend import Legend
from matplotlib.text import Text

WIDTH = 3.4  # inches: with its margins a phone's column of text, at 96 pixels an inch
TALLEST = 3.4  # inches of a panel
BETWEEN = 0.45  # inches between panels, for titles and labels
AS_DRAWN = "as-drawn"  # the id of a figure that makes no sense in one narrow column
DRAW_NARROW = "PVE_DRAW_NARROW"  # the environment variable with which a build asks for it


def stack(figure: Figure) -> int:
    """Lay a figure out anew for a narrow page, in place.

    Args:
      figure: drawn for a wide page.

    Returns:
      How many panels it has; 0, and nothing is changed, where it is narrow already, laid
      out by hand, or to stay `AS_DRAWN`.
    """
    if figure.get_figwidth() <= WIDTH or figure.subfigs or figure.get_gid() == AS_DRAWN:
        return 0
    panels = [
        (ax, spec) for ax in figure.axes if (spec := ax.get_subplotspec()) is not None
    ]
    if len({spec.get_topmost_subplotspec().get_gridspec() for _, spec in panels}) != 1:
        return 0
    figure.draw_without_rendering()  # now it is known how high everything is
    axes = [ax for ax, _ in panels]
    around = figure.get_figheight() * (1 - _covered(axes))
    heights = [_height(ax, figure) for ax in axes]
    _tell_axes_apart(panels)
    grid = figure.add_gridspec(len(axes), 1, height_ratios=heights)
    for index, ax in enumerate(axes):
        ax.set_subplotspec(grid[index])
    between = BETWEEN * (len(axes) - 1)
    figure.set_size_inches(WIDTH, sum(heights) + around + between)
    _narrow_legends(figure)
    _wrap(figure)
    return len(axes)


def _covered(panels: list[Axes]) -> float:
    """The share of a figure's height that panels fill, row by row."""
    spans = {tuple(np.round(ax.get_position().intervaly, 2)) for ax in panels}
    return min(1.0, sum(high - low for low, high in spans))


def _height(ax: Axes, figure: Figure) -> float:
    """A panel's height in inches: its own, or what its aspect asks for."""
    width, height = ax.get_position().size * figure.get_size_inches()
    if ax.get_aspect() == "auto":
        return float(min(height, TALLEST))
    return float(min(0.9 * WIDTH * height / width, TALLEST))


def _tell_axes_apart(panels: list[tuple[Axes, SubplotSpec]]) -> None:
    """Give each panel the label and the ticks that it had from the first of its row."""
    for ax, spec in panels:
        first = next(x for x, of in panels if of.rowspan == spec.rowspan)
        shared = ax.get_shared_y_axes().joined(ax, first)
        if ax is not first and shared and first.axison and len(first.get_yticks()):
            ax.tick_params(labelleft=True)
            if not ax.get_ylabel():
                ax.set_ylabel(first.get_ylabel())


def _narrow_legends(figure: Figure) -> None:
    """Draw those legends anew, with fewer columns, that are too wide for the page."""
    for legend in figure.legends.copy():
        if columns := _fewer_columns(legend, figure):
            figure.legend(**_as_before(legend), loc="outside upper center", ncols=columns)
            legend.remove()
    for ax in figure.axes:
        own = ax.get_legend()
        if own is not None and (columns := _fewer_columns(own, figure)):
            ax.legend(**_as_before(own), loc="best", ncols=columns)


def _as_before(legend: Legend) -> dict[str, Any]:
    return {
        "handles": legend.legend_handles,
        "labels": [text.get_text() for text in legend.get_texts()],
        "prop": legend.prop,
        "frameon": False,
    }


def _fewer_columns(legend: Legend, figure: Figure) -> int:
    """How many columns fit; 0 if all of them do."""
    width = legend.get_window_extent().width / figure.dpi
    columns = legend._ncols  # type: ignore[attr-defined]
    if columns == 1 or width <= WIDTH:
        return 0
    return max(1, int(columns * WIDTH / width))


def _wrap(figure: Figure) -> None:
    """Break the lines of what is written along the whole width."""
    for ax in figure.axes:
        _wrap_text(ax.title, figure, WIDTH - 0.5)
        _wrap_text(ax.xaxis.label, figure, WIDTH - 0.5)
    for text in (figure._suptitle, figure._supxlabel):  # type: ignore[attr-defined]
        if text is not None:
            _wrap_text(text, figure, WIDTH - 0.1)


def _wrap_text(text: Text, figure: Figure, most: float) -> None:
    words = text.get_text()
    if not words.strip() or "$" in words:
        return
    lines = words.split("\n")
    width = text.get_window_extent().width / figure.dpi
    if width > most:
        letters = max(8, int(max(map(len, lines)) * most / width))
        text.set_text("\n".join(textwrap.fill(line, letters) for line in lines))


def both(wide: str, narrow: str, panels: int) -> str:
    """One file that carries a drawing and the same for a narrow page.

    Args:
      wide: an SVG file.
      narrow: an SVG file.
      panels: how many panels they have.

    Returns:
      The first, with the second in a comment, where the book's build looks for it
      (``book/_ext/narrow_figures.py``).
    """
    carried = base64.b64encode(narrow.encode()).decode()
    return f"{wide.rstrip()}\n<!--narrow {panels}:{carried}-->\n"
