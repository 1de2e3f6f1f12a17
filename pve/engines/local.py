"""The engine ``local``: runs side by side in threads, one per core."""

from __future__ import annotations

import functools
import queue
import threading
import time

from pve import threads
from pve.engines.base import Listener
from pve.experiments.base import Task
from pve.runs.attempt import attempt
from pve.runs.folders import ONE_RUN_A_PROGRAM
from pve.runs.plan import Plan

GRACE_SECONDS = 1.5  # after Ctrl-C, for the checkpoints to be written


class Local:
    """One run a program, one program a core."""

    def arithmetic(self, plan: Plan) -> str:
        """One program for each run, wherever it is computed."""
        del plan
        return ONE_RUN_A_PROGRAM

    def announced(self, plan: Plan) -> str:
        """Nothing: the machine's cores are known."""
        del plan
        return ""

    def compute(
        self, plan: Plan, tasks: list[Task], tell: Listener, stop: threading.Event
    ) -> None:
        """Compute runs to their ends; see `pve.engines.base.Engine`."""
        todo: queue.SimpleQueue[Task] = queue.SimpleQueue()
        for task in tasks:
            todo.put(task)

        def work(done: threading.Event) -> None:
            try:
                while not stop.is_set():
                    task = todo.get_nowait()
                    advanced = functools.partial(tell.advanced, task)
                    tell.ended(task, attempt(plan, task, stop, advanced))
            except queue.Empty:
                pass
            finally:
                done.set()

        # A join that Ctrl-C interrupts takes its thread for ended (Python 3.11), hence
        # events.
        ends = [threading.Event() for _ in range(threads.num_cores())]
        with threads.linear_algebra():
            for done in ends:
                threading.Thread(target=work, args=(done,), daemon=True).start()
            try:
                for done in ends:
                    while not done.wait(0.1):  # a wait without limit would ignore Ctrl-C
                        pass
            except KeyboardInterrupt:
                stop.set()
                deadline = time.monotonic() + GRACE_SECONDS
                for done in ends:
                    done.wait(max(0.0, deadline - time.monotonic()))
                raise
