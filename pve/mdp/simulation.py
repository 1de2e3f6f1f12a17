"""Trajectories of a policy, and how often it acts optimally."""

from __future__ import annotations

import jax
import jax.numpy as jnp
import numpy as np

from pve.checks import Array, check_policies, check_positive_integer
from pve.mdp.core import MDP, exact
from pve.mdp.planning import best_actions, plan_within, policy_iteration


def trajectories(
    key: Array, mdp: MDP, policy: Array, start: int, num: int, length: int
) -> np.ndarray:
    """Sample state trajectories of a policy.

    Args:
      key: a JAX key.
      mdp: the environment or a model.
      policy: ``[S, A]``, rows summing to one.
      start: the first state, 0 … S − 1.
      num: how many trajectories, ≥ 1.
      length: how many moves, ≥ 1.

    Returns:
      ``[num, length + 1]``, integers: the states, the start included.

    Raises:
      ValueError: the start, the policy or a number is not legal.
    """
    check_policies(policy, mdp.num_states, mdp.num_actions)
    check_positive_integer("num", num)
    check_positive_integer("length", length)
    if not 0 <= start < mdp.num_states:
        raise ValueError(f"start is {start}; legal are 0 … {mdp.num_states - 1}")
    chain = np.einsum("sa,sat->st", np.asarray(policy, float), exact(mdp).transition)
    logits = jnp.asarray(np.log(np.maximum(chain, 1e-300)), jnp.float32)

    def move(states: Array, key: Array) -> tuple[Array, Array]:
        states = jax.random.categorical(key, logits[states])
        return states, states

    first = jnp.full(num, start)
    states = jax.lax.scan(move, first, jax.random.split(key, length))[1]
    return np.concatenate([first[None], states]).T


def optimal_action_share(model: MDP, env: MDP) -> float:
    """The share of states where the model's greedy action is optimal in the environment.

    An action counts as optimal if it is equal to the best to rounding.
    """
    optimal = best_actions(env, policy_iteration(env)[0])
    _, policy = plan_within(model, env)
    return float((optimal * policy).sum(-1).mean())
