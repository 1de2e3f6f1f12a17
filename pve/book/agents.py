"""What the page on MuZero says of its agents: tables, and comparisons of pairs."""

from __future__ import annotations

from typing import Any

import xarray as xr

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
NOISE = 0.05  # a sign test's p-value below which a difference counts as one


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


def facts(results: xr.Dataset) -> dict[str, Any]:
    """What the page says of plain agents, and of all comparisons together.

    Args:
      results: of the experiment, with both arms.

    Returns:
      Median errors of plain agents, ``error-kind``; the least ratio of a kind's endless
      error to its order-k error; in how many agents the error along actions is larger for
      the optimal policy than for the current one; how many of the sign tests on errors are
      below the noise; and in how many pairs, of how many, the acting policy ends better
      with past policies.
    """
    found: dict[str, Any] = {}
    for kind in KINDS:
        for name in ERRORS:
            found[f"{name}-{kind}"] = float(_pairs(results, name, kind)[0].median())
    found["endless"] = min(found[f"error-{x}"] / found[f"k_error-{x}"] for x in KINDS)
    optimal, current = (
        _pairs(results, "along_error", kind)[0] for kind in ("optimal", "current")
    )
    found["optimal-worse"] = int((optimal > current).sum())
    chances = [
        compare(*_pairs(results, name, kind)).chance for name in ERRORS for kind in KINDS
    ]
    found["significant"] = sum(chance < NOISE for chance in chances) or "none"
    worth = results.behaviour.isel(phase=-1)
    plain, added = (worth.sel(arm=arm) for arm in ("plain", "past"))
    found["better"] = compare(plain, added, larger=True).wins
    found["runs"] = results.sizes["run"]
    return found
