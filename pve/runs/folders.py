"""The files of an experiment and of its runs.

::

    DATA_DIR/diameter/
      manifest.json               the folder's identity
      plan.json                   the runs ever asked for
      order=30/run=7/
        checkpoint-<checksum>.nc  while the run goes on: its state, and what it recorded
        pending-<checksum>.nc     while the run goes on: snapshots that fill no shard yet
        snapshots-000-<checksum>.nc …   shards of snapshots, each written when full
        curves.nc                 losses and measures, written at the end
        record.json               checksums, versions, machine: written last
        failure.json              instead, if the run failed

A run whose record exists is finished; it is never computed again.
"""

from __future__ import annotations

import contextlib
import json
import math
import re
import traceback
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jax
import numpy as np
import xarray as xr

from pve.atomic import TEMPORARY
from pve.defaults import flags
from pve.experiments import find_experiment
from pve.experiments.base import ExperimentSettings, Task
from pve.runs import provenance, store
from pve.runs.meanings import described, origin

FORMAT = 3
READABLE = (2, 3)  # formats of folders that can be read and continued
# What folders of format 2 leave out of their identity.
UNRECORDED = ("arithmetic", "optax", "scipy")
# How an engine with one program for each run rounds, as an identity names it.
ONE_RUN_A_PROGRAM = "one run a program, on CPU cores"
_IN_LANES = re.compile(r"lanes of (\d+) on (.+)")
PENDING = "pending"  # kind of file, and the checkpoint's attribute that names it
SHARD = 20  # snapshots in a file: 3.5 MB at Four Rooms' size


class OtherConfiguration(ValueError):
    """A data folder holds results of another configuration."""


def identity(
    experiment: str,
    config: ExperimentSettings,
    seed: int,
    env: str,
    arithmetic: str = ONE_RUN_A_PROGRAM,
) -> dict[str, Any]:
    """What must agree for a folder's runs to belong together.

    Args:
      experiment: its name.
      config: its settings.
      seed: the seed.
      env: the fingerprint of the environment.
      arithmetic: how the engine rounds.
    """
    return {
        "format": FORMAT,
        "experiment": experiment,
        "seed": seed,
        "environment": env,
        "arithmetic": arithmetic,
        **config.identity(),
        "code": numerical_code(experiment),
        **provenance.versions(),
        **flags(),
    }


def in_lanes(width: int, device: str) -> str:
    """How an engine with lanes of runs in one program rounds, on a kind of device."""
    code = provenance.code_hash("pve.training.lanes")[:8]
    return f"lanes of {width} on {device}, code {code}"


def lanes_of(identity: dict[str, Any]) -> int | None:
    """The number of lanes that an identity names; None if its arithmetic is another."""
    found = _IN_LANES.fullmatch(identity.get("arithmetic", ""))
    return int(found[1]) if found else None


def numerical_code(experiment: str) -> str:
    """The hash of the code that decides the numbers of an experiment's runs."""
    module = find_experiment(experiment)
    return provenance.code_hash(f"{module.__name__}.prepare", module.COMPUTE)


def differences(found: dict[str, Any], wanted: dict[str, Any]) -> list[str]:
    """What keeps runs of two identities apart, one line each; none if they belong together.

    Args:
      found: the identity of existing runs, perhaps of an earlier format, or of code that
        gave the same numbers.
      wanted: the identity of runs made now.
    """
    return [
        f"{name} is {found.get(name)!r} there, {wanted.get(name)!r} here"
        for name in sorted(found.keys() | wanted.keys())
        if found.get(name) != wanted.get(name) and not _agree(name, found, wanted)
    ]


def _agree(name: str, found: dict[str, Any], wanted: dict[str, Any]) -> bool:
    """Whether a field that differs belongs to the same numbers all the same."""
    if name == "format":
        return found.get(name) in READABLE
    if name == "code":
        return provenance.same_numbers(wanted["code"], found.get("code", ""))
    if name == "arithmetic" and wanted[name] != ONE_RUN_A_PROGRAM:
        return False  # format 2 had no other
    return name in UNRECORDED and name not in found and found.get("format") == 2


def _hint(found: dict[str, Any], wanted: dict[str, Any]) -> str:
    """How runs of another arithmetic are continued; empty where that is not the reason."""
    there = found.get("arithmetic", ONE_RUN_A_PROGRAM)
    if there == wanted["arithmetic"]:
        return ""
    lanes = lanes_of(found)
    how = "--engine local" if lanes is None else f"--engine device --lanes {lanes}"
    return f" (it was begun with {how})"


class ExperimentFolder:
    """One experiment's part of a data folder."""

    def __init__(self, data_dir: str | Path, experiment: str) -> None:
        if not str(data_dir).strip():
            raise ValueError("data folder is ''; expected the name of a folder")
        self.path = Path(data_dir) / experiment
        self.manifest = self.path / "manifest.json"
        self.plan = self.path / "plan.json"

    def claim(self, wanted: dict[str, Any]) -> dict[str, Any]:
        """Make the folder, or check that it holds this configuration.

        Returns:
          The identity that the folder's runs are recorded with; the wanted one, or the one
          that the folder was begun with if that is of an earlier format or code.

        Raises:
          pve.runs.folders.OtherConfiguration: it holds another one; the message names
            what differs.
          ValueError: the folder cannot be written.
          pve.runs.store.CorruptFile: the manifest is damaged.
        """
        store.make_folder(self.path)
        with store.locked(self.path / ".lock", wait=True):
            if not self.manifest.exists():
                if any(self.path.glob("*/**/record.json")):
                    raise OtherConfiguration(
                        f"data folder {str(self.path)!r} holds runs without a manifest; "
                        "expected a folder of this configuration or a new one"
                    )
                store.write_record(self.manifest, {"identity": wanted})
                return wanted
        found = self.identity()
        differing = differences(found, wanted)
        if differing:
            raise OtherConfiguration(
                f"data folder {str(self.path)!r} holds another configuration: "
                f"{'; '.join(differing)}; expected the same one or a new folder"
                f"{_hint(found, wanted)}"
            )
        return found

    def identity(self) -> dict[str, Any]:
        """The folder's identity.

        Raises:
          ValueError: there is no such folder.
          pve.runs.store.CorruptFile: the manifest was edited or damaged.
        """
        if not self.manifest.exists():
            raise ValueError(
                f"data folder {str(self.path)!r} holds no results; expected a folder "
                f"that `python -m pve {self.path.name} {self.path.parent} SEED` has filled"
            )
        return store.read_record(self.manifest)["identity"]

    def ask(self, names: list[str]) -> None:
        """Record that these runs were asked for, so that missing ones can be named."""
        with store.locked(self.path / ".lock", wait=True):
            asked = self.asked()
            if not set(names) <= set(asked):
                together = sorted({*asked, *names}, key=_natural)
                store.write_record(self.plan, {"runs": together})

    def asked(self) -> list[str]:
        """The names of all runs that were ever asked for."""
        return store.read_record(self.plan)["runs"] if self.plan.exists() else []

    def run(self, task: Task | str) -> RunFolder:
        """The folder of one run."""
        return RunFolder(self.path, task if isinstance(task, str) else task.name)

    def runs(self) -> list[RunFolder]:
        """All runs that have left a file, in order of their names."""
        marks = ("record.json", "failure.json", "checkpoint-*.nc")
        folders = {found.parent for mark in marks for found in self.path.rglob(mark)}
        names = (folder.relative_to(self.path).as_posix() for folder in folders)
        return [self.run(name) for name in sorted(names, key=_natural)]

    def orphans(self) -> list[str]:
        """What lacks the file that identifies it, one line each; none if sound.

        A run whose curves exist has ended: until its record is written it keeps a
        checkpoint, and if it failed it has a failure file.
        """
        ended = [
            self.run(found.parent.relative_to(self.path).as_posix())
            for found in self.path.rglob("curves.nc")
        ]
        problems = [
            f"{run.record_path}: missing; running again computes the run anew"
            for run in sorted(ended, key=lambda run: _natural(run.name))
            if not (run.finished or run.checkpoints() or run.failure_path.exists())
        ]
        if ended and not self.manifest.exists():
            problems.append(f"{self.manifest}: missing; runs without it are not read")
        if ended and not self.plan.exists():
            problems.append(f"{self.plan}: missing; running again writes it")
        return problems


def _natural(name: str) -> list[tuple[float, str]]:
    """Sort by numbers where there are some: run=10 after run=9, order=inf last."""
    keys = []
    for part in name.split("/"):
        value = part.partition("=")[2]
        try:
            keys.append((float(value), ""))
        except ValueError:
            keys.append((math.inf, value))
    return keys


class RunFolder:
    """The files of one run."""

    def __init__(self, experiment: Path, name: str) -> None:
        self.name = name
        self.experiment = experiment
        self.path = experiment / name
        self.record_path = self.path / "record.json"
        self.failure_path = self.path / "failure.json"

    @property
    def coordinates(self) -> dict[str, Any]:
        """The run's coordinates, read from its name."""
        pairs = (part.partition("=") for part in self.name.split("/"))
        return {key: _parse_coordinate(value) for key, _, value in pairs}

    @property
    def finished(self) -> bool:
        """Whether the run has ended and its record exists."""
        return self.record_path.exists()

    def about(self) -> dict[str, str]:
        """What the run's files say of themselves: title, source and configuration."""
        manifest = self.experiment / "manifest.json"
        identity = store.read_record(manifest)["identity"] if manifest.exists() else {}
        return origin(f"{self.experiment.name} {self.name}", identity)

    @contextlib.contextmanager
    def owned(self) -> Iterator[bool]:
        """Hold the run; yields False if another process does."""
        store.make_folder(self.path)
        with store.locked(self.path / ".lock") as mine:
            if mine:  # what a killed process was writing is of no use
                for path in self.path.glob(f"{TEMPORARY}*"):
                    path.unlink()
            yield mine

    def record(self) -> dict[str, Any]:
        """The run's record; raises `store.CorruptFile` if it is damaged."""
        return store.read_record(self.record_path)

    def failure(self) -> str | None:
        """The error of the last attempt; None if it did not fail."""
        if not self.failure_path.exists():
            return None
        return store.read_record(self.failure_path)["error"]

    # A run in progress --------------------------------------------------------------

    def checkpoints(self) -> list[Path]:
        """The checkpoints, newest first."""
        found = self.path.glob("checkpoint-*.nc")
        return sorted(found, key=lambda path: path.stat().st_mtime, reverse=True)

    def save_checkpoint(
        self,
        state: Any,
        history: dict[str, np.ndarray],
        pending: dict[str, np.ndarray] | None = None,
    ) -> None:
        """Keep a run's state and history; older checkpoints go once this one is written.

        Args:
          state: of the training.
          history: what was recorded until now.
          pending: snapshots that fill no shard yet. They are many times the size of a
            state, and lie in a file of their own, which the checkpoint names.
        """
        about = self.about()
        if pending:
            snapshots = _recorded(pending).assign_attrs(about)
            about = {**about, PENDING: self._save_by_checksum(PENDING, snapshots).name}
        dataset = _checkpoint(state, history).assign_attrs(about)
        path = self._save_by_checksum("checkpoint", dataset)
        for found in (*self.checkpoints(), *self.path.glob(f"{PENDING}-*.nc")):
            if found.name not in (path.name, about.get(PENDING)):
                found.unlink()

    def _save_by_checksum(self, kind: str, dataset: xr.Dataset) -> Path:
        """Write a dataset to a file whose name ends with its checksum; return the file."""
        content = store.encode_dataset(dataset)
        path = self.path / f"{kind}-{store.sha256(content)[:16]}.nc"
        store.write_bytes(path, content)
        return path

    def load_checkpoint(self, like: Any) -> tuple[Any, dict[str, np.ndarray]] | None:
        """The newest sound checkpoint, or None.

        Args:
          like: a state of the same structure.

        Returns:
          The state and the history, pending snapshots among it.
        """
        structure: Any = jax.tree.structure(like)
        for path in self.checkpoints():
            try:
                dataset = _read_by_checksum(path)
                self._check_origin(path, dataset)
                history = dict(dataset.data_vars)
                if PENDING in dataset.attrs:
                    pending = _read_by_checksum(self.path / dataset.attrs[PENDING])
                    history |= dict(pending.data_vars)
            except (OSError, store.CorruptFile):
                path.unlink(missing_ok=True)  # a damaged one is no use: try the one before
                continue
            leaves = [history.pop(f"leaf_{i}").values for i in range(structure.num_leaves)]
            arrays = {str(name): variable.values for name, variable in history.items()}
            return jax.tree.unflatten(structure, leaves), arrays
        return None

    def _check_origin(self, path: Path, checkpoint: xr.Dataset) -> None:
        """Raise an `OtherConfiguration` if a checkpoint is of another folder's runs."""
        there = json.loads(checkpoint.attrs.get("configuration", "{}"))
        here = json.loads(self.about()["configuration"])
        if there and (apart := differences(there, here)):
            raise OtherConfiguration(
                f"checkpoint {str(path)!r} is of another configuration: "
                f"{'; '.join(apart)}; expected one of this folder"
            )

    def save_shard(self, index: int, steps: np.ndarray, arrays: dict[str, Any]) -> str:
        """Write one shard of snapshots; return its name, which holds its checksum."""
        axes = find_experiment(self.experiment.name).AXES
        snapshots = xr.Dataset(
            {name: (("step", *axes[name]), array) for name, array in arrays.items()},
            coords={"step": np.asarray(steps)},
        )
        dataset = described(snapshots, self.experiment.name, self.about())
        return self._save_by_checksum(f"snapshots-{index:03d}", dataset).name

    # A run at its end ---------------------------------------------------------------

    def finish(self, curves: xr.Dataset, shards: list[str], facts: dict[str, Any]) -> None:
        """Write the curves, then the record, and drop what only a run in progress needs.

        Raises:
          pve.runs.store.CorruptFile: a shard was damaged since it was written; it is
            dropped with the checkpoints, so that running again computes the run anew.
        """
        curves = described(curves, self.experiment.name, self.about())
        checksums = {"curves.nc": store.write_dataset(self.path / "curves.nc", curves)}
        for name in shards:
            checksums[name] = store.sha256((self.path / name).read_bytes())
            if not Path(name).stem.endswith(f"-{checksums[name][:16]}"):
                for path in (self.path / name, *self.checkpoints()):
                    path.unlink()
                raise store.CorruptFile(
                    f"{self.path / name}: damaged while the run went on; running again "
                    "computes the run anew"
                )
        store.write_record(
            self.record_path,
            {
                "run": self.name,
                "files": checksums,
                "machine": provenance.machine(),
                **facts,
            },
        )
        self.failure_path.unlink(missing_ok=True)
        for path in (*self.checkpoints(), *self.path.glob(f"{PENDING}-*.nc")):
            path.unlink()

    def fail(self, error: BaseException) -> None:
        """Record why a run failed."""
        text = f"{type(error).__name__}: {error}"
        trace = "".join(traceback.format_exception(error))
        store.write_record(self.failure_path, {"error": text, "traceback": trace})

    def curves(self) -> xr.Dataset:
        """Losses and measures; raises `store.CorruptFile` if damaged."""
        return store.read_dataset(
            self.path / "curves.nc", self.record()["files"]["curves.nc"]
        )

    def shards(self) -> list[str]:
        """The names of the snapshot files, in order."""
        return sorted(n for n in self.record()["files"] if n.startswith("snapshots-"))

    def shard(self, name: str) -> xr.Dataset:
        """One file of snapshots; raises `store.CorruptFile` if damaged."""
        return store.read_dataset(self.path / name, self.record()["files"][name])

    def last_snapshot(self) -> xr.Dataset:
        """The finished model's arrays."""
        return self.shard(self.shards()[-1]).isel(step=-1)

    def check(self, expected: dict[str, Any]) -> list[str]:
        """What is wrong with a finished run's files, one line each; none if sound."""
        try:
            record = self.record()
        except store.CorruptFile as error:
            return [str(error)]
        problems = []
        if record["run"] != self.name:
            problems.append(f"{self.record_path}: belongs to run {record['run']}")
        if record["identity"] != store.digest(expected):
            problems.append(f"{self.record_path}: made under another configuration")
        for name, checksum in record["files"].items():
            try:
                store.read_dataset(self.path / name, checksum)
            except store.CorruptFile as error:
                problems.append(str(error))
        return problems


def _parse_coordinate(value: str) -> Any:
    for convert in (int, float):
        try:
            return convert(value)
        except ValueError:
            continue
    return value


def _checkpoint(state: Any, history: dict[str, np.ndarray]) -> xr.Dataset:
    """A state, leaf by leaf, and a history as variables that say what they are."""
    dataset = xr.Dataset()
    for index, (path, leaf) in enumerate(jax.tree.leaves_with_path(state)):
        where = jax.tree_util.keystr(path, simple=True, separator=" ")
        _add(dataset, f"leaf_{index}", leaf, f"state of the training, {where}")
    return dataset.merge(_recorded(history))


def _recorded(history: dict[str, np.ndarray]) -> xr.Dataset:
    """What a run recorded, as variables that say what they are."""
    dataset = xr.Dataset()
    for name, array in history.items():
        _add(dataset, name, array, f"recorded until now, {name.replace('_', ' ')}")
    return dataset


def _read_by_checksum(path: Path) -> xr.Dataset:
    """Read a file whose name holds its checksum; raise a `CorruptFile` if it is another."""
    if store.sha256(path.read_bytes())[:16] != path.stem.partition("-")[2]:
        raise store.CorruptFile(f"{path}: the checksum is not the recorded one")
    return store.read_dataset(path)


def _add(dataset: xr.Dataset, name: str, array: Any, meaning: str) -> None:
    dimensions = [f"{name}_{axis}" for axis in range(np.ndim(array))]
    about = {"long_name": meaning, "units": "1"}
    dataset[name] = (dimensions, np.asarray(array), about)
