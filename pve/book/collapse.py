"""What the pages say of trained models whose plans fall while their losses do."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import xarray as xr

from pve.book.text import table
from pve.equivalence.overrating import Overrating, Residuals, overrating
from pve.mdp.core import MDP
from pve.results.moments import model_at

# Models are told apart by their policy set, run and training step.
Key = tuple[str, int, int]
FALLEN = 5.0  # a plan worth less by more than this than early in training has fallen
# Claims this far above the optimum are far too high; those varying this much, uneven.
FAR, UNEVEN = 10.0, 3.0
GOOD, BAD = 60.0, 70.0  # plans worth more than the first are good, less than the second bad
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
        "and unevenly by, ±", "stays, mean",
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
    early, late = sorted({step for *_, step in found})
    told: dict[str, Any] = {}
    for mode in sorted({mode for mode, *_ in found}):
        runs = [key for key in seen if key[0] == mode]
        told[f"mixture-{mode}"] = float(np.median([seen[key].mixture for key in runs]))
        told[f"single-{mode}"] = float(np.median([seen[key].single for key in runs]))
        pairs = [(found[*key, late], predicted[key]) for key in runs]
        told[f"blind-fit-{mode}"] = float(
            np.median([np.corrcoef(x.error[x.wrong], p[x.wrong])[0, 1] for x, p in pairs])
        )
    fell = {
        run: found[mode, run, early].worth.mean() - found[mode, run, late].worth.mean()
        for mode, run in seen
        if mode == "stochastic"
    }
    ends = {run: found["stochastic", run, late] for run in fell}
    fallen = [run for run in ends if fell[run] > FALLEN]
    told["fallen-number"] = len(fallen)
    at_goal = [
        run for run in fallen if ends[run].visits.argmax() == ends[run].best.argmax()
    ]
    told["at-goal"] = " and ".join(map(str, at_goal)) or "none"
    told["fell-least"] = str(min(fallen, key=fell.__getitem__, default="none"))
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
