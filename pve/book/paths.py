"""Improvement paths side by side: as the chapter describes them, and as published."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np

from pve.equivalence.policies import improvement_path, random_policies
from pve.keys import stream
from pve.mdp.core import MDP
from pve.mdp.planning import performance_limits, policy_value

SHOWN, ALL = 120, 1_000  # policies in a figure, and on the published code's one path
EACH = 3  # policies perturbed from each
PERTURBED = 0.1  # the share of states in which a perturbed policy acts at random
RESTART = -20  # a fall of the mean value by more than this begins another path


class Shown(NamedTuple):
    """Policies along paths, as a figure shows them.

    Attributes:
      values: ``[N]``, mean true values of the base policies.
      perturbed: ``[N, M]``, of those perturbed from each.
    """

    values: np.ndarray
    perturbed: np.ndarray


def along(env: MDP, seed: int, *, published: bool) -> Shown:
    """Base policies along improvement paths, and policies perturbed from them.

    Args:
      env: the environment.
      seed: of the chapter.
      published: follow the published code, and take policies evenly from its one path.
    """
    S, A = env.reward.shape
    key = stream(seed, "chapter", "path", "base")
    base = improvement_path(key, env, ALL if published else SHOWN, published=published)
    base = base[:: len(base) // SHOWN][:SHOWN]
    count = len(base) * EACH
    key = stream(seed, "chapter", "path", "mask")
    around = np.asarray(random_policies(key, count, S, A, "stochastic"), float)
    mask = np.random.default_rng(seed).random((count, S, 1)) < PERTURBED
    mixed = np.where(mask, around, np.repeat(base, EACH, 0))
    mixed /= mixed.sum(-1, keepdims=True)
    near = policy_value(env, mixed).mean(-1).reshape(-1, EACH)
    return Shown(policy_value(env, base).mean(-1), near)


def starts(values: np.ndarray) -> int:
    """How many paths base policies lie on.

    Args:
      values: ``[N]``, their mean values in turn.
    """
    return 1 + int((np.diff(values) < RESTART).sum())


def settled(values: np.ndarray, env: MDP) -> float:
    """How many base policies are nearly optimal.

    Args:
      values: ``[N]``, their mean values.
      env: the environment.

    Returns:
      The share, in per cent, of those that miss the optimum by less than a hundredth of its
      lead over the uniform policy.
    """
    uniform, optimum = performance_limits(env)
    return 100 * float(np.mean(values > optimum - 0.01 * (optimum - uniform)))


def facts(ours: Shown, published: Shown, env: MDP) -> dict[str, Any]:
    """What the prose says of the two kinds of paths.

    Args:
      ours: as the chapter describes them.
      published: as in the published code.
      env: the environment.
    """
    return {
        "settled-published": settled(published.values, env),
        "starts": starts(ours.values),
    }
