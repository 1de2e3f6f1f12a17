"""What pairs of agents say: errors by the kind of policy asked about, and a sign test."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import xarray as xr

KINDS = (
    "current",
    "past",
    "near",
    "optimal",
    "random",
)  # of policies, see `asked_policies`


def by_kind(results: xr.Dataset, name: str) -> xr.DataArray:
    """A measure of policies by their kind.

    Args:
      results: of the experiment, with ``kind`` along ``policy``.
      name: of the measure.

    Returns:
      ``(…, kind)``: the root mean square over the policies of a kind, or for correlations
      the mean.
    """
    found = results[name]
    if name == "correlation":
        return found.groupby("kind").mean()
    squares = (found**2).groupby("kind").mean()
    return squares.copy(data=np.sqrt(squares.values))


class Comparison(NamedTuple):
    """How pairs of agents compare.

    Attributes:
      wins: pairs in which the addition is better.
      pairs: how many there are.
      chance: the probability of a split at least as uneven as this one if both were alike,
        by a two-sided sign test, ties left out.
    """

    wins: int
    pairs: int
    chance: float


def compare(plain: xr.DataArray, added: xr.DataArray, larger: bool = False) -> Comparison:
    """Compare agents that use past policies to plain ones, pair by pair.

    Args:
      plain: ``[run]``, a number for each plain agent.
      added: ``[run]``, for each agent that uses past policies.
      larger: whether the larger number is the better one.
    """
    gain = np.asarray(added - plain) * (1 if larger else -1)
    wins, ties = int((gain > 0).sum()), int((gain == 0).sum())
    decided = len(gain) - ties
    from scipy import stats  # here: at the top it would slow every import by a second

    chance = float(stats.binomtest(wins, decided).pvalue) if decided else 1.0
    return Comparison(wins, len(gain), chance)
