"""The engine ``ray``: runs on a Ray cluster, one task a run.

The workers write to the same data folder as the local engine does, so it must lie on
storage that all machines share. A task whose worker is lost is sent again and continues
from the run's last checkpoint. On equal machines the bits are those of the local engine.
Ray is an optional extra: ``pip install 'pve[ray]'``.
"""

from __future__ import annotations

import threading
from types import ModuleType
from typing import Any

from pve import provenance
from pve.experiments.job import Task
from pve.resumable import Assignment, End, attempt

RETRIES = 3  # of a task whose worker was lost


def require() -> ModuleType:
    """Import Ray; raise a ``ValueError`` that says how to get it if it is missing."""
    try:
        import ray
    except ImportError:
        raise ValueError(
            "engine is 'ray', but Ray is not installed: pip install 'pve[ray]'; legal "
            "without it is 'local'"
        ) from None
    return ray


def _attempt_alone(assignment: Assignment, task: Task) -> tuple[str, End]:
    import threadpoolctl

    provenance.settle_threads()
    with threadpoolctl.threadpool_limits(1):
        end = attempt(assignment, task, threading.Event(), lambda _: None)
    return task.name, end


def compute_on_cluster(
    assignment: Assignment,
    due: list[Task],
    bar: Any,
    stop: threading.Event,
    address: str | None,
) -> None:
    """Send runs to a cluster and wait for them.

    Args:
      assignment: what the runs belong to; its path must be shared by all machines.
      due: the runs.
      bar: told of each run's end.
      stop: set by another thread to leave the runs at their last checkpoints.
      address: of a running cluster; None starts one on this machine.

    Raises:
      ValueError: there is no cluster at the address.
      KeyboardInterrupt: on Ctrl-C; the runs stay at their last checkpoints.
    """
    ray = require()
    try:
        ray.init(address=address, include_dashboard=False, log_to_driver=False)
    except (ConnectionError, ValueError) as error:
        raise ValueError(
            f"address is {address!r}; legal is that of a running Ray cluster: {error}"
        ) from None
    try:
        remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_attempt_alone)
        shared = ray.put(assignment)
        waiting = {remote.remote(shared, task): task for task in due}
        while waiting and not stop.is_set():
            ready, _ = ray.wait(list(waiting), timeout=0.5)
            for reference in ready:
                task = waiting.pop(reference)
                try:
                    end = ray.get(reference)[1]
                except ray.exceptions.RayError as error:
                    end = End("failed", f"{type(error).__name__}: {error}")
                bar.advanced(task, assignment.config.steps)
                bar.ended(task, end)
    finally:
        ray.shutdown()
