r"""Models of limited rank under four losses: who plans, and after how much training.

A run of the capacity experiment is taken as it is, with its policies, initial parameters
and optimiser, and trained on another loss: the *likelihood*, order 1 with *random
functions* U(−1, 1), order 1 with the *values* of other policies of the same set, or the
policies' *own values*, which is the proper loss.

A build trains a few hundred thousand steps of this. `study` is the same with more ranks
and with trainings of several lengths; its results are shipped, and this trains them again::

    python -c "from pve.book import rivals; rivals.write('book/data/losses', seed=0)"
"""

from __future__ import annotations

import dataclasses
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from pve import threads
from pve.checks import check_one_of, check_positive_integer, check_seed
from pve.defaults import jax_defaults
from pve.equivalence.policies import random_functions
from pve.experiments import capacity
from pve.experiments.base import Job, Task
from pve.experiments.settings import CapacityConfig
from pve.keys import stream
from pve.mdp.core import MDP
from pve.mdp.planning import performance
from pve.runs import provenance, store
from pve.runs.meanings import described, origin
from pve.training.loop import fit
from pve.training.objective import Likelihood, OrderK, Proper
from pve.training.problem import Problem, make_data
from pve.worlds.gridworld import four_rooms

LOSSES = ("likelihood", "random functions", "values", "own values")
BLIND = LOSSES[:2]  # these know of no policy's value
MODE = "deterministic"
RANKS = (20, 40, 60, 80, 100)
MEANINGS = {  # for what no experiment has
    "length": "training steps of a run from its beginning to its end",
    "loss_name": "the loss that a model was trained by",
}
LENGTHS = (3_000, 24_000)
MANIFEST, FILE = "manifest.json", "losses.nc"
LAST = 100  # steps over which a final loss is the mean


def setting(steps: int, ranks: tuple[int, ...] = RANKS, runs: int = 3) -> CapacityConfig:
    """The build's setting of the capacity experiment, with other steps.

    Args:
      steps: of each training; the rate falls to zero over them.
      ranks: of the models.
      runs: how many of each.
    """
    check_positive_integer("steps", steps)
    return dataclasses.replace(
        capacity.preset("quick"), steps=steps, every=steps, log_every=steps,
        ranks=ranks, runs=runs, modes=(MODE,),
    )  # fmt: skip


def problem(loss: str, job: Job, seed: int, run: int, env: MDP) -> Problem:
    """A run of the capacity experiment, with another loss.

    Args:
      loss: one of `LOSSES`.
      job: the run, as `capacity.prepare` makes it.
      seed: of the experiment.
      run: the run's index; functions and permutations depend on it and on the seed.
      env: the environment.

    Returns:
      The problem. Policies, batches and optimiser are the run's own.

    Raises:
      ValueError: the loss is unknown.
    """
    check_one_of("loss", loss, LOSSES)
    own = job.problem
    if loss == "own values":
        return dataclasses.replace(own, objective=Proper())
    if loss == "likelihood":
        return dataclasses.replace(own, objective=Likelihood(), env=env)
    policies, functions = own.data.policies, np.asarray(own.data.values)
    if loss == "values":
        functions = np.random.default_rng((seed, run)).permutation(functions)
    else:
        key = stream(seed, "chapter", "baselines", f"run={run}")
        functions = random_functions(key, *functions.shape)
    data = make_data(env, policies, functions, 1)
    return dataclasses.replace(own, objective=OrderK(1), data=data)


class Trained(NamedTuple):
    """A model at the end of a training.

    Attributes:
      model: the model.
      losses: ``[steps]``, of the batch before each step.
    """

    model: MDP
    losses: np.ndarray


def train(
    loss: str, config: CapacityConfig, seed: int, env: MDP, *, rank: int, run: int
) -> Trained:
    """Train one model on a loss, from the start of the capacity run of its rank and index.

    Args:
      loss: one of `LOSSES`.
      config: of the capacity experiment.
      seed: of the experiment.
      env: the environment.
      rank: of the model.
      run: the index.
    """
    task = Task((("mode", MODE), ("rank", rank), ("run", run)), 1)
    job = capacity.prepare(config, seed, env, task)
    state, losses = fit(job.state, problem(loss, job, seed, run, env))
    return Trained(job.problem.model.mdp(state.params, float(env.discount)), losses)


@jax_defaults()
def study(
    seed: int,
    *,
    lengths: Iterable[int] = LENGTHS,
    ranks: tuple[int, ...] = RANKS,
    runs: Iterable[int] = range(3),
    base: CapacityConfig | None = None,
) -> xr.Dataset:
    """Train models on all losses at all ranks for several lengths, in Four Rooms.

    Args:
      seed: of the experiment.
      lengths: steps of a training.
      ranks: of the models.
      runs: indices of the runs.
      base: other settings of the capacity experiment than the build's.

    Returns:
      ``performance`` and ``loss`` (the mean of the last `LAST` steps) along ``length``,
      ``loss_name``, ``rank`` and ``run``.
    """
    check_seed(seed)
    env, rows = four_rooms().mdp, []
    lengths, runs = list(lengths), list(runs)
    base = base or setting(max(lengths), ranks)
    for run in runs:
        for name in LOSSES:
            for length in lengths:
                config = dataclasses.replace(
                    base, steps=length, every=length, log_every=length
                )
                for rank in ranks:
                    with threads.linear_algebra():
                        found = train(name, config, seed, env, rank=rank, run=run)
                    numbers = performance(found.model, env), found.losses[-LAST:].mean()
                    rows.append(numbers)
    axes = ("run", "loss_name", "length", "rank")
    sizes = [len(x) for x in (runs, LOSSES, lengths, ranks)]
    worth, last = np.array(rows).T.reshape(2, *sizes)
    return xr.Dataset(
        {"performance": (axes, worth), "loss": (axes, last)},
        {"run": runs, "loss_name": list(LOSSES), "length": lengths, "rank": list(ranks)},
    ).transpose("length", "loss_name", "rank", "run")


def numerical_code() -> str:
    """The hash of the code that decides the study's numbers."""
    return provenance.code_hash("pve.book.rivals.study")


def write(out: str | Path, seed: int, runs: int = 3) -> list[Path]:
    """Run the study and write it, with a manifest of what made it.

    Args:
      out: the folder to write to; it is made.
      seed: of the experiment.
      runs: how many; the file is written anew after each.

    Returns:
      The file and the manifest.
    """
    folder, started = store.make_folder(Path(out)), time.monotonic()
    config = setting(max(LENGTHS)).identity()
    identity: dict[str, Any] = {
        **{k: v for k, v in config.items() if k not in ("steps", "every", "log_every")},
        "lengths": list(LENGTHS),
        "seed": seed,
        "code": numerical_code(),
        **provenance.versions(),
    }
    parts = []
    for run in range(runs):
        parts.append(study(seed, runs=[run]))
        together = described(
            xr.concat(parts, "run"),
            capacity.NAME,
            origin("models of limited rank under four losses", identity),
        )
        for name in MEANINGS.keys() & together.variables.keys():
            together[name].attrs = {"long_name": MEANINGS[name], "units": "1"}
        checksum = store.write_dataset(folder / FILE, together)
        manifest = {
            "identity": identity,
            "machine": provenance.machine(),
            "seconds": round(time.monotonic() - started, 1),
            "checksum": checksum,
        }
        store.write_record(folder / MANIFEST, manifest)
    return [folder / FILE, folder / MANIFEST]


def load(folder: str | Path) -> xr.Dataset:
    """Read what `write` has written.

    Args:
      folder: where it was written.

    Returns:
      What `study` gave, with the identity, the machine and the seconds as attributes.

    Raises:
      pve.runs.store.CorruptFile: a file is missing or damaged.
    """
    manifest = store.read_record(Path(folder) / MANIFEST)
    found = store.read_dataset(Path(folder) / FILE, manifest["checksum"])
    found.attrs = {
        **manifest["identity"],
        "machine": manifest["machine"],
        "seconds": manifest["seconds"],
    }
    return found
