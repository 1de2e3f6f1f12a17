"""Finished experiments as labelled data.

``load`` gathers the finished runs of a data folder in one `xarray.Dataset`, with the
measures that need all runs of an order together: principal components, spreads and
diameters. It reads a few snapshots of each run at a time, so that its memory does not
grow with the number of snapshots.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import xarray as xr

from pve import store
from pve.environments import fingerprint, make_environment
from pve.experiments import EXPERIMENTS, check_experiment
from pve.folders import ExperimentFolder, RunFolder
from pve.mdp import MDP
from pve.measures import (
    GROUP_OF_RUNS,
    performance_limits,
    principal_components,
    published_diameter,
)

COMPONENTS = 2


def load(data_dir: str | Path, experiment: str) -> xr.Dataset:
    """Load the finished runs of an experiment.

    Args:
      data_dir: the data folder.
      experiment: ``"diameter"`` or ``"capacity"``.

    Returns:
      A dataset; of diameter ``loss`` (order, run, logged_step), ``performance`` and
      ``normalised_performance`` (order, run, step), ``score`` (order, run, step,
      component), ``spread`` (order, step), ``diameter`` (order), ``explained`` (order,
      component). Of capacity ``loss`` (mode, rank, run, logged_step), ``performance`` and
      ``normalised_performance`` (mode, rank, run, step). Runs that are not finished are
      NaN. The attributes hold the configuration, and the mean values of the uniform and
      the optimal policy.

    Raises:
      ValueError: there is no such experiment or no finished run.
      pve.store.CorruptFile: a file is damaged; the message names it.
    """
    module = check_experiment(experiment)
    folder = ExperimentFolder(data_dir, experiment)
    configuration = folder.identity()
    finished = [run for run in folder.runs() if run.finished]
    if not finished:
        raise ValueError(
            f"data folder {str(folder.path)!r} holds no finished run; legal is one with "
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
    dataset["normalised_performance"] = (dataset.performance - uniform) / (
        optimal - uniform
    )
    dataset.attrs = {
        **configuration,
        "uniform_performance": uniform,
        "optimal_performance": optimal,
        "seconds": sum(run.record()["seconds"] for run in finished),
    }
    if experiment == "diameter":
        geometry = _geometry(folder, finished)
        dataset = dataset.sortby("order").merge(geometry, join="outer")
    return dataset


def _environment(configuration: dict[str, Any]) -> MDP:
    """The environment of the results, if it is still what they were computed on."""
    env = make_environment(configuration["env"])
    if fingerprint(env) != configuration["environment"]:
        raise ValueError(
            f"environment {configuration['env']!r} has changed since these results were "
            "computed; legal is the one they were computed on"
        )
    return env


def _geometry(folder: ExperimentFolder, finished: list[RunFolder]) -> xr.Dataset:
    orders = sorted({run.coordinates["order"] for run in finished})
    parts = []
    for order in orders:
        runs = [run for run in finished if run.coordinates["order"] == order]
        if len(runs) > 1:
            parts.append(_order_geometry(folder, order, runs))
    if not parts:
        return xr.Dataset()
    return xr.concat(parts, "order", join="outer")


def _order_geometry(
    folder: ExperimentFolder, order: float, runs: list[RunFolder]
) -> xr.Dataset:
    """Components, spreads and diameters of one order's runs, kept beside them."""
    made_of = store.digest({run.name: run.record()[store.DIGEST] for run in runs})
    place = folder.path / Path(runs[0].name).parent
    for path in place.glob(f"geometry-{made_of[:16]}-*.nc"):
        # It is named by its checksum, too; damaged, it is derived again.
        if path.stem.endswith(f"-{store.sha256(path.read_bytes())[:16]}"):
            return store.read_dataset(path)
    last = np.stack([_models(run.last_snapshot()) for run in runs])
    basis = principal_components(last, min(COMPONENTS, len(runs)))
    explained = basis.variances / max(last.var(0, dtype=np.float64).sum(), 1e-300)
    indices = [run.coordinates["run"] for run in runs]
    steps, scores, spreads = [], [], []
    for names in zip(*(run.shards() for run in runs), strict=True):
        shards = [run.shard(name) for run, name in zip(runs, names, strict=True)]
        for i, step in enumerate(shards[0].step.values):
            models = np.stack([_models(shard.isel(step=i)) for shard in shards])
            variance = models.var(0, ddof=1, dtype=np.float64).sum()
            steps.append(step)
            spreads.append(np.sqrt(2 * variance))
            scores.append(basis.project(models))
    dataset = xr.Dataset(
        {
            "score": (
                ("order", "run", "step", "component"),
                np.stack(scores, axis=1)[None],
            ),
            "spread": (("order", "step"), np.array(spreads)[None]),
            "diameter": ("order", [np.ptp(basis.scores[:, 0])]),
            "explained": (("order", "component"), explained[None]),
        },
        coords={
            "order": [float(order)],
            "run": indices,
            "step": np.array(steps),
            "component": np.arange(len(explained)) + 1,
        },
    )
    if len(runs) >= 2 * GROUP_OF_RUNS:
        mean, error = published_diameter(basis.scores[:, 0])
        dataset["published_diameter"] = ("order", [mean])
        dataset["published_diameter_error"] = ("order", [error])
    for old in place.glob("geometry-*.nc"):
        old.unlink()
    content = store.encode_dataset(dataset)
    name = f"geometry-{made_of[:16]}-{store.sha256(content)[:16]}.nc"
    store.write_bytes(place / name, content)
    return dataset


def _models(snapshot: xr.Dataset) -> np.ndarray:
    reward = snapshot.reward.values
    return np.concatenate([reward.ravel(), snapshot.transition.values.ravel()])


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
      experiment: ``"diameter"`` or ``"capacity"``.
      step: which snapshot; None for the last.
      **coordinates: which run: ``order=30, run=7``, or
        ``mode="stochastic", rank=20, run=7``.

    Returns:
      The model as an MDP, float64.

    Raises:
      ValueError: there is no such run or snapshot; the message lists what there is.
    """
    module = check_experiment(experiment)
    folder = ExperimentFolder(data_dir, experiment)
    discount = float(_environment(folder.identity()).discount)
    if set(coordinates) != set(module.DIMENSIONS):
        raise ValueError(
            f"coordinates are {sorted(coordinates)}; legal are {list(module.DIMENSIONS)}"
        )
    finished = [run for run in folder.runs() if run.finished]
    found = [run for run in finished if run.coordinates == coordinates]
    if not found:
        names = ", ".join(run.name for run in finished[:6])
        raise ValueError(
            f"run {coordinates} is not finished; legal are {names}"
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
            raise ValueError(f"step is {step}; legal are {', '.join(map(str, steps))}")
    reward = np.asarray(snapshot.reward, np.float64)
    if "transition" in snapshot:
        transition = np.asarray(snapshot.transition, np.float64)
    else:
        factors = (np.asarray(snapshot[n], np.float64) for n in ("leave", "arrive"))
        transition = np.einsum("ads,tad->sat", *factors)
    transition = transition / transition.sum(-1, keepdims=True)
    return MDP(reward, transition, discount)


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
        raise ValueError(
            f"data folder {str(data_dir)!r} holds no results; legal is a folder that "
            "`python -m pve diameter` or `capacity` has filled"
        )
    return names


def unconverged(spread: xr.DataArray, share: float = 0.02) -> xr.DataArray:
    """Which orders' spread still moves at the end of training.

    Args:
      spread: ``(order, step)``.
      share: of the spread at the start. An order still moves if its spread changes by
        more than this over the last half of the training.

    Returns:
      ``(order)``, booleans.
    """
    half = spread.sel(step=spread.step.values[-1] / 2, method="nearest")
    change = abs(spread.isel(step=-1) - half)
    return change > share * spread.isel(step=0)
