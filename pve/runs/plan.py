"""A plan: which runs, of what, into which folder; all else reads it."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from types import ModuleType
from typing import Any

from pve.checks import check_seed
from pve.experiments import find_experiment
from pve.experiments.base import ExperimentSettings, Task
from pve.mdp.core import MDP
from pve.runs.folders import ONE_RUN_A_PROGRAM, ExperimentFolder, identity
from pve.worlds.by_name import fingerprint, make_environment


@dataclasses.dataclass(frozen=True)
class Plan:
    """What all runs of a call share; it can be sent to another machine.

    Attributes:
      experiment: its name.
      settings: of the experiment, an `ExperimentSettings` with fields of its own.
      seed: the seed.
      env: the environment.
      path: the experiment's own folder.
      identity: what the folder's runs are recorded with.
      tasks: all runs that are asked for.
    """

    experiment: str
    settings: Any
    seed: int
    env: MDP
    path: Path
    identity: dict[str, Any]
    tasks: tuple[Task, ...]

    @property
    def module(self) -> ModuleType:
        """The experiment's module."""
        return find_experiment(self.experiment)

    @property
    def folder(self) -> ExperimentFolder:
        """The experiment's folder."""
        return ExperimentFolder(self.path.parent, self.path.name)

    @property
    def due(self) -> list[Task]:
        """The runs that are not finished."""
        return [task for task in self.tasks if not self.folder.run(task).finished]

    def prepare(self, task: Task) -> Any:
        """Make a run ready to go, a `Job` or a `PiecewiseJob`."""
        return self.module.prepare(self.settings, self.seed, self.env, task)

    def bytes(self, tasks: list[Task]) -> int:
        """What these runs will write."""
        return sum(self.module.run_bytes(self.settings, self.env, task) for task in tasks)

    def with_arithmetic(self, arithmetic: str) -> Plan:
        """The plan for an engine of this arithmetic."""
        return dataclasses.replace(
            self, identity={**self.identity, "arithmetic": arithmetic}
        )

    def claimed(self) -> Plan:
        """The plan with its folder made, or checked to hold this configuration.

        Raises:
          pve.runs.folders.OtherConfiguration: the folder holds another one.
          ValueError: the folder cannot be written.
        """
        found = self.folder.claim(self.identity)
        return dataclasses.replace(self, path=self.path.resolve(), identity=found)


def make_plan(
    experiment: str,
    settings: ExperimentSettings,
    seed: int,
    data_dir: str | Path,
) -> Plan:
    """Plan all runs of an experiment; no folder is touched.

    Args:
      experiment: its name, see `pve.experiments`.
      settings: of the experiment.
      seed: an integer from 0 to 2³² − 1.
      data_dir: the data folder; the experiment has its own folder in it.

    Raises:
      ValueError: an argument is not legal.
    """
    module, seed = find_experiment(experiment), check_seed(seed)
    env = make_environment(settings.env)
    module.check_world(settings, env)
    return Plan(
        experiment,
        settings,
        seed,
        env,
        ExperimentFolder(data_dir, experiment).path,
        identity(experiment, settings, seed, fingerprint(env)),
        tuple(module.tasks(settings)),
    )


def plan_again(recorded: dict[str, Any], data_dir: str | Path) -> Plan:
    """The plan that an identity was made from, under the present code.

    Which runs it asked for is not recorded: the plan's tasks are the smoke preset's.

    Args:
      recorded: an identity.
      data_dir: where the runs would go.
    """
    plan = make_plan(
        recorded["experiment"], settings_of(recorded), recorded["seed"], data_dir
    )
    return plan.with_arithmetic(recorded.get("arithmetic", ONE_RUN_A_PROGRAM))


def settings_of(recorded: dict[str, Any]) -> Any:
    """The settings that an identity was made from; what it lacks is the smoke preset's.

    Args:
      recorded: an identity, or the attributes of results, which hold it.
    """
    default = find_experiment(recorded["experiment"]).preset("smoke")
    names = {field.name for field in dataclasses.fields(default)}
    known = {name: value for name, value in recorded.items() if name in names}
    return dataclasses.replace(default, **known)
