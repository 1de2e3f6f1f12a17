"""What the page on MuZero says of its agents: tables, and verdicts on pairs of them."""

from __future__ import annotations

from typing import Any

import numpy as np
import xarray as xr
from scipy import stats

from pve.book.text import table
from pve.figures.muzero import ERRORS
from pve.muzero.study import KINDS, by_kind, compare
from pve.runs.plan import settings_of

LONG = {
    "current": "current",
    "past": "past, in the ring",
    "near": "near the current",
    "optimal": "optimal",
    "random": "random",
}
SETTINGS = {
    "phases": "phases",
    "steps": "gradient steps in a phase",
    "actors": "trajectories in a phase",
    "length": "moves in each",
    "slots": "slots of the ring",
    "latent": "latent states $d$",
    "unroll": "unrolled moves $k$",
}
NOISE = 0.05  # a sign test's chance below which a difference is called one


def agents_table(results: dict[str, xr.Dataset]) -> str:
    """How many agents were trained and how long, a table in Markdown.

    Args:
      results: of the experiment, a column each, by the columns' titles.
    """
    columns = list(results.values())
    rows: list[list[Any]] = [
        ["agents, each with and without past policies", *(c.sizes["run"] for c in columns)]
    ]
    settings = [settings_of(column.attrs) for column in columns]
    for name, meaning in SETTINGS.items():
        rows.append([meaning, *(f"{getattr(chosen, name):,}" for chosen in settings)])
    rows.append(["seed", *(column.attrs["seed"] for column in columns)])
    rows.append(["seconds of all agents", *(f"{c.attrs['seconds']:.0f}" for c in columns)])
    return table(["", *results], rows, align="l" + "r" * len(columns))


def errors_table(results: xr.Dataset) -> str:
    """Median errors by the kind of policy, plain → with past policies, in Markdown."""
    size = by_kind(results, "true_size").sel(arm="plain").median("run")
    rows = []
    for kind, label in LONG.items():
        row = [label, f"{float(size.sel(kind=kind)):.1f}"]
        for name in (*ERRORS, "correlation"):
            plain, added = _pairs(results, name, kind)
            cell = f"{float(plain.median()):.2f} → {float(added.median()):.2f}"
            if name in ERRORS:
                wins, pairs, _ = compare(plain, added)
                cell += f" ({wins} of {pairs})"
            row.append(cell)
        rows.append(row)
    header = ["policies", "size of $v_\\pi$", *ERRORS.values(), "correlation"]
    return table(header, rows, align="l" + "r" * (len(header) - 1))


def _pairs(results: xr.Dataset, name: str, kind: str) -> tuple[xr.DataArray, xr.DataArray]:
    found = by_kind(results, name).sel(kind=kind)
    return found.sel(arm="plain"), found.sel(arm="past")


def error_verdict(results: xr.Dataset, name: str, kind: str) -> str:
    """Whether the addition makes an error smaller, as a part of a sentence.

    Args:
      results: of the experiment, with both arms.
      name: of the error.
      kind: of the policies asked about.
    """
    plain, added = _pairs(results, name, kind)
    wins, pairs, chance = compare(plain, added)
    change = float((added / plain).median()) - 1
    if chance < NOISE:
        word = "helps" if wins > pairs / 2 else "hurts"
    else:
        word = "makes no difference beyond the noise"
    return (
        f"{word} (smaller error in {wins} of {pairs} pairs, sign test p = {chance:.2f}, "
        f"median change within a pair {change:+.0%})"
    )


def performance_verdict(results: xr.Dataset, name: str) -> str:
    """What plans or the acting policies are worth, as a part of a sentence.

    Args:
      results: of the experiment, with both arms.
      name: of the value; where it goes by phase, the last phase counts.
    """
    values = results[name]
    if "phase" in values.dims:
        values = values.isel(phase=-1)
    plain, added = (values.sel(arm=arm) for arm in ("plain", "past"))
    wins, pairs, chance = compare(plain, added, larger=True)
    return (
        f"{float(plain.median()):.1f} plain and {float(added.median()):.1f} with past "
        f"policies (better in {wins} of {pairs} pairs, p = {chance:.2f})"
    )


def facts(results: xr.Dataset) -> dict[str, Any]:
    """What the page says of plain agents, and of all comparisons together.

    Returns:
      Median errors of plain agents, ``error-kind``; in how many agents the error along
      actions is larger for the optimal policy than for the current one; whether the
      current policy keeps its advantage when it acts inside the model; how many of the
      sign tests are below the noise, and how many would be by chance alone.
    """
    found: dict[str, Any] = {}
    for kind in ("current", "optimal", "random"):
        for name in ERRORS:
            found[f"{name}-{kind}"] = float(_pairs(results, name, kind)[0].median())
    optimal, current = (
        _pairs(results, "along_error", kind)[0] for kind in ("optimal", "current")
    )
    found["ratio-runs"] = int((optimal > current).sum())
    others = min(found["k_error-optimal"], found["k_error-random"])
    ahead = found["k_error-current"] < 0.9 * others
    found["favour"] = "still has the advantage" if ahead else "has no such advantage"
    chances = [
        compare(*_pairs(results, name, kind)).chance for name in ERRORS for kind in KINDS
    ]
    found["significant"] = sum(chance < NOISE for chance in chances) or "none"
    count = results.sizes["run"]
    wins = np.arange(count + 1)  # of so many pairs, and what each has as p
    below = [stats.binomtest(int(k), count).pvalue < NOISE for k in wins]
    by_chance = stats.binom.pmf(wins, count, 0.5)[below].sum()
    found["by-chance"] = len(chances) * float(by_chance)
    found["runs"] = count
    return found
