"""Experiment 2, capacity: how well does planning work in a model of limited rank?

Low-rank models are trained by the proper value-equivalence loss on policies along
improvement paths, and one measures the true value of each model's optimal policy (Grimm
et al., 2021, experiments on model capacity). Runs of equal index share their policies
across ranks, so that ranks are compared on the same data.
"""

from __future__ import annotations

import functools
import math
import threading
from typing import Any

import jax
import numpy as np

from pve.experiments.configs import CAPACITY, CapacityConfig, check_preset
from pve.experiments.job import Job, Task
from pve.mdp import MDP
from pve.models import LowRankModel, check_rank
from pve.planning import performance
from pve.policies import improvement_policies, stream
from pve.training import Data, initial_state, make_data

NAME = "capacity"
DIMENSIONS = ("mode", "rank", "run")


def preset(name: str) -> CapacityConfig:
    """The experiment's settings under a preset."""
    return CAPACITY[check_preset(name)]


def tasks(config: CapacityConfig) -> list[Task]:
    """All runs that are asked for; those that share their data stand together."""
    return [
        Task((("mode", mode), ("rank", rank), ("run", run)), 60 + rank)
        for run in range(config.runs)
        for mode in config.modes
        for rank in sorted(config.ranks, reverse=True)
    ]


def prepare(config: CapacityConfig, seed: int, env: MDP, task: Task) -> Job:
    """Make a run ready.

    Its data depends on the seed, the mode and the run's index alone; its first
    parameters and its batches on the rank, too.
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

    return Job(
        state=initial_state(
            init_key, model, env.num_states, env.num_actions, config.recipe
        ),
        key=batch_key,
        data=_shared_data(config, seed, env, mode, run),
        model=model,
        order=math.inf,
        recipe=config.recipe,
        discount=discount,
        snapshot=snapshot,
        measure=measure,
        snapshots=False,
    )


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
