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
      ``(…, kind)``: the root mean square over the policies of a kind, or of correlations
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
      chance: of a split as uneven as this one, or more, if both were alike: a two-sided
        sign test, equal pairs left out.
    """

    wins: int
    pairs: int
    chance: float


def compare(plain: xr.DataArray, added: xr.DataArray, larger: bool = False) -> Comparison:
    """Compare agents with past policies with plain ones, pair by pair.

    Args:
      plain: ``[run]``, a number of each plain agent.
      added: ``[run]``, of each agent with past policies.
      larger: whether the larger number is the better one.
    """
    gain = np.asarray(added - plain) * (1 if larger else -1)
    wins, ties = int((gain > 0).sum()), int((gain == 0).sum())
    decided = len(gain) - ties
    from scipy import stats  # here: whoever imports the library would wait a second for it

    chance = float(stats.binomtest(wins, decided).pvalue) if decided else 1.0
    return Comparison(wins, len(gain), chance)
