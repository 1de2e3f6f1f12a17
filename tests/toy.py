"""An experiment of one's own: how far does a random walk get in some steps?

It stands in no list; `test_experiments` enters it in one.
"""

import dataclasses
import math

import jax
import numpy as np
import xarray as xr

from pve.checks import check_distinct, check_positive_integer, parse_integer
from pve.experiments.base import ExperimentSettings, Option, PiecewiseJob, Task
from pve.figures import style
from pve.keys import stream
from pve.mdp.core import MDP

NAME = "toy"
QUESTION = "how far does a walk get?"
DIMENSIONS = ("stride", "run")
COMPUTE = "pve.runs.pieces.compute"
ONE_PROGRAM = None
COMPARED = None
AXES = {"reward": ("state", "action"), "transition": ("state", "action", "next_state")}
MEANINGS = {
    "stride": "length of a step",
    "place": "where the walk stands",
    "reward": "reward of the model, state by action",
    "transition": "probability of the next state, state by action",
}
OPTIONS = (
    Option("strides", parse_integer, "N", "1, 2, …", many=True),
    Option("runs", parse_integer, "N", "walks of each stride"),
    Option("steps", parse_integer, "N", "of a walk"),
)
FIGURES = __name__
COLORS = {1: "#0072B2", 3: "#D55E00"}
PIECE = 5


@dataclasses.dataclass(frozen=True)
class Walks(ExperimentSettings):
    """Settings of the walks."""

    runs: int = 2
    steps: int = 20
    strides: tuple[int, ...] = (1, 3)
    env: str = "four-rooms"

    NOT_IDENTITY = frozenset({"runs", "strides"})

    def __post_init__(self):
        check_distinct(
            "strides", self.strides, lambda n: check_positive_integer("stride", n)
        )
        if self.steps % PIECE:
            raise ValueError(f"steps is {self.steps}; expected a multiple of {PIECE}")

    @property
    def run_steps(self):
        return self.steps


def preset(name):
    del name
    return Walks()


def fitted(settings, num_states):
    del num_states
    return settings


def check_world(settings, env):
    for stride in settings.strides:
        if stride > env.num_states:
            raise ValueError(
                f"stride is {stride}; expected an integer from 1 to {env.num_states}"
            )


def tasks(settings):
    return [
        Task((("stride", stride), ("run", run)), stride)
        for stride in settings.strides
        for run in range(settings.runs)
    ]


def prepare(settings, seed, env, task):
    key = stream(seed, NAME, f"run={task['run']}")

    def advance(state):
        place, step = state
        drawn = jax.random.normal(jax.random.fold_in(key, int(step)), (PIECE,))
        place = float(place) + task["stride"] * float(drawn.sum())
        return (np.float64(place), step + PIECE), {"place": np.float64(place)}

    def results(state, left):
        del state
        steps = PIECE * (1 + np.arange(len(left["place"])))
        return xr.Dataset({"place": ("step", left["place"])}, {"step": steps})

    def snapshot(state):
        reward = np.full((1, 1), math.tanh(float(state[0])))
        return {"reward": reward, "transition": np.ones((1, 1, 1))}

    pieces = settings.steps // PIECE
    state = (np.float64(0), np.int64(0))
    return PiecewiseJob(state, advance, pieces, PIECE, results, snapshot)


def run_bytes(settings, env, task):
    del env, task
    return 8 * settings.steps


def model_of(arrays, discount):
    return MDP(np.asarray(arrays["reward"]), np.asarray(arrays["transition"]), discount)


def draw(results, data_dir):
    del data_dir
    figure, ax = style.new_figure()
    for stride, color in COLORS.items():
        if stride in results.stride.values:
            walks = results.place.sel(stride=stride).transpose("step", "run")
            ax.plot(results.step, walks, color=color)
    return {"walks": figure}
