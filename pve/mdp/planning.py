r"""Planning: exact policy evaluation, value iteration and policy iteration.

The value of a policy solves :math:`(I - \gamma P_\pi)\, v_\pi = r_\pi`; the optimal
value is the fixed point of :math:`v \mapsto \max_a (r + \gamma p v)`. Everything here
is NumPy in float64, whatever the MDP's type, unless JAX traces a policy's value.
"""

from __future__ import annotations

import dataclasses
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from scipy.linalg import lu_factor, lu_solve

from pve.checks import (
    Array,
    check_distributions,
    check_policies,
    check_positive_integer,
    check_takes_legal,
    check_value_shape,
    is_traced,
)
from pve.mdp.banded import banded_values, find_band
from pve.mdp.bellman import induced_transition
from pve.mdp.by_type import by_type
from pve.mdp.core import MDP, exact, full_precision

SOLVE_BATCH = 16  # policies solved at once: at 104 states their matrices stay in cache
# Two actions count as equal if they differ by less than this share of the terms that their
# difference is the sum of: a few units in the last place.
TIE = 32 * np.finfo(np.float64).eps
SCREEN = 1e-12  # likewise for their values, which rounding leaves less exact
PAIRS = 1024  # of actions whose differences are formed at once
MIXED = 1e3  # from this ratio of values on, rounding is checked state by state
REFINEMENTS = 5  # at most, of an exact value


@by_type
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
      ValueError: the policy's shape, a probability, a row sum or an action is not legal.
    """
    check_policies(policy, mdp.num_states, mdp.num_actions)
    check_takes_legal(policy, getattr(mdp, "legal", None))
    if is_traced(policy, *jax.tree.leaves(mdp)):
        return _traced_value(mdp, policy)
    mdp = exact(mdp)
    policy = np.asarray(policy, np.float64)
    batch = policy.shape[:-2]
    policies = policy.reshape(-1, mdp.num_states, mdp.num_actions)
    # Finding the band takes as long as solving a few dense systems.
    band = find_band(mdp) if len(policies) >= SOLVE_BATCH else None
    if band is not None:
        values = banded_values(mdp, policies, band)
    else:
        values = _dense_values(mdp, policies)
    for n in _unsettled(mdp, policies, values):
        chain = np.einsum("sa,sat->st", policies[n], mdp.transition)
        system = np.eye(mdp.num_states) - mdp.discount * chain
        reward = (policies[n] * mdp.reward).sum(-1)
        values[n] = _refined(system, reward, mdp.discount)
    return values.reshape(*batch, mdp.num_states)


@full_precision
def _traced_value(mdp: MDP, policy: Array) -> Array:
    chain = jnp.einsum("...sa,sat->...st", policy, mdp.transition)
    system = jnp.eye(mdp.num_states) - mdp.discount * chain
    reward = (policy * mdp.reward).sum(-1)
    return jnp.linalg.solve(system, reward[..., None])[..., 0]


def _unsettled(mdp: MDP, policies: np.ndarray, values: np.ndarray) -> list[int]:
    """The policies whose values do not solve every state's equation to its own rounding.

    Residuals far below every nonzero reward are let pass: where nothing can be earned, the
    value is 0 up to rounding, which happens under many policies.
    """
    found: list[int] = []
    paid = np.abs(mdp.reward[mdp.reward != 0])
    least = paid.min() if paid.size else 0.0
    suspects = np.flatnonzero(_mixed(values))
    for start in range(0, len(suspects), SOLVE_BATCH):
        block = suspects[start : start + SOLVE_BATCH]
        value, policy = values[block], policies[block]
        moved, size = mdp.discount * mdp.expect(np.stack([value, np.abs(value)]))
        residual = (policy * (mdp.reward + moved)).sum(-1) - value
        size = (policy * (np.abs(mdp.reward) + size)).sum(-1) + np.abs(value) + least
        found.extend(block[(np.abs(residual) > SCREEN * size).any(-1)].tolist())
    return found


def _dense_values(mdp: MDP, policies: np.ndarray) -> np.ndarray:
    values = np.empty(policies.shape[:2])
    states = np.arange(mdp.num_states)
    for start in range(0, len(policies), SOLVE_BATCH):
        block = policies[start : start + SOLVE_BATCH]
        system = induced_transition(mdp, block)
        system *= -mdp.discount  # in place, like the next line: memory is the cost here
        system[:, states, states] += 1
        reward = (block * mdp.reward).sum(-1)
        solution = np.linalg.solve(system, reward[..., None])
        values[start : start + SOLVE_BATCH] = solution[..., 0]
    return values


def greedy_policy(mdp: MDP, value: Array) -> np.ndarray:
    """The deterministic policy that is greedy for a value; ties go to the lowest action.

    Args:
      mdp: the MDP.
      value: ``[S]``.

    Returns:
      ``[S, A]``, one 1 in each row.
    """
    return np.eye(mdp.num_actions)[best_actions(mdp, value).argmax(-1)]


def best_actions(mdp: MDP, value: Array) -> np.ndarray:
    """Which actions are greedy for a value, those equal up to rounding included.

    Two actions a and b of a state s are compared by
    r(s, a) − r(s, b) + γ Σ_s' [p(s' | s, a) − p(s' | s, b)] [v(s') − v(s)], and are equal
    if that is a few units in the last place of its terms: what other actions and states
    cost plays no part.

    Args:
      mdp: the MDP.
      value: ``[S]``.

    Returns:
      ``[S, A]``, true for the best; at least one in each row.
    """
    return _best_actions(exact(mdp), np.asarray(value, np.float64))


def _among_legal(mdp: MDP, action_values: np.ndarray) -> np.ndarray:
    return (
        action_values if mdp.legal is None else np.where(mdp.legal, action_values, -np.inf)
    )


@by_type
def _best_actions(mdp: MDP, value: np.ndarray) -> np.ndarray:
    moved, size = mdp.discount * mdp.expect(np.stack([value, np.abs(value)]))
    action_values, size = _among_legal(mdp, mdp.reward + moved), np.abs(mdp.reward) + size
    top = action_values.argmax(-1)[:, None]
    gap = np.take_along_axis(action_values, top, -1) - action_values
    best = gap <= SCREEN * (size + np.take_along_axis(size, top, -1))
    pairs = np.argwhere(best & (best.sum(-1, keepdims=True) > 1))
    lead, slack = np.zeros_like(gap), np.zeros_like(gap)
    for start in range(0, len(pairs), PAIRS):
        s, a = pairs[start : start + PAIRS].T
        this, other = (s, a), (s, top[s, 0])
        here, there = mdp.transition[this], mdp.transition[other]
        rise = value - value[s, None]
        moves = ((here - there) * rise).sum(-1)
        lead[this] = mdp.reward[this] - mdp.reward[other] + mdp.discount * moves
        # The rewards, the probabilities and the values may all be rounded.
        terms = (here + there) * np.abs(rise) + np.abs(here - there) * np.abs(value)
        rewards = np.abs(mdp.reward[this]) + np.abs(mdp.reward[other])
        slack[this] = TIE * (rewards + mdp.discount * terms.sum(-1))
    lead[~best] = -np.inf
    return best & (lead >= lead.max(-1, keepdims=True) - slack)


def value_iteration(
    mdp: MDP, tolerance: float = 1e-8, *, limit: int = 1_000_000
) -> tuple[np.ndarray, np.ndarray]:
    """The optimal value by repeated backups, to a guaranteed accuracy.

    Stops when the last change, times γ / (1 − γ), is at most ``tolerance``: then no
    state's value is further than that from the optimal one. Rounding sets a limit: it also
    stops when no state changes by more than a few units in the last place of the terms that
    its value is the sum of, which may leave errors of 2e-15 of these / (1 − γ).
    `policy_iteration` is exact.

    Args:
      mdp: the MDP.
      tolerance: the largest allowed error of any state's value, > 0; see above for how
        small it can usefully be.
      limit: the largest number of backups, ≥ 1. Each multiplies the error by γ at most.

    Returns:
      The value ``[S]`` and its greedy policy ``[S, A]``.

    Raises:
      ValueError: the tolerance is not positive or the limit below 1.
      TypeError: the limit is not an integer.

    Warns:
      RuntimeWarning: the limit was reached; it says how large the error may be.
    """
    if not tolerance > 0:
        raise ValueError(f"tolerance is {tolerance!r}; expected a number > 0")
    check_positive_integer("limit", limit)
    mdp = exact(mdp)
    distance = mdp.discount / (1 - mdp.discount)  # from the last change to the optimum
    value = np.zeros(mdp.num_states)
    for _ in range(limit):
        moved, size = mdp.discount * mdp.expect(np.stack([value, np.abs(value)]))
        action_values = _among_legal(mdp, mdp.reward + moved)
        best = action_values.argmax(-1)[:, None]
        backup = np.take_along_axis(action_values, best, -1)[:, 0]
        size = np.take_along_axis(np.abs(mdp.reward) + size, best, -1)[:, 0]
        change, value = np.abs(backup - value), backup
        # Below this change the backups only shuffle rounding errors.
        floor = 8 * np.finfo(float).eps * size
        if change.max() * distance <= tolerance or (change <= floor).all():
            break
    else:
        warnings.warn(
            f"value iteration reached its limit of {limit} backups: values may be off by "
            f"{change.max() * distance:.2g}, the tolerance is {tolerance:g}; raise "
            "`limit`, or take policy_iteration",
            RuntimeWarning,
            stacklevel=2,
        )
    return value, greedy_policy(mdp, value)


@by_type
def policy_iteration(mdp: MDP) -> tuple[np.ndarray, np.ndarray]:
    """The exact optimal value and policy by evaluation and improvement in turn.

    Args:
      mdp: the MDP.

    Returns:
      The value ``[S]`` and the policy ``[S, A]``, deterministic; of actions equal up to
      rounding it takes the lowest. No state prefers another action by more than rounding,
      whatever other states and actions cost: see `best_actions`.
    """
    mdp = exact(mdp)
    states = np.arange(mdp.num_states)
    actions, tried = _among_legal(mdp, mdp.reward).argmax(-1), set()
    while True:
        best = _best_actions(mdp, _refined_value(mdp, actions))
        stays = best[states, actions]
        tried.add(actions.tobytes())
        actions = np.where(stays, actions, best.argmax(-1))
        if stays.all() or actions.tobytes() in tried:  # again: better by rounding alone
            break
    plan = best.argmax(-1)
    value = _follow(mdp.reward, mdp.transition, mdp.discount, plan)
    return value, np.eye(mdp.num_actions)[plan]


def _refined_value(mdp: MDP, actions: np.ndarray) -> np.ndarray:
    system, reward = _system(mdp.reward, mdp.transition, mdp.discount, actions)
    return _refined(system, reward, mdp.discount)


def _system(
    reward: Array, transition: Array, discount: float, actions: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """I − γ P_π and r_π of always taking ``actions[s]`` in s."""
    states = np.arange(len(actions))
    chain = np.asarray(transition[states, actions], np.float64)
    chain /= chain.sum(-1, keepdims=True)
    system = chain * -discount
    system[states, states] += 1
    return system, np.asarray(reward[states, actions], np.float64)


def _follow(
    reward: Array, transition: Array, discount: float, actions: np.ndarray
) -> np.ndarray:
    """The exact value of always taking ``actions[s]`` in s, ``[S]``."""
    system, reward = _system(reward, transition, discount, actions)
    return _settled(system, reward, discount, np.linalg.solve(system, reward))


def _mixed(values: np.ndarray) -> np.ndarray:
    """Whether a state is worth so much that its rounding may show in another, ``[...]``."""
    size = np.abs(values)
    return size.max(-1) > MIXED * np.where(size > 0, size, np.inf).min(-1)


def _settled(
    system: np.ndarray, reward: np.ndarray, discount: float, value: np.ndarray
) -> np.ndarray:
    """The value, refined unless it solves every state's equation to its own rounding."""
    if _mixed(value):
        size = np.abs(value)
        size = np.abs(reward) + 2 * size - system @ size  # |r| + |v| + γ P |v|
        if (np.abs(reward - system @ value) > SCREEN * size).any():
            return _refined(system, reward, discount)
    return value


def _refined(system: np.ndarray, reward: np.ndarray, discount: float) -> np.ndarray:
    """The solution of (I − γ P) v = r, exact in each state to its own rounding.

    The system's transpose is factorised: its diagonal dominates in each column, so no rows
    are exchanged and costs do not leak into states from which nothing leads to them.
    Residuals r(s) + γ Σ_s' p(s' | s) [v(s') − v(s)] − (1 − γ) v(s) keep their digits when
    values are large compared with their differences, as they are for γ close to 1.
    """
    factors = lu_factor(system.T, check_finite=False)
    value = lu_solve(factors, reward, trans=1, check_finite=False)
    for _ in range(REFINEMENTS):
        # Off its diagonal the system is −γ P.
        moves = (system * (value[:, None] - value)).sum(-1)
        residual = reward + moves - (1 - discount) * value
        correction = lu_solve(factors, residual, trans=1, check_finite=False)
        value = value + correction
        if (np.abs(correction) <= 2 * np.finfo(np.float64).eps * np.abs(value)).all():
            break
    return value


@by_type
def performance(model: Any, env: MDP, *, start: Array | None = None) -> float:
    """The mean true value of a model's optimal policy.

    The model is planned in exactly, among the actions that are legal in the environment;
    its optimal policy (ties: the lowest action) is evaluated exactly in the environment,
    and the value is averaged over states.

    Args:
      model: an MDP with the environment's numbers of states and actions.
      env: the environment.
      start: ``[S]``, the distribution to average by, such as ``env.start``; None weights
        all states equally.

    Returns:
      A number, at most the same mean of the environment's optimal value.

    Raises:
      ValueError: the two differ in the number of states or actions, or the start is not a
        distribution over states.
    """
    if np.shape(model.reward) != np.shape(env.reward):
        raise ValueError(
            f"model has reward of shape {list(np.shape(model.reward))}; expected "
            f"{list(np.shape(env.reward))} with this environment"
        )
    actions = plan_within(model, env)[1].argmax(-1)
    reward, transition = np.asarray(env.reward), np.asarray(env.transition)
    value = _follow(reward, transition, float(env.discount), actions)
    return float(value.mean() if start is None else _weigh(value, start))


def plan_within(model: Any, env: MDP) -> tuple[np.ndarray, np.ndarray]:
    """A model's optimal value and policy among the actions that are legal in a world."""
    if env.legal is not None:
        model = dataclasses.replace(exact(model), legal=env.legal)
    return policy_iteration(model)


def _weigh(value: np.ndarray, start: Array) -> float:
    check_value_shape(start, len(value))
    check_distributions("start", start)
    return float(np.asarray(start, np.float64) @ value)


def uniform_policy(mdp: MDP) -> np.ndarray:
    """The policy that takes all legal actions equally often, ``[S, A]``."""
    if mdp.legal is not None:
        return mdp.legal / mdp.legal.sum(-1, keepdims=True)
    return np.full((mdp.num_states, mdp.num_actions), 1 / mdp.num_actions)


def performance_limits(env: MDP, *, start: Array | None = None) -> tuple[float, float]:
    """Mean values of the uniform and of an optimal policy: 0 and 1 when normalised.

    Args:
      env: the environment.
      start: ``[S]``, the distribution to average by; None weights all states equally.

    Returns:
      The uniform policy's mean value and the optimal one.
    """
    values = policy_value(env, uniform_policy(env)), policy_iteration(env)[0]
    low, high = (v.mean() if start is None else _weigh(v, start) for v in values)
    return float(low), float(high)
