"""Pairs of agents, with and without past policies, and their measures in a file."""

from __future__ import annotations

import dataclasses
import json
import time
from pathlib import Path

import jax
import jax.numpy as jnp
import xarray as xr

from pve.checks import Array, check_seed
from pve.keys import stream
from pve.muzero.agent import ARMS, Settings, train
from pve.muzero.predictions import measure
from pve.runs import provenance, store
from pve.runs.meanings import described
from pve.threads import side_by_side
from pve.worlds.gridworld import four_rooms


def run(seed: int, settings: Settings) -> xr.Dataset:
    """Train and measure all agents of a seed on Four Rooms, side by side.

    Returns:
      The measures of `measure` along ``run`` and ``arm``, with a manifest as attributes.
    """
    started = time.monotonic()
    env = four_rooms().mdp
    single = jax.tree.map(lambda array: jnp.asarray(array, jnp.float32), env)
    program = train.lower(run_key(seed, 0), single, jnp.float32(0), settings).compile()

    def one(item: tuple[int, str]) -> xr.Dataset:
        index, arm = item
        trace = program(run_key(seed, index), single, jnp.float32(ARMS[arm]))
        key = stream(seed, "muzero", f"run={index}", "asked")
        return measure(key, env, trace, settings)

    items = [(index, arm) for index in range(settings.runs) for arm in ARMS]
    found = side_by_side(one, items)
    rows = [
        xr.concat(found[i : i + len(ARMS)], "arm") for i in range(0, len(found), len(ARMS))
    ]
    dataset = xr.concat(rows, "run").assign_coords(arm=list(ARMS))
    dataset.attrs = {
        "settings": json.dumps(dataclasses.asdict(settings)),
        "seed": check_seed(seed),
        "code": numerical_code(),
        "versions": json.dumps(provenance.versions()),
        "machine": json.dumps(provenance.machine()),
        "seconds": round(time.monotonic() - started, 1),
    }
    return dataset


def numerical_code() -> str:
    """The hash of the code that decides the study's numbers."""
    return provenance.code_hash("pve.muzero.study.run")


def run_key(seed: int, index: int) -> Array:
    """The random key of a pair of agents."""
    return stream(seed, "muzero", f"run={index}")


def load(path: Path | str) -> xr.Dataset:
    """Read a summary that `run` made and the command or the book stored.

    Raises:
      CorruptFile: the file is missing or damaged.
    """
    return store.read_dataset(Path(path))


def settings_of(summary: xr.Dataset) -> Settings:
    """The settings that a summary was made with."""
    return Settings(**json.loads(summary.attrs["settings"]))


def load_or_run(path: Path, seed: int, settings: Settings) -> xr.Dataset:
    """Read a stored summary if it answers the same question, else run and store it."""
    if path.exists():
        try:
            found = load(path)
        except store.CorruptFile:
            pass
        else:
            same = provenance.same_numbers(numerical_code(), found.attrs["code"])
            same = same and settings_of(found) == settings
            if same and found.attrs["seed"] == seed:
                return found
    path.parent.mkdir(parents=True, exist_ok=True)
    store.write_dataset(path, described(run(seed, settings)))
    return load(path)
