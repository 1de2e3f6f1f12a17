"""Which runs are due, who computes them, and where they continue.

Runs go side by side in threads, one per core. A run writes its snapshots as they are
made, a checkpoint now and then, and its record last; killed at any moment it continues
from its last checkpoint and ends with the same bits as if it had been left alone.
"""

from __future__ import annotations

import contextlib
import dataclasses
import functools
import os
import queue
import shutil
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import threadpoolctl
import xarray as xr
from tqdm import tqdm

from pve import store
from pve.environments import fingerprint, make_environment
from pve.experiments import check_experiment
from pve.experiments.configs import Config
from pve.experiments.job import Job, Task
from pve.folders import SHARD, ExperimentFolder, RunFolder, identity
from pve.mdp import MDP
from pve.policies import check_seed
from pve.training import Stopped, run

CHECKPOINT_SECONDS = 20.0


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


def run_experiment(
    experiment: str,
    config: Config,
    seed: int,
    data_dir: str | Path,
    *,
    progress: bool = True,
    stop: threading.Event | None = None,
) -> Report:
    """Compute the runs of an experiment that are not finished yet.

    Args:
      experiment: ``"diameter"`` or ``"capacity"``.
      config: its setting.
      seed: an integer from 0 to 2³² − 1.
      data_dir: the data folder; the experiment's own folder is made in it.
      progress: show a progress bar with an estimate of what remains.
      stop: set it from another thread to end early, checkpoints written.

    Returns:
      What became of each run. A failed run does not keep the others from going on.

    Raises:
      ValueError: an argument or the folder is not legal, or the folder holds another
        configuration.
      KeyboardInterrupt: on Ctrl-C, after the runs have written their checkpoints.
    """
    module, env = _checked(experiment, config, seed)
    folder = ExperimentFolder(data_dir, experiment)
    wanted = identity(experiment, config, seed, fingerprint(env))
    folder.claim(wanted)
    tasks = module.tasks(config)
    due = [task for task in tasks if not folder.run(task).finished]
    _check_disk(folder.path, config, env, due)
    stop = stop or threading.Event()
    outcome = _Outcome()
    todo: queue.SimpleQueue[Task] = queue.SimpleQueue()
    for task in due:
        todo.put(task)

    bar = tqdm(
        total=config.steps * sum(task.weight for task in due),
        desc=experiment,
        disable=not (progress and due),
        bar_format="{desc}: {percentage:3.0f}% |{bar}| {elapsed}, {remaining} to go"
        "{postfix}",
    )

    def work() -> None:
        while not stop.is_set():
            try:
                task = todo.get_nowait()
            except queue.Empty:
                return
            files = folder.run(task)

            def advanced(steps: int, task: Task = task) -> None:
                with outcome.lock:
                    bar.update(steps * task.weight)

            try:
                with files.owned() as mine:
                    if not mine:
                        outcome.elsewhere.append(task.name)
                        continue
                    if not files.finished:  # another process may have just done it
                        prepare = functools.partial(module.prepare, config, seed, env, task)
                        _compute(files, config, wanted, stop, advanced, prepare)
                outcome.computed.append(task.name)
                bar.set_postfix_str(f"{len(outcome.computed)}/{len(due)} runs")
            except Stopped:
                return
            except Exception as error:  # recorded; the other runs go on
                outcome.failed[task.name] = f"{type(error).__name__}: {error}"
                _record_failure(files, error)

    workers = [
        threading.Thread(target=work, daemon=True) for _ in range(os.cpu_count() or 1)
    ]
    # One thread of linear algebra in each run: runs are what fills the cores.
    with bar, threadpoolctl.threadpool_limits(1):
        for worker in workers:
            worker.start()
        try:
            for worker in workers:
                while worker.is_alive():  # a join without limit would ignore Ctrl-C
                    worker.join(0.1)
        except KeyboardInterrupt:
            stop.set()
            deadline = time.monotonic() + 1.5
            for worker in workers:
                worker.join(max(0.0, deadline - time.monotonic()))
            raise
    return Report(
        finished=[task.name for task in tasks if folder.run(task).finished],
        computed=outcome.computed,
        failed=outcome.failed,
        elsewhere=outcome.elsewhere,
        stopped=stop.is_set(),
    )


class _Outcome:
    def __init__(self) -> None:
        self.computed: list[str] = []
        self.failed: dict[str, str] = {}
        self.elsewhere: list[str] = []
        self.lock = threading.Lock()


def _record_failure(files: RunFolder, error: Exception) -> None:
    # On a disk that is full or gone the report still names the error.
    with contextlib.suppress(OSError):
        files.fail(error)


def _check_disk(path: Path, config: Config, env: MDP, due: list[Task]) -> None:
    needed = sum(_run_bytes(config, env, task) for task in due)
    free = shutil.disk_usage(path).free
    if needed > free:
        raise ValueError(
            f"data folder {str(path)!r} has {free / 1e9:.1f} GB free; the runs that are "
            f"due need {needed / 1e9:.1f} GB"
        )


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


def _compute(
    files: RunFolder,
    config: Config,
    wanted: dict[str, Any],
    stop: threading.Event,
    advanced: Callable[[int], None],
    prepare: Callable[[], Job],
) -> None:
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


def retrain(data_dir: str | Path, name: str) -> list[str]:
    """Train a finished run again, from its configuration, and compare bit by bit.

    Args:
      data_dir: the data folder.
      name: experiment and run, such as ``diameter/order=30/run=7``.

    Returns:
      What differs, one line each; an empty list if losses, measures and the finished
      model have the same bits.

    Raises:
      ValueError: there is no such finished run; the message says what is legal.
    """
    experiment, _, run_name = name.partition("/")
    module = check_experiment(experiment)
    folder = ExperimentFolder(data_dir, experiment)
    configuration = folder.identity()
    stored = folder.run(run_name)
    if not stored.finished:
        names = [run.name for run in folder.runs() if run.finished][:4]
        raise ValueError(
            f"run {name!r} is not finished; legal are the finished runs, such as "
            f"{', '.join(f'{experiment}/{n}' for n in names) or 'none yet'}"
        )
    default = module.preset("smoke")
    fields = {field.name for field in dataclasses.fields(default)}
    config = dataclasses.replace(
        default, **{k: v for k, v in configuration.items() if k in fields}
    )
    env, seed = make_environment(config.env), configuration["seed"]
    task = Task(tuple(stored.coordinates.items()), 1)
    now = identity(experiment, config, seed, fingerprint(env))
    differing = [
        f"{key} was {configuration.get(key)!r}, is {now[key]!r}"
        for key in now
        if configuration.get(key) != now[key]
    ]
    with tempfile.TemporaryDirectory() as scratch, threadpoolctl.threadpool_limits(1):
        again = ExperimentFolder(scratch, experiment).run(run_name)
        store.make_folder(again.path)
        prepare = functools.partial(module.prepare, config, seed, env, task)
        _compute(again, config, now, threading.Event(), lambda _: None, prepare)
        pairs = {
            "losses and measures": (stored.curves(), again.curves()),
            "the finished model": (stored.last_snapshot(), again.last_snapshot()),
        }
        different = [what for what, (a, b) in pairs.items() if not a.identical(b)]
    return [f"{name}: {what} differ" for what in different] + [
        f"{name}: {difference}" for difference in differing if different
    ]
