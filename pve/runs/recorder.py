"""The half of a run that knows files: states and losses in, files out.

A run writes its snapshots in shards, a checkpoint now and then, and its record last;
killed at any moment, it continues from its last checkpoint and ends with the same bits as
if it had been left alone. What computes the states is not known here.
"""

from __future__ import annotations

import time
from typing import Any

import numpy as np
import xarray as xr

from pve.experiments.base import Job
from pve.runs import store
from pve.runs.folders import SHARD, RunFolder

CHECKPOINT_SECONDS = 20.0


class Recorder:
    """Keeps what a run measures, and writes it.

    Args:
      files: the run's folder, which the caller owns.
      settings: of the experiment: its ``steps``, ``every`` and ``log_every``.
      identity: of the folder; the run's record holds its digest.
      job: what is measured and what is kept of a model.
    """

    def __init__(
        self, files: RunFolder, settings: Any, identity: dict[str, Any], job: Job
    ) -> None:
        self.files, self.settings, self.identity, self.job = files, settings, identity, job
        self.step = 0
        self._history = _History()
        self._began = self._checkpointed = time.monotonic()

    def resume(self) -> Any:
        """The state to go on from: that of the last checkpoint, or the first one."""
        saved = self.files.load_checkpoint(self.job.state)
        if saved is None:
            self._observe(self.job.state)
            return self.job.state
        state, arrays = saved
        self.step, self._history = int(state.step), _History(arrays)
        return state

    def record(self, state: Any, losses: np.ndarray) -> None:
        """Take in the state after a chunk and the losses of the chunk's steps.

        A checkpoint is written if the last one is old enough.
        """
        self.step += len(losses)
        self._history.extend("each", loss=losses)
        self._average_losses()
        if self.step % self.settings.every == 0:
            self._observe(state)
        if time.monotonic() - self._checkpointed > CHECKPOINT_SECONDS:
            self.checkpoint(state)

    def checkpoint(self, state: Any) -> None:
        """Write a checkpoint of where the run stands."""
        history = self._history
        self.files.save_checkpoint(
            state, history.arrays(but="pending"), history.arrays("pending")
        )
        self._checkpointed = time.monotonic()

    def finish(self) -> None:
        """Write the curves and the record.

        Raises:
          store.CorruptFile: a snapshot was damaged since it was written.
        """
        logged, observed = self._history.group("logged"), self._history.group("observed")
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
        shards = sorted(path.name for path in self.files.path.glob("snapshots-*.nc"))
        facts = {
            "identity": store.digest(self.identity),
            "steps": self.step,
            "seconds": round(time.monotonic() - self._began, 3),
        }
        self.files.finish(curves, shards, facts)

    def _average_losses(self) -> None:
        """Turn each full interval of step losses into one recorded mean."""
        log_every, pending = self.settings.log_every, self._history.lists["each_loss"]
        first = self.step - len(pending)
        while len(pending) >= log_every:
            interval, pending = pending[:log_every], pending[log_every:]
            first += log_every
            mean = np.float32(np.mean(interval, dtype=np.float64))
            self._history.add("logged", step=np.int64(first), loss=mean)
        self._history.lists["each_loss"] = pending

    def _observe(self, state: Any) -> None:
        """Measure the model, keep its snapshot, and write a shard when it is full."""
        job, history, step = self.job, self._history, np.int64(self.step)
        last = self.step == self.settings.steps
        measures = {name: np.float64(x) for name, x in job.measure(state.params).items()}
        history.add("observed", step=step, **measures)
        if not (job.snapshots or last):
            return
        history.add("pending", step=step, **job.snapshot(state.params))
        pending = history.group("pending")
        steps = pending.pop("step")
        if len(steps) == SHARD or last:
            count = len(history.lists["observed_step"])
            index = (count - 1) // SHARD if job.snapshots else 0
            self.files.save_shard(index, steps, pending)
            history.clear("pending")


class _History:
    """What a run has measured so far: numbers in lists, snapshots until a shard is full."""

    def __init__(self, saved: dict[str, np.ndarray] | None = None) -> None:
        self.lists: dict[str, list[Any]] = {}
        for name, array in (saved or {}).items():
            self.lists[name] = list(array)

    def add(self, group: str, **values: Any) -> None:
        for name, value in values.items():
            self.lists.setdefault(f"{group}_{name}", []).append(value)

    def extend(self, group: str, **values: np.ndarray) -> None:
        for name, array in values.items():
            self.lists.setdefault(f"{group}_{name}", []).extend(array)

    def group(self, group: str) -> dict[str, np.ndarray]:
        arrays = self.arrays(group)
        return {name.removeprefix(f"{group}_"): array for name, array in arrays.items()}

    def arrays(self, group: str = "", *, but: str | None = None) -> dict[str, np.ndarray]:
        """Everything under its full name, or one group, or everything but a group."""
        return {
            name: np.stack(values)
            for name, values in self.lists.items()
            if values and name.startswith(group) and not (but and name.startswith(but))
        }

    def clear(self, group: str) -> None:
        for name in self.lists:
            if name.startswith(f"{group}_"):
                self.lists[name] = []
