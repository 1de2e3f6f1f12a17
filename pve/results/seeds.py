"""An experiment under several seeds: what each found at the end, and how far they spread.

Runs of one seed repeat an experiment inside itself; another seed repeats the whole of it,
its data included. With m_s the mean over the runs of seed s of a measure at the end of
training, n seeds have

    mean  m̄ = Σ_s m_s / n,    standard deviation  √(Σ_s (m_s − m̄)² / (n − 1)),

and the standard error of the mean is the standard deviation over √n.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd
import xarray as xr

from pve.experiments import find_experiment
from pve.results.endings import final_losses
from pve.results.load import load, present
from pve.runs.folders import ExperimentFolder, differences

TIME = ("step", "logged_step")
SPREAD = ("mean", "standard_deviation", "standard_error", "lowest", "highest")


def load_seeds(data_dirs: Sequence[str | Path]) -> dict[str, xr.Dataset]:
    """Load what several seeds found at the end of training.

    Args:
      data_dirs: data folders, at least two, each of its own seed and otherwise of the same
        configuration.

    Returns:
      For each experiment that all folders hold, its measures at the end of training
      (seed, …), averaged over runs; the dots are the experiment's dimensions other than
      the run, for diameter (seed, order). Measures along anything else, such as single
      policies, are left out. The attributes hold the configuration without the seed, and
      ``runs``, how many of each kind a seed has.

    Raises:
      ValueError: there are fewer than two folders, they hold no common experiment, a seed
        comes twice, or configurations or numbers of runs differ; the message names them.
      pve.runs.store.CorruptFile: a file is damaged; the message names it.
    """
    if len(data_dirs) < 2:
        raise ValueError(f"{len(data_dirs)} data folder is given; expected two or more")
    held = [present(data_dir) for data_dir in data_dirs]
    common = [name for name in held[0] if all(name in names for names in held)]
    if not common:
        listed = "; ".join(
            f"{str(data_dir)!r} holds {', '.join(names)}"
            for data_dir, names in zip(data_dirs, held, strict=True)
        )
        raise ValueError(f"{listed}; expected folders that hold a common experiment")
    return {name: _side_by_side(data_dirs, name) for name in common}


def _side_by_side(data_dirs: Sequence[str | Path], experiment: str) -> xr.Dataset:
    places = [str(ExperimentFolder(each, experiment).path) for each in data_dirs]
    identities = [ExperimentFolder(each, experiment).identity() for each in data_dirs]
    first = {**identities[0], "seed": None}
    seeds: dict[int, str] = {}
    for place, found in zip(places, identities, strict=True):
        if apart := differences({**found, "seed": None}, first):
            raise ValueError(
                f"{place!r} (there) and {places[0]!r} (here) are of different "
                f"configurations: {'; '.join(apart)}; expected folders that differ in "
                "their seeds"
            )
        if found["seed"] in seeds:
            raise ValueError(
                f"{place!r} and {seeds[found['seed']]!r} are both of seed "
                f"{found['seed']}; expected distinct seeds"
            )
        seeds[found["seed"]] = place
    loaded = [load(each, experiment) for each in data_dirs]
    dimensions = find_experiment(experiment).DIMENSIONS
    counts = [_runs(results, dimensions) for results in loaded]
    for place, count in zip(places, counts, strict=True):
        if not count.equals(counts[0]):
            raise ValueError(
                f"{place!r} has {_listed(count)} finished runs, {places[0]!r} has "
                f"{_listed(counts[0])}; expected seeds with as many of each kind"
            )
    ends = [endings(results, dimensions) for results in loaded]
    together = xr.concat(ends, pd.Index(list(seeds), name="seed"), combine_attrs="drop")
    for name in together.variables:
        if name in loaded[0].variables:
            together[name].attrs = loaded[0][name].attrs
    together.seed.attrs = {"long_name": "seed of the experiment", "units": "1"}
    facts = loaded[0].attrs
    together.attrs = {
        name: value for name, value in facts.items() if name not in ("seed", "seconds")
    }
    together.attrs["runs"] = int(counts[0].max())
    return together.sortby("seed")


def _runs(results: xr.Dataset, dimensions: Sequence[str]) -> xr.DataArray:
    """How many runs of each kind are finished: those with a number in any measure."""
    there = [
        results[name].notnull().any([d for d in results[name].dims if d not in dimensions])
        for name in results.data_vars
        if set(dimensions) <= set(results[name].dims)
    ]
    found = there[0]
    for each in there[1:]:
        found = found | each
    return found.sum("run").drop_attrs()


def _listed(count: xr.DataArray) -> str:
    frame = count.to_dataframe("runs").reset_index()
    kinds = [name for name in frame.columns if name != "runs"]
    return ", ".join(
        f"{row['runs']} of {' '.join(f'{kind}={row[kind]}' for kind in kinds)}"
        for _, row in frame.iterrows()
    )


def endings(results: xr.Dataset, dimensions: Sequence[str]) -> xr.Dataset:
    """The measures of an experiment at the end of training, averaged over runs.

    Args:
      results: of `pve.load`.
      dimensions: names of a run's coordinates.

    Returns:
      Measures along the dimensions other than ``run``; for losses the mean of the last
      recorded ones, for what is measured at steps the last.
    """
    found: dict[str, xr.DataArray] = {}
    for name in map(str, results.data_vars):
        measure = results[name]
        others = set(measure.dims) - set(dimensions) - set(TIME)
        if others or not set(measure.dims) & set(dimensions):
            continue
        if not np.issubdtype(measure.dtype, np.number):
            continue
        if "logged_step" in measure.dims:
            measure = final_losses(measure)
        if "step" in measure.dims:
            measure = measure.isel(step=-1, drop=True)
        if "run" in measure.dims:
            measure = measure.mean("run")
        if measure.notnull().any():
            found[name] = measure
    return xr.Dataset(found).drop_vars(["run", *TIME], errors="ignore")


def by_seed(compared: xr.Dataset) -> pd.DataFrame:
    """Every seed's measures, a row for each seed and kind of run.

    Args:
      compared: of one experiment, see `load_seeds`.
    """
    return compared.to_dataframe().dropna(how="all").reset_index()


def spread_over_seeds(compared: xr.Dataset) -> pd.DataFrame:
    """How the seeds spread, a row for each measure and kind of run.

    Args:
      compared: of one experiment, see `load_seeds`.

    Returns:
      A table whose columns are the kind of run, ``measure``, ``seeds`` (how many have it),
      ``mean``, ``standard_deviation`` and ``standard_error`` of the mean (none for a single
      seed), ``lowest`` and ``highest``.
    """
    rows: list[pd.DataFrame] = []
    for name in map(str, compared.data_vars):
        frame = statistics(compared[name]).to_dataframe().reset_index()
        rows.append(frame.assign(measure=name))
    table = pd.concat(rows, ignore_index=True)
    kinds = [name for name in table.columns if name not in ("measure", "seeds", *SPREAD)]
    table = table[table["seeds"] > 0]
    return table[[*kinds, "measure", "seeds", *SPREAD]].reset_index(drop=True)


def statistics(measure: xr.DataArray) -> xr.Dataset:
    """What several seeds say of a measure together.

    Args:
      measure: ``(seed, …)``; NaN where a seed has none.

    Returns:
      ``(…)``: the columns of `spread_over_seeds`.
    """
    seeds = measure.notnull().sum("seed")
    squares = ((measure - measure.mean("seed")) ** 2).sum("seed")
    deviation = np.sqrt(squares / (seeds - 1).where(seeds > 1))  # of one there is none
    return xr.Dataset(
        {
            "seeds": seeds,
            "mean": measure.mean("seed"),
            "standard_deviation": deviation,
            "standard_error": deviation / np.sqrt(seeds.where(seeds > 0)),
            "lowest": measure.min("seed"),
            "highest": measure.max("seed"),
        }
    )
