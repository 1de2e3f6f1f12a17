r"""Distances between trained models: principal components, diameters, spreads.

For ``N`` flattened models :math:`x_1, \dots, x_N` of dimension ``D`` the principal
components come from the ``N × N`` Gram matrix of the centred models, whose eigenvectors
are the scores: with ``D`` in the tens of thousands and ``N`` in the hundreds that saves
nearly the whole cost of an SVD.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pve import threads
from pve.checks import Array, check_positive_integer
from pve.mdp.core import MDP

BLOCK = 1024  # columns of models that a core looks at together
GROUP_OF_RUNS = 20  # the published diameter is a range among so many runs


class PrincipalComponents(NamedTuple):
    """A basis fitted to models.

    Attributes:
      mean: ``[D]``, the models' mean.
      directions: ``[C, D]``, orthonormal, in order of decreasing variance; the sign makes
        the largest score in absolute value positive.
      scores: ``[N, C]``, the models in that basis.
      variances: ``[C]``, the scores' mean squares, in the models' units squared.
    """

    mean: np.ndarray
    directions: np.ndarray
    scores: np.ndarray
    variances: np.ndarray

    def project(self, models: Array) -> np.ndarray:
        """Other models in this basis: ``[..., D]`` to ``[..., C]``."""
        return (np.asarray(models) - self.mean) @ self.directions.T


def flatten(models: MDP) -> np.ndarray:
    """Lay out reward and transition in one row per model.

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
            f"models has shape {list(models.shape)}; expected [N, D] with N ≥ {fewest}"
        )
    if not np.isfinite(models).all():
        raise ValueError("models holds NaN or infinite numbers; expected finite ones")
    return models


def _of_blocks(function: Callable[[slice], Any], length: int) -> list[Any]:
    """Apply a function to blocks of columns, one thread per core; results in order.

    120 models in float64 then stay in a core's cache. BLAS threads are of little use in
    products so small; the results do not depend on how many threads there are.
    """
    blocks = [slice(start, start + BLOCK) for start in range(0, length, BLOCK)]
    return threads.side_by_side(function, blocks, one_thread_each=True)


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
        raise ValueError(f"num is {num}; expected an integer from 1 to {len(models)}")
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

    The expectation of its square does not depend on the number of models.

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

    Raises:
      ValueError: there are fewer than 40 scores.
    """
    groups = len(scores) // GROUP_OF_RUNS
    if groups < 2:
        raise ValueError(f"scores of {len(scores)} runs; expected at least 40 runs")
    ranges = np.ptp(
        np.asarray(scores)[: groups * GROUP_OF_RUNS].reshape(groups, GROUP_OF_RUNS), 1
    )
    return float(ranges.mean()), float(ranges.std(ddof=1) / np.sqrt(groups))
