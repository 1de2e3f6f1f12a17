r"""The exact class of proper value equivalence: its equations, its shape, its width.

A model is proper value equivalent for the deterministic policies if, for every state
:math:`s` and action :math:`a`, its :math:`\tilde r = \tilde r(s, a)` and
:math:`\tilde p = \tilde p(\cdot \mid s, a)` satisfy

.. math:: \tilde r + \gamma\, \tilde p \cdot v_\pi = v_\pi(s)
   \quad \text{for all } \pi \text{ with } \pi(s) = a, \qquad
   \textstyle\sum_{s'} \tilde p(s') = 1, \quad \tilde p \ge 0 .

These are linear equations, one pair :math:`(s, a)` at a time. A free reward absorbs any
constant, so that the mean squared residual of a pair, after the best reward, is

.. math:: \gamma^2\, \operatorname{Var}_\pi[(\tilde p - p) \cdot v_\pi] ,

a quadratic whose curvatures are eigenvalues of the values' covariance. Everything here
is NumPy in float64. `pve.equivalence.newton` solves the equations.
"""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np
from scipy import optimize

from pve.checks import Array, check_policies
from pve.equivalence.policies import random_policies
from pve.mdp.core import MDP, exact
from pve.mdp.planning import policy_iteration, policy_value


def rotations(policies: Array) -> np.ndarray:
    """Deterministic policies with all their rotations, in which action a becomes a + i.

    Together they take every action in every state equally often.

    Args:
      policies: ``[B, S, A]``, deterministic.

    Returns:
      ``[A B, S, A]``, float64: the policies, then all rotated by one, and so on.
    """
    policies = np.asarray(policies, np.float64)
    return np.concatenate([np.roll(policies, i, -1) for i in range(policies.shape[-1])])


def balanced_policies(key: Array, num: int, num_states: int, num_actions: int) -> Array:
    """Random deterministic policies of which ``num`` take each action in each state.

    Args:
      key: a JAX key.
      num: N ≥ 1.
      num_states: the number of states, ``S``.
      num_actions: the number of actions, ``A``.

    Returns:
      ``[A N, S, A]``, float64: N random policies and their `rotations`.
    """
    drawn = random_policies(key, num, num_states, num_actions, "deterministic")
    return rotations(drawn)


def values_by_pair(policies: Array, values: Array) -> np.ndarray:
    """Sort values by the action that their policies take in each state.

    Args:
      policies: ``[A N, S, A]``, deterministic and balanced: in each state N of them take
        each action.
      values: ``[A N, S]``, the policies' values.

    Returns:
      ``[S, A, N, S]``: for each pair the values of the policies that take it.

    Raises:
      ValueError: the policies are not deterministic or not balanced.
    """
    policies, values = np.asarray(policies), np.asarray(values, np.float64)
    check_policies(policies, *policies.shape[-2:])
    num_states, num_actions = policies.shape[-2:]
    taken = policies.transpose(1, 2, 0) == 1
    counts = taken.sum(-1)
    if (taken.sum(1) != 1).any() or len(set(counts.ravel())) > 1:
        raise ValueError(
            "policies are not balanced; expected deterministic ones of which equally "
            "many take each action in each state, as `balanced_policies` draws them"
        )
    rows = np.nonzero(taken)[2].reshape(num_states, num_actions, -1)
    return values[rows]


def action_gaps(mdp: MDP, policies: Array) -> np.ndarray:
    """How much one step off a policy can change its value, state by state.

    Args:
      mdp: the environment.
      policies: ``[..., S, A]``.

    Returns:
      ``[..., S]``: max over b of abs(q_π(s, b) − v_π(s)).
    """
    mdp = exact(mdp)
    values = policy_value(mdp, policies)
    of_actions = mdp.reward + mdp.discount * mdp.expect(values)
    return np.abs(of_actions - values[..., None]).max(-1)


def point_certificate(mdp: MDP, policies: Array) -> np.ndarray:
    """What proves that the exact class is a point, pair by pair.

    If a deterministic policy takes a in s and something is at stake in every other state,
    that policy and those that switch in a single other state determine (r̃, p̃)(s, a).

    Args:
      mdp: the environment.
      policies: ``[B, S, A]``, deterministic; those that take a in s serve the pair.

    Returns:
      ``[S, A]``: the smallest stake among the other states, in units of the largest value,
      for the policy where it is largest; 0 where no policy serves. Positive (beyond
      rounding, some 1e-12) means a point.
    """
    policies = np.asarray(policies, np.float64)
    at_stake = action_gaps(mdp, policies)
    size = np.abs(policy_value(mdp, policies)).max(-1, keepdims=True)
    at_stake = at_stake / np.maximum(size, 1e-300)
    num_states = at_stake.shape[-1]
    others = np.where(np.eye(num_states, dtype=bool), np.inf, at_stake[:, None])
    smallest = np.minimum(others.min(-1), 1.0)  # [B, S], the state left out second
    return np.where(policies == 1, smallest[..., None], 0.0).max(0)


def solution_dimension(mdp: MDP, policies: Array, tolerance: float = 1e-10) -> np.ndarray:
    """The dimension of the solution set of the PVE equations, pair by pair.

    Args:
      mdp: the environment.
      policies: ``[B, S, A]``, deterministic.
      tolerance: singular values below this share of the largest count as zero.

    Returns:
      ``[S, A]``, integers, `dimension_of_pair` of each pair.
    """
    policies = np.asarray(policies)
    values = policy_value(mdp, policies)
    result = np.empty(policies.shape[-2:], int)
    for s, a in np.ndindex(result.shape):
        mine = values[policies[:, s, a] == 1]
        result[s, a] = dimension_of_pair(mine, tolerance, discount=mdp.discount)
    return result


def dimension_of_pair(
    values: Array, tolerance: float = 1e-10, *, discount: float = 1.0
) -> int:
    """The dimension of the solution set of the PVE equations for one pair.

    Args:
      values: ``[N, S]``, of policies that take the action in the state.
      tolerance: singular values below this share of the largest count as zero.
      discount: γ; all that matters is whether it is 0, where no equation holds p̃.

    Returns:
      1 + S minus the rank of the vectors (1, γ v_π) and (0, 1, …, 1). The sign of p̃ is
      disregarded.
    """
    values = np.asarray(values, np.float64) * (discount > 0)
    num_states = values.shape[-1]
    total = np.append(0.0, np.full(num_states, num_states**-0.5))
    rows = np.hstack([np.ones((len(values), 1)), values])
    rows /= np.linalg.norm(rows, axis=1, keepdims=True)
    rows = np.vstack([rows / max(len(rows), 1) ** 0.5, total])
    singular = np.linalg.svd(rows, compute_uv=False)
    return 1 + num_states - int((singular > tolerance * singular[0]).sum())


def twins(values: np.ndarray, tolerance: float = 1e-9) -> np.ndarray:
    """The largest set of states that are worth the same under each of some policies.

    Args:
      values: ``[N, S]``, the values of the policies.
      tolerance: by how much, as a share of the largest value, two may differ.

    Returns:
      The states, increasing; fewer than two if all differ.
    """
    values = np.asarray(values, np.float64)
    slack, best = tolerance * np.abs(values).max(), np.arange(0)
    for state in range(values.shape[-1]):
        same = (np.abs(values - values[:, state, None]) <= slack).all(0)
        best = max(best, np.flatnonzero(same), key=len)
    return best if len(best) > 1 else best[:0]


class Curvatures(NamedTuple):
    """The proper loss as a quadratic in the transitions of a pair.

    Attributes:
      curvature: ``[..., S − 1]``, in decreasing order, ≥ 0: γ² Var_π[u·v_π] along the
        unit vectors u below.
      directions: ``[..., S − 1, S]``, orthonormal, each with sum zero.
    """

    curvature: np.ndarray
    directions: np.ndarray


def curvatures(values: Array, discount: float) -> Curvatures:
    """Principal curvatures of the proper loss in p̃(· | s, a), the reward refitted.

    Args:
      values: ``[..., N, S]``, values of policies that take a in s.
      discount: γ.

    Returns:
      The curvatures and their directions, from a singular value decomposition (forming
      the covariance would lose half of the digits).
    """
    values = np.asarray(values, np.float64)
    count, num_states = values.shape[-2:]
    centred = discount * (values - values.mean(-2, keepdims=True)) / count**0.5
    # An orthonormal basis of the changes that keep the sum of p̃.
    basis = np.linalg.svd(np.ones((1, num_states)))[2][1:]
    triangle = np.linalg.qr(centred @ basis.T, mode="r")
    _, singular, turned = np.linalg.svd(triangle)
    missing = num_states - 1 - singular.shape[-1]
    pad = [(0, 0)] * (singular.ndim - 1) + [(0, missing)]
    return Curvatures(np.pad(singular**2, pad), turned @ basis)


def curvature_along(values: Array, direction: Array, discount: float) -> np.ndarray:
    """The curvature of the proper loss along a change of p̃(· | s, a), reward refitted.

    Args:
      values: ``[..., N, S]``, values of policies that take a in s.
      direction: ``[..., S]``, with sum zero; its length does not matter.
      discount: γ.

    Returns:
      ``[...]``: γ² Var_π[u·v_π] for the unit vector u.
    """
    direction = np.asarray(direction, np.float64)
    unit = direction / np.linalg.norm(direction, axis=-1, keepdims=True)
    seen = np.einsum("...ns,...s->...n", np.asarray(values, np.float64), unit)
    return discount**2 * seen.var(-1)


def curvature_over(values: Array, directions: Array, discount: float) -> np.ndarray:
    """The proper loss over changes of p̃(· | s, a) along several directions at once.

    Args:
      values: ``[..., N, S]``, values of policies that take a in s.
      directions: ``[..., D, S]``, each with sum zero, of any length.
      discount: γ.

    Returns:
      ``[..., D, D]``: Q = γ² Cov_π[u_i·v_π, u_j·v_π]. The change Σ_i w_i u_i, the reward
      refitted, has the mean squared residual w·Q w.
    """
    seen = np.asarray(values, np.float64) @ np.swapaxes(directions, -1, -2)
    centred = discount * (seen - seen.mean(-2, keepdims=True))
    return np.swapaxes(centred, -1, -2) @ centred / seen.shape[-2]


def value_range(mdp: MDP, state: int, action: int) -> tuple[float, float]:
    """The least and the largest v_π(s) among all policies with π(s) = a.

    Args:
      mdp: the environment.
      state: the state, 0 … S − 1.
      action: the action, 0 … A − 1, legal in the state.

    Returns:
      Both, exact, by policy iteration where s has no choice but a.

    Raises:
      ValueError: the action is not legal in the state.
    """
    mdp = exact(mdp)
    if mdp.legal is not None and not mdp.legal[state, action]:
        raise ValueError(
            f"action is {action}; expected one of those allowed in state {state}, "
            f"{np.flatnonzero(mdp.legal[state]).tolist()}"
        )
    reward, transition = mdp.reward.copy(), mdp.transition.copy()
    reward[state], transition[state] = reward[state, action], transition[state, action]
    bound = dataclasses.replace(mdp, reward=reward, transition=transition)
    largest = policy_iteration(bound)[0][state]
    least = -policy_iteration(dataclasses.replace(bound, reward=-reward))[0][state]
    return float(least), float(largest)


def epsilon_range(
    mdp: MDP,
    values: Array,
    state: int,
    action: int,
    epsilon: float,
    direction: Array,
) -> tuple[float, float]:
    """How far (r̃, p̃)(s, a) can lie from the world's in an ε-class, in one direction.

    Two linear programmes over all r̃ and distributions p̃ whose residuals
    r̃ + γ p̃·v_π − v_π(s) are at most ε in absolute value. The unknowns are deviations in
    units of ε, so that the solver's tolerances mean the same at every ε.

    Args:
      mdp: the environment.
      values: ``[N, S]``, values of policies with π(s) = a. They are finitely many: the
        range is an outer bound on that for all policies.
      state: the state, 0 … S − 1.
      action: the action, 0 … A − 1.
      epsilon: ε > 0.
      direction: ``[1 + S]``, the weights of r̃ and of p̃.

    Returns:
      The least and the largest of direction·(r̃ − r, p̃ − p).

    Raises:
      ValueError: epsilon is not positive.
      RuntimeError: the solver failed.
    """
    mdp, values = exact(mdp), np.asarray(values, np.float64)
    rows = np.hstack([np.ones((len(values), 1)), mdp.discount * values])
    rows[:, 1:] -= rows[:, 1:].mean(0)  # the reward takes the mean: shifted back below
    shift = mdp.discount * values.mean(0)
    return _range(mdp, rows, shift, state, action, epsilon, np.asarray(direction, float))


def _range(
    mdp: MDP,
    rows: np.ndarray,
    shift: np.ndarray,
    state: int,
    action: int,
    epsilon: float,
    direction: np.ndarray,
) -> tuple[float, float]:
    if not epsilon > 0:
        raise ValueError(f"epsilon is {epsilon!r}; expected a number > 0")
    # With ρ = Δr + shift·Δp in place of Δr, direction·(Δr, Δp) reads:
    weights = np.append(direction[0], direction[1:] - direction[0] * shift)
    held = mdp.transition[state, action] / epsilon
    bounds = [(None, None), *((-low, None) for low in held)]
    ends = []
    for sign in (1.0, -1.0):
        found = optimize.linprog(
            sign * weights,
            A_ub=np.vstack([rows, -rows]),
            b_ub=np.ones(2 * len(rows)),
            A_eq=np.append(0.0, np.ones(mdp.num_states))[None],
            b_eq=np.zeros(1),
            bounds=bounds,
            method="highs",
        )
        if found.status != 0:
            raise RuntimeError(
                f"linear programme of ({state}, {action}), ε = {epsilon:g}: {found.message}"
            )
        ends.append(sign * epsilon * found.fun)
    return float(ends[0]), float(ends[1])
