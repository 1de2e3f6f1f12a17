r"""A small agent that learns a latent model by MuZero's unrolled loss.

The model is an MDP over ``d`` latent states that nobody chose: an encoder
:math:`\varphi(z \mid s)`, a reward :math:`\tilde r(z, a)`, a transition
:math:`\tilde p(z' \mid z, a)` and value heads :math:`u_j(z)`, all free. From a state and
actions :math:`a_0, a_1, \dots` it predicts

.. math::

   \hat z_0 = \varphi(\cdot \mid s), \qquad
   \hat z_{i+1} = \hat z_i \, \tilde p_{a_i}, \qquad
   \hat r_i = \hat z_i \cdot \tilde r_{a_i}, \qquad
   \hat v_i = \hat z_i \cdot u_j .

Data come in phases. In each the agent looks ahead in its model as far as the loss
unrolls, moves its policy a little towards what it found, acts, keeps the trajectories in
one slot of a ring, and takes gradient steps on the batch mean of

.. math::

   \sum_{i<k} (r_i - \hat r_i)^2 + \kappa \sum_{i \le k} (g_i - \hat v_i)^2

on segments of the ring, values being in units of :math:`1 / (1 - \gamma)`. Head ``j``
belongs to slot ``j``: its targets :math:`g` are λ-returns of the policy that filled the
slot, along that policy's own trajectories. The newest slot's head is MuZero's value; the
others are values of past policies, whose part of the loss is weighted by ``past``: 0 for
the plain loss, 1 for the addition of Grimm et al. (2021). Both see the same random keys.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax

from pve.checks import Array, check_positive_integer, check_share
from pve.mdp.core import MDP, full_precision
from pve.training.loop import descend

# How an agent is trained, and the weight of past policies' values in its loss.
ARMS = {"plain": 0.0, "past": 1.0}


@dataclasses.dataclass(frozen=True)
class Settings:
    """What an agent is and how long it learns: immutable, hashable, checked when made.

    Attributes:
      runs: N, independent agents, each trained plainly and with past policies.
      phases: how often the policy changes.
      steps: gradient steps in a phase, a multiple of ``refresh``.
      latent: d, the number of latent states.
      unroll: k, the moves that the loss unrolls and the planner looks ahead.
      slots: phases whose trajectories are kept.
      actors: trajectories in a phase, from states drawn uniformly.
      length: moves in a trajectory, at least ``unroll``.
      batch: segments in a gradient step, half of them from the newest slot.
      refresh: steps between one computation of the targets and the next.
      exploration: the probability of a uniform action.
      change: how far a phase's policy moves towards the planner's, in (0, 1].
      trace: λ of the returns.
      value_weight: κ.
      learning_rate: Adam's.
    """

    runs: int
    phases: int
    steps: int
    latent: int = 32
    unroll: int = 5
    slots: int = 8
    actors: int = 256
    length: int = 40
    batch: int = 64
    refresh: int = 25
    exploration: float = 0.2
    change: float = 0.3
    trace: float = 0.9
    value_weight: float = 30.0
    learning_rate: float = 1e-2

    def __post_init__(self) -> None:
        for field in dataclasses.fields(self):
            if field.type == "int":
                check_positive_integer(field.name, getattr(self, field.name))
        if self.steps % self.refresh:
            raise ValueError(
                f"steps is {self.steps}; expected a multiple of refresh = {self.refresh}"
            )
        if self.length < self.unroll:
            raise ValueError(
                f"length is {self.length}; expected an integer ≥ unroll = {self.unroll}"
            )
        for name in ("exploration", "change", "trace"):
            check_share(name, getattr(self, name))


class Params(NamedTuple):
    """The parameters of a latent model.

    Attributes:
      encode: ``[S, d]``, logits of the encoder φ.
      move: ``[A, d, d]``, logits of the transition.
      reward: ``[A, d]``.
      value: ``[slots, d]``, the heads, in units of 1 / (1 − γ).
    """

    encode: Array
    move: Array
    reward: Array
    value: Array


class Agent(NamedTuple):
    """Where an agent stands between two phases.

    Attributes:
      phase: how many phases it has completed.
      params: its model's parameters.
      moments: the optimiser's state.
      ring: states ``[slots, actors, length + 1]``, actions and rewards ``[slots, actors,
        length]`` of the last phases.
      policy: ``[S, A]``, how it acted last.
    """

    phase: Array
    params: Params
    moments: Any
    ring: tuple[Array, ...]
    policy: Array


class Trace(NamedTuple):
    """What an agent leaves behind, phase by phase; of one phase without the leading axis.

    Attributes:
      policy: ``[phases, S, A]``, how the agent acted.
      params: the parameters at the end of each phase, with a leading axis.
      reward_loss: ``[phases, steps]``, the batch's.
      value_loss: ``[phases, steps]``, the batch's, κ not included.
    """

    policy: Array
    params: Params
    reward_loss: Array
    value_loss: Array


def initial_params(
    key: Array, num_states: int, num_actions: int, settings: Settings
) -> Params:
    """Draw a latent model: normal logits, no reward, no value."""
    encode_key, move_key = jax.random.split(key)
    d = settings.latent
    return Params(
        2 * jax.random.normal(encode_key, (num_states, d)),
        2 * jax.random.normal(move_key, (num_actions, d, d)),
        jnp.zeros((num_actions, d)),
        jnp.zeros((settings.slots, d)),
    )


@full_precision
def unroll(params: Params, states: Array, actions: Array) -> tuple[Array, Array]:
    """Predict rewards and values along actions.

    Args:
      params: the latent model.
      states: ``[B]``, where segments begin.
      actions: ``[B, k]``.

    Returns:
      The rewards ``[B, k]`` and every head's values ``[B, k + 1, slots]``.
    """
    num_actions, d = params.reward.shape
    moves = jax.nn.softmax(params.move, -1).reshape(num_actions * d, d)
    latent = jax.nn.softmax(params.encode, -1)[states]
    rewards, latents = [], [latent]
    for i in range(actions.shape[1]):
        # One matrix product for all actions, with zeros where another was taken.
        taken = jax.nn.one_hot(actions[:, i], num_actions)[:, :, None] * latent[:, None]
        taken = taken.reshape(len(latent), num_actions * d)
        rewards.append(taken @ params.reward.ravel())
        latent = taken @ moves
        latents.append(latent)
    return jnp.stack(rewards, 1), jnp.stack(latents, 1) @ params.value.T


@full_precision
def look_ahead(params: Params, head: Array, discount: Any, depth: int) -> Array:
    """The model's action values in each state, looking ``depth`` moves ahead to the head.

    Args:
      params: the latent model.
      head: ``[d]``, in units of 1 / (1 − γ).
      discount: γ.
      depth: ≥ 1.

    Returns:
      ``[S, A]``, in units of 1 / (1 − γ).
    """
    move = jax.nn.softmax(params.move, -1)

    def backup(value: Array) -> Array:
        return (1 - discount) * params.reward + discount * (move @ value)

    value = head
    for _ in range(depth - 1):
        value = backup(value).max(0)
    return jax.nn.softmax(params.encode, -1) @ backup(value).T


def returns(rewards: Array, values: Array, discount: Any, trace: float) -> Array:
    """λ-returns along trajectories, in units of 1 / (1 − γ).

    Args:
      rewards: ``[..., T]``.
      values: ``[..., T + 1]``.
      discount: γ.
      trace: λ.

    Returns:
      ``[..., T + 1]``; the last is the last value.
    """

    def back(later: Array, now: tuple[Array, Array]) -> tuple[Array, Array]:
        reward, value = now
        mixed = (1 - trace) * value + trace * later
        goal = (1 - discount) * reward + discount * mixed
        return goal, goal

    last = values[..., -1]
    along = jnp.moveaxis(rewards, -1, 0), jnp.moveaxis(values[..., 1:], -1, 0)
    _, goals = jax.lax.scan(back, last, along, reverse=True)
    return jnp.concatenate([jnp.moveaxis(goals, 0, -1), last[..., None]], -1)


def collect(key: Array, env: MDP, policy: Array, settings: Settings) -> tuple[Array, ...]:
    """States ``[actors, T + 1]``, actions and rewards ``[actors, T]`` of a policy."""
    start_key, move_key = jax.random.split(key)
    actions_of = jnp.cumsum(policy, -1)[:, :-1]
    next_of = jnp.cumsum(env.transition, -1)[..., :-1]

    def move(state: Array, chance: Array) -> tuple[Array, tuple[Array, ...]]:
        action = (chance[0, :, None] >= actions_of[state]).sum(-1)
        after = (chance[1, :, None] >= next_of[state, action]).sum(-1)
        return after, (after, action, env.reward[state, action])

    start = jax.random.randint(start_key, (settings.actors,), 0, len(policy))
    chances = jax.random.uniform(move_key, (settings.length, 2, settings.actors))
    _, (states, actions, rewards) = jax.lax.scan(move, start, chances)
    return jnp.concatenate([start[None], states]).T, actions.T, rewards.T


def _keys(key: Array, num: int) -> Array:
    """Keys that do not depend on how many there are."""
    return jax.vmap(lambda i: jax.random.fold_in(key, i))(jnp.arange(num))


@functools.partial(jax.jit, static_argnames="settings")
@full_precision
def begin(key: Array, env: MDP, settings: Settings) -> Agent:
    """An agent before its first phase.

    Args:
      key: decides everything; `live` takes the same.
      env: the environment, float32.
      settings: what the agent is.
    """
    num_states, num_actions = env.reward.shape
    init_key, _ = jax.random.split(key)
    params = initial_params(init_key, num_states, num_actions, settings)
    kept = (settings.slots, settings.actors, settings.length)
    ring = (
        jnp.zeros((*kept[:2], settings.length + 1), jnp.int32),
        jnp.zeros(kept, jnp.int32),
        jnp.zeros(kept),
    )
    moments = optax.adam(settings.learning_rate).init(params)
    uniform = jnp.full((num_states, num_actions), 1 / num_actions)
    return Agent(jnp.zeros((), jnp.int32), params, moments, ring, uniform)


@functools.partial(jax.jit, static_argnames="settings")
@full_precision
def live(
    agent: Agent, key: Array, env: MDP, past: Array, settings: Settings
) -> tuple[Agent, Trace]:
    """Let an agent act and learn for one phase, in one compiled program.

    Args:
      agent: where it stands.
      key: decides everything, with the number of the phase.
      env: the environment, float32.
      past: the weight of past policies' values in the loss, 0 or 1.
      settings: what the agent is and how long it learns.

    Returns:
      The agent afterwards, and what the phase leaves behind.
    """
    num_actions = env.num_actions
    gamma, slots, k = env.discount, settings.slots, settings.unroll
    optimiser = optax.adam(settings.learning_rate)
    _, phase_key = jax.random.split(key)
    number, params, moments, ring, policy = agent
    slot, filled = number % slots, jnp.minimum(number + 1, slots)
    collect_key, step_key = jax.random.split(jax.random.fold_in(phase_key, number))

    head = params.value[(number - 1) % slots]
    best = look_ahead(params, head, gamma, k).argmax(-1)
    wanted = (1 - settings.exploration) * jax.nn.one_hot(best, num_actions)
    wanted = wanted + settings.exploration / num_actions
    moved = (1 - settings.change) * policy + settings.change * wanted
    policy = jnp.where(number == 0, policy, moved)  # nothing is learnt yet

    fresh = collect(collect_key, env, policy, settings)
    ring = jax.tree.map(lambda old, new: old.at[slot].set(new), ring, fresh)
    params = params._replace(value=params.value.at[slot].set(head))

    def goals_of(params: Params) -> Array:
        values = params.value @ jax.nn.softmax(params.encode, -1).T
        seen = jax.vmap(lambda value, states: value[states])(values, ring[0])
        return returns(ring[2], seen, gamma, settings.trace)

    def loss(params: Params, batch: tuple[Array, ...]) -> tuple[Array, Any]:
        states, actions, rewards, goals, heads, weights = batch
        imagined, values = unroll(params, states, actions)
        values = jnp.take_along_axis(values, heads[:, None, None], 2)[..., 0]
        reward_loss = ((imagined - rewards) ** 2).sum(1).mean()
        value_loss = (weights * ((values - goals) ** 2).sum(1)).mean()
        total = reward_loss + settings.value_weight * value_loss
        return total, (reward_loss, value_loss)

    def draw(chance: Array, goals: Array) -> tuple[Array, ...]:
        choices = jnp.array([filled, settings.actors, settings.length - k + 1])
        which, actor, start = (chance * choices[:, None]).astype(jnp.int32)
        newest = jnp.arange(settings.batch) < settings.batch // 2
        which = jnp.where(newest, slot, which)
        along = start[:, None] + jnp.arange(k + 1)
        rows = which[:, None], actor[:, None]
        return (
            ring[0][which, actor, start],
            ring[1][*rows, along[:, :-1]],
            ring[2][*rows, along[:, :-1]],
            goals[*rows, along],
            which,
            jnp.where(which == slot, 1.0, past),
        )

    def block(carry: Any, key: Array) -> Any:
        goals = goals_of(carry[0])

        def step(carry: Any, chance: Array) -> Any:
            params, moments = carry
            batch = draw(chance, goals)
            gradient, losses = jax.grad(loss, has_aux=True)(params, batch)
            params, moments = descend(optimiser, gradient, moments, params)
            return (params, moments), losses

        chances = jax.random.uniform(key, (settings.refresh, 3, settings.batch))
        return jax.lax.scan(step, carry, chances)

    blocks = _keys(step_key, settings.steps // settings.refresh)
    (params, moments), losses = jax.lax.scan(block, (params, moments), blocks)
    losses = jax.tree.map(jnp.ravel, losses)
    after = Agent(number + 1, params, moments, ring, policy)
    return after, Trace(policy, params, *losses)


def train(key: Array, env: MDP, past: Array, settings: Settings) -> Trace:
    """Let one agent act and learn through all its phases.

    Args:
      key: decides everything; the first phases do not depend on how many follow.
      env: the environment, float32.
      past: the weight of past policies' values in the loss, 0 or 1.
      settings: what the agent is and how long it learns.

    Returns:
      The policies, the models and the losses of every phase.
    """
    agent, left = begin(key, env, settings), []
    for _ in range(settings.phases):
        agent, phase = live(agent, key, env, past, settings)
        left.append(phase)
    return jax.tree.map(lambda *leaves: np.stack(leaves), *left)
