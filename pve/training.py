r"""Training: one compiled run, many side by side.

A run is Adam on batches drawn with replacement from a fixed set of policies, values and
targets. It advances in chunks: one compiled ``lax.scan`` whose boundaries lie at
absolute steps, so that progress, checkpoints and Ctrl-C have their place. Batches depend
on the step alone, never on the chunk, so the bits do not depend on where chunks end.
Runs go side by side in threads, one run a program: batching them would change the last
bits with the width of the batch.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import os
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pve.bellman import bellman_power, check_order
from pve.losses import target_loss
from pve.mdp import (
    MDP,
    Array,
    check_policies,
    check_positive_integer,
    check_value_shape,
)
from pve.models import Model, SoftmaxModel
from pve.planning import policy_value
from pve.policies import random_functions, random_policies

DECAYS = ("constant", "cosine")


class Data(NamedTuple):
    """What a run trains on.

    Attributes:
      policies: ``[N, S, A]``, float32.
      values: ``[N, S]``, float32.
      targets: ``[N, S]``, float32: T_π^k v in the environment.
    """

    policies: Array
    values: Array
    targets: Array


class State(NamedTuple):
    """What flows from step to step, and what a checkpoint holds.

    Attributes:
      step: how many steps were taken.
      params: the model's parameters.
      optimiser: the optimiser's state.
    """

    step: Array
    params: Any
    optimiser: Any


@dataclasses.dataclass(frozen=True)
class Recipe:
    """How to train: immutable, hashable, checked when made.

    Attributes:
      steps: how many steps, ≥ 1.
      batch: pairs of policy and value in a batch, ≥ 1.
      learning_rate: Adam's, > 0.
      decay: ``"constant"`` or ``"cosine"`` (to zero at the last step).
    """

    steps: int
    batch: int = 50
    learning_rate: float = 1e-3
    decay: str = "constant"

    def __post_init__(self) -> None:
        for name in ("steps", "batch"):
            check_positive_integer(name, getattr(self, name))
        rate = self.learning_rate
        number = isinstance(rate, int | float) and not isinstance(rate, bool)
        if not (number and 0 < rate < math.inf):
            raise ValueError(f"learning_rate is {rate!r}; legal are numbers > 0")
        if self.decay not in DECAYS:
            raise ValueError(f"decay is {self.decay!r}; legal are {', '.join(DECAYS)}")

    def optimiser(self) -> optax.GradientTransformation:
        """Adam under the schedule."""
        if self.decay == "constant":
            return optax.adam(self.learning_rate)
        return optax.adam(optax.cosine_decay_schedule(self.learning_rate, self.steps))


def make_data(env: MDP, policies: Array, values: Array | None, order: int | float) -> Data:
    """Add targets to policies and values.

    Args:
      env: the environment.
      policies: ``[N, S, A]``.
      values: ``[N, S]``; None for the policies' exact values.
      order: 1, 2, … or ∞. For ∞ the targets are the values themselves.

    Returns:
      The data, float32.
    """
    if values is None:
        values = policy_value(env, policies)
    policies = jnp.asarray(policies, jnp.float32)
    values = jnp.asarray(values, jnp.float32)
    if order == math.inf:
        return Data(policies, values, values)
    return Data(policies, values, _targets(env, policies, values, int(order)))


@functools.partial(jax.jit, static_argnames="order")
def _targets(env: MDP, policies: Array, values: Array, order: int) -> Array:
    env = jax.tree.map(functools.partial(jnp.asarray, dtype=jnp.float32), env)
    block = math.gcd(len(policies), 1000)  # bounds the memory of [block, S, S] chains
    split = [x.reshape(-1, block, *x.shape[1:]) for x in (policies, values)]
    targets = jax.lax.map(lambda pv: bellman_power(env, pv[0], pv[1], order), tuple(split))
    return targets.reshape(values.shape)


def initial_state(
    key: Array, model: Model, num_states: int, num_actions: int, recipe: Recipe
) -> State:
    """Draw a model's parameters and start the optimiser."""
    params = model.init(key, num_states, num_actions)
    return State(jnp.zeros((), jnp.int32), params, recipe.optimiser().init(params))


@functools.partial(
    jax.jit, static_argnames=("model", "order", "recipe", "discount", "length")
)
def advance(
    state: State,
    key: Array,
    data: Data,
    *,
    model: Model,
    order: int | float,
    recipe: Recipe,
    discount: float,
    length: int,
) -> tuple[State, Array]:
    """Take ``length`` steps in one compiled loop.

    Args:
      state: where the run stands.
      key: the run's key for batches; step i uses ``fold_in(key, i)``.
      data: what to train on.
      model: the family of models.
      order: k or ∞.
      recipe: how to train.
      discount: of environment and model.
      length: how many steps.

    Returns:
      The state after, and the batch loss before each step, ``[length]``.
    """
    optimiser = recipe.optimiser()
    applied = 1 if order == math.inf else int(order)

    def loss(params: Any, batch: Data) -> Array:
        return target_loss(model.bind(params, discount), *batch, applied)

    def draw(step: Array) -> Array:
        step_key = jax.random.fold_in(key, step)
        return jax.random.randint(step_key, (recipe.batch,), 0, len(data.policies))

    def step(state: State, rows: Array) -> tuple[State, Array]:
        batch = jax.tree.map(lambda x: x[rows], data)
        value, gradient = jax.value_and_grad(loss)(state.params, batch)
        updates, moments = optimiser.update(gradient, state.optimiser, state.params)
        params = optax.apply_updates(state.params, updates)
        return State(state.step + 1, params, moments), value

    return jax.lax.scan(step, state, jax.vmap(draw)(state.step + jnp.arange(length)))


def chunk_length(order: int | float) -> int:
    """Steps in a chunk: at most half a second of work at Four Rooms' size."""
    return 500 if order in (1, math.inf) else 50


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


def run(
    state: State,
    key: Array,
    data: Data,
    *,
    model: Model,
    order: int | float,
    recipe: Recipe,
    discount: float,
    grid: int,
    stop: threading.Event | None = None,
) -> Iterator[tuple[State, np.ndarray]]:
    """Advance a run to its end, chunk by chunk.

    Args:
      state: where it stands; continuing from any chunk's end gives the same bits.
      key: the run's key for batches.
      data: what to train on.
      model: the family of models.
      order: k or ∞.
      recipe: how to train.
      discount: of environment and model.
      grid: chunks also end at multiples of this step, where snapshots are due.
      stop: set by another thread to end the run at the next chunk.

    Yields:
      The state after each chunk and the losses of its steps.

    Raises:
      FloatingPointError: a loss is not finite.
      Stopped: ``stop`` was set.
    """
    start = int(state.step)
    for end in boundaries(start, recipe.steps, chunk_length(order), grid):
        if stop is not None and stop.is_set():
            raise Stopped
        state, losses = advance(
            state,
            key,
            data,
            model=model,
            order=order,
            recipe=recipe,
            discount=discount,
            length=end - start,
        )
        losses = np.asarray(losses)
        if not np.isfinite(losses).all():
            first = start + int(np.flatnonzero(~np.isfinite(losses))[0])
            raise FloatingPointError(f"the loss is {losses[first - start]} at step {first}")
        start = end
        yield state, losses


def side_by_side(function: Callable[[Any], Any], items: list[Any]) -> list[Any]:
    """Apply a function to items in threads, one per core; the first error is raised."""
    with ThreadPoolExecutor(os.cpu_count()) as pool:
        return list(pool.map(function, items))


class Trained(NamedTuple):
    """What `train` returns.

    Attributes:
      models: the trained models, an MDP each.
      losses: ``[N, steps]``, the batch loss before each step.
    """

    models: list[MDP]
    losses: np.ndarray


def train(
    key: Array,
    env: MDP,
    model: Model | None = None,
    order: int | float = math.inf,
    *,
    runs: int = 1,
    policies: Array | None = None,
    values: Array | None = None,
    num_policies: int = 10_000,
    kind: str = "mixed",
    recipe: Recipe | None = None,
) -> Trained:
    """Train models of an MDP by value equivalence, side by side on all cores.

    Args:
      key: a JAX key; run i draws from ``fold_in(key, i)``, whatever ``runs`` is.
      env: the environment.
      model: the family of models; None for `SoftmaxModel`.
      order: k = 1, 2, … or ``math.inf`` for proper value equivalence.
      runs: N, models from independent initial points and data.
      policies: ``[P, S, A]`` to train on; None draws ``num_policies`` random ones of the
        given ``kind``, anew for each run.
      values: ``[P, S]``, functions to train on, with ``policies`` only; None takes the
        policies' exact values at order ∞ and draws U(−1, 1) functions otherwise.
      num_policies: see ``policies``.
      kind: see ``policies``.
      recipe: how to train; None for ``Recipe(steps=10_000)`` with Adam at 1e-2, cosine.

    Returns:
      The models and their losses.

    Raises:
      ValueError: an argument is out of range; the message names the legal values.
      TypeError: an argument is of a wrong type.
      FloatingPointError: a loss became infinite or NaN.

    >>> import jax, pve
    >>> env = pve.MDP([[1.0, 0.0], [0.0, 2.0]], [[[0, 1], [1, 0]], [[1, 0], [0, 1]]], 0.9)
    >>> recipe = pve.Recipe(steps=2000, learning_rate=1e-2, decay="cosine")
    >>> trained = pve.train(jax.random.key(0), env, recipe=recipe, num_policies=100)
    >>> bool(trained.losses[0, -1] < 0.01 * trained.losses[0, 0])
    True
    """
    order = check_order(order)
    check_positive_integer("runs", runs)
    model = SoftmaxModel() if model is None else model
    if recipe is None:
        recipe = Recipe(10_000, learning_rate=1e-2, decay="cosine")
    if not isinstance(recipe, Recipe):
        raise TypeError(f"recipe is {recipe!r}; legal is a pve.Recipe, or None")
    num_states, num_actions = env.num_states, env.num_actions
    if policies is not None:
        check_policies(policies, num_states, num_actions)
        if np.ndim(policies) != 3 or len(policies) == 0:
            raise ValueError(
                f"policies has shape {list(np.shape(policies))}; legal is "
                f"[P, {num_states}, {num_actions}] with P ≥ 1"
            )
    if values is not None:
        if policies is None:
            raise ValueError("values without policies; legal is to give both or none")
        check_value_shape(values, num_states)
        if np.shape(values)[:-1] != np.shape(policies)[:1]:
            raise ValueError(
                f"values has shape {list(np.shape(values))}; legal with these policies "
                f"is [{len(policies)}, {num_states}]"
            )

    def one(index: int) -> tuple[MDP, np.ndarray]:
        keys = jax.random.split(jax.random.fold_in(key, index), 4)
        init_key, policy_key, value_key, batch_key = keys
        chosen = policies
        if chosen is None:
            chosen = random_policies(
                policy_key, num_policies, num_states, num_actions, kind
            )
        functions = values
        if functions is None and order != math.inf:
            functions = random_functions(value_key, len(chosen), num_states)
        data = make_data(env, chosen, functions, order)
        state = initial_state(init_key, model, num_states, num_actions, recipe)
        losses = []
        for state, chunk in run(  # noqa: B007, B020
            state,
            batch_key,
            data,
            model=model,
            order=order,
            recipe=recipe,
            discount=float(env.discount),
            grid=recipe.steps,
        ):
            losses.append(chunk)
        return model.mdp(state.params, float(env.discount)), np.concatenate(losses)

    finished = side_by_side(one, list(range(runs)))
    return Trained([m for m, _ in finished], np.stack([ls for _, ls in finished]))
