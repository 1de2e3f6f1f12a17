r"""What short trainings of several ranks show: plans, losses, and errors of values.

The one-step residual of a model is :math:`\tilde T_\pi v_\pi - v_\pi`, whose squares are
the proper loss; the error of its values is :math:`\tilde v_\pi - v_\pi`.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import xarray as xr

from pve.book.models import impossible_moves
from pve.checks import Array
from pve.mdp.bellman import bellman
from pve.mdp.core import MDP
from pve.mdp.planning import policy_value
from pve.results.endings import final_losses

UNCHANGED = 0.2  # a share by which errors may change and still count as the same


def plan_facts(results: xr.Dataset) -> dict[str, Any]:
    """What the prose says of plans at the lowest and the highest rank.

    Args:
      results: of the capacity experiment.

    Returns:
      By name, both ranks and, in per cent of the way from the uniform policy to the
      optimal one, their median plans; for each policy set what the median plan gains from
      the lowest rank to the highest; how far the seeds of one kind lie apart, in the
      median; which of the two is larger; and in how many runs the highest rank is better.
    """
    final = results.performance.isel(step=-1)
    share = results.normalised_performance.isel(step=-1)
    middle = final.median("run")
    gains = middle.isel(rank=-1) - middle.isel(rank=0)
    between = float((final.max("run") - final.min("run")).median())
    better = final.isel(rank=-1) > final.isel(rank=0)
    by_mode = {f"gain-{mode}": float(gains.sel(mode=mode)) for mode in final.mode.values}
    return by_mode | {
        "low-rank": int(final["rank"][0]),
        "high-rank": int(final["rank"][-1]),
        "low-plans": 100 * float(share.isel(rank=0).median()),
        "high-plans": 100 * float(share.isel(rank=-1).median()),
        "between-seeds": between,
        "trend": "the seed decides more than the rank"
        if float(abs(gains).max()) < between
        else "on this page the rank decides more than the seed",
        "better": int(better.sum()),
    }


def loss_facts(results: xr.Dataset) -> dict[str, Any]:
    """What the prose says of the loss against rank.

    Args:
      results: of the capacity experiment.

    Returns:
      By name, in how many seeds the loss falls from every rank to the next, of how many,
      and the median factor by which it falls from the lowest rank to the highest.
    """
    loss = final_losses(results.loss)
    falls = (loss.diff("rank") < 0).all("rank")
    return {
        "falls": int(falls.sum()),
        "seeds": int(falls.size),
        "loss-ratio": float((loss.isel(rank=0) / loss.isel(rank=-1)).median()),
    }


def worst_facts(results: xr.Dataset) -> dict[str, Any]:
    """What the prose says of the run with the worst plan.

    Args:
      results: of the capacity experiment.

    Returns:
      By name, what its plan is worth, its rank and policy set, and the median of its kind.
    """
    final = results.performance.isel(step=-1)
    low, middle = final.min("run"), final.median("run")
    where = np.unravel_index(np.nanargmin(low.values), low.shape)
    worst = low[where]
    return {
        "worst": float(worst),
        "worst-rank": int(worst["rank"]),
        "worst-mode": str(worst.mode.values),
        "worst-median": float(middle[where]),
    }


def leaps(models: list[MDP], env: MDP) -> float:
    """The share of moves under a model's plan that no action of the world could make.

    Args:
      models: their mean is taken.
      env: the world.

    Returns:
      In per cent.
    """
    return 100 * float(np.mean([impossible_moves(model, env) for model in models]))


def deviations(model: MDP, policies: Array, values: Array) -> tuple[float, float, float]:
    """How far a model is off, in one step and altogether.

    Args:
      model: the model.
      policies: ``[B, S, A]``.
      values: ``[B, S]``, of the policies.

    Returns:
      The root mean squares of the residual and of the error of the values, and how many
      times larger than the first the second is, in the median over policies.
    """
    residual = bellman(model, policies, values) - values
    error = policy_value(model, policies) - values
    sizes = [np.linalg.norm(x, axis=-1) for x in (residual, error)]
    step, whole = (float(np.sqrt((x**2).sum() / values.size)) for x in sizes)
    return step, whole, float(np.median(sizes[1] / sizes[0]))


def deviations_of_runs(
    results: xr.Dataset,
    of_run: Callable[[str, int, int], MDP],
    asked: Mapping[str, tuple[Array, Array]],
) -> xr.DataArray:
    """`deviations` of every run's model.

    Args:
      results: of the capacity experiment.
      of_run: the model of a policy set, rank and run.
      asked: for each policy set, fresh policies of its kind and their values.

    Returns:
      ``[3, …]``: residual, error and their ratio, labelled as the results are.
    """
    final = results.performance.isel(step=-1)
    found = xr.zeros_like(final).expand_dims(of=3).copy()
    for at in itertools.product(*(final[axis].values for axis in final.dims)):
        where = dict(zip(final.dims, at, strict=True))
        mode = str(where["mode"])
        model = of_run(mode, int(where["rank"]), int(where["run"]))
        found.loc[where] = np.array(deviations(model, *asked[mode]))
    return found


def error_facts(found: xr.DataArray) -> dict[str, Any]:
    """What the prose says of residuals and errors against rank.

    Args:
      found: `deviations_of_runs`.

    Returns:
      By name, medians of residual, error and their ratio at the lowest rank and the
      highest; by what factors the median residual (the largest over policy sets) and the
      median error (their mean) change; and a verdict on whether the values get better.
    """
    facts: dict[str, Any] = {}
    for name, measure in zip(("residual", "error", "stretch"), found, strict=True):
        median = measure.median(["mode", "run"])
        facts[f"{name}-low"] = float(median.isel(rank=0))
        facts[f"{name}-high"] = float(median.isel(rank=-1))
    medians = found.median("run")
    residuals, errors, _ = medians.isel(rank=-1) / medians.isel(rank=0)
    change = float(errors.mean())
    facts["residual-change"] = float(residuals.max())
    facts["error-change"] = change
    facts["error-verdict"] = (
        "No"
        if abs(change - 1) < UNCHANGED
        else f"They change by {change - 1:+.0%}, much less than the residual"
    )
    return facts
