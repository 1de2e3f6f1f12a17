"""What the page on capacity says of overrated plans, model by model."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr

from pve.book.text import table
from pve.checks import Array
from pve.equivalence.overrating import overrating, residuals
from pve.mdp.core import MDP
from pve.mdp.planning import policy_value
from pve.results.moments import model_at

SETS = {"deterministic": "det.", "stochastic": "stoch."}  # short: the table is wide
MEASURES = {
    "worth": "worth",
    "own": "promised",
    "range": "uneven",
    "lean": "wrong",
    "residual": "mixture",
    "single": "single",
}


def measures(
    models: xr.Dataset, rank: int, env: MDP, policies: dict[str, Array]
) -> xr.Dataset:
    """What each of some stored models makes of its plan.

    Args:
      models: of `pve.results.moments.load_moments`, of one rank.
      rank: theirs.
      env: the environment.
      policies: of each policy set some, ``[B, S, A]``.

    Returns:
      Means over states by (mode, step, run). ``worth`` is what the plan is worth; ``own``,
      what the model takes it to be worth; ``range``, by how much the most overrated state
      is more overrated than the least; ``lean``, the mean error of actions that are not
      optimal; ``tempting``, the share of those whose error is above their gap. And of the
      states in which a policy mixes actions the root mean squares of the ``residual`` and
      of the errors of ``single`` actions (of deterministic policies: of all states, where
      both are the same).
    """
    axes = {name: models[name].values for name in ("mode", "step", "run")}
    shape = tuple(len(values) for values in axes.values())
    found = {name: np.empty(shape) for name in (*MEASURES, "tempting")}
    for i, mode in enumerate(axes["mode"]):
        values = policy_value(env, policies[mode])
        for j, step in enumerate(axes["step"]):
            for n, run in enumerate(axes["run"]):
                model = model_at(models, mode=mode, rank=rank, step=step, run=run)
                plan = overrating(model, env)
                off = residuals(model, env, policies[mode], values)
                mixes = not np.isnan(off.mixture)
                numbers = {
                    "worth": plan.worth.mean(),
                    "own": plan.own.mean(),
                    "range": np.ptp(plan.excess),
                    "lean": plan.lean,
                    "tempting": plan.tempting,
                    "residual": off.mixture if mixes else off.everywhere,
                    "single": off.single if mixes else off.everywhere,
                }
                for name, number in numbers.items():
                    found[name][i, j, n] = number
    return xr.Dataset({name: (tuple(axes), array) for name, array in found.items()}, axes)


def overrated_table(found: xr.Dataset) -> str:
    """A table in Markdown of what `measures` gives, a row for each model."""
    rows: list[list[Any]] = [
        [
            SETS[str(mode)],
            f"{int(step):,}",
            str(int(run)),
            *(f"{float(found[name].sel(mode=mode, step=step, run=run)):.1f}"
              for name in MEASURES),
        ]
        for mode in found.mode.values
        for step in found.step.values
        for run in found.run.values
    ]  # fmt: skip
    header = ["policies", "steps", "run", *MEASURES.values()]
    return table(header, rows, align="l" + "r" * (len(header) - 1))
