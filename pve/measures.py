r"""Measures of trained models: principal components, diameters, values, trajectories.

For ``N`` flattened models :math:`x_1, \dots, x_N` of dimension ``D`` the principal
components come from the ``N × N`` Gram matrix of the centred models, whose eigenvectors
are the scores: with ``D`` in the tens of thousands and ``N`` in the hundreds that is the
whole cost of an SVD saved.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import threadpoolctl

from pve.mdp import MDP, Array, check_policies, check_positive_integer, exact
from pve.planning import policy_iteration, policy_value

BLOCK = 1024  # columns of models that a core looks at together
GROUP_OF_RUNS = 20  # the published diameter is a range among so many runs


class PrincipalComponents(NamedTuple):
    """A basis fitted to models.

    Attributes:
      mean: ``[D]``, the models' mean.
      directions: ``[C, D]``, orthonormal, in order of decreasing variance; the sign makes
        the largest score in absolute value positive.
      scores: ``[N, C]``, the models in that basis.
      variances: ``[C]``, the scores' mean squares, in units of the models' squared.
    """

    mean: np.ndarray
    directions: np.ndarray
    scores: np.ndarray
    variances: np.ndarray

    def project(self, models: Array) -> np.ndarray:
        """Other models in this basis: ``[..., D]`` to ``[..., C]``."""
        return (np.asarray(models) - self.mean) @ self.directions.T


def flatten(models: MDP) -> np.ndarray:
    """Lay reward and transition in one row per model.

    Args:
      models: an MDP whose arrays may carry leading axes.

    Returns:
      ``[..., S A + S A S]``: the rewards, then the transitions.
    """
    reward, transition = np.asarray(models.reward), np.asarray(models.transition)
    batch = reward.shape[:-2]
    return np.concatenate(
        [reward.reshape(*batch, -1), transition.reshape(*batch, -1)], axis=-1
    )


def _check_models(models: Array, fewest: int) -> np.ndarray:
    models = np.asarray(models)
    if models.ndim != 2 or len(models) < fewest:
        raise ValueError(
            f"models has shape {list(models.shape)}; legal is [N, D] with N ≥ {fewest}"
        )
    if not np.isfinite(models).all():
        raise ValueError("models holds NaN or infinite numbers; legal are finite ones")
    return models


def _of_blocks(function: Callable[[slice], Any], length: int) -> Iterator[Any]:
    """Apply a function to a block of columns at a time, a thread a core, in order.

    120 models in float64 then stay in a core's cache. BLAS threads are of little use in
    products so small; the results do not depend on how many threads there are.
    """
    blocks = [slice(start, start + BLOCK) for start in range(0, length, BLOCK)]
    with threadpoolctl.threadpool_limits(1), ThreadPoolExecutor(os.cpu_count()) as pool:
        yield from pool.map(function, blocks)


def _mean_and_gram(models: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """The mean model ``[D]`` and the Gram matrix ``[N, N]`` of the centred ones."""

    def of_block(columns: slice) -> tuple[np.ndarray, np.ndarray]:
        block = models[:, columns].astype(np.float64)
        mean = block.mean(0)
        block -= mean
        return mean, block @ block.T

    means, grams = zip(*_of_blocks(of_block, models.shape[1]), strict=True)
    return np.concatenate(means), np.add.reduce(grams)


def principal_components(models: Array, num: int = 2) -> PrincipalComponents:
    """Fit principal components by the Gram matrix.

    Args:
      models: ``[N, D]``, N ≥ 2.
      num: how many components, 1 ≤ num ≤ N. (N models vary in N − 1 directions at most:
        where nothing varies any more, directions and scores are zero.)

    Returns:
      The basis, its scores and variances, in float64.

    Raises:
      ValueError: a shape or number is not legal.
    """
    models = _check_models(models, 2)
    if not 1 <= check_positive_integer("num", num) <= len(models):
        raise ValueError(f"num is {num}; legal are the integers 1 … {len(models)}")
    mean, gram = _mean_and_gram(models)
    squares, vectors = np.linalg.eigh(gram)
    squares, vectors = np.maximum(squares[::-1][:num], 0), vectors[:, ::-1][:, :num]
    scores = vectors * np.sqrt(squares)
    scores *= np.sign(scores[np.abs(scores).argmax(0), np.arange(num)] + 1e-300)
    # Scores are centred @ directionsᵀ, so the directions are their regression back.
    parts = _of_blocks(lambda at: scores.T @ (models[:, at] - mean[at]), models.shape[1])
    regression = np.concatenate(list(parts), axis=1)
    directions = np.divide(
        regression,
        squares[:, None],
        out=np.zeros_like(regression),
        where=squares[:, None] > 1e-12 * max(squares[0], 1e-300),
    )
    return PrincipalComponents(mean, directions, scores, squares / len(models))


def diameter(models: Array) -> float:
    """The largest distance between models along their first principal component.

    This range grows with the number of models: never compare it across ``N``.

    Args:
      models: ``[N, D]``, N ≥ 2.

    Returns:
      A distance in the units of the models. (Grimm et al., 2021.)
    """
    return float(np.ptp(principal_components(models, 1).scores))


def spread(models: Array) -> float:
    """The root-mean-square distance between pairs of models.

    Its expectation does not depend on the number of models.

    Args:
      models: ``[N, D]``, N ≥ 2.

    Returns:
      A distance in the units of the models.
    """
    models = _check_models(models, 2)
    return float(np.sqrt(2 * models.var(0, ddof=1, dtype=np.float64).sum()))


def published_diameter(scores: Array) -> tuple[float, float]:
    """Mean and standard error of the range of the first score over groups of 20 runs.

    Args:
      scores: ``[N]``, the runs' scores along the first component, N ≥ 40; runs beyond
        the last whole group are left out.

    Returns:
      Mean and standard error, in the units of the models. (Grimm et al., 2021.)
    """
    groups = len(scores) // GROUP_OF_RUNS
    if groups < 2:
        raise ValueError(f"scores of {len(scores)} runs; legal are at least 40 runs")
    ranges = np.ptp(
        np.asarray(scores)[: groups * GROUP_OF_RUNS].reshape(groups, GROUP_OF_RUNS), 1
    )
    return float(ranges.mean()), float(ranges.std(ddof=1) / np.sqrt(groups))


def uniform_policy(mdp: MDP) -> np.ndarray:
    """The policy that takes all actions equally often, ``[S, A]``."""
    return np.full((mdp.num_states, mdp.num_actions), 1 / mdp.num_actions)


def performance_limits(env: MDP) -> tuple[float, float]:
    """Mean values of the uniform and of an optimal policy: 0 and 1 when normalised."""
    low = policy_value(env, uniform_policy(env)).mean()
    return float(low), float(policy_iteration(env)[0].mean())


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

    An action counts as optimal if its value is within 1e-9 of the best, relatively.
    """
    value, _ = policy_iteration(env)
    env = exact(env)
    action_values = env.reward + env.discount * env.expect(value)
    best = action_values.max(-1, keepdims=True)
    optimal = action_values >= best - 1e-9 * np.abs(action_values).max()
    _, policy = policy_iteration(model)
    return float((optimal * policy).sum(-1).mean())
