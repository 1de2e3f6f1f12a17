"""One run, from wherever it stands to its record.

A run writes its snapshots as they are made, a checkpoint now and then, and its record
last; killed at any moment it continues from its last checkpoint and ends with the same
bits as if it had been left alone.
"""

from __future__ import annotations

import contextlib
import functools
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from pve import store
from pve.experiments import check_experiment
from pve.experiments.configs import Config
from pve.experiments.job import Job, Task
from pve.folders import SHARD, RunFolder
from pve.mdp import MDP
from pve.training import Stopped, run

CHECKPOINT_SECONDS = 20.0


class Assignment(NamedTuple):
    """What all runs of a call share; it can be sent to another machine.

    Attributes:
      experiment: its name.
      config: its setting.
      seed: the seed.
      env: the environment.
      path: the experiment's folder.
      wanted: its identity.
    """

    experiment: str
    config: Config
    seed: int
    env: MDP
    path: Path
    wanted: dict[str, Any]


class End(NamedTuple):
    """How an attempt at a run ended.

    Attributes:
      kind: ``"computed"``, ``"failed"``, ``"elsewhere"`` (another process owns the run)
        or ``"stopped"``.
      error: of a failed run.
    """

    kind: str
    error: str = ""


def attempt(
    assignment: Assignment,
    task: Task,
    stop: threading.Event,
    advanced: Callable[[int], None],
) -> End:
    """Compute one run if nobody else does; record its error if it fails.

    Args:
      assignment: what the run belongs to.
      task: which run.
      stop: set by another thread to end at the next chunk, a checkpoint written.
      advanced: told after each chunk how many steps were taken.
    """
    module = check_experiment(assignment.experiment)
    files = RunFolder(assignment.path, task.name)
    config, seed, env = assignment.config, assignment.seed, assignment.env
    prepare = functools.partial(module.prepare, config, seed, env, task)
    try:
        with files.owned() as mine:
            if not mine:
                return End("elsewhere")
            if not files.finished:  # another process may have just done it
                compute(files, config, assignment.wanted, stop, advanced, prepare)
        return End("computed")
    except Stopped:
        return End("stopped")
    except Exception as error:  # recorded; the other runs go on
        # On a disk that is full or gone the report still names the error.
        with contextlib.suppress(OSError):
            files.fail(error)
        return End("failed", f"{type(error).__name__}: {error}")


class _History:
    """What a run has measured so far: numbers in lists, snapshots until a shard is full."""

    def __init__(self, saved: dict[str, np.ndarray] | None = None) -> None:
        self.lists: dict[str, list[Any]] = {}
        for name, array in (saved or {}).items():
            self.lists[name] = list(array)

    def add(self, group: str, **values: Any) -> None:
        for name, value in values.items():
            self.lists.setdefault(f"{group}_{name}", []).append(value)

    def group(self, group: str) -> dict[str, np.ndarray]:
        prefix = f"{group}_"
        return {
            name.removeprefix(prefix): np.stack(values)
            for name, values in self.lists.items()
            if name.startswith(prefix) and values
        }

    def arrays(self) -> dict[str, np.ndarray]:
        return {name: np.stack(values) for name, values in self.lists.items() if values}

    def clear(self, group: str) -> None:
        for name in self.lists:
            if name.startswith(f"{group}_"):
                self.lists[name] = []


def compute(
    files: RunFolder,
    config: Config,
    wanted: dict[str, Any],
    stop: threading.Event,
    advanced: Callable[[int], None],
    prepare: Callable[[], Job],
) -> None:
    """Compute one run to its end, from its last checkpoint if there is one.

    Args:
      files: the run's folder, which the caller owns.
      config: the experiment's setting.
      wanted: the identity that the run's record names.
      stop: set by another thread to end at the next chunk, a checkpoint written.
      advanced: told after each chunk how many steps were taken.
      prepare: makes the run's job.

    Raises:
      Stopped: ``stop`` was set.
      FloatingPointError: a loss is not finite.
    """
    began = time.monotonic()
    job = prepare()
    if stop.is_set():
        raise Stopped
    saved = files.load_checkpoint(job.state)
    state, history = job.state, _History()
    if saved is not None:
        state, history = saved[0], _History(saved[1])
        advanced(int(state.step))
    else:
        _observe(job, state, 0, history, files, last=False)
    checkpointed = time.monotonic()
    step = int(state.step)
    try:
        for state, losses in run(  # noqa: B020
            state,
            job.key,
            job.data,
            model=job.model,
            order=job.order,
            recipe=job.recipe,
            discount=job.discount,
            grid=config.every,
            stop=stop,
        ):
            step += len(losses)
            for loss in losses:
                history.add("each", loss=loss)
            _average_losses(config, step, history)
            if step % config.every == 0:
                _observe(job, state, step, history, files, last=step == config.steps)
            advanced(len(losses))
            if time.monotonic() - checkpointed > CHECKPOINT_SECONDS:
                files.save_checkpoint(state, history.arrays())
                checkpointed = time.monotonic()
    except Stopped:
        files.save_checkpoint(state, history.arrays())
        raise
    logged, observed = history.group("logged"), history.group("observed")
    curves = xr.Dataset(
        {
            "loss": ("logged_step", logged["loss"]),
            **{
                name: ("step", values)
                for name, values in observed.items()
                if name != "step"
            },
        },
        coords={"logged_step": logged["step"], "step": observed["step"]},
    )
    shards = sorted(path.name for path in files.path.glob("snapshots-*.nc"))
    seconds = time.monotonic() - began
    facts = {
        "identity": store.digest(wanted),
        "steps": step,
        "seconds": round(seconds, 3),
    }
    files.finish(curves, shards, facts)


def _average_losses(config: Config, step: int, history: _History) -> None:
    """Turn each full interval of step losses into one recorded mean."""
    pending = history.lists["each_loss"]
    first = step - len(pending)
    while len(pending) >= config.log_every:
        interval, pending = pending[: config.log_every], pending[config.log_every :]
        first += config.log_every
        mean = np.float32(np.mean(interval, dtype=np.float64))
        history.add("logged", step=np.int64(first), loss=mean)
    history.lists["each_loss"] = pending


def _observe(
    job: Job, state: Any, step: int, history: _History, files: RunFolder, *, last: bool
) -> None:
    """Measure the model, keep its snapshot, and write a shard when it is full."""
    measures = {name: np.float64(x) for name, x in job.measure(state.params).items()}
    history.add("observed", step=np.int64(step), **measures)
    if not (job.snapshots or last):
        return
    history.add("pending", step=np.int64(step), **job.snapshot(state.params))
    pending = history.group("pending")
    steps = pending.pop("step")
    if len(steps) == SHARD or last:
        count = len(history.lists["observed_step"])
        index = (count - 1) // SHARD if job.snapshots else 0
        files.save_shard(index, steps, pending)
        history.clear("pending")
