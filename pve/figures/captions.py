"""What figures and tables say of their data."""

from __future__ import annotations

import math
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from pve.figures import style


def source_line(results: xr.Dataset) -> str:
    """What a figure says of its data: preset if known, seed, runs, steps, schedule."""
    facts = results.attrs
    preset = f"preset {facts['preset']}, " if "preset" in facts else ""
    return (
        f"{preset}seed {facts['seed']}, {results.sizes['run']} runs each, "
        f"{facts['steps']:,} steps of batch {facts['batch']}, "
        f"Adam {facts['learning_rate']:g} {facts['decay']}"
    )


def source_of_run(results: xr.Dataset, order: float, run: int) -> str:
    """What a figure says of the one trained model it shows."""
    facts = results.attrs
    preset = f"preset {facts['preset']}, " if "preset" in facts else ""
    return (
        f"model: {style.order_label(order)}, run {run} of {results.sizes['run']}; "
        f"{preset}seed {facts['seed']}, {facts['steps']:,} steps of batch {facts['batch']}"
    )


def digits(number: float, count: int = 3) -> str:
    """A number with so many significant digits, never with an exponent.

    >>> digits(1674.2), digits(0.00092341, 2), digits(0)
    ('1,674', '0.00092', '0')
    """
    if number == 0 or not math.isfinite(number):
        return f"{number:g}"
    places = count - 1 - math.floor(math.log10(abs(number)))
    return f"{number:,.{max(places, 0)}f}"


def sign(figure: Figure, text: str) -> Figure:
    """Write under a figure what it shows, and return it."""
    figure.supxlabel(text, fontsize=8, color=style.FAINT, x=0.01, ha="left")
    return figure


def outside_legend(figure: Figure, ax: Any, columns: int) -> None:
    """Put the legend of an axes above the figure."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)
