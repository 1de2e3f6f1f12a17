"""Results without their models: small files that say where they come from.

A summary holds the losses, performances, principal components and spreads of a data
folder, a few hundred kilobytes where the snapshots are gigabytes, and a manifest with the
configuration, the versions, the machines and the files' checksums. It can be checked
without the models: any of its runs, trained again for some steps, gives its losses.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pve import threads
from pve.defaults import jax_defaults
from pve.experiments import find_experiment
from pve.experiments.base import Job, Task
from pve.results.load import load, present
from pve.runs import store
from pve.runs.folders import ExperimentFolder, differences
from pve.runs.meanings import described, origin
from pve.runs.plan import plan_again
from pve.training.loop import run

MANIFEST = "manifest.json"
# What is measured, where all else says which numbers these are.
MEASURED = frozenset({"uniform_performance", "optimal_performance", "seconds", "machines"})


def write_summary(
    data_dir: str | Path, out: str | Path, *, add: bool = False
) -> list[Path]:
    """Write the summary of every experiment in a data folder.

    Args:
      data_dir: the data folder.
      out: the folder to write to; it is made. Summaries of other experiments that it holds
        stay.
      add: keep the runs that ``out`` holds already; those in both are the data folder's.

    Returns:
      The files, ``NAME.nc`` for each experiment and the manifest.

    Raises:
      ValueError: the data folder holds no finished run, ``out`` cannot be written, or what
        it holds cannot be added to: its numbers are others, or the experiment compares its
        runs with each other, for which their models are needed.
      pve.runs.store.CorruptFile: a file is damaged, or the manifest that ``out`` holds; the
        message names it.
    """
    names = present(data_dir)
    some = [name for name in names if _any_finished(data_dir, name)] or names
    summaries = {name: _with_machines(load(data_dir, name), data_dir) for name in some}
    folder = store.make_folder(Path(out))
    kept = _summarised(folder) if (folder / MANIFEST).exists() else {}
    if add:
        for experiment in summaries.keys() & kept.keys():
            earlier = load_summary(folder, experiment)
            summaries[experiment] = _together(experiment, summaries[experiment], earlier)
    paths = []
    for experiment, loaded in summaries.items():
        identity = ExperimentFolder(data_dir, experiment).identity()
        facts, loaded.attrs = loaded.attrs, {}  # those of netCDF know no booleans
        title = f"{experiment}, all runs without their models"
        loaded = described(loaded, experiment, origin(title, identity))
        paths.append(folder / f"{experiment}.nc")
        kept[experiment] = {
            "identity": identity,
            "facts": {
                name: float(value)
                for name, value in facts.items()
                if name.endswith("_performance") or name == "seconds"
            },
            "machines": facts["machines"],
            "checksum": store.write_dataset(paths[-1], loaded),
        }
    store.write_record(folder / MANIFEST, {"experiments": kept})
    return [*paths, folder / MANIFEST]


def _with_machines(results: xr.Dataset, data_dir: str | Path) -> xr.Dataset:
    """Results and, among their attributes, the different machines that computed them."""
    runs = ExperimentFolder(data_dir, results.attrs["experiment"]).runs()
    return results.assign_attrs(
        machines=_different(run.record()["machine"] for run in runs if run.finished)
    )


def _different(machines: Iterable[dict[str, Any]]) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    for machine in machines:
        if machine not in found:
            found.append(machine)
    return found


def _together(experiment: str, loaded: xr.Dataset, earlier: xr.Dataset) -> xr.Dataset:
    """The runs of both; the seconds of runs in both are counted once."""
    if find_experiment(experiment).COMPARED is not None:
        raise ValueError(
            f"summary of {experiment!r} compares all runs with each other and cannot be "
            "added to; expected all of its runs in the data folder"
        )
    facts = {**loaded.attrs}
    settings = {name: facts[name] for name in facts if name not in MEASURED}
    apart = differences(
        {name: earlier.attrs[name] for name in earlier.attrs if name not in MEASURED},
        settings,
    )
    if apart:
        raise ValueError(
            f"summary of {experiment!r} is of other numbers: {'; '.join(apart)}; expected "
            "the same settings, seed and code"
        )
    both = loaded.combine_first(earlier)
    new = (_runs(both) - _runs(earlier)) / _runs(loaded)
    facts["seconds"] = earlier.attrs["seconds"] + new * loaded.attrs["seconds"]
    facts["machines"] = _different([*earlier.attrs["machines"], *facts["machines"]])
    return both.assign_attrs(facts)


def _runs(results: xr.Dataset) -> int:
    """The number of finished runs."""
    return int(results.loss.isel(logged_step=-1).notnull().sum())


def _summarised(folder: Path) -> dict[str, dict[str, Any]]:
    """What a manifest says of each experiment; earlier ones name the writer's machine."""
    manifest = store.read_record(folder / MANIFEST)
    found = {}
    for name, facts in manifest["experiments"].items():
        of_writer = facts.pop("machine", None) or manifest.get("machine")
        found[name] = {"machines": [of_writer], **facts}
    return found


def _any_finished(data_dir: str | Path, experiment: str) -> bool:
    return any(run.finished for run in ExperimentFolder(data_dir, experiment).runs())


def load_summary(folder: str | Path, experiment: str) -> xr.Dataset:
    """Load what `write_summary` has written.

    Args:
      folder: where it was written.
      experiment: its name, see `pve.experiments`.

    Returns:
      What `pve.load` gave, with the machines that computed it among its attributes.

    Raises:
      ValueError: the folder holds no summary of the experiment.
      pve.runs.store.CorruptFile: a file is damaged; the message names it.
    """
    find_experiment(experiment)
    found = _summarised(Path(folder))
    if experiment not in found:
        raise ValueError(
            f"summary {str(folder)!r} holds no {experiment!r}; expected one of "
            f"{sorted(found)}"
        )
    facts = found[experiment]
    dataset = store.read_dataset(Path(folder) / f"{experiment}.nc", facts["checksum"])
    dataset.attrs = {**facts["identity"], **facts["facts"], "machines": facts["machines"]}
    return dataset


@jax_defaults()
def first_losses(summary: xr.Dataset, steps: int, **coordinates: Any) -> np.ndarray:
    """Train one run of a summary again for its first steps.

    Args:
      summary: of `load_summary`.
      steps: how many, a multiple of the steps over which recorded losses are averaged.
      **coordinates: which run: ``order=30, run=7``, or
        ``mode="stochastic", rank=20, run=7``.

    Returns:
      The recorded losses anew, ``[steps / log_every]``; on an identical machine those of
      the summary, on another nearly those.

    Raises:
      ValueError: the experiment's runs do not go through the one training loop.
    """
    plan = plan_again(summary.attrs, ".")
    task = Task(tuple(coordinates.items()), 1)
    losses: list[float] = []
    with threads.linear_algebra():
        job = plan.prepare(task)
        if not isinstance(job, Job):
            raise ValueError(
                f"experiment is {plan.experiment!r}; expected one whose runs are "
                "trained by `pve.training.loop`"
            )
        for _, chunk in run(job.state, job.problem, grid=plan.settings.every):
            losses.extend(chunk)
            if len(losses) >= steps:
                break
    intervals = np.reshape(losses[:steps], (-1, plan.settings.log_every))
    return intervals.mean(1, dtype=np.float64).astype(np.float32)  # as a run records them
