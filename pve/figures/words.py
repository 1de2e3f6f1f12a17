"""What figures and tables say of their data."""

from __future__ import annotations

import math
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from pve import plots
from pve.experiments.configs import Config

SETTINGS = {
    "orders": "orders k",
    "ranks": "ranks d",
    "modes": "policy sets",
    "runs": "runs of each kind",
    "policies": "policies with their functions, each run",
    "perturbations": "of these, perturbed from one base policy",
    "published_paths": "improvement paths as in the published code",
    "batch": "batch",
    "steps": "steps",
    "learning_rate": "learning rate (Adam)",
    "decay": "its schedule",
    "every": "steps between two snapshots or evaluations",
}


def provenance(results: xr.Dataset) -> str:
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
        f"model: {plots.order_label(order)}, run {run} of {results.sizes['run']}; "
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
    figure.supxlabel(text, fontsize=7, color=plots.GREY, x=0.01, ha="left")
    return figure


def outside_legend(figure: Figure, ax: Any, columns: int) -> None:
    """Put the legend of an axes above the figure."""
    handles, labels = ax.get_legend_handles_labels()
    figure.legend(handles, labels, loc="outside upper center", ncols=columns, frameon=False)


def settings(ours: Config, papers: Config) -> str:
    """Two settings of an experiment side by side, a table in Markdown.

    Args:
      ours: the setting of a page.
      papers: the setting to compare it with.
    """
    rows = ["| | the paper | this page |", "|---|---|---|"]
    for field, meaning in SETTINGS.items():
        if hasattr(ours, field):
            texts = [_setting(getattr(config, field)) for config in (papers, ours)]
            mark = "" if texts[0] == texts[1] else "**"
            rows.append(f"| {meaning} | {texts[0]} | {mark}{texts[1]}{mark} |")
    return "\n".join(rows)


def _setting(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_setting, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == math.inf:
        return "∞"
    return f"{value:,}" if isinstance(value, int) else f"{value}"
