"""Experiment 3, MuZero: what does an unrolled loss make of a latent model?

Small agents (`pve.muzero`) act and learn, each plainly and with the values of past policies
in its loss, as Grimm et al. (2021) propose for MuZero; what its last model predicts and
what that model's plans are worth is computed exactly. Agents of equal index see the same
random numbers in both arms, so that they come in pairs.
"""

from __future__ import annotations

import dataclasses
import functools
import threading
from collections.abc import Callable
from typing import Any, ClassVar

import jax
import jax.numpy as jnp
import numpy as np
import xarray as xr

from pve.checks import (
    check_distinct,
    check_one_of,
    check_preset,
    parse_integer,
    parse_number,
)
from pve.experiments.base import (
    ExperimentSettings,
    Option,
    PiecewiseJob,
    Task,
    check_runs,
)
from pve.keys import stream
from pve.mdp.core import MDP
from pve.muzero.agent import ARMS, Agent, Settings, Trace, begin, live
from pve.muzero.predictions import FIRST_LOSSES, latent_model, measure
from pve.training.loop import check_losses

NAME = "muzero"
QUESTION = "what do agents' latent models predict, plainly and with past policies?"
DIMENSIONS = ("arm", "run")
COMPUTE = "pve.runs.pieces.compute"
ONE_PROGRAM = None
COMPARED = None
AXES = {
    "encoder": ("state", "latent"),
    "reward": ("latent", "action"),
    "transition": ("latent", "action", "next_latent"),
    "head": ("latent",),
}
MEANINGS = {
    "arm": "how the agent was trained, plainly or with the values of past policies",
    "kind": "kind of the policies asked about",
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
    "encoder": "probability of the latent state given the state",
    "reward": "reward of the model, latent state by action",
    "transition": "probability of the next latent state, latent state by action",
    "head": "the last policy's value of the latent states",
}
OPTIONS = (
    Option("arms", str, "ARM", "plain and past (with past policies' values)", many=True),
    Option("runs", parse_integer, "N", "agents of each arm"),
    Option("phases", parse_integer, "N", "how often the policy changes"),
    Option("steps", parse_integer, "N", "of training in a phase"),
    Option("batch", parse_integer, "N", "segments in a batch"),
    Option("latent", parse_integer, "D", "latent states"),
    Option("unroll", parse_integer, "K", "moves that the loss unrolls"),
    Option("learning_rate", parse_number, "X", "Adam's, > 0"),
)
FIGURES = "pve.figures.muzero"
COLORS = {"plain": "#0072B2", "past": "#D55E00"}
OVERHEAD = 32_000  # bytes that the files of a run take besides their numbers


@dataclasses.dataclass(frozen=True)
class MuZeroConfig(Settings, ExperimentSettings):
    """The agents' settings, and which agents there are.

    Attributes:
      arms: ``"plain"`` and ``"past"``, distinct.
      env: the environment's name, see `pve.worlds.by_name`.
    """

    arms: tuple[str, ...] = tuple(ARMS)
    env: str = "four-rooms"

    NOT_IDENTITY: ClassVar[frozenset[str]] = frozenset({"runs", "arms"})

    def __post_init__(self) -> None:
        check = functools.partial(check_one_of, "arm", legal=tuple(ARMS))
        object.__setattr__(self, "arms", check_distinct("arms", self.arms, check))
        check_runs(self.runs)
        super().__post_init__()

    @property
    def run_steps(self) -> int:
        """The training steps of a run, all phases together."""
        return self.phases * self.steps


PRESETS = {
    "smoke": MuZeroConfig(runs=2, phases=3, steps=50, actors=32),
    "quick": MuZeroConfig(runs=3, phases=12, steps=400),
    "standard": MuZeroConfig(runs=10, phases=24, steps=500),
    "paper": MuZeroConfig(runs=20, phases=48, steps=1000),
}


def preset(name: str) -> MuZeroConfig:
    """The experiment's settings under a preset."""
    return PRESETS[check_preset(name)]


def fitted(config: MuZeroConfig, num_states: int) -> MuZeroConfig:
    """The same settings: they fit a world of any size."""
    del num_states
    return config


def check_world(config: MuZeroConfig, env: MDP) -> None:
    """Raise a ``ValueError`` unless every action may be taken everywhere."""
    if env.legal is not None and not np.all(env.legal):
        raise ValueError(
            f"environment {config.env!r} forbids some actions; expected for {NAME} one "
            "that allows every action in every state"
        )


def tasks(config: MuZeroConfig) -> list[Task]:
    """All runs that are asked for; pairs stand together."""
    return [
        Task((("arm", arm), ("run", run)), 1)
        for run in range(config.runs)
        for arm in config.arms
    ]


def prepare(config: MuZeroConfig, seed: int, env: MDP, task: Task) -> PiecewiseJob:
    """Make a run ready; all it draws depends on the seed and the run's index alone."""
    index, past = f"run={task['run']}", jnp.float32(ARMS[task["arm"]])
    key, discount = stream(seed, NAME, index), float(env.discount)
    single = jax.tree.map(functools.partial(jnp.asarray, dtype=jnp.float32), env)

    def advance(agent: Agent) -> tuple[Agent, dict[str, np.ndarray]]:
        agent = jax.tree.map(jnp.asarray, agent)
        program = _program(config, agent, key, single, past)
        after, phase = program(agent, key, single, past)
        kept = {
            "policy": np.asarray(phase.policy),
            "reward_loss": np.asarray(phase.reward_loss),
            "value_loss": np.asarray(phase.value_loss),
        }
        losses = kept["reward_loss"] + kept["value_loss"]
        check_losses(losses, int(agent.phase) * config.steps)
        return after, kept

    def results(agent: Agent, left: dict[str, np.ndarray]) -> xr.Dataset:
        last = jax.tree.map(lambda leaf: np.asarray(leaf)[None], agent.params)
        return measure(
            stream(seed, NAME, index, "asked"), env, Trace(params=last, **left), config
        )

    def snapshot(agent: Agent) -> dict[str, np.ndarray]:
        slot = (int(agent.phase) - 1) % config.slots
        model = latent_model(agent.params, slot, discount)
        found = (model.encoder, model.mdp.reward, model.mdp.transition, model.head)
        return dict(zip(AXES, found, strict=True))

    return PiecewiseJob(
        state=begin(key, single, config),
        advance=advance,
        pieces=config.phases,
        steps=config.steps,
        results=results,
        snapshot=snapshot,
    )


_compiling = threading.Lock()
_programs: dict[Any, Callable[..., tuple[Agent, Trace]]] = {}


def _program(config: MuZeroConfig, *arguments: Any) -> Callable[..., tuple[Agent, Trace]]:
    """A phase, compiled for these settings and shapes."""
    shapes: tuple[Any, ...] = tuple(map(jnp.shape, jax.tree.leaves(arguments)))
    with _compiling:  # two threads that want the same program make it once
        if (config, shapes) not in _programs:
            _programs[config, shapes] = live.lower(*arguments, config).compile()
        return _programs[config, shapes]


def run_bytes(config: MuZeroConfig, env: MDP, task: Task) -> int:
    """What a run writes: its measures and the finished model."""
    del task
    states, actions, latent = env.num_states, env.num_actions, config.latent
    model = states * latent + latent * (actions + actions * latent + 1)
    policies = 9 + min(config.slots, config.phases)  # that the model is asked about
    measures = 5 * policies + config.phases + 3
    losses = 2 * config.phases + min(FIRST_LOSSES, config.run_steps)
    return 8 * (model + measures) + 4 * losses + OVERHEAD


def model_of(arrays: Any, discount: float) -> MDP:
    """A stored model as an MDP over its latent states, in float64.

    Args:
      arrays: its reward and its transition.
      discount: γ.
    """
    reward, transition = (
        np.asarray(arrays[n], np.float64) for n in ("reward", "transition")
    )
    return MDP(reward, transition / transition.sum(-1, keepdims=True), discount)
