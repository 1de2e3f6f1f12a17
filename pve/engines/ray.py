"""The engine ``ray``: runs on a Ray cluster, one task a run.

The workers write to the same data folder as the local engine does, so it must lie on
storage that all machines share. A task whose worker is lost is sent again and continues
from the run's last checkpoint. On identical machines the bits are the local engine's.
Ray is an optional extra: in the clone, ``pip install -e '.[ray]'``.
"""

from __future__ import annotations

import os
import socket
import subprocess
import sys
import threading
from types import ModuleType

from pve import threads
from pve.engines.base import Listener
from pve.experiments.base import Task
from pve.runs.attempt import End, attempt
from pve.runs.folders import ONE_RUN_A_PROGRAM
from pve.runs.plan import Plan

PATIENCE = 30.0  # seconds within which a cluster's address must answer
RETRIES = 3  # of a task whose worker was lost


def require() -> ModuleType:
    """Import Ray; raise a ``ValueError`` that says how to get it if it is missing."""
    try:
        import ray
    except ImportError:
        raise ValueError(
            "engine is 'ray', but Ray is not installed: in the clone, pip install -e "
            "'.[ray]'; expected 'local' without it"
        ) from None
    return ray


# Run by another process, which can be given up: Ray itself tries for minutes.
JOIN = (
    "import ray, sys; "
    "ray.init(address=sys.argv[1], include_dashboard=False, log_to_driver=False)"
)


def _knock(address: str) -> None:
    """Raise an ``OSError`` if no cluster answers at HOST:PORT within `PATIENCE`."""
    host, _, port = address.rpartition("://")[2].rpartition(":")
    if not (host and port.isdigit()):
        return
    socket.create_connection((host.strip("[]"), int(port)), timeout=PATIENCE).close()
    try:
        joined = subprocess.run(
            [sys.executable, "-c", JOIN, address], capture_output=True, timeout=PATIENCE
        )
    except subprocess.TimeoutExpired:
        raise OSError(f"what answers there is no Ray cluster ({PATIENCE:g} s)") from None
    if joined.returncode:
        *_, last = joined.stderr.decode(errors="replace").strip().splitlines() or [""]
        raise OSError(last)


def _attempt_alone(plan: Plan, task: Task) -> End:
    threads.settle_threads()
    with threads.linear_algebra():
        return attempt(plan, task, threading.Event(), lambda _: None)


class Ray:
    """One task on the cluster for each run.

    Args:
      address: of a running cluster; None for the one that the environment variable
        RAY_ADDRESS names, or else for one that is started on this machine.

    Raises:
      ValueError: Ray is not installed.
    """

    def arithmetic(self, plan: Plan) -> str:
        """One program for each run, wherever it is computed."""
        del plan
        return ONE_RUN_A_PROGRAM

    def announced(self, plan: Plan) -> str:
        """Nothing: how large the cluster is shows when it is joined."""
        del plan
        return ""

    def __init__(self, address: str | None = None) -> None:
        self.address = address
        self._ray = require()

    def compute(
        self, plan: Plan, tasks: list[Task], tell: Listener, stop: threading.Event
    ) -> None:
        """Send runs to the cluster and wait for them; see `pve.engines.base.Engine`.

        The plan's folder must be shared by all machines. If ``stop`` is set, or on
        Ctrl-C, the runs stay at their last checkpoints.

        Raises:
          ValueError: there is no cluster at the address.
        """
        ray, named = self._ray, os.environ.get("RAY_ADDRESS")
        address = self.address or named or "local"
        try:
            _knock(address)
            ray.init(address=address, include_dashboard=False, log_to_driver=False)
        except (OSError, ValueError) as error:
            name = "address" if self.address or not named else "RAY_ADDRESS"
            raise ValueError(
                f"{name} is {address!r}; expected that of a running Ray cluster: {error}"
            ) from None
        try:
            remote = ray.remote(num_cpus=1, max_retries=RETRIES)(_attempt_alone)
            shared = ray.put(plan)
            waiting = {remote.remote(shared, task): task for task in tasks}
            while waiting and not stop.is_set():
                ready, _ = ray.wait(list(waiting), timeout=0.5)
                for reference in ready:
                    task = waiting.pop(reference)
                    try:
                        end = ray.get(reference)
                    except ray.exceptions.RayError as error:
                        end = End("failed", f"{type(error).__name__}: {error}")
                    tell.advanced(task, plan.settings.run_steps)
                    tell.ended(task, end)
        finally:
            ray.shutdown()
