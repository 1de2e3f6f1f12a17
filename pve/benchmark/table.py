"""The benchmark: this library against the plain way, as ratios in one run.

Both sides do the same work at the paper's sizes (104 states, 4 actions, batch 50) with
all cores busy, in turns, so that a drift of the machine's speed hits both.
`pve.benchmark.reference` is the plain way.
"""

from __future__ import annotations

import contextlib
import functools
import math
import multiprocessing
import os
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from tqdm import tqdm

from pve import threads
from pve.benchmark import reference
from pve.defaults import on_cpu_cores
from pve.equivalence import newton
from pve.equivalence.distances import principal_components
from pve.equivalence.exact_class import balanced_policies
from pve.equivalence.losses import pve_loss
from pve.equivalence.models import LowRankModel, SoftmaxModel
from pve.equivalence.policies import random_functions, random_policies
from pve.figures.captions import digits
from pve.keys import stream
from pve.mdp.core import MDP, exact
from pve.mdp.planning import performance, policy_value
from pve.runs import provenance
from pve.threads import side_by_side
from pve.training.loop import advance, initial_state
from pve.training.objective import value_equivalence
from pve.training.problem import Problem, Recipe, make_data
from pve.training.train import train
from pve.worlds.gridworld import four_rooms

BATCH = 50
PERFORMANCES = 20  # evaluated in a turn
NEWTON_POLICIES, NEWTON_STEPS = 120, 18  # they end below the plain way's loss


class Row(NamedTuple):
    """One line of the table.

    Attributes:
      work: what is done.
      ours: seconds a unit of work, the median.
      plain: likewise, the plain way.
      ratio: how many times faster, the median over turns.
      peak: the share of the machine's own matrix-product rate; NaN where not measured.
    """

    work: str
    ours: float
    plain: float
    ratio: float
    peak: float


class Training(NamedTuple):
    """A training step to be timed."""

    work: str
    order: float
    rank: int | None
    steps: int

    def flops(self, states: int, actions: int) -> float:
        """Floating-point operations that a step cannot do without.

        At order 1 and ∞: the product p̃ v and the one for its gradient. At order k: k
        products with P_π and k with its transpose, and k outer products. With factors: a
        product with each forward, a gradient of each, and one passed back in between.
        """
        pairs = 2.0 * BATCH
        if self.rank is not None:
            return pairs * states * actions * self.rank * 5
        if self.order in (1, math.inf):
            return pairs * states * actions * states * 2
        return pairs * states * states * 3 * self.order


TRAINING = (
    Training("training step, k = 1", 1, None, 1000),
    Training("training step, k = ∞", math.inf, None, 1000),
    Training("training step, k = 30", 30, None, 100),
    Training("training step, k = 60", 60, None, 50),
    Training("training step, rank 20", math.inf, 20, 1000),
    Training("training step, rank 104", math.inf, 104, 500),
)


def _table(mdp: MDP) -> tuple[np.ndarray, np.ndarray, float]:
    return np.asarray(mdp.reward), np.asarray(mdp.transition), float(mdp.discount)


@contextlib.contextmanager
def _plain_processes() -> Iterator[Callable[..., list[Any]]]:
    """One process a core; yields a function that has all of them do the same work."""
    context = multiprocessing.get_context("spawn")
    pipes, processes = [], []
    for core in sorted(os.sched_getaffinity(0)):
        ours, theirs = context.Pipe()
        process = context.Process(target=reference.serve, args=(theirs, core), daemon=True)
        process.start()
        pipes.append(ours)
        processes.append(process)

    def everywhere(function: Callable[..., Any], *args: Any, **kwargs: Any) -> list[Any]:
        for pipe in pipes:
            pipe.send((function, args, kwargs))
        return [pipe.recv() for pipe in pipes]

    try:
        yield everywhere
    finally:
        for pipe in pipes:
            pipe.send(None)
        for process in processes:
            process.join()


def _seconds(function: Callable[[], Any]) -> float:
    start = time.perf_counter()
    function()
    return time.perf_counter() - start


def _everywhere(function: Callable[[], Any]) -> float:
    """Seconds until all cores, one thread each, have done the same work."""
    cores = len(os.sched_getaffinity(0))
    here = on_cpu_cores()(function)  # a thread of its own knows no device but the first
    return _seconds(lambda: side_by_side(lambda _: here(), list(range(cores))))


def _row(
    work: str,
    units: int,
    ours: Callable[[], float],
    theirs: Callable[[], float],
    repeats: int,
    rate: Callable[[float], float] = lambda _: math.nan,
) -> Row:
    """Take turns, and the medians of times and of ratios."""
    ours(), theirs()  # compilation is not counted
    pairs = np.array([(ours(), theirs()) for _ in range(repeats)]) / units
    mine, plainly = np.median(pairs, 0)
    ratio = float(np.median(pairs[:, 1] / pairs[:, 0]))
    return Row(work, float(mine), float(plainly), ratio, rate(float(mine)))


def peak_rate() -> float:
    """Floating-point operations per second and core in a large float32 matrix product."""
    size = 1024
    matrix = jnp.ones((size, size), jnp.float32)
    product = jax.jit(lambda x: x @ x)
    one = lambda: product(matrix).block_until_ready()  # noqa: E731
    _everywhere(one)
    return 2.0 * size**3 / min(_everywhere(one) for _ in range(10))


def _training_row(
    training: Training, env: MDP, everywhere: Any, repeats: int, peak: float
) -> Row:
    policies = random_policies(stream(0, "bench"), 2000, env.num_states, env.num_actions)
    functions = random_functions(stream(0, "bench", "v"), 2000, env.num_states)
    values = None if training.order == math.inf else functions
    data = make_data(env, policies, values, training.order)
    model = SoftmaxModel() if training.rank is None else LowRankModel(training.rank)
    recipe = Recipe(steps=training.steps, batch=BATCH)
    key = stream(0, "bench", "batches")
    state = initial_state(key, model, env.num_states, env.num_actions, recipe)
    objective = value_equivalence(training.order)
    problem = Problem(key, data, model, objective, recipe, float(env.discount))

    def ours() -> float:
        return _everywhere(
            lambda: advance(state, problem, training.steps)[1].block_until_ready()
        )

    def theirs() -> float:
        arrays = np.asarray(data.policies), np.asarray(data.values)
        answers = everywhere(
            reference.train_plainly, _table(env), *arrays, training.order, training.rank,
            steps=training.steps, batch=BATCH, warm_up=5,
        )  # fmt: skip
        return float(max(seconds for seconds, _ in answers))

    flops = training.flops(env.num_states, env.num_actions)
    return _row(
        training.work, training.steps, ours, theirs, repeats, lambda s: flops / s / peak
    )


def _analysis_rows(env: MDP, everywhere: Any, repeats: int) -> Iterator[Row]:
    num, states, actions = 400, env.num_states, env.num_actions
    policies = np.asarray(random_policies(stream(0, "bench"), num, states, actions))
    yield _row(
        "exact values, per policy",
        num,
        lambda: _everywhere(lambda: policy_value(env, policies)),
        lambda: _timed_everywhere(
            everywhere, reference.exact_values, _table(env), policies
        ),
        repeats,
    )
    random = np.random.default_rng(0)
    transition = random.dirichlet(np.full(states, 0.1), (states, actions))
    model = MDP(random.uniform(-1, 1, (states, actions)), transition, env.discount)
    tables = _table(model), _table(env)
    for work, compiled in (
        ("performance of a model (against jitted backups from a Python loop)", False),
        ("performance of a model (against a whole compiled loop)", True),
    ):
        theirs = functools.partial(
            _timed_everywhere, everywhere, _plain_performances, *tables, compiled
        )
        yield _row(
            work,
            PERFORMANCES,
            lambda: _everywhere(
                lambda: [performance(model, env) for _ in range(PERFORMANCES)]
            ),
            theirs,
            repeats,
        )
    models = random.normal(size=(120, states * actions * (states + 1))).astype(np.float32)
    cores = len(os.sched_getaffinity(0))
    with threads.linear_algebra(cores):  # one analysis has all cores
        yield _row(
            "principal components of 120 models",
            1,
            lambda: _seconds(lambda: principal_components(models)),
            lambda: _seconds(
                lambda: np.linalg.svd(models - models.mean(0), full_matrices=False)
            ),
            repeats,
        )


def _plain_performances(model: Any, env: Any, compiled: bool) -> None:
    for _ in range(PERFORMANCES):
        reference.performance_by_value_iteration(model, env, compiled=compiled)


def _by_adam(env: MDP, key: Any) -> MDP:
    """A short k = ∞ run that ends near where the plain way does."""
    policies = random_policies(key, 1000, env.num_states, env.num_actions)
    recipe = Recipe(steps=13_000, batch=20, learning_rate=0.2, decay="cosine")
    return train(key, env, policies=policies, recipe=recipe).models[0]


def _by_newton(env: MDP, key: Any) -> MDP:
    """A k = ∞ run by Newton steps on all its policies, from a random model as well."""
    states, actions, discount = env.num_states, env.num_actions, float(env.discount)
    init_key, policy_key = jax.random.split(key)
    model = SoftmaxModel()
    start = model.mdp(model.init(init_key, states, actions), discount)
    policies = balanced_policies(policy_key, NEWTON_POLICIES, states, actions)
    problem = newton.equations(policies, policy_value(env, policies), discount)
    path = newton.solve(problem, start.transition, NEWTON_STEPS)
    return MDP(path.reward, path.transition[-1], discount)


def _whole_runs(env: MDP, everywhere: Any) -> Iterator[Row | str]:
    """One k = ∞ run a core from data to model, and the losses it ends at.

    The loss is on 1,000 policies that no run was trained on. Compilation is counted: a
    user waits for it.
    """
    states, actions = env.num_states, env.num_actions
    policies = np.asarray(random_policies(stream(0, "bench"), 10_000, states, actions))
    fresh = random_policies(stream(0, "bench", "fresh"), 1000, states, actions)
    values = policy_value(env, fresh)

    def loss(reward: Any, transition: Any) -> float:
        return float(pve_loss(exact(MDP(reward, transition, env.discount)), fresh, values))

    start = time.perf_counter()
    ends = everywhere(reference.proper_run, _table(env), policies, steps=50_000)
    plainly = time.perf_counter() - start
    told = f"the plain way's {loss(*ends[0]):.4f} (10,000 policies, 50,000 steps at 1e-3)"
    keys = list(jax.random.split(stream(0, "bench", "run"), len(ends)))
    for name, run_one in (("Newton steps", _by_newton), ("Adam", _by_adam)):
        start = time.perf_counter()
        models = side_by_side(on_cpu_cores()(functools.partial(run_one, env)), keys)
        ours = time.perf_counter() - start
        work = f"one whole k = ∞ run, data included, by {name} (losses below)"
        yield Row(work, ours, plainly, plainly / ours, math.nan)
        told += f"; by {name} {loss(models[0].reward, models[0].transition):.4f}"
    yield (
        f"The whole runs are timed once. Their losses on 1,000 fresh policies: {told}. "
        f"Newton takes {NEWTON_STEPS} steps on {NEWTON_POLICIES} policies to each action, "
        "Adam 13,000 on 1,000 policies, at 0.2 with a cosine."
    )


def _timed_everywhere(everywhere: Any, function: Any, *args: Any) -> float:
    return _seconds(lambda: everywhere(function, *args))


def run(repeats: int) -> Iterator[Row | str]:
    """Measure row by row.

    Args:
      repeats: turns of both sides, of which medians are taken, ≥ 1.

    Yields:
      The rows of the table, and finally a note on the whole runs.
    """
    env = four_rooms().mdp
    with on_cpu_cores(), _plain_processes() as everywhere, threads.linear_algebra(1):
        peak = peak_rate()
        for training in TRAINING:
            yield _training_row(training, env, everywhere, repeats, peak)
        yield from _analysis_rows(env, everywhere, repeats)
        yield from _whole_runs(env, everywhere)


def print_table(repeats: int) -> None:
    """Print the table as Markdown, with the machine named.

    Args:
      repeats: turns of both sides, ≥ 1.

    Raises:
      ValueError: ``repeats`` is below 1.
    """
    if repeats < 1:
        raise ValueError(f"repeats is {repeats}; expected an integer ≥ 1")
    machine = provenance.machine()
    print(f"{machine['processor']}, {machine['cores']} cores; ", end="")
    print(", ".join(f"{name} {version}" for name, version in provenance.versions().items()))
    print(f"medians of {repeats}; all cores busy on both sides\n")
    print("| work | pve | plain way | times faster | share of peak |")
    print("|---|--:|--:|--:|--:|")
    for row in tqdm(run(repeats), total=len(TRAINING) + 7, leave=False, mininterval=1):
        if isinstance(row, str):
            tqdm.write(f"\n{row}")
            continue
        peak = "" if math.isnan(row.peak) else f"{row.peak:.0%}"
        tqdm.write(
            f"| {row.work} | {digits(row.ours * 1e3)} ms | {digits(row.plain * 1e3)} ms "
            f"| {row.ratio:.1f} | {peak} |"
        )
