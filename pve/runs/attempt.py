"""One run, one program: from wherever it stands to its record.

An experiment names what computes its runs (``COMPUTE``): `compute` here, step by step in
the one training loop, or `pve.runs.pieces.compute`.
"""

from __future__ import annotations

import contextlib
import pkgutil
import threading
from collections.abc import Callable
from typing import NamedTuple

import jax

from pve.defaults import jax_defaults
from pve.experiments.base import Task
from pve.runs.folders import RunFolder
from pve.runs.plan import Plan
from pve.runs.recorder import Recorder
from pve.training.loop import Stopped, run


class End(NamedTuple):
    """How an attempt at a run ended.

    Attributes:
      kind: ``"computed"``, ``"failed"``, ``"elsewhere"`` (another process owns the run)
        or ``"stopped"``.
      error: what a failed run raised; empty otherwise.
    """

    kind: str
    error: str = ""


def attempt(
    plan: Plan, task: Task, stop: threading.Event, advanced: Callable[[int], None]
) -> End:
    """Compute one run if nobody else does; record its error if it fails.

    Args:
      plan: what the run belongs to.
      task: which run.
      stop: set by another thread to end at the next chunk, after writing a checkpoint.
      advanced: called with numbers of steps: first those of the checkpoint, then those of
        each chunk.

    Returns:
      How the attempt ended.
    """
    files = RunFolder(plan.path, task.name)
    try:
        with files.owned() as mine:
            if not mine:
                return End("elsewhere")
            if not files.finished:  # another process may have just done it
                # On CPU cores, even beside an accelerator: the arithmetic says so.
                cpu = jax.local_devices(backend="cpu")[0]
                with jax.default_device(cpu), jax_defaults():
                    to_the_end = pkgutil.resolve_name(plan.module.COMPUTE)
                    to_the_end(files, plan, task, stop, advanced)
        return End("computed")
    except Stopped:
        return End("stopped")
    except Exception as error:  # recorded; the other runs go on
        return failed(files, error)


def failed(files: RunFolder, error: Exception) -> End:
    """Record a run's error, if possible; return how its attempt ended."""
    # If the disk is full or gone, the report still names the error.
    with contextlib.suppress(OSError):
        files.fail(error)
    return End("failed", f"{type(error).__name__}: {error}")


def compute(
    files: RunFolder,
    plan: Plan,
    task: Task,
    stop: threading.Event,
    advanced: Callable[[int], None],
) -> None:
    """Compute one run to its end, from its last checkpoint if there is one.

    Args:
      files: the run's folder, which the caller owns.
      plan: what the run belongs to.
      task: which run.
      stop: set by another thread to end at the next chunk, after writing a checkpoint.
      advanced: called with numbers of steps: first those of the checkpoint, then those of
        each chunk.

    Raises:
      Stopped: ``stop`` was set.
      FloatingPointError: a loss is not finite.
    """
    job = plan.prepare(task)
    if stop.is_set():
        raise Stopped
    recorder = Recorder(files, plan.settings, plan.identity, job)
    state = recorder.resume()
    advanced(recorder.step)
    try:
        for state, losses in run(  # noqa: B020
            state, job.problem, grid=plan.settings.every, stop=stop
        ):
            recorder.record(state, losses)
            advanced(len(losses))
    except Stopped:
        recorder.checkpoint(state)
        raise
    recorder.finish()
