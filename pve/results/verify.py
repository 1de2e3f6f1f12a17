"""Is what a data folder holds sound, and can it be reproduced?"""

from __future__ import annotations

import tempfile
import threading
from pathlib import Path

from pve import threads
from pve.engines.base import Ends
from pve.engines.dispatch import engine_of
from pve.experiments import EXPERIMENTS, find_experiment
from pve.experiments.base import Task
from pve.results.load import present
from pve.runs import store
from pve.runs.folders import ExperimentFolder, differences
from pve.runs.plan import plan_again


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
    find_experiment(experiment)
    folder = ExperimentFolder(data_dir, experiment)
    recorded = folder.identity()
    stored = folder.run(run_name)
    if not stored.finished:
        names = [run.name for run in folder.runs() if run.finished][:4]
        such = f"a finished run, such as {', '.join(f'{experiment}/{n}' for n in names)}"
        raise ValueError(
            f"run {name!r} is not finished; "
            f"{f'expected {such}' if names else 'no run of this folder is finished yet'}"
        )
    task = Task(tuple(stored.coordinates.items()), 1)
    with tempfile.TemporaryDirectory() as scratch, threads.linear_algebra():
        plan = plan_again(recorded, scratch)
        again = plan.folder.run(run_name)
        store.make_folder(again.path)
        try:
            engine = engine_of(plan)
        except ValueError as error:
            return [f"{name}: not trained again: {error}"]
        ends = Ends()
        engine.compute(plan, [task], ends, threading.Event())
        if [end.kind for _, end in ends.noted] != ["computed"]:
            return [f"{name}: {end.error}" for _, end in ends.noted]
        pairs = {
            "losses and measures": (stored.curves(), again.curves()),
            "the finished model": (stored.last_snapshot(), again.last_snapshot()),
        }
        # The descriptions of the numbers may have been reworded.
        different = [
            what
            for what, (a, b) in pairs.items()
            if not a.drop_attrs().identical(b.drop_attrs())
        ]
    return [f"{name}: {what} differ" for what in different] + [
        f"{name}: {difference}"
        for difference in differences(recorded, plan.identity)
        if different
    ]
