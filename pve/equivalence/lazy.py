"""Lazy models: they stay in place more often than the world does, at little cost."""

from __future__ import annotations

import dataclasses
from typing import NamedTuple

import numpy as np

from pve.checks import Array, check_share
from pve.equivalence.exact_class import value_range
from pve.mdp.core import MDP, exact
from pve.mdp.planning import performance, policy_value


def lazy_model(mdp: MDP, share: float, baseline: Array = 0.0) -> MDP:
    """The environment slowed down: it stays where it is with probability ``share``.

    p̃ = (1 − c) p + c·stay and r̃(s, a) = (1 − c) r(s, a) + c (1 − γ) b(s). Its residual at
    v_π is c (1 − γ) (v_π − b); the b of the least mean square is the mean of the v_π.

    Args:
      mdp: the environment.
      share: c, 0 ≤ c ≤ 1.
      baseline: b, ``[S]`` or a number.

    Returns:
      The model, float64.

    Raises:
      ValueError: the share is not in [0, 1].
    """
    check_share("share", share)
    mdp = exact(mdp)
    num_states = mdp.num_states
    interest = (1 - mdp.discount) * np.broadcast_to(baseline, num_states)
    reward = (1 - share) * mdp.reward + share * interest[:, None]
    stay = np.eye(num_states)[:, None]
    transition = (1 - share) * mdp.transition + share * stay
    return dataclasses.replace(mdp, reward=reward, transition=transition)


class LazyLine(NamedTuple):
    """Lazy models by their share, and what is known of each.

    Attributes:
      share: ``[C]``, c.
      distance: ``[C]``, ‖ΔP‖_F, over all states, actions and next states.
      loss: ``[C]``, the proper loss on the policies.
      residual: ``[C]``, the largest absolute residual of any policy in any state.
      value_error_mean: ``[C]``, ‖ṽ_π − v_π‖², the mean over the policies.
      value_error_median: ``[C]``, the same, the median.
      performance: ``[C]``, the mean true value of the model's optimal policy.
    """

    share: np.ndarray
    distance: np.ndarray
    loss: np.ndarray
    residual: np.ndarray
    value_error_mean: np.ndarray
    value_error_median: np.ndarray
    performance: np.ndarray


def lazy_line(
    mdp: MDP, shares: Array, policies: Array, baseline: Array | None = None
) -> LazyLine:
    """Measure lazy models along their share c.

    Args:
      mdp: the environment.
      shares: ``[C]``, in [0, 1].
      policies: ``[B, S, A]``, on which to measure.
      baseline: b, ``[S]``; None for the policies' mean value, which minimises the loss.

    Returns:
      The measures.
    """
    mdp, shares = exact(mdp), np.asarray(shares, np.float64)
    values = policy_value(mdp, policies)
    if baseline is None:
        baseline = values.mean(0)
    rows = []
    for share in shares:
        model = lazy_model(mdp, float(share), baseline)
        residual = share * (1 - mdp.discount) * (values - baseline)
        errors = ((policy_value(model, policies) - values) ** 2).sum(-1)
        rows.append(
            (
                float(np.linalg.norm(model.transition - mdp.transition)),
                (residual**2).sum(-1).mean(),
                np.abs(residual).max(),
                errors.mean(),
                np.median(errors),
                performance(model, mdp),
            )
        )
    return LazyLine(shares, *np.array(rows).reshape(len(shares), -1).T)


def lazy_reach(mdp: MDP, state: int, action: int, epsilon: float) -> float:
    """The largest share c at which the lazy (r̃, p̃)(s, a) is within ε for all policies.

    The residual c (1 − γ) (v_π(s) − b), with b in the middle of the range of v_π(s), is
    at most ε for *every* policy with π(s) = a if c (1 − γ) times half that range is.

    Args:
      mdp: the environment.
      state: the state, 0 … S − 1.
      action: the action, 0 … A − 1.
      epsilon: ε ≥ 0.

    Returns:
      c, at most 1.
    """
    low, high = value_range(mdp, state, action)
    half = (1 - float(mdp.discount)) * (high - low) / 2
    return float(min(1.0, epsilon / half)) if half > 0 else 1.0
