"""The benchmark on an accelerator: many runs in one program against one run a core.

Everything is measured in one run: the lanes, the engine ``local`` on the same machine's
cores, the plain way on one core, and the device's own rate in a large float32 matrix
product at full precision.
"""

from __future__ import annotations

import dataclasses
import math
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pve import threads
from pve.benchmark import reference
from pve.benchmark.table import BATCH, Training
from pve.defaults import on_cpu_cores
from pve.equivalence.models import LowRankModel, SoftmaxModel
from pve.equivalence.policies import random_functions, random_policies
from pve.experiments.settings import CAPACITY, DIAMETER
from pve.keys import stream
from pve.mdp.core import MDP, full_precision
from pve.training.lanes import advance_lanes, for_device
from pve.training.loop import advance, initial_state
from pve.training.objective import value_equivalence
from pve.training.problem import Problem, Recipe, make_data


class LaneRow(NamedTuple):
    """One line of the table.

    Attributes:
      training: whose step it is.
      step: seconds of one step of all lanes, the median.
      against_local: how many times faster than the engine ``local`` on all cores.
      against_plain: how many times faster than the plain way on one core.
      peak: the share of the device's own float32 rate.
    """

    training: Training
    step: float
    against_local: float
    against_plain: float
    peak: float


def measure(
    env: MDP,
    trainings: tuple[Training, ...],
    *,
    lanes: int = 120,
    repeats: int = 5,
    policies: int = 2000,
) -> Iterator[LaneRow]:
    """Measure training steps in lanes, row by row, on the first device that JAX sees.

    Args:
      env: the environment.
      trainings: which steps.
      lanes: runs in a program.
      repeats: turns, of which medians are taken.
      policies: in the data, which are the same in all lanes.
    """
    peak = product_rate(4096 if jax.default_backend() != "cpu" else 512)
    for training in trainings:
        yield _row(env, training, lanes, repeats, policies, peak)


def product_rate(size: int) -> float:
    """Floating-point operations per second in a float32 matrix product, full precision."""
    matrix = jnp.ones((size, size), jnp.float32)
    product = jax.jit(full_precision(jnp.matmul))
    seconds = _median(lambda: product(matrix, matrix), 10)
    return 2.0 * size**3 / seconds


def _row(
    env: MDP, training: Training, lanes: int, repeats: int, policies: int, peak: float
) -> LaneRow:
    state, problem = _posed(env, training, policies)
    alone = _median(
        on_cpu_cores()(lambda: advance(state, problem, training.steps)),
        repeats,
        all_cores=True,
    )
    alone *= lanes / threads.num_cores() / training.steps  # of one step of all the runs

    plain_steps = min(training.steps, 20)
    table = np.asarray(env.reward), np.asarray(env.transition), float(env.discount)
    arrays = np.asarray(problem.data.policies), np.asarray(problem.data.values)
    with on_cpu_cores():
        plain, _ = reference.train_plainly(
            table, *arrays, training.order, training.rank,
            steps=plain_steps, batch=BATCH, warm_up=5,
        )  # fmt: skip
    plain *= lanes / plain_steps

    states, problems = _in_lanes(state, problem, lanes)
    steps = training.steps
    mine = _median(lambda: advance_lanes(states, problems, steps), repeats) / steps
    flops = lanes * training.flops(env.num_states, env.num_actions)
    return LaneRow(training, mine, alone / mine, plain / mine, flops / mine / peak)


def _posed(env: MDP, training: Training, policies: int) -> tuple[Any, Problem]:
    with on_cpu_cores():
        chosen = random_policies(
            stream(0, "bench"), policies, env.num_states, env.num_actions
        )
        functions = random_functions(stream(0, "bench", "v"), policies, env.num_states)
        values = None if training.order == math.inf else functions
        data = make_data(env, chosen, values, training.order)
        model = SoftmaxModel() if training.rank is None else LowRankModel(training.rank)
        recipe = Recipe(steps=10**6, batch=BATCH)
        key = stream(0, "bench", "batches")
        state = initial_state(key, model, env.num_states, env.num_actions, recipe)
        objective = value_equivalence(training.order)
    return state, Problem(key, data, model, objective, recipe, float(env.discount))


def _in_lanes(state: Any, problem: Problem, lanes: int) -> tuple[Any, Problem]:
    """The run in every lane, on the device, each with a key of its own."""
    device = jax.devices()[0]
    objective = for_device(problem.objective, device, problem.data.values.shape[-1])

    def repeated(leaf: Any) -> Any:
        return jax.device_put(np.stack([np.asarray(leaf)] * lanes), device)

    states = jax.tree.map(repeated, state)
    data = jax.tree.map(repeated, problem.data)
    keys = jax.vmap(lambda i: jax.random.fold_in(problem.key, i))(jnp.arange(lanes))
    return states, dataclasses.replace(problem, key=keys, data=data, objective=objective)


def _median(function: Callable[[], Any], repeats: int, *, all_cores: bool = False) -> float:
    """The median seconds of a compiled call, compilation not counted."""

    def once(_: Any = None) -> None:
        jax.block_until_ready(function())

    def timed() -> float:
        start = time.perf_counter()
        if all_cores:
            threads.side_by_side(once, range(threads.num_cores()))
        else:
            once()
        return time.perf_counter() - start

    timed()
    return float(np.median([timed() for _ in range(repeats)]))


def print_lanes(rows: Iterator[LaneRow], lanes: int) -> None:
    """Print the table as Markdown, with the device named."""
    device = jax.devices()[0].device_kind
    print(f"\n{device}: {lanes} runs in a program, float32 at full precision\n")
    print("| work | ms a step of all runs | times `local` | times the plain way | share |")
    print("|---|--:|--:|--:|--:|")
    measured = []
    for row in rows:
        measured.append(row)
        print(
            f"| {row.training.work} | {row.step * 1e3:.3f} | {row.against_local:.1f} "
            f"| {row.against_plain:.0f} | {row.peak:.0%} |",
            flush=True,
        )
    print(
        "\nTraining all runs of both experiments under the preset `paper` takes at most "
        f"{paper_seconds(measured) / 3600:.1f} hours at these rates: orders and ranks "
        "between those measured by straight lines, data and measures not counted."
    )


def paper_seconds(rows: Sequence[LaneRow]) -> float:
    """Seconds of training under the preset ``paper``, extrapolated from measured steps.

    Fewer runs share a program at a rank than were measured; they take no longer.

    Args:
      rows: steps of all runs at some orders, 1 and ∞ among them, and at some ranks.
    """
    orders = {row.training.order: row.step for row in rows if row.training.rank is None}
    ranks = {row.training.rank: row.step for row in rows if row.training.rank is not None}
    one_step = orders.pop(math.inf)
    diameter, capacity = DIAMETER["paper"], CAPACITY["paper"]
    of_orders = [
        one_step if order == math.inf else _between(orders, order)
        for order in diameter.orders
    ]
    of_ranks = [_between(ranks, rank) for rank in capacity.ranks]
    return diameter.steps * sum(of_orders) + capacity.steps * sum(of_ranks)


def _between(measured: dict[Any, float], x: float) -> float:
    places = sorted(measured)
    return float(np.interp(x, places, [measured[place] for place in places]))
