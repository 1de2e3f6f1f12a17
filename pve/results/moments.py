"""Trained models of limited rank at some moments of their training, in one small file.

A summary has no models, and a data folder keeps the last of the capacity experiment. To
see what training changes in a model one needs an earlier one, too. So the last models come
from the data folder, and the earlier ones out of the same runs, trained again from their
beginning: they are kept only if their plans are worth exactly what the folder has on
record for that step.

From a data folder that ``python -m pve capacity`` has filled::

    python -m pve.results.moments results --rank 20 --steps 10000 --out book/data/paper
"""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pve import threads
from pve.checks import check_positive_integer
from pve.experiments.base import Task
from pve.experiments.capacity import NAME
from pve.mdp.core import MDP
from pve.results.load import load, model_of_snapshot
from pve.runs import provenance, store
from pve.runs.folders import AXES, ExperimentFolder
from pve.runs.plan import Plan, plan_again
from pve.training.loop import run

FILE, MANIFEST = "models.nc", "models.json"
FACTORS = ("reward", "leave", "arrive")


def write_moments(
    data_dir: str | Path, out: str | Path, rank: int, steps: Iterable[int]
) -> list[Path]:
    """Write the finished models of one rank of a capacity data folder, and earlier ones.

    Args:
      data_dir: the data folder.
      out: the folder to write to; it is made.
      rank: of the models.
      steps: at which earlier moments, each an evaluation of the experiment.

    Returns:
      The files: the models' rewards and factors in float32, compressed, and a manifest.

    Raises:
      ValueError: the data folder holds no finished run of the rank, a step is none of its
        evaluations, or ``out`` cannot be written.
      RuntimeError: a run that was trained again is not what is on record; this machine or
        these versions round in another way.
    """
    results = load(data_dir, NAME)
    folder = ExperimentFolder(data_dir, NAME)
    last, legal = int(results.step.values[-1]), results.step.values[1:-1].tolist()
    steps = sorted({check_positive_integer("step", step) for step in steps})
    if not set(steps) <= set(legal):
        raise ValueError(f"steps are {steps}; legal are {', '.join(map(str, legal))}")
    runs = [each for each in folder.runs() if each.finished]
    chosen = [each for each in runs if each.coordinates["rank"] == rank]
    if not chosen:
        ranks = sorted({each.coordinates["rank"] for each in runs})
        raise ValueError(f"rank is {rank}; legal are {', '.join(map(str, ranks))}")
    plan, found = plan_again(folder.identity(), data_dir), []
    with threads.linear_algebra():
        for each in chosen:
            at = each.coordinates
            early = _earlier(plan, at, steps, results.performance.sel(at))
            kept = {**early, last: each.last_snapshot()}
            for step, arrays in kept.items():
                where = {**at, "step": step}
                found.append(_dataset(arrays).assign_coords(where).expand_dims([*where]))
    models = xr.combine_by_coords(found, combine_attrs="drop")
    assert isinstance(models, xr.Dataset)
    packed = {"zlib": True, "complevel": 9, "shuffle": True}
    for name in FACTORS:
        models[name].encoding = packed
    target = store.make_folder(Path(out))
    checksum = store.write_dataset(target / FILE, models)
    facts = {"discount": float(plan.env.discount), "checksum": checksum}
    store.write_record(
        target / MANIFEST,
        {**facts, "identity": folder.identity(), "machine": provenance.machine()},
    )
    return [target / FILE, target / MANIFEST]


def _earlier(
    plan: Plan, at: dict[str, Any], steps: Sequence[int], recorded: xr.DataArray
) -> dict[int, dict[str, np.ndarray]]:
    """A run's models at some steps, trained again and held against the record."""
    found: dict[int, dict[str, np.ndarray]] = {}
    if not steps:
        return found
    job = plan.prepare(Task(tuple(at.items()), 1))
    for state, _ in run(job.state, job.problem, grid=plan.settings.every):
        step = int(state.step)
        if step in steps:
            worth, expected = (
                job.measure(state.params)["performance"],
                recorded.sel(step=step),
            )
            if worth != float(expected):
                raise RuntimeError(
                    f"run {at} is worth {worth} at step {step} when trained again, on "
                    f"record is {float(expected)}: this machine or these versions round "
                    "otherwise"
                )
            found[step] = job.snapshot(state.params)
        if step >= steps[-1]:
            break
    return found


def _dataset(arrays: Any) -> xr.Dataset:
    return xr.Dataset(
        {name: (AXES[name], np.asarray(arrays[name], np.float32)) for name in FACTORS}
    )


def load_moments(folder: str | Path) -> xr.Dataset:
    """Load what `write_moments` has written.

    Args:
      folder: where it was written.

    Returns:
      ``reward``, ``leave`` and ``arrive`` by (mode, rank, run, step), with the discount
      among the attributes.

    Raises:
      pve.runs.store.CorruptFile: a file is missing or damaged; the message names it.
    """
    manifest = store.read_record(Path(folder) / MANIFEST)
    models = store.read_dataset(Path(folder) / FILE, manifest["checksum"])
    models.attrs = {**manifest["identity"], "discount": manifest["discount"]}
    return models


def model_at(models: xr.Dataset, **coordinates: Any) -> MDP:
    """One model out of `load_moments`.

    Args:
      models: what was loaded.
      **coordinates: which: ``mode="stochastic", rank=20, run=0, step=10_000``.

    Raises:
      KeyError: it is not among them.
    """
    return model_of_snapshot(models.sel(coordinates), models.attrs["discount"])


def main(arguments: Sequence[str] | None = None) -> None:
    """The command line of this module."""
    parser = argparse.ArgumentParser(
        prog="python -m pve.results.moments",
        description="Write models of one rank at some moments of their training.",
    )
    parser.add_argument("data_dir", metavar="DATA_DIR", help="the data folder")
    parser.add_argument("--rank", type=int, required=True, help="of the models")
    parser.add_argument("--steps", nargs="*", type=int, default=[], help="earlier moments")
    parser.add_argument("--out", default="summary", help="where to (summary)")
    asked = parser.parse_args(arguments)
    for path in write_moments(asked.data_dir, asked.out, asked.rank, asked.steps):
        print(path)


if __name__ == "__main__":
    main()
