"""Is what a data folder holds sound, and does it come out again?"""

from __future__ import annotations

import dataclasses
import functools
import tempfile
import threading
from pathlib import Path
from typing import Any

import threadpoolctl

from pve import store
from pve.environments import fingerprint, make_environment
from pve.experiments import EXPERIMENTS, check_experiment
from pve.experiments.configs import Config
from pve.experiments.job import Task
from pve.folders import ExperimentFolder, differences, identity
from pve.results import present
from pve.resumable import compute


def verify(data_dir: str | Path) -> list[str]:
    """What is damaged in a data folder, one line each; an empty list if it is sound.

    Raises:
      ValueError: the folder holds no experiment.
    """
    problems: list[str] = []
    found = present(data_dir)
    for experiment in EXPERIMENTS:
        folder = ExperimentFolder(data_dir, experiment)
        problems += folder.orphans()
        if experiment not in found:
            continue
        try:
            expected = folder.identity()
            folder.asked()
        except store.CorruptFile as error:
            problems.append(str(error))
            continue
        for run in folder.runs():
            if run.finished:
                problems += run.check(expected)
    return problems


def configuration(experiment: str, recorded: dict[str, Any]) -> Config:
    """The setting that an identity was made of; which runs it asked for is not in it."""
    default = check_experiment(experiment).preset("smoke")
    fields = {field.name for field in dataclasses.fields(default)}
    known = {key: value for key, value in recorded.items() if key in fields}
    return dataclasses.replace(default, **known)


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
    recorded = folder.identity()
    stored = folder.run(run_name)
    if not stored.finished:
        names = [run.name for run in folder.runs() if run.finished][:4]
        raise ValueError(
            f"run {name!r} is not finished; legal are the finished runs, such as "
            f"{', '.join(f'{experiment}/{n}' for n in names) or 'none yet'}"
        )
    config = configuration(experiment, recorded)
    env, seed = make_environment(config.env), recorded["seed"]
    task = Task(tuple(stored.coordinates.items()), 1)
    now = identity(experiment, config, seed, fingerprint(env))
    differing = differences(recorded, now)
    with tempfile.TemporaryDirectory() as scratch, threadpoolctl.threadpool_limits(1):
        again = ExperimentFolder(scratch, experiment).run(run_name)
        store.make_folder(again.path)
        prepare = functools.partial(module.prepare, config, seed, env, task)
        compute(again, config, now, threading.Event(), lambda _: None, prepare)
        pairs = {
            "losses and measures": (stored.curves(), again.curves()),
            "the finished model": (stored.last_snapshot(), again.last_snapshot()),
        }
        different = [what for what, (a, b) in pairs.items() if not a.identical(b)]
    return [f"{name}: {what} differ" for what in different] + [
        f"{name}: {difference}" for difference in differing if different
    ]
