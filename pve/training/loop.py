r"""One training loop for every objective.

A run is Adam on batches drawn with replacement from a fixed set of policies, values and
targets. It advances in chunks: one compiled ``lax.scan`` whose boundaries lie at
absolute steps, so that progress, checkpoints and Ctrl-C have their place. Batches depend
on the step alone, never on the chunk, so the bits do not depend on where chunks end.
Runs go side by side in threads, one run a program: batching them would change the last
bits with the width of the batch.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Iterator
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pve.checks import Array
from pve.equivalence.models import Model
from pve.mdp.core import full_precision
from pve.training.problem import Problem, Recipe


class State(NamedTuple):
    """What is carried from step to step, and what a checkpoint holds.

    Attributes:
      step: how many steps have been taken.
      params: the model's parameters.
      optimiser: the optimiser's state.
    """

    step: Array
    params: Any
    optimiser: Any


def initial_state(
    key: Array, model: Model, num_states: int, num_actions: int, recipe: Recipe
) -> State:
    """Draw a model's parameters and start the optimiser."""
    params = model.init(key, num_states, num_actions)
    return State(jnp.zeros((), jnp.int32), params, recipe.optimiser().init(params))


def descend(
    optimiser: optax.GradientTransformation, gradient: Any, moments: Any, params: Any
) -> tuple[Any, Any]:
    """One step of an optimiser: the parameters and its moments after it."""
    updates, moments = optimiser.update(gradient, moments, params)
    return optax.apply_updates(params, updates), moments


@full_precision
def take_steps(state: State, problem: Problem, length: int) -> tuple[State, Array]:
    """Take ``length`` steps in one loop, not compiled yet; see `advance`."""
    objective, recipe, data = problem.objective, problem.recipe, problem.data
    optimiser = recipe.optimiser()

    def loss(params: Any, batch: Any) -> Array:
        return objective.loss(problem.model, params, problem.discount, batch, problem.env)

    def draw(step: Array) -> Array:
        step_key = jax.random.fold_in(problem.key, step)
        return jax.random.randint(step_key, (recipe.batch,), 0, len(data.policies))

    def step(state: State, rows: Array) -> tuple[State, Array]:
        batch = jax.tree.map(lambda x: x[rows], data)
        value, gradient = jax.value_and_grad(loss)(state.params, batch)
        params, moments = descend(optimiser, gradient, state.optimiser, state.params)
        return State(state.step + 1, params, moments), value

    return jax.lax.scan(step, state, jax.vmap(draw)(state.step + jnp.arange(length)))


@functools.partial(jax.jit, static_argnames="length")
def advance(state: State, problem: Problem, length: int) -> tuple[State, Array]:
    """Take ``length`` steps in one compiled loop.

    Args:
      state: where the run stands.
      problem: what is trained, and how.
      length: how many steps.

    Returns:
      The state after, and the batch loss before each step, ``[length]``.
    """
    return take_steps(state, problem, length)


def boundaries(start: int, steps: int, chunk: int, *grids: int) -> list[int]:
    """The absolute steps at which chunks end, after ``start`` up to ``steps``.

    They lie at every multiple of the chunk and of each grid, and at the last step.
    """
    ends = {steps}
    for grid in (chunk, *grids):
        ends.update(range(grid, steps + 1, grid))
    return sorted(end for end in ends if end > start)


class Stopped(Exception):
    """The caller asked a run to stop between two chunks."""


def check_losses(losses: np.ndarray, start: int) -> None:
    """Raise a ``FloatingPointError`` that names the step unless all losses are finite.

    Args:
      losses: of successive steps.
      start: the number of the first.
    """
    if not np.isfinite(losses).all():
        first = int(np.flatnonzero(~np.isfinite(losses))[0])
        raise FloatingPointError(f"the loss is {losses[first]} at step {start + first}")


def run(
    state: State,
    problem: Problem,
    *,
    grid: int,
    chunk: int | None = None,
    stop: threading.Event | None = None,
) -> Iterator[tuple[State, np.ndarray]]:
    """Advance a run to its end, chunk by chunk.

    Args:
      state: where it stands; continuing from any chunk's end gives the same bits.
      problem: what is trained, and how.
      grid: chunks also end at multiples of this step, where snapshots are due.
      chunk: steps in a chunk; None for the objective's own. It changes no bit.
      stop: set by another thread to end the run at the next chunk.

    Yields:
      The state after each chunk and the losses of its steps.

    Raises:
      FloatingPointError: a loss is not finite.
      Stopped: ``stop`` was set.
    """
    start = int(state.step)
    chunk = problem.objective.chunk if chunk is None else chunk
    for end in boundaries(start, problem.recipe.steps, chunk, grid):
        if stop is not None and stop.is_set():
            raise Stopped
        state, compiled = advance(state, problem, end - start)
        losses = np.asarray(compiled)
        check_losses(losses, start)
        start = end
        yield state, losses


def fit(
    state: State, problem: Problem, *, chunk: int | None = None
) -> tuple[State, np.ndarray]:
    """Train to the recipe's last step.

    Args:
      state: where the run stands.
      problem: what is trained, and how.
      chunk: see `run`.

    Returns:
      The last state, and the loss before each step.

    Raises:
      FloatingPointError: a loss is not finite.
    """
    losses = [np.zeros(0, np.float32)]
    steps = run(state, problem, grid=problem.recipe.steps, chunk=chunk)
    for state, found in steps:  # noqa: B007
        losses.append(found)
    return state, np.concatenate(losses)
