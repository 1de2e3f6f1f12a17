"""Trajectories of a policy, how often it acts optimally, and where it gets to.

Performance that is normalised by the uniform policy hides bad plans where that policy pays
penalties all the time. So this module also gives a plan's value from the start, the
probability that it reaches a goal, and the share of states where it is optimal.
"""

from __future__ import annotations

from typing import NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from pve.checks import (
    Array,
    check_policies,
    check_positive_integer,
    check_takes_legal,
)
from pve.mdp.core import MDP, exact
from pve.mdp.planning import (
    best_actions,
    plan_within,
    policy_iteration,
    policy_value,
)


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
    check_takes_legal(policy, mdp.legal)
    check_positive_integer("num", num)
    check_positive_integer("length", length)
    if not 0 <= start < mdp.num_states:
        raise ValueError(
            f"start is {start}; expected an integer from 0 to {mdp.num_states - 1}"
        )
    chain = np.einsum("sa,sat->st", np.asarray(policy, float), exact(mdp).transition)
    logits = jnp.asarray(np.log(np.maximum(chain, 1e-300)), jnp.float32)

    def move(states: Array, key: Array) -> tuple[Array, Array]:
        states = jax.random.categorical(key, logits[states])
        return states, states

    first = jnp.full(num, start)
    states = jax.lax.scan(move, first, jax.random.split(key, length))[1]
    return np.concatenate([first[None], states]).T


def optimal_action_share(model: MDP, env: MDP) -> float:
    """The share of states where the model's optimal action is optimal in the environment.

    An action counts as optimal if it equals the best up to rounding.

    Args:
      model: an MDP with the environment's numbers of states and actions.
      env: the environment.

    Returns:
      A number in [0, 1].
    """
    optimal = best_actions(env, policy_iteration(env)[0])
    _, policy = plan_within(model, env)
    return float((optimal * policy).sum(-1).mean())


def hitting_probability(mdp: MDP, policy: Array, targets: Array) -> np.ndarray:
    """The probability that a policy ever reaches one of some states.

    It is the least solution h of h = 1 on the targets and h = P_π h elsewhere: h = 0 where
    no path leads to them, and a linear system, then nonsingular, in the other states.

    Args:
      mdp: the MDP; its discount plays no part.
      policy: ``[S, A]``, rows summing to one.
      targets: the states, integers.

    Returns:
      ``[S]``, by the first state.

    Raises:
      ValueError: the policy or a target is not legal.
    """
    check_policies(policy, mdp.num_states, mdp.num_actions)
    check_takes_legal(policy, mdp.legal)
    targets = np.atleast_1d(np.asarray(targets, int))
    if ((targets < 0) | (targets >= mdp.num_states)).any():
        raise ValueError(
            f"targets are {targets.tolist()}; expected integers from 0 to "
            f"{mdp.num_states - 1}"
        )
    chain = np.einsum("sa,sat->st", np.asarray(policy, float), exact(mdp).transition)
    there = np.zeros(mdp.num_states, bool)
    there[targets] = True
    reach = there
    while ((wider := reach | (chain[:, reach] > 0).any(1)) != reach).any():
        reach = wider
    open_ = reach & ~there
    inner = chain[np.ix_(open_, open_)]
    found = there.astype(float)
    found[open_] = np.linalg.solve(
        np.eye(len(inner)) - inner, chain[np.ix_(open_, there)].sum(-1)
    )
    return np.clip(found, 0, 1)


class Assessment(NamedTuple):
    """What a plan achieves, besides its mean value over states.

    Attributes:
      start_value: its value from the start.
      goal_probability: the probability that it ever reaches a goal from there; NaN without
        goals.
      optimal_share: the share of states where it acts optimally.
    """

    start_value: float
    goal_probability: float
    optimal_share: float


def assess_plan(plan: Array, env: MDP, goals: Array = ()) -> Assessment:
    """What a plan is worth from the start, whether it reaches a goal, where it is optimal.

    Args:
      plan: ``[S, A]``, a policy.
      env: the environment; the start is ``env.start``, all states alike if that is None.
      goals: the goal states; empty if there are none.

    Returns:
      The three numbers. An action is optimal if it equals the best up to rounding.

    Raises:
      ValueError: the plan or a goal is not legal.
    """
    value = policy_value(env, plan)
    uniform = np.full(env.num_states, 1 / env.num_states)
    start = uniform if env.start is None else np.asarray(env.start)
    optimal = best_actions(env, policy_iteration(env)[0])
    reached = np.nan
    if len(goals):
        reached = float(start @ hitting_probability(env, plan, goals))
    share = float((optimal * np.asarray(plan)).sum(-1).mean())
    return Assessment(float(start @ value), reached, share)


def constant_plans(mdp: MDP) -> list[np.ndarray]:
    """The policies that always take the same action, for each that is legal everywhere."""
    plans = np.eye(mdp.num_actions)
    legal = np.ones(mdp.num_actions, bool) if mdp.legal is None else mdp.legal.all(0)
    return [np.tile(plans[a], (mdp.num_states, 1)) for a in np.flatnonzero(legal)]
