r"""Planning: exact policy evaluation, value iteration and policy iteration.

The value of a policy solves :math:`(I - \gamma P_\pi)\, v_\pi = r_\pi`; the optimal
value is the fixed point of :math:`v \mapsto \max_a (r + \gamma p v)`. Everything here
is NumPy in float64, whatever type the MDP comes in.
"""

from __future__ import annotations

from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pve.checks import Array, check_policies, is_traced
from pve.mdp.banded import banded_values, find_band
from pve.mdp.bellman import bellman_optimality, induced_transition
from pve.mdp.core import MDP, exact

SOLVE_BATCH = 16  # policies solved at once: at 104 states their matrices stay in cache
# Two actions whose values differ by less than this share of the largest value count as
# equal; exact solves of float64 systems with γ = 0.99 agree to about 1e-13.
TIE = 1e-10


def policy_value(mdp: MDP, policy: Array) -> Array:
    """The exact value of one or more policies, v_π = (I − γ P_π)⁻¹ r_π.

    Under a JAX transformation the linear solve is traced (and differentiable), in the
    precision of its arguments; otherwise it is NumPy's, in float64.

    Args:
      mdp: the MDP.
      policy: ``[..., S, A]``, rows summing to one.

    Returns:
      ``[..., S]``.

    Raises:
      ValueError: the policy's shape, a probability or a row sum is not legal.
    """
    check_policies(policy, mdp.num_states, mdp.num_actions)
    if is_traced(policy, *jax.tree.leaves(mdp)):
        chain = jnp.einsum("...sa,sat->...st", policy, mdp.transition)
        system = jnp.eye(mdp.num_states) - mdp.discount * chain
        reward = (policy * mdp.reward).sum(-1)
        return jnp.linalg.solve(system, reward[..., None])[..., 0]
    mdp = exact(mdp)
    policy = np.asarray(policy, np.float64)
    batch = policy.shape[:-2]
    policies = policy.reshape(-1, mdp.num_states, mdp.num_actions)
    # Finding the band takes as long as solving a few dense systems.
    band = find_band(mdp) if len(policies) >= SOLVE_BATCH else None
    if band is not None:
        return banded_values(mdp, policies, band).reshape(*batch, mdp.num_states)
    values = np.empty(policies.shape[:2])
    states = np.arange(mdp.num_states)
    for start in range(0, len(policies), SOLVE_BATCH):
        block = policies[start : start + SOLVE_BATCH]
        system = induced_transition(mdp, block)
        system *= -mdp.discount  # in place, as the next line: memory is what this costs
        system[:, states, states] += 1
        reward = (block * mdp.reward).sum(-1)
        solution = np.linalg.solve(system, reward[..., None])
        values[start : start + SOLVE_BATCH] = solution[..., 0]
    return values.reshape(*batch, mdp.num_states)


def greedy_policy(mdp: MDP, value: Array) -> np.ndarray:
    """The deterministic policy that is greedy for a value; ties go to the lowest action.

    Args:
      mdp: the MDP.
      value: ``[S]``.

    Returns:
      ``[S, A]``, one 1 in each row.
    """
    return np.eye(mdp.num_actions)[_greedy_actions(exact(mdp), np.asarray(value))]


def _greedy_actions(mdp: MDP, value: np.ndarray) -> np.ndarray:
    action_values = mdp.reward + mdp.discount * mdp.expect(value)
    slack = TIE * np.abs(action_values).max()
    best = action_values.max(-1, keepdims=True)
    return (action_values >= best - slack).argmax(-1)


def value_iteration(mdp: MDP, tolerance: float = 1e-8) -> tuple[np.ndarray, np.ndarray]:
    """The optimal value by repeated backups, to a guaranteed accuracy.

    Stops when the last change, times γ / (1 − γ), is at most ``tolerance``: then no
    state's value is further than that from the optimal one. Rounding sets a limit: it also
    stops when changes fall below some units in the last place of the largest possible
    value, which may leave errors of 2e-15 max|r| / (1 − γ)². `policy_iteration` is exact.

    Args:
      mdp: the MDP.
      tolerance: the largest allowed error of any state's value, > 0; see above for how
        small is of use.

    Returns:
      The value ``[S]`` and its greedy policy ``[S, A]``.

    Raises:
      ValueError: the tolerance is not positive.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance is {tolerance!r}; legal are numbers > 0")
    mdp = exact(mdp)
    # Below this change the backups only shuffle rounding errors.
    floor = 8 * np.finfo(float).eps * np.abs(mdp.reward).max() / (1 - mdp.discount)
    threshold = max(tolerance * (1 - mdp.discount) / max(mdp.discount, 1e-300), floor)
    value, change = np.zeros(mdp.num_states), np.inf
    while change > threshold:
        backup = bellman_optimality(mdp, value)
        value, change = backup, np.abs(backup - value).max()
    return value, greedy_policy(mdp, value)


def policy_iteration(mdp: MDP) -> tuple[np.ndarray, np.ndarray]:
    """The exact optimal value and policy by evaluation and improvement in turn.

    Args:
      mdp: the MDP.

    Returns:
      The optimal value ``[S]`` and the optimal policy ``[S, A]``, deterministic; among
      actions of equal value the lowest.
    """
    mdp = exact(mdp)
    states = np.arange(mdp.num_states)
    actions = mdp.reward.argmax(-1)
    while True:
        value = _follow(mdp.reward, mdp.transition, mdp.discount, actions)
        action_values = mdp.reward + mdp.discount * mdp.expect(value)
        slack = TIE * np.abs(action_values).max()
        better = action_values.max(-1) > action_values[states, actions] + slack
        if not better.any():
            return value, np.eye(mdp.num_actions)[_greedy_actions(mdp, value)]
        actions = np.where(better, action_values.argmax(-1), actions)


def _follow(
    reward: Array, transition: Array, discount: float, actions: np.ndarray
) -> np.ndarray:
    """The exact value of always taking ``actions[s]`` in s, ``[S]``."""
    states = np.arange(len(actions))
    chain = np.asarray(transition[states, actions], np.float64)
    chain /= chain.sum(-1, keepdims=True)
    system = chain * -discount
    system[states, states] += 1
    return np.linalg.solve(system, np.asarray(reward[states, actions], np.float64))


def performance(model: Any, env: MDP) -> float:
    """The mean true value of a model's optimal policy.

    The model is planned in exactly, its optimal policy (ties: the lowest action) is
    evaluated exactly in the environment, and the value is averaged over states.

    Args:
      model: an MDP with the environment's numbers of states and actions.
      env: the environment.

    Returns:
      A number, at most the mean of the environment's optimal value.

    Raises:
      ValueError: the two disagree in the number of states or actions.
    """
    if np.shape(model.reward) != np.shape(env.reward):
        raise ValueError(
            f"model has reward of shape {list(np.shape(model.reward))}; legal with this "
            f"environment is {list(np.shape(env.reward))}"
        )
    actions = policy_iteration(model)[1].argmax(-1)
    reward, transition = np.asarray(env.reward), np.asarray(env.transition)
    return float(_follow(reward, transition, float(env.discount), actions).mean())


def uniform_policy(mdp: MDP) -> np.ndarray:
    """The policy that takes all actions equally often, ``[S, A]``."""
    return np.full((mdp.num_states, mdp.num_actions), 1 / mdp.num_actions)


def performance_limits(env: MDP) -> tuple[float, float]:
    """Mean values of the uniform and of an optimal policy: 0 and 1 when normalised."""
    low = policy_value(env, uniform_policy(env)).mean()
    return float(low), float(policy_iteration(env)[0].mean())
