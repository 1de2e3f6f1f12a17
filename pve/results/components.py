"""Measures that need all runs of an order together: components, spreads, diameters."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import xarray as xr

from pve.equivalence.distances import (
    GROUP_OF_RUNS,
    principal_components,
    published_diameter,
)
from pve.runs import store
from pve.runs.folders import ExperimentFolder, RunFolder
from pve.runs.meanings import described, origin

COMPONENTS = 2


def comparisons(
    folder: ExperimentFolder, finished: list[RunFolder], dimension: str
) -> xr.Dataset:
    """Components, spreads and diameters of all finished runs.

    Args:
      folder: of the experiment.
      finished: its finished runs.
      dimension: runs that agree in it are compared with one another, such as ``"order"``.
    """
    values = sorted({run.coordinates[dimension] for run in finished})
    parts = []
    for value in values:
        runs = [run for run in finished if run.coordinates[dimension] == value]
        if len(runs) > 1:
            parts.append(_comparison(folder, dimension, value, runs))
    if not parts:
        return xr.Dataset()
    return xr.concat(parts, dimension, join="outer")


def _comparison(
    folder: ExperimentFolder, dimension: str, value: float, runs: list[RunFolder]
) -> xr.Dataset:
    """The same for the runs that agree in a coordinate, cached beside them."""
    made_of = store.digest({run.name: run.record()[store.DIGEST] for run in runs})
    place = folder.path / Path(runs[0].name).parent
    for path in place.glob(f"geometry-{made_of[:16]}-*.nc"):
        # Its name holds its checksum, too; if damaged, it is derived again.
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
                (dimension, "run", "step", "component"),
                np.stack(scores, axis=1)[None],
            ),
            "spread": ((dimension, "step"), np.array(spreads)[None]),
            "diameter": (dimension, [np.ptp(basis.scores[:, 0])]),
            "explained": ((dimension, "component"), explained[None]),
        },
        coords={
            dimension: [float(value)],
            "run": indices,
            "step": np.array(steps),
            "component": np.arange(len(explained)) + 1,
        },
    )
    if len(runs) >= 2 * GROUP_OF_RUNS:
        mean, error = published_diameter(basis.scores[:, 0])
        dataset["published_diameter"] = (dimension, [mean])
        dataset["published_diameter_error"] = (dimension, [error])
    for old in place.glob("geometry-*.nc"):
        old.unlink()
    title = f"{folder.path.name} {dimension}={value}, {len(runs)} runs compared"
    dataset = described(dataset, folder.path.name, origin(title, folder.identity()))
    content = store.encode_dataset(dataset)
    name = f"geometry-{made_of[:16]}-{store.sha256(content)[:16]}.nc"
    store.write_bytes(place / name, content)
    return dataset


def _models(snapshot: xr.Dataset) -> np.ndarray:
    reward = snapshot.reward.values
    return np.concatenate([reward.ravel(), snapshot.transition.values.ravel()])
