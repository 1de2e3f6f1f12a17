"""A small agent that learns a latent model by MuZero's unrolled loss.

All measures of a preset are written to a file by

    python -m pve muzero OUT.nc --preset standard
"""

from pve.muzero.agent import (
    ARMS,
    PRESETS,
    Params,
    Settings,
    Trace,
    initial_params,
    look_ahead,
    returns,
    train,
    unroll,
)
from pve.muzero.predictions import (
    FIRST_LOSSES,
    LatentModel,
    along_actions,
    asked_policies,
    follow,
    inside,
    latent_model,
    latent_policy,
    measure,
    normalised,
    planned_policy,
)
from pve.muzero.study import load, load_or_run, numerical_code, run, settings_of

__all__ = [
    "ARMS",
    "FIRST_LOSSES",
    "PRESETS",
    "LatentModel",
    "Params",
    "Settings",
    "Trace",
    "along_actions",
    "asked_policies",
    "follow",
    "initial_params",
    "inside",
    "latent_model",
    "latent_policy",
    "load",
    "load_or_run",
    "look_ahead",
    "measure",
    "normalised",
    "numerical_code",
    "planned_policy",
    "returns",
    "run",
    "settings_of",
    "train",
    "unroll",
]
