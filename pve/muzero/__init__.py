"""A small agent that learns a latent model by MuZero's unrolled loss.

`pve.experiments.muzero` trains pairs of them; from the command line::

    python -m pve muzero DATA_DIR SEED --preset standard
"""

from pve.muzero.agent import (
    ARMS,
    Agent,
    Params,
    Settings,
    Trace,
    begin,
    initial_params,
    live,
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
from pve.muzero.study import KINDS, Comparison, by_kind, compare

__all__ = [
    "ARMS",
    "FIRST_LOSSES",
    "KINDS",
    "Agent",
    "Comparison",
    "LatentModel",
    "Params",
    "Settings",
    "Trace",
    "along_actions",
    "asked_policies",
    "begin",
    "by_kind",
    "compare",
    "follow",
    "initial_params",
    "inside",
    "latent_model",
    "latent_policy",
    "live",
    "look_ahead",
    "measure",
    "normalised",
    "planned_policy",
    "returns",
    "train",
    "unroll",
]
