"""Trained models of limited rank at some moments of their training, a small file per rank.

A summary has no models, and of the capacity experiment a data folder keeps only the last
ones. To see what training changes in a model, one needs an earlier one, too. So the last
models come from the data folder, and the earlier ones from the same runs, trained again
from the start: they are kept only if their plans are worth exactly what the folder has on
record for that step.

From a data folder that ``python -m pve capacity`` has filled::

    python -m pve summary data/paper --models 10000 --out book/data/paper
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pve import threads
from pve.checks import check_positive_integer
from pve.experiments.base import Task
from pve.experiments.capacity import AXES, NAME, model_of
from pve.mdp.core import MDP
from pve.results.load import load
from pve.runs import provenance, store
from pve.runs.folders import ExperimentFolder, differences
from pve.runs.meanings import described, origin
from pve.runs.plan import Plan, plan_again
from pve.training.loop import run

MANIFEST = "models.json"
FACTORS = tuple(AXES)


def write_moments(
    data_dir: str | Path, out: str | Path, steps: Iterable[int], *, add: bool = False
) -> list[Path]:
    """Write the finished models of a capacity data folder, and earlier ones.

    Args:
      data_dir: the data folder.
      out: the folder to write to; it is made.
      steps: of the earlier moments, each one at which the experiment was evaluated.
      add: keep the models of other ranks that ``out`` holds already.

    Returns:
      The files. One for each rank holds the models' rewards and factors in float32,
      compressed; the last is a manifest.

    Raises:
      ValueError: the data folder holds no finished run, a step is none of its
        evaluations, or ``out`` cannot be written or holds models of other numbers.
      RuntimeError: a run that was trained again differs from the record; this machine or
        these versions round differently.
    """
    results = load(data_dir, NAME)
    folder = ExperimentFolder(data_dir, NAME)
    last, legal = int(results.step.values[-1]), results.step.values[1:-1].tolist()
    steps = sorted({check_positive_integer("step", step) for step in steps})
    if not set(steps) <= set(legal):
        raise ValueError(
            f"steps are {steps}; expected some of {', '.join(map(str, legal))}"
        )
    identity, kept = folder.identity(), {}
    if add and (Path(out) / MANIFEST).exists():
        earlier = store.read_record(Path(out) / MANIFEST)
        if apart := differences(earlier["identity"], identity):
            raise ValueError(
                f"the models in {str(out)!r} are of other numbers: {'; '.join(apart)}; "
                "expected the same settings, seed and code"
            )
        identity, kept = earlier["identity"], earlier["checksums"]
    plan = plan_again(folder.identity(), data_dir)
    found: dict[int, list[xr.Dataset]] = {}
    with threads.linear_algebra():
        for each in (run for run in folder.runs() if run.finished):
            at = each.coordinates
            early = _earlier(plan, at, steps, results.performance.sel(at))
            for step, arrays in {**early, last: each.last_snapshot()}.items():
                where = {**at, "step": step}
                model = _dataset(arrays).assign_coords(where).expand_dims([*where])
                found.setdefault(at["rank"], []).append(model)
    target, checksums = store.make_folder(Path(out)), {}
    for rank, models in found.items():
        together = xr.combine_by_coords(models, combine_attrs="drop")
        assert isinstance(together, xr.Dataset)
        title = f"{NAME}, models of rank {rank} at moments of their training"
        together = described(together, NAME, origin(title, identity))
        for name in FACTORS:
            together[name].encoding = {"zlib": True, "complevel": 9, "shuffle": True}
        name = _file(rank)
        checksums[name] = store.write_dataset(target / name, together)
    facts = {"discount": float(plan.env.discount), "checksums": kept | checksums}
    store.write_record(
        target / MANIFEST,
        {**facts, "identity": identity, "machine": provenance.machine()},
    )
    return [*(target / name for name in checksums), target / MANIFEST]


def _file(rank: int) -> str:
    return f"models-rank={rank}.nc"


def _earlier(
    plan: Plan, at: dict[str, Any], steps: Sequence[int], recorded: xr.DataArray
) -> dict[int, dict[str, np.ndarray]]:
    """A run's models at some steps, trained again and checked against the record."""
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
                    f"run {at} trained again is worth {worth} at step {step}, but "
                    f"{float(expected)} is recorded: this machine or these package "
                    "versions round differently"
                )
            found[step] = job.snapshot(state.params)
        if step >= steps[-1]:
            break
    return found


def _dataset(arrays: Any) -> xr.Dataset:
    return xr.Dataset(
        {name: (AXES[name], np.asarray(arrays[name], np.float32)) for name in FACTORS}
    )


def load_moments(folder: str | Path, rank: int) -> xr.Dataset:
    """Load what `write_moments` has written for one rank.

    Args:
      folder: where it was written.
      rank: of the models.

    Returns:
      ``reward``, ``leave`` and ``arrive`` by (mode, rank, run, step), with the discount
      and the configuration among the attributes.

    Raises:
      ValueError: there are no models of this rank.
      pve.runs.store.CorruptFile: a file is missing or damaged; the message names it.
    """
    manifest, name = store.read_record(Path(folder) / MANIFEST), _file(rank)
    if name not in manifest["checksums"]:
        names = ", ".join(manifest["checksums"])
        raise ValueError(f"rank is {rank}; expected one that is stored: {names}")
    models = store.read_dataset(Path(folder) / name, manifest["checksums"][name])
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
    return model_of(models.sel(coordinates), models.attrs["discount"])
