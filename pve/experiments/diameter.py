"""Experiment 1, diameter: how large is the class of models a loss of order k lets through?

For each order, models are trained from independent initial points on independent random
policies and functions, and their distances at the end are measured (Grimm et al., 2021,
experiments on the diameter of the sets of value-equivalent models).
"""

from __future__ import annotations

import math
from typing import Any

import jax
import numpy as np

from pve.checks import check_preset, parse_order
from pve.equivalence.models import SoftmaxModel
from pve.equivalence.policies import random_functions, random_policies
from pve.experiments.base import Job, Option, Task, format_coordinate
from pve.experiments.settings import DIAMETER, SHARED_OPTIONS, DiameterConfig
from pve.keys import stream
from pve.mdp.core import MDP
from pve.mdp.planning import performance
from pve.training.loop import initial_state
from pve.training.objective import value_equivalence
from pve.training.problem import Problem, make_data

NAME = "diameter"
QUESTION = "how far apart do models of order k end?"
DIMENSIONS = ("order", "run")
COMPUTE = "pve.runs.attempt.compute"
ONE_PROGRAM = ("order",)
COMPARED = "order"
AXES = {
    "reward": ("state", "action"),
    "transition": ("state", "action", "next_state"),
}
MEANINGS = {
    "order": "order k of the loss, inf for the proper one",
    "reward": "reward of the model, state by action",
    "transition": "probability of the next state in the model, state by action",
}
OPTIONS = (Option("orders", parse_order, "K", "1, 2, …, inf", many=True), *SHARED_OPTIONS)
# What was published: diameters with their standard errors over six groups of 20 runs,
# read off the figure in the authors' notebook.
PUBLISHED = {
    1: (0.0, 0.0),
    30: (0.25, 0.03),
    40: (1.13, 0.10),
    50: (1.06, 0.07),
    60: (1.09, 0.11),
    math.inf: (2.21, 0.22),
}
FIGURES = "pve.figures.diameter"
COLORS = {  # of the published orders
    1: "#0072B2",
    30: "#56B4E9",
    40: "#009E73",
    50: "#E69F00",
    60: "#CC79A7",
    math.inf: "#D55E00",
}


def preset(name: str) -> DiameterConfig:
    """The experiment's settings under a preset."""
    return DIAMETER[check_preset(name)]


def fitted(config: DiameterConfig, num_states: int) -> DiameterConfig:
    """The same settings: they fit a world of any size."""
    del num_states
    return config


def check_world(config: DiameterConfig, env: MDP) -> None:
    """Every world will do."""
    del config, env


def tasks(config: DiameterConfig) -> list[Task]:
    """All runs that are asked for; the costliest first, so that cores finish together."""
    orders = sorted(config.orders, key=_weight, reverse=True)
    return [
        Task((("order", order), ("run", run)), _weight(order))
        for order in orders
        for run in range(config.runs)
    ]


def applications(config: DiameterConfig) -> int:
    """The largest finite order; a loss of order ∞ applies the operator once."""
    return int(max((order for order in config.orders if order < math.inf), default=1))


def _weight(order: int | float) -> int:
    return 4 if order in (1, math.inf) else 16 + int(order)


def prepare(config: DiameterConfig, seed: int, env: MDP, task: Task) -> Job:
    """Make a run ready; it depends on the seed, the order and the run's index alone."""
    order, run = task["order"], task["run"]
    key = stream(seed, NAME, f"order={format_coordinate(order)}", f"run={run}")
    init_key, policy_key, function_key, batch_key = jax.random.split(key, 4)
    num_states, num_actions = env.num_states, env.num_actions
    policies = random_policies(
        policy_key, config.policies, num_states, num_actions, legal=env.legal
    )
    functions = None
    if order != math.inf:
        functions = random_functions(function_key, config.policies, num_states)
    model, discount = SoftmaxModel(), float(env.discount)

    def finished(params: Any) -> MDP:
        return model.mdp(params, discount)

    def snapshot(params: Any) -> dict[str, np.ndarray]:
        mdp = finished(params)
        return {
            "reward": np.asarray(mdp.reward),
            "transition": np.asarray(mdp.transition),
        }

    objective = value_equivalence(order)
    data = make_data(env, policies, functions, order)
    return Job(
        state=initial_state(init_key, model, num_states, num_actions, config.recipe),
        problem=Problem(batch_key, data, model, objective, config.recipe, discount),
        snapshot=snapshot,
        measure=lambda params: {"performance": performance(finished(params), env)},
        snapshots=True,
    )


def run_bytes(config: DiameterConfig, env: MDP, task: Task) -> int:
    """What a run writes: its curves and all its snapshots."""
    del task
    states, actions = env.num_states, env.num_actions
    size = 4 * (states * actions + states * actions * states)
    return config.curve_bytes + size * (config.steps // config.every + 1)


def model_of(arrays: Any, discount: float) -> MDP:
    """A stored model as an MDP in float64.

    Args:
      arrays: its reward and its transition.
      discount: γ.
    """
    reward, transition = (np.asarray(arrays[name], np.float64) for name in AXES)
    return MDP(reward, transition / transition.sum(-1, keepdims=True), discount)
