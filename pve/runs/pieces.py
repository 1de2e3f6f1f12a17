"""One run, computed piece by piece by its own program: from where it stands to its record.

Between two pieces the run can stop; a checkpoint holds the state and what the pieces so far
have left, so that it ends with the same bits as if it had been left alone.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable

import numpy as np

from pve.experiments.base import Task
from pve.runs import store
from pve.runs.folders import RunFolder
from pve.runs.plan import Plan
from pve.runs.recorder import CHECKPOINT_SECONDS
from pve.training.loop import Stopped


def compute(
    files: RunFolder,
    plan: Plan,
    task: Task,
    stop: threading.Event,
    advanced: Callable[[int], None],
) -> None:
    """Compute one run to its end; see `pve.runs.attempt.compute`.

    Args:
      files: the run's folder, which the caller owns.
      plan: what the run belongs to; its experiment prepares a `PiecewiseJob`.
      task: which run.
      stop: set by another thread to end at the next piece, after writing a checkpoint.
      advanced: called with numbers of steps: first those of the checkpoint, then those of
        each piece.

    Raises:
      Stopped: ``stop`` was set.
      FloatingPointError: a loss is not finite.
    """
    began = checkpointed = time.monotonic()
    job = plan.prepare(task)
    state, left = files.load_checkpoint(job.state) or (job.state, {})
    done = len(next(iter(left.values()), ()))
    advanced(done * job.steps)
    for number in range(done, job.pieces):
        if stop.is_set():
            if number:
                files.save_checkpoint(state, left)
            raise Stopped
        state, piece = job.advance(state)
        left = {
            name: np.concatenate([*([left[name]] if number else []), array[None]])
            for name, array in piece.items()
        }
        advanced(job.steps)
        if time.monotonic() - checkpointed > CHECKPOINT_SECONDS:
            files.save_checkpoint(state, left)
            checkpointed = time.monotonic()
    steps = job.pieces * job.steps
    model = {name: array[None] for name, array in job.snapshot(state).items()}
    shard = files.save_shard(0, np.array([steps]), model)
    facts = {
        "identity": store.digest(plan.identity),
        "steps": steps,
        "seconds": round(time.monotonic() - began, 3),
    }
    files.finish(job.results(state, left), [shard], facts)
