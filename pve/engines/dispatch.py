"""Which runs are due, who computes them, and where they continue.

The engine ``local`` computes runs side by side in threads, one per core; ``ray`` sends
them to a Ray cluster; ``device`` trains many in one program, on an accelerator. Whichever
it is, a run's bits are its own: they depend on the seed, the run's place and the engine's
arithmetic, not on what else is computed, where or when.
"""

from __future__ import annotations

import contextlib
import importlib
import signal
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import jax
from tqdm import tqdm

from pve.checks import check_one_of, check_positive_number
from pve.defaults import check_devices
from pve.engines.base import Engine
from pve.engines.cost import check_disk
from pve.experiments import find_experiment
from pve.experiments.base import ExperimentSettings, Task
from pve.runs.attempt import End
from pve.runs.folders import ONE_RUN_A_PROGRAM, lanes_of
from pve.runs.plan import Plan, make_plan

# Looked up when asked for: each may need what the others do without.
ENGINES = {
    "local": "pve.engines.local.Local",
    "device": "pve.engines.device.Device",
    "ray": "pve.engines.ray.Ray",
}
OPTIONS = {"address": ("ray",), "lanes": ("device", "ray")}  # and whose they are
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)


class Report(NamedTuple):
    """What became of the runs that were asked for.

    Attributes:
      finished: names of all finished runs.
      computed: names of those that this call finished.
      failed: names and errors.
      elsewhere: names of runs that another process is computing.
      stopped: whether the call was interrupted before the end.
    """

    finished: list[str]
    computed: list[str]
    failed: dict[str, str]
    elsewhere: list[str]
    stopped: bool


def find_engine(
    name: str = "auto",
    experiment: str | None = None,
    *,
    address: str | None = None,
    lanes: int | None = None,
) -> Engine:
    """An engine by its name, ready to compute.

    Args:
      name: ``"local"``, ``"device"``, ``"ray"``, or ``"auto"``: ``device`` where JAX sees
        an accelerator and the experiment's runs go side by side, else ``local``.
      experiment: what it is for; None if its runs go side by side in one program.
      address: of a running Ray cluster, for ``ray`` alone.
      lanes: how many runs go side by side in one program, for ``device``, and for ``ray``
        on a cluster whose machines have accelerators.

    Raises:
      ValueError: the name is not known, an option is not the engine's, or what the engine
        needs is missing.
      TypeError: ``lanes`` is not an integer.
    """
    check_one_of("engine", name, ("auto", *ENGINES))
    check_devices()
    if name == "auto":
        alone = experiment and find_experiment(experiment).ONE_PROGRAM is None
        name = "local" if alone or jax.default_backend() == "cpu" else "device"
    options: dict[str, Any] = {"address": address, "lanes": lanes}
    given = {option: value for option, value in options.items() if value is not None}
    for option, value in given.items():
        if name not in OPTIONS[option]:
            raise ValueError(
                f"{option} is {value!r}, but the engine is {name!r}; expected the engine "
                f"{' or '.join(map(repr, OPTIONS[option]))} where {option} is given"
            )
    module, _, kind = ENGINES[name].rpartition(".")
    return getattr(importlib.import_module(module), kind)(**given)


def run_experiment(
    experiment: str,
    settings: ExperimentSettings,
    seed: int,
    data_dir: str | Path,
    *,
    progress: bool = True,
    stop: threading.Event | None = None,
    engine: str | Engine = "local",
    minutes: float | None = None,
) -> Report:
    """Compute the runs of an experiment that are not finished yet.

    Args:
      experiment: its name, such as ``"diameter"``.
      settings: of the experiment.
      seed: an integer from 0 to 2³² − 1.
      data_dir: the data folder; the experiment's own folder is made in it.
      progress: show a progress bar with an estimate of what remains.
      stop: set it from another thread to end early, after writing checkpoints.
      engine: a name, or what `find_engine` returns.
      minutes: end early after this many, likewise.

    Returns:
      What became of each run. A failed run does not stop the others.

    Raises:
      ValueError: an argument or the folder is not legal, the folder holds another
        configuration, or the disk has no room for the runs.
      KeyboardInterrupt: on Ctrl-C or SIGTERM, after the runs have written their
        checkpoints.
    """
    who = find_engine(engine, experiment) if isinstance(engine, str) else engine
    if minutes is not None:
        check_positive_number("minutes", minutes)
    plan = plan_for(who, experiment, settings, seed, data_dir)
    check_disk(plan)
    due = plan.due
    plan.folder.ask([task.name for task in plan.tasks])
    stop = stop or threading.Event()
    bar = _Progress(experiment, settings.run_steps, due, shown=progress)
    with bar, _interrupts_set(stop), _stopping_after(minutes, stop):
        who.compute(plan, due, bar, stop)
    return Report(
        finished=[task.name for task in plan.tasks if plan.folder.run(task).finished],
        computed=[name for name, end in bar.ends.items() if end.kind == "computed"],
        failed={name: end.error for name, end in bar.ends.items() if end.kind == "failed"},
        elsewhere=[name for name, end in bar.ends.items() if end.kind == "elsewhere"],
        stopped=stop.is_set(),
    )


def plan_for(
    engine: Engine,
    experiment: str,
    settings: ExperimentSettings,
    seed: int,
    data_dir: str | Path,
) -> Plan:
    """The plan of an experiment for an engine, its folder claimed.

    Raises:
      ValueError: an argument or the folder is not legal, or the folder holds another
        configuration.
    """
    plan = make_plan(experiment, settings, seed, data_dir)
    return plan.with_arithmetic(engine.arithmetic(plan)).claimed()


def engine_of(plan: Plan) -> Engine:
    """An engine that computes as a plan's identity says.

    Raises:
      ValueError: this machine has no such engine; the message says what it has.
    """
    wanted = plan.identity.get("arithmetic", ONE_RUN_A_PROGRAM)
    if wanted == ONE_RUN_A_PROGRAM:
        return find_engine("local")
    engine = find_engine("device", lanes=lanes_of(plan.identity))
    if (here := engine.arithmetic(plan)) != wanted:
        raise ValueError(f"arithmetic is {wanted!r}; expected {here!r} on this machine")
    return engine


@contextlib.contextmanager
def _stopping_after(minutes: float | None, stop: threading.Event) -> Iterator[None]:
    """Stop the runs when the time is over, if there is a limit."""
    if minutes is None:
        yield
        return
    timer = threading.Timer(60 * minutes, stop.set)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()


@contextlib.contextmanager
def _interrupts_set(stop: threading.Event) -> Iterator[None]:
    """Have Ctrl-C stop the runs even where its exception is raised out of sight.

    Python ignores an exception in a callback of its garbage collector, and JAX has one.
    What is lost there is raised at the end. SIGTERM, which schedulers send some seconds
    before they kill, counts as Ctrl-C.
    """
    if threading.current_thread() is not threading.main_thread():
        yield  # only the main thread is told of signals
        return
    seen = threading.Event()

    def interrupted(*_: object) -> None:
        seen.set()
        stop.set()
        raise KeyboardInterrupt

    before = {sent: signal.signal(sent, interrupted) for sent in INTERRUPTS}
    try:
        yield
    finally:
        for sent, handler in before.items():
            signal.signal(sent, handler)
    if seen.is_set():
        raise KeyboardInterrupt


SECONDS_BETWEEN_LINES = 30.0  # where there is no terminal to draw a bar in


class _Lines:
    """Where a bar is written when no terminal shows it: each of its states is a line."""

    def write(self, text: str) -> None:
        if text.strip():
            print(text.strip(), file=sys.stderr)

    def flush(self) -> None:
        sys.stderr.flush()


class _Progress:
    """A progress bar, or plain lines, that many threads report to."""

    def __init__(self, name: str, steps: int, due: list[Task], *, shown: bool) -> None:
        self.ends: dict[str, End] = {}
        self._due = len(due)
        self._lock = threading.Lock()
        self._drawn = sys.stderr.isatty()
        bar = "|{bar}| " if self._drawn else ""
        self._bar = tqdm(
            total=steps * sum(task.weight for task in due),
            desc=name,
            disable=not (shown and due),
            bar_format=f"{{desc}}: {{percentage:3.0f}}% {bar}{{elapsed}}, {{remaining}} "
            "to go{postfix}",
            file=None if self._drawn else _Lines(),
            mininterval=0.1 if self._drawn else SECONDS_BETWEEN_LINES,
            maxinterval=SECONDS_BETWEEN_LINES,
        )

    def __enter__(self) -> _Progress:
        return self

    def __exit__(self, *_: object) -> None:
        self._bar.close()

    def advanced(self, task: Task, steps: int) -> None:
        """Steps of a run were taken."""
        with self._lock:
            self._bar.update(steps * task.weight)

    def ended(self, task: Task, end: End) -> None:
        """A run came to an end."""
        with self._lock:
            self.ends[task.name] = end
            computed = sum(end.kind == "computed" for end in self.ends.values())
            self._bar.set_postfix_str(f"{computed}/{self._due} runs", refresh=self._drawn)
