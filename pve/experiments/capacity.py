"""Experiment 2, capacity: how well does planning work in a model of limited rank?

Low-rank models are trained by the proper value-equivalence loss on policies along
improvement paths, and the true value of each model's optimal policy is measured (Grimm
et al., 2021, experiments on model capacity). Runs of equal index share their policies
across ranks, so that ranks are compared on the same data.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import threading
from typing import Any

import jax
import numpy as np

from pve.checks import check_preset, check_rank, parse_integer
from pve.equivalence.models import LowRankModel
from pve.equivalence.policies import improvement_policies
from pve.experiments.base import Job, Option, Task
from pve.experiments.settings import CAPACITY, SHARED_OPTIONS, CapacityConfig
from pve.keys import stream
from pve.mdp.core import MDP
from pve.mdp.planning import performance
from pve.training.loop import initial_state
from pve.training.objective import Proper
from pve.training.problem import Data, Problem, make_data

NAME = "capacity"
QUESTION = "how well do models of limited rank plan?"
DIMENSIONS = ("mode", "rank", "run")
COMPUTE = "pve.runs.attempt.compute"
ONE_PROGRAM = ("rank",)
COMPARED = None
AXES = {
    "reward": ("state", "action"),
    "leave": ("action", "latent", "state"),
    "arrive": ("next_state", "action", "latent"),
}
MEANINGS = {
    "mode": "kind of the policies trained on",
    "rank": "rank of the model's transition matrices",
    "reward": "reward of the model, state by action",
    "leave": "probability of the latent state given the state, by action, in the model",
    "arrive": "probability of the next state given the latent one, by action, in the model",
}
OPTIONS = (
    Option("modes", str, "MODE", "det and stoch", many=True),
    Option(
        "ranks",
        parse_integer,
        "D",
        "1 … S (the preset's are shares of S = 104)",
        many=True,
    ),
    *SHARED_OPTIONS,
)
FIGURES = "pve.figures.capacity"
COLORS = {"deterministic": "#0072B2", "stochastic": "#D55E00"}
# What was published: mean true values of the plans with their standard errors over ten
# seeds, read off the figure in the authors' notebook; NaN where no error can be read.
PUBLISHED = {
    "deterministic": {20: (69.5, 1.2), 30: (71.8, math.nan)},
    "stochastic": {
        20: (29.0, 8.0),
        30: (36.0, 8.0),
        40: (48.0, 7.0),
        50: (63.0, 4.0),
        60: (71.5, 0.5),
        70: (72.7, math.nan),
    },
}
PRESET_STATES = 104  # of Four Rooms, for which the presets' ranks are made


def preset(name: str) -> CapacityConfig:
    """The experiment's settings under a preset."""
    return CAPACITY[check_preset(name)]


def fitted(config: CapacityConfig, num_states: int) -> CapacityConfig:
    """The settings, their ranks the same shares of another number of states."""
    shares = {max(1, rank * num_states // PRESET_STATES) for rank in config.ranks}
    return dataclasses.replace(config, ranks=tuple(sorted(shares)))


def check_world(config: CapacityConfig, env: MDP) -> None:
    """Raise a ``ValueError`` if a rank exceeds the number of states."""
    for rank in config.ranks:
        check_rank(rank, env.num_states)


def tasks(config: CapacityConfig) -> list[Task]:
    """All runs that are asked for; those that share their data stand together."""
    return [
        Task((("mode", mode), ("rank", rank), ("run", run)), 60 + rank)
        for run in range(config.runs)
        for mode in config.modes
        for rank in sorted(config.ranks, reverse=True)
    ]


def applications(config: CapacityConfig) -> int:
    """One: the proper loss applies the operator once."""
    del config
    return 1


def prepare(config: CapacityConfig, seed: int, env: MDP, task: Task) -> Job:
    """Make a run ready.

    Its data depend on the seed, the mode and the run's index alone; its first parameters
    and its batches on the rank, too.
    """
    mode, rank, run = task["mode"], task["rank"], task["run"]
    check_rank(rank, env.num_states)
    key = stream(seed, NAME, f"mode={mode}", f"rank={rank}", f"run={run}")
    init_key, batch_key = jax.random.split(key)
    model, discount = LowRankModel(rank), float(env.discount)

    def snapshot(params: Any) -> dict[str, np.ndarray]:
        bound = model.bind(params, discount)
        return {
            "reward": np.asarray(bound.reward),
            "leave": np.asarray(bound.leave),
            "arrive": np.asarray(bound.arrive),
        }

    def measure(params: Any) -> dict[str, float]:
        return {"performance": performance(model.mdp(params, discount), env)}

    data, recipe = _shared_data(config, seed, env, mode, run), config.recipe
    return Job(
        state=initial_state(init_key, model, env.num_states, env.num_actions, recipe),
        problem=Problem(batch_key, data, model, Proper(), recipe, discount),
        snapshot=snapshot,
        measure=measure,
        snapshots=False,
    )


def run_bytes(config: CapacityConfig, env: MDP, task: Task) -> int:
    """What a run writes: its curves and the finished model's factors."""
    pairs = env.num_states * env.num_actions
    return config.curve_bytes + 4 * (pairs + 2 * pairs * task["rank"])


_making_data = threading.Lock()


def _shared_data(config: CapacityConfig, seed: int, env: MDP, mode: str, run: int) -> Data:
    with _making_data:  # two threads that want the same data make it once
        return _data(config, seed, env, mode, run)


@functools.lru_cache(maxsize=2)
def _data(config: CapacityConfig, seed: int, env: MDP, mode: str, run: int) -> Data:
    policies = improvement_policies(
        stream(seed, NAME, f"mode={mode}", f"run={run}", "data"),
        env,
        config.policies // config.perturbations,
        config.perturbations,
        mode,
        published=config.published_paths,
    )
    return make_data(env, policies, None, math.inf)


def model_of(arrays: Any, discount: float) -> MDP:
    """A stored model as an MDP in float64.

    Args:
      arrays: its reward and the two factors of its transition.
      discount: γ.
    """
    reward, *factors = (np.asarray(arrays[name], np.float64) for name in AXES)
    transition = np.einsum("ads,tad->sat", *factors)
    return MDP(reward, transition / transition.sum(-1, keepdims=True), discount)
