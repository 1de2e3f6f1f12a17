"""The engine ``device``: many runs in one program, for an accelerator.

Runs of one kind stand side by side in lanes (`pve.training.lanes`), a fixed number of
them: where fewer runs are due, the other lanes hold copies that nobody looks at, since the
number of lanes decides the last bits. Data and first states are made on the host's cores,
as the engine ``local`` makes them, bit for bit. While the device takes its steps, the host
measures the models of the previous chunk, and writes.

Without an accelerator the same program runs on the cores, slower than the engine ``local``;
that is how it is tested.
"""

from __future__ import annotations

import contextlib
import dataclasses
import os
import threading
from collections import Counter
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pve import threads
from pve.checks import check_positive_integer
from pve.defaults import jax_defaults, on_cpu_cores
from pve.engines.base import Listener
from pve.engines.cost import in_bytes
from pve.experiments.base import Task
from pve.mdp.power import LARGEST
from pve.runs.attempt import End, failed
from pve.runs.folders import RunFolder, in_lanes, lanes_of
from pve.runs.plan import Plan
from pve.runs.recorder import Recorder
from pve.training.lanes import advance_lanes, for_device
from pve.training.loop import State, boundaries, check_losses
from pve.training.problem import Data, Problem

SHARE = 0.8  # of the device's memory that lanes may fill: the rest is the program's


class Device:
    """Lanes of runs on the first device that JAX sees.

    Args:
      lanes: how many runs a program trains; None for as many as a folder was begun with,
        or as the device's memory holds.

    Raises:
      ValueError: the number of lanes is not legal.
      TypeError: it is not an integer.
    """

    def __init__(self, lanes: int | None = None) -> None:
        if lanes is not None:
            check_positive_integer("lanes", lanes)
        self.lanes = lanes
        self.device = jax.devices()[0]

    def arithmetic(self, plan: Plan) -> str:
        """How it rounds: the number of lanes and the kind of device.

        Raises:
          ValueError: the experiment's runs do not go side by side, or that many lanes do
            not fit the device's memory.
        """
        if plan.module.ONE_PROGRAM is None:
            raise ValueError(
                f"engine is 'device'; expected 'local' or 'ray' for {plan.experiment}: "
                "its runs cannot share a program"
            )
        return in_lanes(self.width(plan), self.device.device_kind)

    def width(self, plan: Plan) -> int:
        """How many lanes a plan's programs have.

        Raises:
          ValueError: that many do not fit the device's memory.
        """
        # The data of all lanes are made on this machine, which must hold them, too.
        here = int(SHARE * machine_memory() / data_bytes(plan))
        fitting = min(fitting_lanes(plan, self.memory()), here)
        if fitting < 1:
            raise ValueError(
                f"a run needs {lane_bytes(plan) / SHARE / 1e9:.1f} GB of the device's "
                f"{self.memory() / 1e9:.1f} GB of memory; use fewer policies or the engine "
                "'local'"
            )
        begun = lanes_of(plan.folder.identity()) if plan.folder.manifest.exists() else None
        wanted = self.lanes or begun
        if wanted is None:
            return fitting
        most = min(most_lanes(plan, self.memory()), here)
        if wanted > most:
            raise ValueError(
                f"lanes is {wanted}; expected 1 to {most} with "
                f"{self.memory() / 1e9:.1f} GB of memory"
            )
        return wanted

    def announced(self, plan: Plan) -> str:
        """What is said before anything starts: the device, its lanes and the memory."""
        width = self.width(plan)
        return (
            f"{width} lanes on {self.device.device_kind}: "
            f"{in_bytes(width * lane_bytes(plan))} of its {in_bytes(self.memory())} of "
            f"memory, {in_bytes(width * data_bytes(plan))} of this machine's"
        )

    def memory(self) -> int:
        """The device's memory in bytes; on CPU cores, half of the machine's."""
        stats = self.device.memory_stats()
        if stats and "bytes_limit" in stats:
            return int(stats["bytes_limit"])
        return machine_memory() // 2

    def compute(
        self, plan: Plan, tasks: list[Task], tell: Listener, stop: threading.Event
    ) -> None:
        """Compute runs to their ends; see `pve.engines.base.Engine`.

        Raises:
          ValueError: the device ran out of memory; the message says how many lanes may fit.
        """
        width = self.width(plan)
        for group in groups(plan, tasks, width):
            if stop.is_set():
                return
            try:
                with contextlib.ExitStack() as held:
                    self._compute_group(plan, group, width, tell, stop, held)
            except jax.errors.JaxRuntimeError as error:
                if "RESOURCE_EXHAUSTED" not in str(error):
                    raise
                try_ = (
                    f"fewer lanes, such as {width // 2}"
                    if width > 1
                    else "fewer policies, or the engine 'local'"
                )
                raise ValueError(
                    f"the device ran out of memory with {width} lanes; try {try_}"
                ) from None

    def _compute_group(
        self,
        plan: Plan,
        tasks: list[Task],
        width: int,
        tell: Listener,
        stop: threading.Event,
        held: contextlib.ExitStack,
    ) -> None:
        mine: list[_Lane] = []
        for task in tasks:
            files = RunFolder(plan.path, task.name)
            if not held.enter_context(files.owned()):
                tell.ended(task, End("elsewhere"))
            elif files.finished:  # another process has just done it
                tell.ended(task, End("computed"))
            else:
                mine.append(_Lane(len(mine), task, files))
        if mine:
            group = _Group(plan, mine, width, self.device, tell)
            group.run(stop)


@dataclasses.dataclass
class _Lane:
    """A run in its lane; ``state`` is where its recorder stands, on the host."""

    index: int
    task: Task
    files: RunFolder
    recorder: Recorder | None = None
    state: State | None = None
    ended: bool = False


class _Group:
    """Runs that one program trains together."""

    def __init__(
        self, plan: Plan, lanes: list[_Lane], width: int, device: Any, tell: Listener
    ) -> None:
        self.plan, self.lanes, self.tell = plan, lanes, tell
        self.width, self.device = width, device

    @jax_defaults()
    def run(self, stop: threading.Event) -> None:
        """Train all lanes to their ends, or until ``stop`` is set."""
        states, problems = self._start()
        for lane in self.lanes:
            self._finish(lane)
        under_way: tuple[State, Any, int] | None = None
        try:
            while not stop.is_set():
                length = self._next_length(0 if under_way is None else under_way[2])
                # The next chunk is dispatched before the last one is fetched, so that
                # the device is at work while the host measures and writes.
                following = None
                if length:
                    states, losses = advance_lanes(states, problems, length)
                    following = (states, losses, length)
                if under_way is not None:
                    self._take_in(*under_way)
                under_way = following
                if under_way is None:
                    return
            if under_way is not None:
                self._take_in(*under_way)
        except KeyboardInterrupt:
            stop.set()
            raise
        finally:
            self._checkpoint()

    def _start(self) -> tuple[State, Problem]:
        """Make all runs ready on the host's cores, and put them on the device."""
        data: list[np.ndarray] = []
        lock = threading.Lock()

        def prepare(lane: _Lane) -> tuple[State, Problem]:
            with on_cpu_cores():
                job = self.plan.prepare(lane.task)
            with lock:
                if not data:
                    shapes = [(self.width, *np.shape(x)) for x in job.problem.data]
                    data.extend(np.zeros(shape, np.float32) for shape in shapes)
            for whole, part in zip(data, job.problem.data, strict=True):
                whole[lane.index] = part
            # The data are in `data` now, and can be dropped here.
            problem = dataclasses.replace(job.problem, data=Data(*[np.zeros(0)] * 3))
            job = job._replace(problem=problem)
            plan = self.plan
            lane.recorder = Recorder(lane.files, plan.settings, plan.identity, job)
            with on_cpu_cores():
                lane.state = lane.recorder.resume()
            return lane.state, problem

        ready = threads.side_by_side(prepare, self.lanes, one_thread_each=True)
        for lane in self.lanes:
            self.tell.advanced(lane.task, self._step(lane))
        spare = self.width - len(ready)
        for whole in data:
            whole[len(ready) :] = whole[0]
        ready += [ready[0]] * spare
        with jax.default_device(self.device):
            states = jax.tree.map(lambda *leaves: np.stack(leaves), *(s for s, _ in ready))
            states = jax.device_put(states, self.device)
            keys = jax.random.wrap_key_data(
                jnp.stack([np.asarray(jax.random.key_data(p.key)) for _, p in ready]),
                impl=jax.random.key_impl(ready[0][1].key),
            )
            problem = dataclasses.replace(
                ready[0][1],
                key=keys,
                data=jax.device_put(Data(*data), self.device),
                objective=for_device(
                    ready[0][1].objective, self.device, self.plan.env.num_states
                ),
            )
        return states, problem

    def _step(self, lane: _Lane) -> int:
        assert lane.recorder is not None
        return lane.recorder.step

    def _next_length(self, ahead: int) -> int:
        """Steps to the next moment at which some lane's chunk ends; 0 if none goes on.

        Args:
          ahead: steps that are already under way.
        """
        settings = self.plan.settings
        ends = []
        for lane in self.lanes:
            step = self._step(lane) + ahead
            if not lane.ended and step < settings.steps:
                chunk = self._chunk()
                end = boundaries(step, settings.steps, chunk, settings.every)[0]
                ends.append(end - step)
        return min(ends, default=0)

    def _chunk(self) -> int:
        recorder = self.lanes[0].recorder
        assert recorder is not None
        return recorder.job.problem.objective.chunk

    def _take_in(self, states: State, losses: Any, length: int) -> None:
        """Record a chunk's end in all lanes, measured on the cores, not on the device."""
        host, found = jax.device_get((states, losses))

        @on_cpu_cores()
        def take_in(lane: _Lane) -> None:
            step, recorder = self._step(lane), lane.recorder
            assert recorder is not None
            if lane.ended:
                return
            state = jax.tree.map(lambda leaf: leaf[lane.index], host)
            try:
                check_losses(found[lane.index], step)
                recorder.record(state, found[lane.index])
                lane.state = state
                self.tell.advanced(lane.task, length)
            except Exception as error:  # recorded; the other runs go on
                self._end(lane, failed(lane.files, error))
            else:
                self._finish(lane)

        threads.side_by_side(take_in, self.lanes, one_thread_each=True)

    def _finish(self, lane: _Lane) -> None:
        """Write what ends a run whose steps are all taken, perhaps by a killed process."""
        recorder = lane.recorder
        assert recorder is not None
        if recorder.step != self.plan.settings.steps:
            return
        try:
            recorder.finish()
        except Exception as error:  # recorded; the other runs go on
            self._end(lane, failed(lane.files, error))
        else:
            self._end(lane, End("computed"))

    def _end(self, lane: _Lane, end: End) -> None:
        lane.ended = True
        self.tell.ended(lane.task, end)

    def _checkpoint(self) -> None:
        """Write a checkpoint of each lane that has not ended."""
        for lane in self.lanes:
            if not lane.ended:
                assert lane.recorder is not None
                lane.recorder.checkpoint(lane.state)
                self._end(lane, End("stopped"))


def groups(plan: Plan, tasks: list[Task], width: int) -> list[list[Task]]:
    """Runs of one kind together, at most so many as a program has lanes."""
    kinds: dict[Any, list[Task]] = {}
    for task in tasks:
        kinds.setdefault(_kind(plan, task), []).append(task)
    return [
        alike[first : first + width]
        for alike in kinds.values()
        for first in range(0, len(alike), width)
    ]


def machine_memory() -> int:
    """This machine's memory in bytes, without that of its devices."""
    return os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")


def most_lanes(plan: Plan, memory: int) -> int:
    """How many lanes of a plan's runs fit in a device's memory, given in bytes."""
    return int(SHARE * memory / lane_bytes(plan))


def fitting_lanes(plan: Plan, memory: int) -> int:
    """The number of lanes where none is asked for: no more than runs of one kind."""
    kinds = Counter(_kind(plan, task) for task in plan.tasks)
    return min(most_lanes(plan, memory), max(kinds.values()))


def _kind(plan: Plan, task: Task) -> tuple[Any, ...]:
    """What runs have in common that one program trains."""
    return tuple(task[name] for name in plan.module.ONE_PROGRAM)


def lane_bytes(plan: Plan) -> int:
    """The bytes of a device's memory that a lane takes: its data, state and step.

    Args:
      plan: what is to be computed; the costliest of its kinds counts.
    """
    settings, states = plan.settings, plan.env.num_states
    pairs = states * plan.env.num_actions
    parameters = pairs * (1 + 2 * states)
    padded = LARGEST if states <= LARGEST else states
    iterates = 2 * plan.module.applications(settings) * settings.batch * padded
    outer = settings.batch * (pairs + padded**2)
    return data_bytes(plan) + 4 * (8 * parameters + iterates + outer)


def data_bytes(plan: Plan) -> int:
    """The bytes of the data of a lane: policies, functions and targets in float32."""
    states = plan.env.num_states
    return 4 * plan.settings.policies * states * (plan.env.num_actions + 2)
