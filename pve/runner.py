"""Which runs are due, who computes them, and where they continue.

The engine ``local`` has runs go side by side in threads, one per core; ``ray`` sends
them to a Ray cluster (`pve.cluster`). Either way a run's bits are its own: they depend on
the seed and the run's place alone, not on what else is computed, where or when.
"""

from __future__ import annotations

import contextlib
import functools
import os
import queue
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import threadpoolctl
from tqdm import tqdm

from pve.environments import fingerprint, make_environment
from pve.experiments import check_experiment
from pve.experiments.configs import Config
from pve.experiments.job import Task
from pve.folders import ExperimentFolder, identity
from pve.mdp import MDP
from pve.policies import check_seed
from pve.resumable import Assignment, End, attempt

ENGINES = ("local", "ray")
INTERRUPTS = (signal.SIGINT, signal.SIGTERM)
GRACE_SECONDS = 1.5  # after Ctrl-C, for the checkpoints to be written


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


class Forecast(NamedTuple):
    """What a call would do.

    Attributes:
      due: runs that are not finished.
      finished: runs that are.
      bytes: what the due runs will write.
    """

    due: int
    finished: int
    bytes: int


def forecast(experiment: str, config: Config, seed: int, data_dir: str | Path) -> Forecast:
    """What an experiment would still write, without starting it.

    Raises:
      ValueError: an argument or the folder is not legal.
    """
    module, env = _checked(experiment, config, seed)
    folder = ExperimentFolder(data_dir, experiment)
    folder.claim(identity(experiment, config, seed, fingerprint(env)))
    tasks = module.tasks(config)
    due = [task for task in tasks if not folder.run(task).finished]
    per_run = 0
    for task in due:
        per_run += _run_bytes(config, env, task)
    return Forecast(len(due), len(tasks) - len(due), per_run)


def extent(experiment: str, config: Config) -> Forecast:
    """What an experiment amounts to from nothing, without touching any folder.

    Args:
      experiment: ``"diameter"`` or ``"capacity"``.
      config: its setting.

    Returns:
      All its runs as due, and the bytes that they write.

    Raises:
      ValueError: an argument is not legal.
    """
    module, env = _checked(experiment, config, seed=0)
    tasks = module.tasks(config)
    written = sum(_run_bytes(config, env, task) for task in tasks)
    return Forecast(due=len(tasks), finished=0, bytes=written)


def _run_bytes(config: Config, env: MDP, task: Task) -> int:
    states, actions = env.num_states, env.num_actions
    curves = 4 * config.steps // config.log_every + 16 * config.steps // config.every
    rank = dict(task.coordinates).get("rank")
    if rank is not None:
        return curves + 4 * (states * actions + 2 * states * actions * rank)
    size = 4 * (states * actions + states * actions * states)
    return curves + size * (config.steps // config.every + 1)


def _checked(experiment: str, config: Config, seed: int) -> tuple[Any, MDP]:
    module = check_experiment(experiment)
    check_seed(seed)
    env = make_environment(config.env)
    for rank in getattr(config, "ranks", ()):
        if rank > env.num_states:
            raise ValueError(f"rank is {rank}; legal are the integers 1 … {env.num_states}")
    return module, env


def check_engine(engine: str, address: str | None = None) -> None:
    """Raise a ``ValueError`` unless the engine is known and installed, and fits."""
    if engine not in ENGINES:
        raise ValueError(f"engine is {engine!r}; legal are {', '.join(map(repr, ENGINES))}")
    if engine == "ray":
        from pve import cluster  # an optional extra: only those who ask for it need it

        cluster.require()
    elif address is not None:
        raise ValueError(
            f"address is {address!r} and engine {engine!r}; legal with an address is 'ray'"
        )


def run_experiment(
    experiment: str,
    config: Config,
    seed: int,
    data_dir: str | Path,
    *,
    progress: bool = True,
    stop: threading.Event | None = None,
    engine: str = "local",
    address: str | None = None,
) -> Report:
    """Compute the runs of an experiment that are not finished yet.

    Args:
      experiment: ``"diameter"`` or ``"capacity"``.
      config: its setting.
      seed: an integer from 0 to 2³² − 1.
      data_dir: the data folder; the experiment's own folder is made in it.
      progress: show a progress bar with an estimate of what remains.
      stop: set it from another thread to end early, checkpoints written.
      engine: ``"local"`` (threads, one per core) or ``"ray"``.
      address: of a running Ray cluster; None starts one on this machine.

    Returns:
      What became of each run. A failed run does not keep the others from going on.

    Raises:
      ValueError: an argument or the folder is not legal, or the folder holds another
        configuration.
      KeyboardInterrupt: on Ctrl-C or SIGTERM, after the runs have written their
        checkpoints.
    """
    check_engine(engine, address)
    module, env = _checked(experiment, config, seed)
    folder = ExperimentFolder(data_dir, experiment)
    wanted = folder.claim(identity(experiment, config, seed, fingerprint(env)))
    tasks = module.tasks(config)
    due = [task for task in tasks if not folder.run(task).finished]
    _check_disk(folder.path, config, env, due)
    folder.ask([task.name for task in tasks])
    assignment = Assignment(experiment, config, seed, env, folder.path.resolve(), wanted)
    stop = stop or threading.Event()
    bar = _Progress(experiment, config.steps, due, shown=progress)
    with bar, _interrupts_set(stop):
        if engine == "ray":
            from pve import cluster

            cluster.compute_on_cluster(assignment, due, bar, stop, address)
        else:
            _compute_in_threads(assignment, due, bar, stop)
    return Report(
        finished=[task.name for task in tasks if folder.run(task).finished],
        computed=[name for name, end in bar.ends.items() if end.kind == "computed"],
        failed={name: end.error for name, end in bar.ends.items() if end.kind == "failed"},
        elsewhere=[name for name, end in bar.ends.items() if end.kind == "elsewhere"],
        stopped=stop.is_set(),
    )


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


class _Progress:
    """What has been done, told by many threads and shown in one bar."""

    def __init__(self, name: str, steps: int, due: list[Task], *, shown: bool) -> None:
        self.ends: dict[str, End] = {}
        self._due = len(due)
        self._lock = threading.Lock()
        self._bar = tqdm(
            total=steps * sum(task.weight for task in due),
            desc=name,
            disable=not (shown and due),
            bar_format="{desc}: {percentage:3.0f}% |{bar}| {elapsed}, {remaining} to go"
            "{postfix}",
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
            self._bar.set_postfix_str(f"{computed}/{self._due} runs")


def _compute_in_threads(
    assignment: Assignment, due: list[Task], bar: _Progress, stop: threading.Event
) -> None:
    todo: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in due:
        todo.put(task)

    def work(done: threading.Event) -> None:
        try:
            while not stop.is_set():
                task = todo.get_nowait()
                advanced = functools.partial(bar.advanced, task)
                bar.ended(task, attempt(assignment, task, stop, advanced))
        except queue.Empty:
            pass
        finally:
            done.set()

    # A join that Ctrl-C interrupts takes its thread for ended (Python 3.11), hence events.
    ends = [threading.Event() for _ in range(os.cpu_count() or 1)]
    # One thread of linear algebra in each run: runs are what fills the cores.
    with threadpoolctl.threadpool_limits(1):
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


def _check_disk(path: Path, config: Config, env: MDP, due: list[Task]) -> None:
    needed = sum(_run_bytes(config, env, task) for task in due)
    free = shutil.disk_usage(path).free
    if needed > free:
        raise ValueError(
            f"data folder {str(path)!r} has {free / 1e9:.1f} GB free; the runs that are "
            f"due need {needed / 1e9:.1f} GB"
        )
