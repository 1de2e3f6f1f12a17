"""Finished experiments as labelled data.

``load`` gathers the finished runs of a data folder in one `xarray.Dataset`, with the
measures that need all runs of an order together: principal components, spreads and
diameters. It reads a few snapshots of each run at a time, so that its memory does not
grow with the number of snapshots.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import xarray as xr

from pve.experiments import EXPERIMENTS, find_experiment
from pve.mdp.core import MDP
from pve.mdp.planning import performance_limits
from pve.results.components import comparisons
from pve.runs import store
from pve.runs.folders import ExperimentFolder, RunFolder
from pve.runs.meanings import described
from pve.worlds.by_name import fingerprint, make_environment


def load(data_dir: str | Path, experiment: str) -> xr.Dataset:
    """Load the finished runs of an experiment.

    Args:
      data_dir: the data folder.
      experiment: its name, see `pve.experiments`.

    Returns:
      A dataset; for diameter ``loss`` (order, run, logged_step), ``performance`` and
      ``normalised_performance`` (order, run, step), ``score`` (order, run, step,
      component), ``spread`` (order, step), ``diameter`` (order), ``explained`` (order,
      component). For capacity ``loss`` (mode, rank, run, logged_step), ``performance`` and
      ``normalised_performance`` (mode, rank, run, step). For muzero the measures of
      `pve.muzero.measure` along (arm, run). Runs that are not finished are NaN. The
      attributes hold the configuration, the mean values of the uniform and the optimal
      policy, and the seconds that all runs took.

    Raises:
      ValueError: there is no such experiment or no finished run, or the environment has
        changed.
      pve.runs.store.CorruptFile: a file is damaged; the message names it.
    """
    module = find_experiment(experiment)
    folder = ExperimentFolder(data_dir, experiment)
    configuration = folder.identity()
    finished = [run for run in folder.runs() if run.finished]
    if not finished:
        raise ValueError(
            f"data folder {str(folder.path)!r} holds no finished run; expected one with "
            "at least one (`python -m pve status` lists them)"
        )
    for run in finished:
        if (owner := run.record()["run"]) != run.name:
            raise store.CorruptFile(f"{run.record_path}: belongs to run {owner}")
    curves = [
        run.curves().assign_coords(run.coordinates).expand_dims(list(module.DIMENSIONS))
        for run in finished
    ]
    dataset = xr.combine_by_coords(curves, join="outer", combine_attrs="drop")
    assert isinstance(dataset, xr.Dataset)
    uniform, optimal = performance_limits(_environment(configuration))
    if "performance" in dataset:
        share = (dataset.performance - uniform) / (optimal - uniform)
        dataset["normalised_performance"] = share
    dataset.attrs = {
        **configuration,
        "uniform_performance": uniform,
        "optimal_performance": optimal,
        "seconds": sum(run.record()["seconds"] for run in finished),
    }
    if module.COMPARED is not None:
        compared = comparisons(folder, finished, module.COMPARED)
        dataset = dataset.sortby(module.COMPARED).merge(compared, join="outer")
    return described(dataset, experiment)


def _environment(configuration: dict[str, Any]) -> MDP:
    """The environment of the results, if it is still what they were computed on."""
    env = make_environment(configuration["env"])
    if fingerprint(env) != configuration["environment"]:
        raise ValueError(
            f"environment {configuration['env']!r} has changed since these results were "
            "computed; expected the one they were computed on"
        )
    return env


def load_model(
    data_dir: str | Path,
    experiment: str,
    *,
    step: int | None = None,
    **coordinates: Any,
) -> MDP:
    """Load one trained model.

    Args:
      data_dir: the data folder.
      experiment: its name, see `pve.experiments`.
      step: which snapshot; None for the last.
      **coordinates: which run: ``order=30, run=7``, or
        ``mode="stochastic", rank=20, run=7``.

    Returns:
      The model as an MDP, float64.

    Raises:
      ValueError: there is no such run or snapshot; the message lists what there is.
    """
    module = find_experiment(experiment)
    folder = ExperimentFolder(data_dir, experiment)
    discount = float(_environment(folder.identity()).discount)
    if set(coordinates) != set(module.DIMENSIONS):
        raise ValueError(
            f"coordinates are {sorted(coordinates)}; expected {list(module.DIMENSIONS)}"
        )
    finished = [run for run in folder.runs() if run.finished]
    found = [run for run in finished if run.coordinates == coordinates]
    if not found:
        names = ", ".join(run.name for run in finished[:6])
        raise ValueError(
            f"run {coordinates} is not finished; expected one of {names}"
            f"{' …' if len(finished) > 6 else ''}"
        )
    run = found[0]
    if step is None:
        snapshot = run.last_snapshot()
    else:
        steps: list[int] = []
        for name in run.shards():
            shard = run.shard(name)
            steps += list(shard.step.values)
            if step in shard.step.values:
                snapshot = shard.sel(step=step)
                break
        else:
            raise ValueError(
                f"step is {step}; expected one of {', '.join(map(str, steps))}"
            )
    return module.model_of(snapshot, discount)


def status(data_dir: str | Path) -> dict[str, dict[str, str]]:
    """The state of every run that was ever asked for.

    Returns:
      For each experiment found, run names and ``"finished"``, ``"failed: …"``,
      ``"unfinished"`` (it has a checkpoint) or ``"missing"``.

    Raises:
      ValueError: the folder holds no experiment.
    """
    found = {}
    for experiment in present(data_dir):
        folder = ExperimentFolder(data_dir, experiment)
        begun = {run.name: _state(run) for run in folder.runs()}
        found[experiment] = dict.fromkeys(folder.asked(), "missing") | begun
    return found


def _state(run: RunFolder) -> str:
    if run.finished:
        return "finished"
    failure = run.failure()
    return "unfinished" if failure is None else f"failed: {failure}"


def present(data_dir: str | Path) -> list[str]:
    """The experiments that a data folder holds; raises a ``ValueError`` if none."""
    names = [
        name for name in EXPERIMENTS if ExperimentFolder(data_dir, name).manifest.exists()
    ]
    if not names:
        commands = ", ".join(f"`python -m pve {name}`" for name in EXPERIMENTS)
        raise ValueError(
            f"data folder {str(data_dir)!r} holds no results; expected a folder that "
            f"one of {commands} has filled"
        )
    return names
