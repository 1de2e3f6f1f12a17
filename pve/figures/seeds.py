"""An experiment under several seeds: every seed, and their mean with its spread."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import xarray as xr
from matplotlib.figure import Figure

from pve.experiments import find_experiment
from pve.figures import style
from pve.figures.captions import sign
from pve.results.seeds import statistics
from pve.runs.store import make_folder

ACROSS = 3  # panels in a row
SHIFT = 0.12  # between neighbouring curves


@style.in_style()
def over_seeds(compared: xr.Dataset) -> Figure:
    """Every measure at the end of training: seeds thin, their mean ± deviation thick.

    Args:
      compared: of `pve.results.seeds.load_seeds`, of one experiment.
    """
    module = find_experiment(compared.attrs["experiment"])
    *groups, along = [name for name in module.DIMENSIONS if name != "run"]
    names = list(map(str, compared.data_vars))
    rows, columns = math.ceil(len(names) / ACROSS), min(ACROSS, len(names))
    figure, grid = style.new_figure(
        rows, columns, figsize=(2.9 * columns + 0.4, 2.7 * rows + 0.6), squeeze=False
    )
    for ax, name in zip(grid.flat, names, strict=False):
        measure = compared[name]
        kinds = measure.stack(kind=groups) if groups else measure.expand_dims("kind", -1)
        count = kinds.sizes["kind"]
        for place in range(count):
            chosen = kinds.isel(kind=place).transpose("seed", along)
            label = " ".join(chosen.kind.item()) if groups else None
            color = module.COLORS.get(label, style.BLACK)
            _draw(chosen, SHIFT * (place - (count - 1) / 2), ax, color=color, label=label)
        values = compared[along].values
        ax.set_xticks(range(len(values)), [_tick(value) for value in values])
        ax.set(xlabel=along, title=name.replace("_", " "))
        if name == "loss" and float(measure.min()) > 0:
            ax.set_yscale("log")
    for ax in list(grid.flat)[len(names) :]:
        ax.set_axis_off()
    if groups:
        figure.legend(
            *grid.flat[0].get_legend_handles_labels(),
            loc="outside upper center", ncols=4, frameon=False,
        )  # fmt: skip
    seeds = ", ".join(map(str, compared.seed.values))
    return sign(
        figure,
        f"seeds {seeds}; of each the mean of {compared.attrs['runs']} runs at the end; "
        "thin: single seeds, thick: their mean ± standard deviation",
    )


def _tick(value: Any) -> str:
    return (
        "∞"
        if value == math.inf
        else f"{value:g}"
        if isinstance(value, float)
        else str(value)
    )


def _draw(
    measure: xr.DataArray, shift: float, ax: Any, *, color: str, label: str | None
) -> None:
    """Draw ``(seed, place)``; NaN where there is none."""
    there = np.flatnonzero(measure.notnull().any("seed"))
    measure = measure[:, there]
    found = statistics(measure)
    ax.plot(
        there + shift, measure.values.T, ".-", ms=4, lw=0.6, color=color, alpha=0.4
    )  # fmt: skip
    ax.errorbar(
        there + shift, found["mean"], found.standard_deviation.fillna(0), fmt="o-", ms=5,
        lw=1.6, capsize=4, color=color, label=label,
    )  # fmt: skip


@style.in_style()
def save_over_seeds(compared: dict[str, xr.Dataset], out: str | Path) -> list[Path]:
    """Draw each experiment's seeds, as PNG and PDF.

    Args:
      compared: of `pve.results.seeds.load_seeds`.
      out: the folder to write to; it is made.

    Returns:
      The files.

    Raises:
      ValueError: ``out`` cannot be written.
    """
    folder, paths = make_folder(Path(out)), []
    for name, each in compared.items():
        figure = over_seeds(each)
        for kind in ("png", "pdf"):
            paths.append(folder / f"{name}.{kind}")
            figure.savefig(paths[-1])
        plt.close(figure)
    return paths
