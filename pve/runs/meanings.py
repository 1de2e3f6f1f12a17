"""What the variables of stored files mean, said in the files themselves.

Each variable carries a ``long_name`` and ``units`` as the CF conventions have them; nothing
here has a unit, so all are ``1``. A file also says what it is of: see `origin`.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from importlib import metadata
from typing import Any

import xarray as xr

MEANINGS = {
    # coordinates
    "order": "order k of the loss, inf for the proper one",
    "mode": "kind of the policies trained on",
    "rank": "rank of the model's transition matrices",
    "run": "index of the run",
    "step": "training steps taken",
    "logged_step": "training steps taken at the end of an interval of averaging",
    "component": "principal component of the finished models, from the largest",
    "kind": "kind of the policies asked about",
    "arm": "how the agent was trained",
    # of a run
    "loss": "mean loss of the batches since the last logged step",
    "performance": "mean value in the environment of the model's optimal policy",
    "reward": "reward of the model, state by action",
    "transition": "probability of the next state in the model, state by action",
    "leave": "probability of the latent state given the state, by action, in the model",
    "arrive": "probability of the next state given the latent one, by action, in the model",
    # of all runs
    "normalised_performance": "performance, 0 for the uniform policy and 1 for the optimal",
    "score": "principal component of a run's model",
    "spread": "root-mean-square distance between the models of two runs",
    "diameter": "range of the first principal component over all runs",
    "explained": "share of the models' variance that a component explains",
    "published_diameter": "mean diameter over groups of runs, as published",
    "published_diameter_error": "standard error of the mean diameter over groups of runs",
    # of the agents on Four Rooms
    "along_error": "root-mean-square error of k-step predictions along actions",
    "k_error": "root-mean-square error of order-k predictions inside the model",
    "error": "root-mean-square error of values inside the model",
    "correlation": "correlation of values inside the model with the policy's own",
    "true_size": "root mean square of the policy's values",
    "head_error": "root-mean-square error of the value head",
    "behaviour": "mean value of the acting policy at the end of a phase",
    "look_ahead": "mean value of one look ahead in the model",
    "plan": "mean value of the model's optimal plan",
    "reward_loss": "mean loss of the rewards in a phase",
    "value_loss": "mean loss of the values in a phase",
    "first_losses": "loss of the first training steps",
}


def described(dataset: xr.Dataset, about: Mapping[str, str] | None = None) -> xr.Dataset:
    """The same dataset, its variables and itself described.

    Args:
      dataset: what is to be stored; variables without a meaning here stay as they are.
      about: what it is of, as attributes, see `origin`.
    """
    dataset = dataset.copy()
    for name in dataset.variables:
        if name in MEANINGS:
            dataset[name].attrs = {"long_name": MEANINGS[str(name)], "units": "1"}
    return dataset.assign_attrs(about or {})


def origin(title: str, configuration: Mapping[str, Any]) -> dict[str, str]:
    """What a file says of itself: what of, by what and how configured."""
    return {
        "title": title,
        "source": f"pve {metadata.version('pve')}",
        "configuration": json.dumps(configuration, sort_keys=True),
    }
