"""The plain way, which the benchmark measures against: no library of ours, no tricks.

A jitted step called from a Python loop, the model as ``[S, A, S]`` softmax or as formed
low-rank matrices, automatic differentiation through an unrolled operator, targets
recomputed at each step, batches gathered by NumPy, one process a core. Float32 and the
same losses as `pve.equivalence.losses`, written independently of them.
"""

from __future__ import annotations

import functools
import math
import os
import time
from collections.abc import Callable
from multiprocessing.connection import Connection
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
import optax
import threadpoolctl

Array = Any


def operator_power(
    reward: Array,
    transition: Array,
    discount: float,
    policies: Array,
    values: Array,
    k: int,
) -> Array:
    """T_π^k v, unrolled: ``[B, S]``."""
    for _ in range(k):
        following = jnp.einsum("sat,bt->bsa", transition, values)
        values = (policies * (reward + discount * following)).sum(-1)
    return values


def softmax_model(params: dict[str, Array]) -> tuple[Array, Array]:
    """Reward and transition from a reward and logits ``[S, A, S]``."""
    return params["reward"], jax.nn.softmax(params["logits"], axis=-1)


def low_rank_model(params: dict[str, Array]) -> tuple[Array, Array]:
    """Reward and formed transition from logits ``[A, S, d]`` and ``[A, d, S]``."""
    leave = jax.nn.softmax(params["leave"], axis=-1)
    arrive = jax.nn.softmax(params["arrive"], axis=-1)
    return params["reward"], jnp.einsum("asd,adt->sat", leave, arrive)


def initial_parameters(
    random: np.random.Generator, states: int, actions: int, rank: int | None
) -> dict[str, Array]:
    """Rewards U(−1, 1), logits U(−5, 5)."""
    shapes: dict[str, tuple[int, ...]] = {"reward": (states, actions)}
    if rank is None:
        shapes["logits"] = (states, actions, states)
    else:
        shapes |= {"leave": (actions, states, rank), "arrive": (actions, rank, states)}
    return {
        name: jnp.asarray(
            random.uniform(-1, 1, shape) * (1 if name == "reward" else 5), jnp.float32
        )
        for name, shape in shapes.items()
    }


def make_step(
    env: tuple[np.ndarray, np.ndarray, float],
    order: float,
    rank: int | None,
    learning_rate: float,
) -> tuple[Callable[..., Any], Callable[[Any], Any]]:
    """The jitted step and the optimiser's initialisation."""
    env_reward, env_transition = (jnp.asarray(x, jnp.float32) for x in env[:2])
    discount = env[2]
    model = softmax_model if rank is None else low_rank_model
    optimiser = optax.adam(learning_rate)

    def loss(params: Any, policies: Array, values: Array) -> Array:
        reward, transition = model(params)
        if order == math.inf:
            target = values
            found = operator_power(reward, transition, discount, policies, values, 1)
        else:
            k = int(order)
            target = operator_power(
                env_reward, env_transition, discount, policies, values, k
            )
            found = operator_power(reward, transition, discount, policies, values, k)
        return ((target - found) ** 2).sum(-1).mean()

    @jax.jit
    def step(params: Any, state: Any, policies: Array, values: Array) -> Any:
        value, gradient = jax.value_and_grad(loss)(params, policies, values)
        updates, state = optimiser.update(gradient, state, params)
        return optax.apply_updates(params, updates), state, value

    return step, optimiser.init


def train_plainly(
    env: tuple[np.ndarray, np.ndarray, float],
    policies: np.ndarray,
    values: np.ndarray,
    order: float,
    rank: int | None,
    *,
    steps: int,
    batch: int,
    learning_rate: float = 1e-3,
    warm_up: int = 0,
) -> tuple[float, tuple[np.ndarray, np.ndarray]]:
    """Train one model in a Python loop.

    Args:
      env: reward, transition and discount.
      policies: ``[N, S, A]``.
      values: ``[N, S]``, the functions; at order ∞ the policies' values.
      order: k = 1, 2, … or ∞.
      rank: of the model; None for the full one.
      steps: how many are timed.
      batch: policies in a step.
      learning_rate: of Adam.
      warm_up: steps before these.

    Returns:
      Seconds after the first ``warm_up`` steps, and the model's reward and transition.
    """
    random = np.random.default_rng(0)
    states, actions = env[0].shape
    params = initial_parameters(random, states, actions, rank)
    step, init = make_step(env, order, rank, learning_rate)
    state, start = init(params), time.perf_counter()
    for i in range(warm_up + steps):
        if i == warm_up:
            jax.block_until_ready(params)
            start = time.perf_counter()
        rows = random.integers(len(policies), size=batch)
        params, state, _ = step(params, state, policies[rows], values[rows])
    jax.block_until_ready(params)
    seconds = time.perf_counter() - start
    reward, transition = (softmax_model if rank is None else low_rank_model)(params)
    return seconds, (np.asarray(reward), np.asarray(transition))


def proper_run(
    env: tuple[np.ndarray, np.ndarray, float], policies: np.ndarray, *, steps: int
) -> tuple[np.ndarray, np.ndarray]:
    """A whole k = ∞ run: the policies' values, then Adam at 1e-3, batches of 50.

    Returns:
      The model's reward and transition.
    """
    values = exact_values(env, policies).astype(np.float32)
    return train_plainly(env, policies, values, math.inf, None, steps=steps, batch=50)[1]


def exact_values(
    env: tuple[np.ndarray, np.ndarray, float], policies: np.ndarray
) -> np.ndarray:
    """The policies' values by one matrix inverse each."""
    reward, transition, discount = env
    values = np.empty(policies.shape[:2])
    for i, policy in enumerate(policies):
        chain = np.einsum("sa,sat->st", policy, transition)
        inverse = np.linalg.inv(np.eye(len(chain)) - discount * chain)
        values[i] = inverse @ (policy * reward).sum(-1)
    return values


def performance_by_value_iteration(
    model: tuple[np.ndarray, np.ndarray, float],
    env: tuple[np.ndarray, np.ndarray, float],
    *,
    compiled: bool,
) -> float:
    """Mean true value of a model's policy: value iteration until changes are ≤ 1e-4.

    Args:
      model: reward, transition and discount.
      env: likewise.
      compiled: whether the loop over backups is compiled, too, not only the backup.
    """
    iterate = _iterate_compiled if compiled else _iterate
    tables = [jnp.asarray(x, jnp.float32) for x in model]
    best = iterate(_optimality_backup, *tables)
    actions = np.asarray(_action_values(best, *tables).argmax(-1))
    rows = np.arange(len(actions))
    chosen = env[0][rows, actions], env[1][rows, actions], env[2]
    values = iterate(_policy_backup, *(jnp.asarray(x, jnp.float32) for x in chosen))
    return float(values.mean())


def _action_values(
    values: Array, reward: Array, transition: Array, discount: Array
) -> Array:
    return reward + discount * transition @ values


def _optimality_backup(values: Array, *model: Any) -> Array:
    return _action_values(values, *model).max(-1)


def _policy_backup(values: Array, gain: Array, chain: Array, discount: float) -> Array:
    return gain + discount * chain @ values


@functools.partial(jax.jit, static_argnums=0)
def _backup(backup: Callable[..., Array], values: Array, *rest: Any) -> tuple[Array, Array]:
    new = backup(values, *rest)
    return new, jnp.abs(new - values).max()


def _iterate(backup: Callable[..., Array], *rest: Any) -> Array:
    values, change = jnp.zeros(len(rest[0])), math.inf
    while change > 1e-4:
        values, change = _backup(backup, values, *rest)
    return values


@functools.partial(jax.jit, static_argnums=0)
def _iterate_compiled(backup: Callable[..., Array], *rest: Any) -> Array:
    def unfinished(carry: Any) -> Array:
        return carry[1] > 1e-4

    start = jnp.zeros(len(rest[0])), jnp.array(math.inf)
    return jax.lax.while_loop(
        unfinished, lambda carry: _backup(backup, carry[0], *rest), start
    )[0]


def serve(connection: Connection, core: int) -> None:
    """A process on one core that answers a function and its arguments with the result."""
    os.sched_setaffinity(0, {core})
    threadpoolctl.threadpool_limits(1)  # more threads on one core would only wait
    while (request := connection.recv()) is not None:
        function, args, kwargs = request
        connection.send(function(*args, **kwargs))
