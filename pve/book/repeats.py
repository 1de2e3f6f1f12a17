"""How a chapter's experiment is repeated, at another seed, preset or size, and the cost.

A step of a run costs its weight (see `pve.experiments.base.Task`) times its batch. With W
the sum of weight · steps · batch over all runs, an experiment whose runs took t seconds
predicts t · W' / W for one of W'.
"""

from __future__ import annotations

import dataclasses
from typing import Any

import xarray as xr

from pve.book import text
from pve.book.costs import in_words
from pve.engines.cost import in_bytes, total_cost
from pve.experiments import find_experiment

COMPILED = "smoke"  # the preset whose runs compile for longer than they train
HEADER = ("command", "what is repeated", "runs", "writes", "training, estimated")


def work(experiment: str, settings: Any) -> float:
    """The sum of weight · steps · batch over all runs.

    Args:
      experiment: its name.
      settings: its settings.
    """
    weights = sum(task.weight for task in find_experiment(experiment).tasks(settings))
    return weights * settings.run_steps * settings.batch


def table(results: xr.Dataset, chapter: str, cores: int) -> str:
    """The commands that repeat an experiment, and what each costs, in Markdown.

    Args:
      results: of the experiment as the chapter has computed it, with its preset among the
        attributes.
      chapter: the name of the chapter's notebook.
      cores: of this machine.

    Returns:
      A table; the time is that of training on this machine, estimated from what these
      results took, unless their training was too short to tell.
    """
    name, seed = results.attrs["experiment"], results.attrs["seed"] + 1
    module, preset = find_experiment(name), results.attrs["preset"]
    settings = module.preset(preset)
    more = dataclasses.replace(settings, runs=2 * settings.runs)
    mill = f"papermill book/{chapter}.ipynb"
    rows = [
        (f"{mill} seed-{seed}.ipynb -p seed {seed}", "this page, another seed", settings),
        (
            f"{mill} small.ipynb -p preset smoke",
            "this page, in small",
            module.preset("smoke"),
        ),
        (
            f"pve {name} data/more {seed} --preset {preset} --runs {more.runs}",
            "the experiment, twice the runs",
            more,
        ),
        (
            f"pve {name} data/standard {seed} --preset standard",
            "the experiment, larger",
            module.preset("standard"),
        ),
        (
            f"pve {name} data/paper {seed} --preset paper",
            "the experiment, as published",
            module.preset("paper"),
        ),
    ]
    rate = results.attrs["seconds"] / work(name, settings) / cores
    cells = []
    for command, what, each in rows:
        cost = total_cost(name, each)
        larger = work(name, each) > 10 * work(name, settings)
        told = preset != COMPILED or not larger
        time = in_words(rate * work(name, each)) if told else "unknown from here"
        cells.append([f"`{command}`", what, f"{cost.due:,}", in_bytes(cost.bytes), time])
    seeds = f"`pve seeds results/*/{preset}-*`"
    cells.append(
        [seeds, "the seeds there are, side by side", "none", "figures, CSV", "none"]
    )
    return text.table(HEADER, cells, align="llrrr")
