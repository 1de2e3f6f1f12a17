r"""One set of fresh policies on which the pages measure proper losses.

The loss of a policy, :math:`\lVert \tilde T_\pi v_\pi - v_\pi \rVert_2^2`, has a heavy
tail: a few policies reach the goal often and have values far above all others, and most of
a mean is theirs. Means over the few dozen policies that a page would draw for itself differ
severalfold. So all pages use the same policies, and many of them.
"""

from __future__ import annotations

import functools
from collections.abc import Iterable
from typing import Any, NamedTuple

import numpy as np

from pve.checks import Array
from pve.equivalence.policies import random_policies
from pve.keys import stream
from pve.mdp.bellman import bellman
from pve.mdp.core import MDP
from pve.mdp.planning import policy_value

COUNT = 1_000
BLOCK = 250  # bounds the memory of [block, S, S] chains


class Yardstick(NamedTuple):
    """Policies, and what they are worth.

    Attributes:
      policies: ``[N, S, A]``, about half of them deterministic.
      values: ``[N, S]``, exact.
      discount: γ.
    """

    policies: np.ndarray
    values: np.ndarray
    discount: float


@functools.lru_cache(maxsize=2)
def yardstick(env: MDP, seed: int, count: int = COUNT) -> Yardstick:
    """The policies that every page of a seed uses.

    Args:
      env: the environment.
      seed: of the book.
      count: how many, N.
    """
    key = stream(seed, "book", "yardstick")
    policies = np.asarray(random_policies(key, count, env.num_states, env.num_actions))
    values = [policy_value(env, part) for part in _blocks(policies)]
    return Yardstick(policies, np.concatenate(values), float(env.discount))


def _blocks(rows: np.ndarray) -> list[np.ndarray]:
    return [rows[i : i + BLOCK] for i in range(0, len(rows), BLOCK)]


def proper_loss(model: MDP, asked: Yardstick) -> np.ndarray:
    """The proper loss of a model, policy by policy.

    Args:
      model: the model.
      asked: the policies.

    Returns:
      ``[N]``: Σ_s (T̃_π v_π − v_π)².
    """
    imagined = np.asarray(bellman(model, asked.policies, asked.values), np.float64)
    return ((imagined - asked.values) ** 2).sum(-1)


def lazy_loss(share: float, asked: Yardstick) -> np.ndarray:
    """The proper loss of the lazy model whose b is the mean value, policy by policy.

    Args:
      share: c, the probability of staying.
      asked: the policies.

    Returns:
      ``[N]``: c² (1 − γ)² Σ_s (v_π − b)².
    """
    apart = asked.values - asked.values.mean(0)
    return (share * (1 - asked.discount)) ** 2 * (apart**2).sum(-1)


def value_error(model: MDP, asked: Yardstick) -> np.ndarray:
    """The squared error of a model's values, policy by policy.

    Args:
      model: the model.
      asked: the policies.

    Returns:
      ``[N]``: Σ_s (ṽ_π − v_π)².
    """
    imagined = [policy_value(model, part) for part in _blocks(asked.policies)]
    return ((np.concatenate(imagined) - asked.values) ** 2).sum(-1)


def typical(models: Iterable[MDP], asked: Yardstick) -> float:
    """The proper loss that pages quote for several models.

    Args:
      models: runs of one kind.
      asked: the policies.

    Returns:
      The mean over policies, in the median over models.
    """
    return float(np.median([proper_loss(model, asked).mean() for model in models]))


def means_of_samples(losses: Array, size: int, seed: int, draws: int = 2_000) -> np.ndarray:
    """What means over fewer policies would have said.

    Args:
      losses: ``[N]``, of single policies.
      size: how many policies a mean is over.
      seed: of the draws.
      draws: how many means.

    Returns:
      ``[draws]``, each over policies drawn with replacement.
    """
    rows = np.random.default_rng(seed).integers(len(losses), size=(draws, size))
    return np.asarray(losses)[rows].mean(-1)


def facts(losses: Array) -> dict[str, Any]:
    """How many policies were asked, their mean loss and its standard error.

    Args:
      losses: ``[N]``, of single policies.
    """
    losses = np.asarray(losses, np.float64)
    return {
        "policies": f"{len(losses):,}",
        "mean": float(losses.mean()),
        "error": float(losses.std(ddof=1) / np.sqrt(len(losses))),
    }
