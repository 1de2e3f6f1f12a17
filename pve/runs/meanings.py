"""What the variables of stored files mean, said in the files themselves.

Each variable carries a ``long_name`` and ``units`` as the CF conventions have them; nothing
here has a unit, so all are ``1``. A file also says what it holds: see `origin`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import xarray as xr

from pve.experiments import find_experiment

# For what all experiments share; each adds its own.
MEANINGS = {
    "run": "index of the run",
    "step": "training steps taken",
    "logged_step": "training steps taken at the end of an interval of averaging",
    "loss": "mean loss of the batches since the last logged step",
    "performance": "mean value in the environment of the model's optimal policy",
    "normalised_performance": "performance, 0 for the uniform policy and 1 for the optimal",
    # of runs that are compared
    "component": "principal component of the finished models, from the largest",
    "score": "principal component of a run's model",
    "spread": "root-mean-square distance between the models of two runs",
    "diameter": "range of the first principal component over all runs",
    "explained": "share of the models' variance that a component explains",
    "published_diameter": "mean diameter over groups of runs, as published",
    "published_diameter_error": "standard error of the mean diameter over groups of runs",
}


def described(
    dataset: xr.Dataset, experiment: str, about: Mapping[str, str] | None = None
) -> xr.Dataset:
    """The same dataset, described as a whole and variable by variable.

    Args:
      dataset: what is to be stored; variables without a meaning stay as they are.
      experiment: whose results it holds, see `pve.experiments`.
      about: further attributes, see `origin`.
    """
    meanings = {**MEANINGS, **find_experiment(experiment).MEANINGS}
    dataset = dataset.copy()
    for name in map(str, dataset.variables):
        if name in meanings:
            dataset[name].attrs = {"long_name": meanings[name], "units": "1"}
    return dataset.assign_attrs(about or {})


def origin(title: str, configuration: Mapping[str, Any]) -> dict[str, str]:
    """What a file says of itself: title, source and configuration."""
    return {
        "title": title,
        "source": f"pve {metadata.version('pve')}",
        "configuration": json.dumps(configuration, sort_keys=True),
    }
