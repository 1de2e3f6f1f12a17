"""What the pages say of trained models whose plans fall while their losses do."""

from __future__ import annotations

import itertools
from collections.abc import Collection, Mapping, Sequence
from typing import Any

import numpy as np
import xarray as xr

from pve.book.text import table
from pve.equivalence.overrating import Overrating, Residuals, overrating, with_errors
from pve.mdp.core import MDP
from pve.mdp.planning import performance
from pve.results.moments import model_at

# Models are told apart by their policy set, run and training step.
Key = tuple[str, int, int]
FALLEN = 5.0  # a plan worth less by more than this than early in training has fallen
# Claims this far above the optimum are far too high; those varying this much, uneven.
FAR, UNEVEN = 10.0, 3.0
GOOD, BAD = 60.0, 70.0  # plans worth more than the first are good, less than the second bad
# Moments whose errors and transitions are put together: of plans that fall, and of plans
# that fall and come back; and whose transitions are tried, too.
FALLING, COMING_BACK = ("early", "late"), ("early", "fallen", "last")
WORLDS = "the world’s"
Measured = Mapping[Key, Overrating]


def measured(models: xr.Dataset, env: MDP) -> dict[Key, Overrating]:
    """All models of `pve.results.moments.load_moments`, taken apart.

    Args:
      models: of one rank.
      env: the environment.
    """
    rank = models["rank"].values[0]
    return {
        (str(mode), int(run), int(step)): overrating(
            model_at(models, mode=mode, rank=rank, run=run, step=step), env
        )
        for mode in models.mode.values
        for run in models.run.values
        for step in models.step.values
    }


def moments_table(found: Measured) -> str:
    """Every run at both moments: its claim, its worth, and how uneven it overrates.

    Args:
      found: of two training steps.

    Returns:
      A table in Markdown, the earlier number before the later one.
    """
    early, late = sorted({step for *_, step in found})
    header = [
        "policies", "run", "plan is worth", "model claims", "overrates by, mean",
        "and unevenly by, ±", "stays in place, mean",
    ]  # fmt: skip
    rows = []
    for mode, run, step in sorted(found):
        if step != early:
            continue
        pair = [found[mode, run, at] for at in (early, late)]
        rows.append(
            [
                mode,
                run,
                _arrow(f"{x.worth.mean():.1f}" for x in pair),
                _arrow(f"{x.own.mean():.1f}" for x in pair),
                _arrow(f"{round(x.excess.mean(), 1) + 0:+.1f}" for x in pair),
                _arrow(f"{x.excess.std():.1f}" for x in pair),
                _arrow(f"{x.staying:.2f}" for x in pair),
            ]
        )
    return table(header, rows, align="lrrrrrr")


def _arrow(texts: Any) -> str:
    return " → ".join(texts)


def _falls(found: Measured) -> dict[int, float]:
    """What each stochastic run's plan has lost since early in training."""
    early, late = sorted({step for *_, step in found})
    runs = sorted({run for mode, run, _ in found if mode == "stochastic"})
    moments = [[found["stochastic", run, step] for step in (early, late)] for run in runs]
    falls = [first.worth.mean() - last.worth.mean() for first, last in moments]
    return dict(zip(runs, falls, strict=True))


def fallen(found: Measured) -> list[int]:
    """The stochastic runs whose plans have fallen.

    Args:
      found: of two training steps.
    """
    return [run for run, fall in _falls(found).items() if fall > FALLEN]


def exchanged(
    models: xr.Dataset, env: MDP, moments: Sequence[str] = FALLING
) -> xr.DataArray:
    """What plans are worth that are made with one model's errors and another's transitions.

    Args:
      models: of one rank, at as many training steps as there are moments.
      env: the environment, whose transitions are tried, too.
      moments: the names of the steps.

    Returns:
      Mean true values ``[mode, run, errors, transitions]``; the last transitions are the
      environment's, `WORLDS`.
    """
    found, rank = measured(models, env), models["rank"].values[0]
    steps = dict(zip(moments, models.step.values, strict=True))
    coords = {
        "mode": models.mode.values,
        "run": models.run.values,
        "errors": list(moments),
        "transitions": [*moments, WORLDS],
    }
    worth = xr.DataArray(
        np.empty([len(values) for values in coords.values()]),
        coords,
        tuple(coords),
        attrs={"optimum": performance(env, env)},
    )
    for mode, run in itertools.product(models.mode.values, models.run.values):
        at = {"mode": mode, "rank": rank, "run": run}
        moves = {
            x: model_at(models, **at, step=step).transition for x, step in steps.items()
        }
        moves[WORLDS] = env.transition
        for errors, transitions in itertools.product(moments, moves):
            error = found[str(mode), int(run), int(steps[errors])].error
            model = with_errors(error, moves[transitions], env)
            worth.loc[mode, run, errors, transitions] = performance(model, env)
    return worth


def exchange_table(worth: xr.DataArray) -> str:
    """Every run's plans with errors and transitions exchanged, a table in Markdown.

    Args:
      worth: see `exchanged`; of two moments.
    """
    pairs = itertools.product(worth.errors.values, worth.transitions.values)
    header = ["policies", "run", *(f"{e} errors, {x} transitions" for e, x in pairs)]
    rows = [
        [mode, run, *(f"{x:.1f}" for x in worth.sel(mode=mode, run=run).values.flat)]
        for mode in worth.mode.values
        for run in worth.run.values
    ]
    return table(header, rows, align="lrrrrrrr")


def recovery_table(worth: xr.DataArray) -> str:
    """The same of plans that come back, a row for each run and the moment of its errors.

    Args:
      worth: see `exchanged`; of one policy set.

    Returns:
      A table in Markdown; what a model has of itself, errors and transitions, is in bold.
    """
    plans = worth.squeeze("mode")
    header = ["run", "errors", *(f"{x} transitions" for x in plans.transitions.values)]
    rows = [
        [run, errors]
        + [
            f"**{plan:.1f}**" if errors == transitions else f"{plan:.1f}"
            for transitions, plan in zip(
                plans.transitions.values, plans.sel(run=run, errors=errors), strict=True
            )
        ]
        for run in plans.run.values
        for errors in plans.errors.values
    ]
    return table(header, rows, align="rlrrrr")


def as_recovered(worth: xr.DataArray) -> bool:
    """Whether plans that came back show what the page says of them.

    Args:
      worth: see `exchanged`; of the moments `COMING_BACK`.

    Returns:
      True if all plans of the fallen models are bad; if the errors of these give good plans
      with the transitions of each other moment and with the world's; if their transitions
      give good plans with the last models' errors; and if most plans are bad that early
      errors make in other transitions than their own.
    """
    enough = 0.8 * worth.attrs["optimum"]
    fallen, early = worth.sel(errors="fallen"), worth.sel(errors="early")
    return bool(
        (fallen.sel(transitions="fallen") < BAD / 2).all()
        and (fallen.drop_sel(transitions="fallen") > enough).all()
        and (worth.sel(errors="last", transitions="fallen") > enough).all()
        and (early.drop_sel(transitions="early") < BAD / 2).mean() > 0.5
    )


def rings_table(models: xr.Dataset, env: MDP, runs: Collection[int]) -> str:
    """Where the last stochastic models imagine their plans most of the time.

    Args:
      models: of one rank.
      env: the environment.
      runs: whose models.

    Returns:
      A table in Markdown that says how likely the plan's action leads back to that state,
      in the model and in the environment, and how much it is overrated there.
    """
    rank, step = models["rank"].values[0], models.step.values[-1]
    rows = []
    for run in runs:
        model = model_at(models, mode="stochastic", rank=rank, run=run, step=step)
        found = overrating(model, env)
        ring = found.visits.argmax()
        at = ring, found.action[ring]
        back = [float(x.transition[at][ring]) for x in (model, env)]
        overrated = float((found.error - found.gap)[at])
        rows.append([run, *(f"{x:.2f}" for x in back), f"{overrated:+.2f}"])
    header = ["run", "back in the model", "back in the world", "$\\delta - g$"]
    return table(header, rows, align="rrrr")


def as_exchanged(worth: xr.DataArray, fallen: Collection[int]) -> bool:
    """Whether the exchange shows what the page says of the stochastic sets.

    Args:
      worth: see `exchanged`; of the moments `FALLING`.
      fallen: the runs whose plans have fallen.

    Returns:
      True if every plan is bad that is made with early errors in late transitions; if
      fallen runs' late errors give better plans with early transitions than with their own;
      and if all late errors give nearly optimal plans with the world's.
    """
    plans = worth.sel(mode="stochastic")
    own = plans.sel(errors="late", transitions="late", run=list(fallen))
    spread = plans.sel(errors="late", transitions="early", run=list(fallen))
    world = plans.sel(errors="late", transitions=WORLDS)
    return bool(
        (plans.sel(errors="early", transitions="late") < BAD / 2).all()
        and (spread > own).all()
        and (world > 0.98 * worth.attrs["optimum"]).all()
    )


def actions_table(found: Measured, seen: Mapping[tuple[str, int], Residuals]) -> str:
    """Every run at its end: what training saw, and the errors of single actions.

    Args:
      found: `measured`.
      seen: the residuals of each run's last model, by policy set and run.

    Returns:
      A table in Markdown.
    """
    late = max(step for *_, step in found)
    header = [
        "policies", "run", "residual of a mixture", "errors of its actions",
        "wrong actions, mean error", "of these too good",
    ]  # fmt: skip
    rows = []
    for (mode, run), residual in seen.items():
        model = found[mode, run, late]
        rows.append(
            [
                mode,
                run,
                f"{residual.mixture:.2f}",
                f"{residual.single:.2f}",
                f"{model.lean:+.2f}",
                f"{100 * model.tempting:.0f} %",
            ]
        )
    return table(header, rows, align="lrrrrr")


def facts(
    found: Measured,
    seen: Mapping[tuple[str, int], Residuals],
    predicted: Mapping[tuple[str, int], np.ndarray],
) -> dict[str, Any]:
    """What the prose says of the models, numbers and texts by name.

    Args:
      found: `measured`.
      seen: see `actions_table`.
      predicted: of each run's last model the errors that its transitions alone predict,
        ``[S, A]``, see `pve.equivalence.overrating.blind_spot`.
    """
    late = max(step for *_, step in found)
    told: dict[str, Any] = {}
    for mode in sorted({mode for mode, *_ in found}):
        runs = [key for key in seen if key[0] == mode]
        told[f"mixture-{mode}"] = float(np.median([seen[key].mixture for key in runs]))
        told[f"single-{mode}"] = float(np.median([seen[key].single for key in runs]))
        pairs = [(found[*key, late], predicted[key]) for key in runs]
        told[f"blind-fit-{mode}"] = float(
            np.median([np.corrcoef(x.error[x.wrong], p[x.wrong])[0, 1] for x, p in pairs])
        )
    late_ones = {run: found["stochastic", run, late] for run in _falls(found)}
    down = fallen(found)
    at_goal = [
        run
        for run in down
        if late_ones[run].visits.argmax() == late_ones[run].best.argmax()
    ]
    told["fallen-number"] = len(down)
    told["at-goal"] = " and ".join(map(str, at_goal)) or "none"
    told["fell-least"] = str(min(down, key=_falls(found).__getitem__, default="none"))
    return told


def as_told(found: Measured) -> bool:
    """Whether the models do what the page says of them.

    Args:
      found: of two training steps.

    Returns:
      True if early in training every model claims far too much and plans well; if at the
      end deterministic policies leave only modest claims; and if, of the others, exactly
      those with bad plans claim far too much, unevenly.
    """
    early = min(step for *_, step in found)
    for (mode, _, step), x in found.items():
        excess = x.excess.mean()
        if step == early:
            fits = excess > FAR and x.worth.mean() > GOOD
        elif mode == "stochastic":
            bad = x.worth.mean() < BAD
            fits = (x.excess.std() > UNEVEN) == (excess > FAR) == bad
        else:
            fits = excess < 0
        if not fits:
            return False
    return True
