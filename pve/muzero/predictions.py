"""What a latent model gets right, computed exactly against the environment.

How well the model predicts a policy is computed in two ways: along the actions
that the policy takes in the world, on the product chain of world and model; and with the
policy acting inside the model.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

from pve.checks import Array
from pve.keys import generator
from pve.mdp.bellman import bellman_power
from pve.mdp.core import MDP, exact
from pve.mdp.planning import policy_iteration, policy_value
from pve.muzero.agent import Params, Settings, Trace

FIRST_LOSSES = 200  # kept of every run, so that another machine can repeat them


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
    """One backup on the product chain: the policy sees the world, the model only actions.

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
    """A policy of the model's own states: what π does in the states so encoded, ``[d, A]``.

    The weight of state s in latent state z is φ(z | s), all states being equally likely.
    """
    weights = model.encoder / model.encoder.sum(0)
    return normalised(weights.T @ np.asarray(policy, np.float64))


def inside(model: LatentModel, policy: Array, order: int | None = None) -> np.ndarray:
    """What the model predicts when the policy acts in the model, ``[S]``.

    Args:
      model: the latent model.
      policy: ``[S, A]``, turned into one of latent states by `latent_policy`.
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
      For each policy, the root-mean-square errors over states of the order-k predictions,
      along actions and inside the model, against T_π^k of the model's own head, and of the
      value inside the model against v_π, with their correlation; how well plans do; the
      acting policies' values; losses.
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
