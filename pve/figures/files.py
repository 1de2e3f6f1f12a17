"""All figures that a data folder allows, into files."""

from __future__ import annotations

import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import matplotlib as mpl
import matplotlib.pyplot as plt
import xarray as xr
from matplotlib.figure import Figure

from pve import plots
from pve.figures.classes import clouds, diameters, progress, spreads
from pve.figures.ranks import capacity, capacity_loss
from pve.figures.words import source_of_run
from pve.figures.worlds import imagined, transitions
from pve.gridworld import GridWorld, four_rooms, grid_world
from pve.results import load, load_model, present
from pve.store import make_folder


def _pictures_of_run_0(data_dir: str | Path, results: xr.Dataset) -> dict[str, Figure]:
    """What the proper value-equivalent model of run 0 imagines, if it is there."""
    facts = results.attrs
    world = _grid(facts["env"])
    if world is None or math.inf not in results.order.values:
        return {}
    if results.loss.sel(order=math.inf, run=0).isnull().all():
        return {}
    model = load_model(data_dir, "diameter", order=math.inf, run=0)
    source = source_of_run(results, math.inf, 0)
    return {
        "trajectories": imagined(world, model, facts["seed"], source),
        "transitions": transitions(world, model, source),
    }


def _grid(environment: str) -> GridWorld | None:
    """The grid world of an environment's name; None if it has no map."""
    kind, _, path = environment.partition(":")
    if kind == "map":
        return grid_world(Path(path).read_text(encoding="utf-8"))
    return four_rooms() if kind == "four-rooms" else None


def save_figures(data_dir: str | Path, out: str | Path) -> list[Path]:
    """Draw every figure that the data allow, as PNG and PDF.

    Args:
      data_dir: the data folder.
      out: the folder to write to; it is made.

    Returns:
      The files.

    Raises:
      ValueError: the data folder holds no finished runs, or ``out`` cannot be written.
    """
    with mpl.rc_context(plots.STYLE):
        return _save_figures(data_dir, Path(out))


def _save_figures(data_dir: str | Path, out: Path) -> list[Path]:
    drawn: dict[str, Figure] = {}
    for experiment in present(data_dir):
        results = load(data_dir, experiment)
        if experiment == "capacity":
            drawn |= {
                "capacity": capacity(results),
                "capacity-loss": capacity_loss(results),
            }
            continue
        drawn["progress"] = progress(results)
        if "spread" in results:
            several: dict[str, Callable[[Any], Figure]] = {
                "diameters": diameters,
                "spreads": spreads,
                "clouds": clouds,
            }
            drawn |= {name: draw(results) for name, draw in several.items()}
        drawn |= _pictures_of_run_0(data_dir, results)
    folder = make_folder(out)
    paths = []
    for name, figure in drawn.items():
        for kind in ("png", "pdf"):
            paths.append(folder / f"{name}.{kind}")
            figure.savefig(paths[-1])
        plt.close(figure)
    return paths
