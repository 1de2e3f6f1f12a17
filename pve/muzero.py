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

Data come in phases. In each the agent looks ahead in its model as deep as the loss
unrolls, moves its policy a little towards what it found, acts, keeps the trajectories in
one slot of a ring, and takes gradient steps of the batch mean of

.. math::

   \sum_{i<k} (r_i - \hat r_i)^2 + \kappa \sum_{i \le k} (g_i - \hat v_i)^2

on segments of the ring, values being in units of :math:`1 / (1 - \gamma)`. Head ``j``
belongs to slot ``j``: its targets :math:`g` are λ-returns of the policy that filled the
slot, along that policy's own trajectories. The newest slot's head is MuZero's value; the
others are values of past policies, whose part of the loss is weighted by ``past``: 0 for
the plain loss, 1 with the addition of Grimm et al. (2021). Both see the same random keys.

How well the model predicts a policy is computed exactly in two ways: along the actions
that the policy takes in the world, on the product chain of world and model; and with the
policy acting inside the model. The command writes all measures of one preset to a file:

    python -m pve.muzero OUT.nc --preset standard
"""

from __future__ import annotations

import argparse
import dataclasses
import functools
import json
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import optax
import xarray as xr

from pve import provenance, store
from pve.bellman import bellman_power
from pve.gridworld import four_rooms
from pve.mdp import MDP, Array, exact
from pve.planning import policy_iteration, policy_value
from pve.policies import check_seed, generator, stream
from pve.training import check_positive_integer, side_by_side

ARMS = {"plain": 0.0, "with past policies": 1.0}
FIRST_LOSSES = 200  # kept of every run, so that another machine can repeat them


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
      refresh: steps after which the targets are computed anew.
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
                f"steps is {self.steps}; legal are multiples of refresh = {self.refresh}"
            )
        if self.length < self.unroll:
            raise ValueError(
                f"length is {self.length}; legal are integers ≥ unroll = {self.unroll}"
            )
        for name in ("exploration", "change", "trace"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(
                    f"{name} is {getattr(self, name)!r}; legal are numbers in [0, 1]"
                )


PRESETS = {
    "smoke": Settings(runs=2, phases=3, steps=50, actors=32),
    "quick": Settings(runs=3, phases=12, steps=400),
    "standard": Settings(runs=10, phases=24, steps=500),
    "paper": Settings(runs=20, phases=48, steps=1000),
}


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


class LatentModel(NamedTuple):
    """A trained model in float64.

    Attributes:
      encoder: ``[S, d]``, φ(z | s), rows summing to one.
      mdp: the MDP over latent states.
      head: ``[d]``, the current policy's value over latent states.
    """

    encoder: np.ndarray
    mdp: MDP
    head: np.ndarray


class Trace(NamedTuple):
    """What a run leaves behind, phase by phase.

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


def look_ahead(params: Params, head: Array, discount: Any, depth: int) -> Array:
    """The model's action values of each state, ``depth`` moves before the head.

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


def _collect(key: Array, env: MDP, policy: Array, settings: Settings) -> tuple[Array, ...]:
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
def train(key: Array, env: MDP, past: Array, settings: Settings) -> Trace:
    """Let one agent act and learn, in one compiled program.

    Args:
      key: decides everything; the first phases do not depend on how many follow.
      env: the environment, float32.
      past: the weight of past policies' values in the loss, 0 or 1.
      settings: what the agent is and how long it learns.

    Returns:
      The policies, the models and the losses of every phase.
    """
    num_states, num_actions = env.reward.shape
    gamma, slots, k = env.discount, settings.slots, settings.unroll
    optimiser = optax.adam(settings.learning_rate)
    init_key, phase_key = jax.random.split(key)
    params = initial_params(init_key, num_states, num_actions, settings)
    kept = (slots, settings.actors, settings.length)
    ring = (
        jnp.zeros((*kept[:2], settings.length + 1), jnp.int32),
        jnp.zeros(kept, jnp.int32),
        jnp.zeros(kept),
    )

    def goals_of(params: Params, ring: tuple[Array, ...]) -> Array:
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

    def phase(carry: Any, now: tuple[Array, Array]) -> Any:
        params, moments, ring, policy = carry
        number, key = now
        slot, filled = number % slots, jnp.minimum(number + 1, slots)
        collect_key, step_key = jax.random.split(key)

        head = params.value[(number - 1) % slots]
        best = look_ahead(params, head, gamma, k).argmax(-1)
        wanted = (1 - settings.exploration) * jax.nn.one_hot(best, num_actions)
        wanted = wanted + settings.exploration / num_actions
        moved = (1 - settings.change) * policy + settings.change * wanted
        policy = jnp.where(number == 0, policy, moved)  # nothing is learnt yet

        fresh = _collect(collect_key, env, policy, settings)
        ring = jax.tree.map(lambda old, new: old.at[slot].set(new), ring, fresh)
        params = params._replace(value=params.value.at[slot].set(head))

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
            goals = goals_of(carry[0], ring)

            def step(carry: Any, chance: Array) -> Any:
                params, moments = carry
                batch = draw(chance, goals)
                gradient, losses = jax.grad(loss, has_aux=True)(params, batch)
                updates, moments = optimiser.update(gradient, moments, params)
                return (optax.apply_updates(params, updates), moments), losses

            chances = jax.random.uniform(key, (settings.refresh, 3, settings.batch))
            return jax.lax.scan(step, carry, chances)

        blocks = _keys(step_key, settings.steps // settings.refresh)
        (params, moments), losses = jax.lax.scan(block, (params, moments), blocks)
        losses = jax.tree.map(jnp.ravel, losses)
        return (params, moments, ring, policy), Trace(policy, params, *losses)

    uniform = jnp.full((num_states, num_actions), 1 / num_actions)
    carry = (params, optimiser.init(params), ring, uniform)
    phases = jnp.arange(settings.phases), _keys(phase_key, settings.phases)
    return jax.lax.scan(phase, carry, phases)[1]


# Measures, exact and in float64 --------------------------------------------------------


def latent_model(params: Params, slot: int, discount: float) -> LatentModel:
    """The model of one phase's parameters, with the head of a slot."""

    def softmax(logits: Array) -> np.ndarray:
        weights = np.exp(np.asarray(logits, np.float64))
        return np.asarray(weights / weights.sum(-1, keepdims=True))

    reward = np.asarray(params.reward, np.float64).T
    transition = np.swapaxes(softmax(params.move), 0, 1)
    head = np.asarray(params.value[slot], np.float64) / (1 - discount)
    return LatentModel(softmax(params.encode), MDP(reward, transition, discount), head)


def follow(model: LatentModel, env: MDP, policy: Array, values: Array) -> np.ndarray:
    """One backup on the product chain: the policy sees the world, the model its actions.

    Args:
      model: the latent model.
      env: the environment.
      policy: ``[S, A]``.
      values: ``[S, d]``, of a state and a latent state.

    Returns:
      ``[S, d]``: Σ_a π(a | s) [r̃(z, a) + γ Σ p(s' | s, a) p̃(z' | z, a) values(s', z')].
    """
    result = np.asarray(policy) @ model.mdp.reward.T
    for action in range(env.num_actions):
        taken = np.asarray(policy)[:, action, None] * env.transition[:, action]
        moved = values @ model.mdp.transition[:, action].T
        result = result + env.discount * (taken @ moved)
    return result


def along_actions(model: LatentModel, env: MDP, policy: Array, order: int) -> np.ndarray:
    """What the model predicts along the actions that a policy takes in the world, ``[S]``.

    Args:
      model: the latent model.
      env: the environment.
      policy: ``[S, A]``.
      order: k rewards, and then the head.

    Returns:
      The exact mean over the action sequences.
    """
    env, values = exact(env), np.tile(model.head, (len(model.encoder), 1))
    for _ in range(order):
        values = follow(model, env, policy, values)
    return np.asarray((model.encoder * values).sum(-1))


def latent_policy(model: LatentModel, policy: Array) -> np.ndarray:
    """A policy of the model's own states: what π does in the states encoded so, ``[d, A]``.

    The weight of state s in latent state z is φ(z | s), all states being equally likely.
    """
    weights = model.encoder / model.encoder.sum(0)
    return normalised(weights.T @ np.asarray(policy, np.float64))


def inside(model: LatentModel, policy: Array, order: int | None = None) -> np.ndarray:
    """What the model predicts when the policy acts in the model, ``[S]``.

    Args:
      model: the latent model.
      policy: ``[S, A]``, made one of latent states by `latent_policy`.
      order: k rewards and then the head; None for rewards without end, ṽ_π.
    """
    acting = latent_policy(model, policy)
    if order is None:
        return np.asarray(model.encoder @ policy_value(model.mdp, acting))
    return np.asarray(model.encoder @ bellman_power(model.mdp, acting, model.head, order))


def planned_policy(model: LatentModel, depth: int | None = None) -> np.ndarray:
    """The deterministic policy of planning in the model, ``[S, A]``.

    Args:
      model: the latent model.
      depth: moves before the head; None plans without end and without the head.
    """
    value = model.head
    if depth is None:
        value = policy_iteration(model.mdp)[0]
        depth = 1
    for _ in range(depth - 1):
        backup = model.mdp.reward + model.mdp.discount * model.mdp.expect(value)
        value = backup.max(-1)
    last = model.mdp.reward + model.mdp.discount * model.mdp.expect(value)
    return np.eye(model.mdp.num_actions)[(model.encoder @ last).argmax(-1)]


def normalised(policies: Array) -> np.ndarray:
    """Policies in float64, rows summing to one."""
    policies = np.asarray(policies, np.float64)
    return policies / policies.sum(-1, keepdims=True)


def asked_policies(
    key: Array, env: MDP, trace_of_policies: np.ndarray, settings: Settings
) -> tuple[list[str], np.ndarray]:
    """The policies that a model is asked about, with their kinds.

    The current one, past ones in the ring, neighbours of the current one (a tenth of the
    states with a random action), an optimal one and random ones.

    Args:
      key: decides the random ones.
      env: the environment.
      trace_of_policies: ``[phases, S, A]``, how the agent acted.
      settings: the agent's.

    Returns:
      The kinds ``[P]`` and the policies ``[P, S, A]``.
    """
    random = generator(key)
    current = trace_of_policies[-1]
    past = trace_of_policies[max(0, len(trace_of_policies) - settings.slots) : -1]
    num_states, num_actions = current.shape
    others = np.eye(num_actions)[random.integers(num_actions, size=(6, num_states))]
    masks = random.random((4, num_states, 1)) < 0.1
    weights = random.dirichlet(np.ones(num_actions), (2, num_states))
    found = {
        "current": current[None],
        "past": past,
        "near": np.where(masks, others[:4], current),
        "optimal": policy_iteration(env)[1][None],
        "random": np.concatenate([others[4:], weights]),
    }
    kinds = [kind for kind, policies in found.items() for _ in policies]
    return kinds, np.concatenate(list(found.values()))


def measure(key: Array, env: MDP, trace: Trace, settings: Settings) -> xr.Dataset:
    """What one agent's last model gets right, exactly.

    Args:
      key: decides the random policies it is asked about.
      env: the environment.
      trace: what its run left behind.
      settings: the agent's.

    Returns:
      Per policy the root-mean-square errors over states of the order-k predictions, along
      actions and inside the model, against T_π^k of the model's own head, and of the
      endless one inside the model against v_π, with its correlation; how well plans do;
      the acting policies' values; losses.
    """
    slot = (settings.phases - 1) % settings.slots
    last = Params(*(np.asarray(array[-1]) for array in trace.params))
    model = latent_model(last, slot, float(env.discount))
    policies = normalised(trace.policy)
    kinds, asked = asked_policies(key, env, policies, settings)
    function = model.encoder @ model.head
    values = policy_value(env, asked)
    k = settings.unroll
    rows = []
    for policy, value in zip(asked, values, strict=True):
        wanted = bellman_power(env, policy, function, k)
        endless = inside(model, policy)
        off = (
            along_actions(model, env, policy, k) - wanted,
            inside(model, policy, k) - wanted,
            endless - value,
        )
        spread = endless.std() * value.std()
        together = ((endless - endless.mean()) * (value - value.mean())).mean()
        errors = [np.sqrt((x**2).mean()) for x in off]
        rows.append([*errors, together / max(spread, 1e-300)])
    along_error, k_error, error, correlation = np.transpose(rows)
    true = policy_value(env, policies)
    look, plan = planned_policy(model, settings.unroll), planned_policy(model)
    reward_loss, value_loss = map(np.asarray, (trace.reward_loss, trace.value_loss))
    total = reward_loss + settings.value_weight * value_loss
    return xr.Dataset(
        {
            "along_error": ("policy", along_error),
            "k_error": ("policy", k_error),
            "error": ("policy", error),
            "correlation": ("policy", correlation),
            "true_size": ("policy", np.sqrt((values**2).mean(-1))),
            "head_error": np.sqrt(((function - true[-1]) ** 2).mean()),
            "behaviour": ("phase", true.mean(-1)),
            "look_ahead": policy_value(env, look).mean(),
            "plan": policy_value(env, plan).mean(),
            "reward_loss": ("phase", reward_loss.mean(-1)),
            "value_loss": ("phase", value_loss.mean(-1)),
            "first_losses": ("step", total.ravel()[:FIRST_LOSSES]),
        },
        {"kind": ("policy", kinds)},
    )


# All runs ------------------------------------------------------------------------------


def run(seed: int, settings: Settings) -> xr.Dataset:
    """Train and measure all agents of a seed on Four Rooms, side by side.

    Returns:
      The measures of `measure` along ``run`` and ``arm``, with a manifest as attributes.
    """
    started = time.monotonic()
    env = four_rooms().mdp
    single = jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), env)
    program = train.lower(_key(seed, 0), single, jnp.float32(0), settings).compile()

    def one(item: tuple[int, str]) -> xr.Dataset:
        index, arm = item
        trace = program(_key(seed, index), single, jnp.float32(ARMS[arm]))
        key = stream(seed, "muzero", f"run={index}", "asked")
        return measure(key, env, trace, settings)

    items = [(index, arm) for index in range(settings.runs) for arm in ARMS]
    found = side_by_side(one, items)
    rows = [
        xr.concat(found[i : i + len(ARMS)], "arm") for i in range(0, len(found), len(ARMS))
    ]
    dataset = xr.concat(rows, "run").assign_coords(arm=list(ARMS))
    dataset.attrs = {
        "settings": json.dumps(dataclasses.asdict(settings)),
        "seed": check_seed(seed),
        "code": provenance.code_hash("pve.muzero"),
        "versions": json.dumps(provenance.versions()),
        "machine": json.dumps(provenance.machine()),
        "seconds": round(time.monotonic() - started, 1),
    }
    return dataset


def _key(seed: int, index: int) -> Array:
    return stream(seed, "muzero", f"run={index}")


def load(path: Path | str) -> xr.Dataset:
    """Read a summary that `run` made and the command or the book stored.

    Raises:
      CorruptFile: the file is missing or damaged.
    """
    return store.read_dataset(Path(path))


def settings_of(summary: xr.Dataset) -> Settings:
    """The settings that a summary was made with."""
    return Settings(**json.loads(summary.attrs["settings"]))


def load_or_run(path: Path, seed: int, settings: Settings) -> xr.Dataset:
    """Read a stored summary if it answers the same question, else run and store it."""
    if path.exists():
        try:
            found = load(path)
        except store.CorruptFile:
            pass
        else:
            same = settings_of(found) == settings and found.attrs[
                "code"
            ] == provenance.code_hash("pve.muzero")
            if same and found.attrs["seed"] == seed:
                return found
    path.parent.mkdir(parents=True, exist_ok=True)
    store.write_dataset(path, run(seed, settings))
    return load(path)


def main(argv: Sequence[str] | None = None) -> int:
    """Run a preset and write its summary; return 0, or 2 for bad input."""
    parser = argparse.ArgumentParser(
        prog="python -m pve.muzero", description="Train latent-model agents on Four Rooms."
    )
    parser.add_argument("out", metavar="OUT.nc", type=Path, help="the file to write")
    parser.add_argument("--preset", default="quick", choices=sorted(PRESETS))
    parser.add_argument("--seed", type=int, default=0, help="an integer ≥ 0 (0)")
    parser.add_argument("--runs", type=int, help="agents, instead of the preset's")
    arguments = parser.parse_args(argv)
    try:
        settings = PRESETS[arguments.preset]
        if arguments.runs is not None:
            settings = dataclasses.replace(settings, runs=arguments.runs)
        store.make_folder(arguments.out.absolute().parent)
        summary = run(check_seed(arguments.seed), settings)
    except (ValueError, TypeError) as error:
        print(f"python -m pve.muzero: {error}", file=sys.stderr)
        return 2
    store.write_dataset(arguments.out, summary)
    print(f"{arguments.out}: {settings.runs} runs, {summary.attrs['seconds']:.0f} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
