"""The engine ``ray``: runs on a Ray cluster.

On cores each run is a task; with lanes, a group of runs that share an accelerator is. The
workers write to the same data folder as the local engine does, so it must lie on
storage that all machines share. A task whose worker is lost is sent again and continues
from the run's last checkpoint. On identical machines the bits are the local engine's.
Ray is an optional extra: in the clone, ``pip install -e '.[ray]'``.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
import sys
import threading
from collections.abc import Iterator
from types import ModuleType

from pve import threads
from pve.checks import check_positive_integer
from pve.engines.base import Ends, Listener
from pve.engines.device import Device, groups
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


def _attempt_alone(plan: Plan, tasks: list[Task]) -> list[tuple[Task, End]]:
    threads.settle_threads()
    with threads.linear_algebra():
        return [(t, attempt(plan, t, threading.Event(), lambda _: None)) for t in tasks]


def _attempt_in_lanes(plan: Plan, tasks: list[Task], lanes: int) -> list[tuple[Task, End]]:
    threads.settle_threads()
    ends = Ends()
    with threads.linear_algebra():
        Device(lanes).compute(plan, tasks, ends, threading.Event())
    return ends.noted


def _arithmetic_in_lanes(plan: Plan, lanes: int) -> str:
    return Device(lanes).arithmetic(plan)


class Ray:
    """A task on the cluster for each run, or for the runs that share an accelerator.

    A folder has one arithmetic, and so a call uses one of both.

    Args:
      address: of a running cluster; None for the one that the environment variable
        RAY_ADDRESS names, or else for one that is started on this machine.
      lanes: send groups of so many runs to machines with accelerators, where each is one
        program of the engine ``device``; None for single runs on cores.

    Raises:
      ValueError: Ray is not installed, or the number of lanes is not legal.
      TypeError: the number of lanes is not an integer.
    """

    def __init__(self, address: str | None = None, lanes: int | None = None) -> None:
        if lanes is not None:
            check_positive_integer("lanes", lanes)
        self.address, self.lanes = address, lanes
        self._ray, self._answered = require(), False

    def arithmetic(self, plan: Plan) -> str:
        """One program for each run, or lanes on the kind of device that the cluster has.

        Raises:
          ValueError: there is no cluster, none of its machines has an accelerator, or that
            many lanes do not fit its memory.
        """
        if self.lanes is None:
            return ONE_RUN_A_PROGRAM
        with self._joined() as ray:
            if not ray.cluster_resources().get("GPU", 0):
                raise ValueError(
                    f"lanes is {self.lanes}, but no machine of the Ray cluster has an "
                    "accelerator; expected none, for single runs on cores"
                )
            asked = ray.remote(num_gpus=1)(_arithmetic_in_lanes)
            try:
                return ray.get(asked.remote(plan, self.lanes))
            except ray.exceptions.RayTaskError as error:
                raise ValueError(str(error.cause)) from None

    def announced(self, plan: Plan) -> str:
        """Nothing: how large the cluster is shows when it is joined."""
        del plan
        return ""

    def compute(
        self, plan: Plan, tasks: list[Task], tell: Listener, stop: threading.Event
    ) -> None:
        """Send runs to the cluster and wait for them; see `pve.engines.base.Engine`.

        The plan's folder must be shared by all machines. If ``stop`` is set, or on
        Ctrl-C, the runs stay at their last checkpoints.

        Raises:
          ValueError: there is no cluster at the address.
        """
        with self._joined() as ray:
            shared = ray.put(plan)
            if self.lanes is None:
                alone = ray.remote(num_cpus=1, max_retries=RETRIES)(_attempt_alone)
                waiting = {alone.remote(shared, [task]): [task] for task in tasks}
            else:
                lanes = ray.remote(num_gpus=1, max_retries=RETRIES)(_attempt_in_lanes)
                waiting = {
                    lanes.remote(shared, group, self.lanes): group
                    for group in groups(plan, tasks, self.lanes)
                }
            while waiting and not stop.is_set():
                ready, _ = ray.wait(list(waiting), timeout=0.5)
                for reference in ready:
                    group = waiting.pop(reference)
                    try:
                        ends = ray.get(reference)
                    except ray.exceptions.RayError as error:
                        end = End("failed", f"{type(error).__name__}: {error}")
                        ends = [(task, end) for task in group]
                    for task, end in ends:
                        tell.advanced(task, plan.settings.run_steps)
                        tell.ended(task, end)

    @contextlib.contextmanager
    def _joined(self) -> Iterator[ModuleType]:
        """Ray, having joined the cluster."""
        ray, named = self._ray, os.environ.get("RAY_ADDRESS")
        address = self.address or named or "local"
        try:
            if not self._answered:
                _knock(address)
                self._answered = True
            ray.init(address=address, include_dashboard=False, log_to_driver=False)
        except (OSError, ValueError) as error:
            name = "address" if self.address or not named else "RAY_ADDRESS"
            raise ValueError(
                f"{name} is {address!r}; expected that of a running Ray cluster: {error}"
            ) from None
        try:
            yield ray
        finally:
            ray.shutdown()
