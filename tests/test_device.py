"""The engine `device`, on the cores: lanes that know nothing of one another."""

import dataclasses
import math
import os
import shutil
import subprocess
import sys
import threading
import time

import jax
import numpy as np
import pytest
from conftest import ROOT
from oracles import dot_precisions
from tiny import SEED, TINY, data_files

import pve
from pve import threads
from pve.engines import device
from pve.engines.device import Device, lane_bytes
from pve.engines.dispatch import find_engine, run_experiment
from pve.experiments import capacity, diameter
from pve.results.load import status
from pve.results.verify import retrain, verify
from pve.runs import recorder, store
from pve.runs.folders import OtherConfiguration
from pve.runs.plan import make_plan
from pve.training.lanes import advance_lanes
from pve.training.loop import advance
from pve.training.objective import (
    Likelihood,
    OrderK,
    Proper,
    SquaredValueError,
)

# Order 3 has its powers computed otherwise than on the cores: a chapter of its own.
CONFIG = dataclasses.replace(TINY["diameter"], orders=(3, math.inf), runs=3)
RANKS = dataclasses.replace(TINY["capacity"], ranks=(2,), runs=2)


def compute(folder, experiment="diameter", config=CONFIG, lanes=4, **options):
    engine = options.pop("engine", None) or find_engine("device", lanes=lanes)
    return run_experiment(
        experiment, config, SEED, folder, progress=False, engine=engine, **options
    )


@pytest.fixture(scope="module")
def whole(tmp_path_factory):
    """Both experiments, in lanes of four."""
    folder = tmp_path_factory.mktemp("lanes")
    assert compute(folder).failed == {}
    assert compute(folder, "capacity", RANKS).failed == {}
    return folder


# What is computed ---------------------------------------------------------------------


def test_lanes_are_the_runs_of_the_engine_local(whole, tmp_path):
    """The same first model, data and batches; the rest to rounding."""
    for experiment, config in (("diameter", CONFIG), ("capacity", RANKS)):
        run_experiment(experiment, config, SEED, tmp_path, progress=False)
        lanes, alone = (pve.load(folder, experiment) for folder in (whole, tmp_path))
        assert lanes.sizes == alone.sizes
        np.testing.assert_allclose(lanes.loss, alone.loss, rtol=1e-4)
        np.testing.assert_allclose(lanes.performance, alone.performance, atol=1e-6)
    first, same = (
        pve.load_model(folder, "diameter", order=3, run=1, step=0)
        for folder in (whole, tmp_path)
    )
    np.testing.assert_array_equal(pve.flatten(first), pve.flatten(same))
    last, alike = (
        pve.load_model(folder, "diameter", order=3, run=1) for folder in (whole, tmp_path)
    )
    np.testing.assert_allclose(pve.flatten(last), pve.flatten(alike), atol=1e-5)


def test_a_run_does_not_depend_on_its_neighbours(whole, tmp_path, monkeypatch):
    original = diameter.tasks
    for module, config in ((diameter, CONFIG), (capacity, RANKS)):
        last = module.tasks(config)[-1]
        monkeypatch.setattr(module, "tasks", lambda config, last=last: [last])
        compute(tmp_path, module.NAME, config)
        alone = data_files(tmp_path, module.NAME)
        assert len(alone) == 2
        assert alone == data_files(whole, module.NAME, f"{last.name}/")
    # And not on the lane it stands in.
    monkeypatch.setattr(diameter, "tasks", lambda config: original(config)[::-1])
    compute(tmp_path / "reversed")
    assert data_files(tmp_path / "reversed", "diameter") == data_files(whole, "diameter")


def test_every_product_is_of_full_precision():
    """Unasked, a GPU would take TF32 and other accelerators bfloat16."""
    env = pve.four_rooms().mdp
    plan = make_plan("diameter", CONFIG, SEED, ".")
    job = plan.prepare(plan.tasks[0])
    low_rank = make_plan("capacity", RANKS, SEED, ".")
    other = low_rank.prepare(low_rank.tasks[0])
    highest = jax.lax.Precision.HIGHEST
    for objective in (Proper(), OrderK(1), OrderK(3), OrderK(3, "products"),
                      OrderK(3, "kernel"), Likelihood(), SquaredValueError()):  # fmt: skip
        for made in (job, other):
            problem = dataclasses.replace(made.problem, objective=objective, env=env)
            found = dot_precisions(lambda s, p: advance(s, p, 2), made.state, problem)
            if not isinstance(objective, Likelihood) or made is other:
                assert found, objective
            assert {x for pair in found for x in pair} <= {highest}, objective


# Interrupted ---------------------------------------------------------------------------


def stopped_after(chunks, monkeypatch):
    """An event that is set when so many chunks were asked for."""
    stop, count = threading.Event(), []

    def counted(*arguments):
        count.append(1)
        if len(count) == chunks:
            stop.set()
        return advance_lanes(*arguments)

    monkeypatch.setattr(device, "advance_lanes", counted)
    return stop


def test_interrupted_lanes_end_with_the_same_bits(whole, tmp_path, monkeypatch):
    monkeypatch.setattr(Proper, "chunk", 5)
    monkeypatch.setattr(OrderK, "chunk", 5)
    for chunks in (1, 2, 3):
        with monkeypatch.context() as patch:
            stop = stopped_after(chunks, patch)
            assert compute(tmp_path, stop=stop).stopped
        assert "unfinished" in set(status(tmp_path)["diameter"].values())
    assert compute(tmp_path).failed == {}
    assert data_files(tmp_path, "diameter") == data_files(whole, "diameter")
    assert verify(tmp_path) == []


def test_ctrl_c_leaves_checkpoints(whole, tmp_path, monkeypatch):
    count = []

    def interrupted(*arguments):
        count.append(1)
        if len(count) == 3:
            raise KeyboardInterrupt
        return advance_lanes(*arguments)

    with monkeypatch.context() as patch:
        patch.setattr(Proper, "chunk", 5)
        patch.setattr(device, "advance_lanes", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compute(tmp_path, config=dataclasses.replace(CONFIG, orders=(math.inf,)))
    assert len(list(tmp_path.rglob("checkpoint-*.nc"))) == 3
    compute(tmp_path)
    assert data_files(tmp_path, "diameter") == data_files(whole, "diameter")


def test_ctrl_c_between_lanes_leaves_each_where_its_recorder_stands(
    whole, tmp_path, monkeypatch
):
    """Some lanes have taken in a chunk, the others have not."""
    original, count = threads.side_by_side, []

    def interrupted(function, items, **options):
        count.append(1)
        if len(count) == 3:  # after the preparation and one chunk
            original(function, items[:2], **options)
            raise KeyboardInterrupt
        return original(function, items, **options)

    config = dataclasses.replace(CONFIG, orders=(math.inf,))
    with monkeypatch.context() as patch:
        patch.setattr(Proper, "chunk", 5)
        patch.setattr(threads, "side_by_side", interrupted)
        with pytest.raises(KeyboardInterrupt):
            compute(tmp_path, config=config)
    assert len(list(tmp_path.rglob("checkpoint-*.nc"))) == 3
    compute(tmp_path)
    assert data_files(tmp_path, "diameter") == data_files(whole, "diameter")


def test_lanes_that_stand_apart_go_on_together(whole, tmp_path, monkeypatch):
    """One run was interrupted, the others have not begun: they share a program still."""
    monkeypatch.setattr(Proper, "chunk", 5)
    config = dataclasses.replace(CONFIG, orders=(math.inf,), runs=1)
    with monkeypatch.context() as patch:
        compute(tmp_path, config=config, stop=stopped_after(3, patch))
    compute(tmp_path)
    assert data_files(tmp_path, "diameter") == data_files(whole, "diameter")


def test_minutes_end_at_a_checkpoint(tmp_path, monkeypatch):
    def slow(*arguments):
        time.sleep(0.2)
        return advance_lanes(*arguments)

    monkeypatch.setattr(device, "advance_lanes", slow)
    monkeypatch.setattr(Proper, "chunk", 5)
    monkeypatch.setattr(OrderK, "chunk", 5)
    report = compute(tmp_path, minutes=0.01)
    assert report.stopped
    assert report.failed == {}
    assert len(report.finished) < 6
    with pytest.raises(ValueError, match="minutes is 0; expected a number > 0"):
        compute(tmp_path, minutes=0)


def test_checkpoints_are_small(tmp_path, monkeypatch):
    """Parameters and two moments in float32: 20 lanes of them are 11 MB.

    Snapshots that do not fill a file yet lie beside the checkpoint.
    """
    monkeypatch.setattr(recorder, "CHECKPOINT_SECONDS", 1e9)
    with monkeypatch.context() as patch:
        compute(tmp_path, stop=stopped_after(1, patch), config=dataclasses.replace(
            CONFIG, orders=(math.inf,)))  # fmt: skip
    checkpoints = list(tmp_path.rglob("checkpoint-*.nc"))
    assert len(checkpoints) == 3
    for saved in checkpoints:
        assert 4 * 3 * 104 * 4 * 105 < saved.stat().st_size < 16e6 / 20
    pending = [store.read_dataset(path) for path in tmp_path.rglob("pending-*.nc")]
    assert [len(found.pending_step) for found in pending] == [2, 2, 2]
    compute(tmp_path)
    assert not [*tmp_path.rglob("checkpoint-*.nc"), *tmp_path.rglob("pending-*.nc")]


# Failures ------------------------------------------------------------------------------


def test_a_lane_that_is_no_number_fails_alone(whole, tmp_path, monkeypatch):
    original = diameter.prepare

    def prepare(config, seed, env, task):
        job = original(config, seed, env, task)
        if task["run"] != 1 or task["order"] != math.inf:
            return job
        data = job.problem.data
        data = data._replace(targets=np.full_like(data.targets, np.nan))
        return job._replace(problem=dataclasses.replace(job.problem, data=data))

    with monkeypatch.context() as patch:
        patch.setattr(diameter, "prepare", prepare)
        report = compute(tmp_path)
    assert list(report.failed) == ["order=inf/run=1"]
    assert "the loss is nan at step 0" in report.failed["order=inf/run=1"]
    ours, wanted = (data_files(folder, "diameter") for folder in (tmp_path, whole))
    assert len(ours) == 10
    assert ours.items() <= wanted.items()
    assert compute(tmp_path).failed == {}
    assert data_files(tmp_path, "diameter") == wanted


def test_out_of_memory_names_a_width_that_may_fit(tmp_path, monkeypatch):
    def exhausted(*_):
        raise jax.errors.JaxRuntimeError("RESOURCE_EXHAUSTED: out of memory")

    monkeypatch.setattr(device, "advance_lanes", exhausted)
    with pytest.raises(
        ValueError, match=r"out of memory with 4 lanes; try fewer lanes, such as 2"
    ):
        compute(tmp_path)


# Bad input -----------------------------------------------------------------------------


def test_folders_of_other_arithmetic_are_refused(whole, finished, tmp_path):
    lanes = shutil.copytree(whole, tmp_path / "lanes")
    with pytest.raises(
        OtherConfiguration,
        match=r"arithmetic is 'lanes of 4 on .* begun with --engine device --lanes 4\)$",
    ):
        run_experiment("diameter", CONFIG, SEED, lanes, progress=False)
    with pytest.raises(OtherConfiguration, match=r"'lanes of 8 on .*' here"):
        compute(lanes, lanes=8)
    alone = shutil.copytree(finished, tmp_path / "alone")
    with pytest.raises(
        OtherConfiguration,
        match=r"'one run a program, on CPU cores' there.*begun with --engine local\)$",
    ):
        compute(alone, config=TINY["diameter"])


def test_a_folder_keeps_its_width(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "copy")
    report = compute(folder, lanes=None)
    assert report.computed == []
    assert len(report.finished) == 6


@pytest.mark.parametrize(
    ("lanes", "error", "message"),
    [
        (0, ValueError, "lanes is 0; expected an integer ≥ 1"),
        (2.5, TypeError, "lanes is 2.5; expected an integer ≥ 1"),
    ],
)
def test_illegal_widths(lanes, error, message):
    with pytest.raises(error, match=message):
        find_engine("device", lanes=lanes)


@pytest.mark.parametrize("gigabytes", [16, 24, 80])
def test_lanes_fit_the_memory(tmp_path, monkeypatch, gigabytes):
    monkeypatch.setattr(Device, "memory", lambda self: int(gigabytes * 1e9))
    monkeypatch.setattr(device, "machine_memory", lambda: 512 * 10**9)
    for module in (diameter, capacity):
        plan = make_plan(module.NAME, module.preset("paper"), SEED, tmp_path)
        width = Device().width(plan)
        # Of a rank both policy sets are trained by one program.
        assert 1 <= width <= (1 + (module is capacity)) * plan.settings.runs
        data = 4 * 100_000 * 104 * (4 + 2)
        assert width * data < gigabytes * 1e9
        assert lane_bytes(plan) > data
        with pytest.raises(
            ValueError, match=r"lanes is 5000; expected 1 to \d+ with .* of memory$"
        ):
            Device(5000).width(plan)
    monkeypatch.setattr(Device, "memory", lambda self: int(0.1e9))
    with pytest.raises(ValueError, match=r"a run needs .* use fewer policies"):
        Device().width(plan)


def test_this_machine_must_hold_the_data_of_all_lanes(tmp_path, monkeypatch):
    monkeypatch.setattr(Device, "memory", lambda self: 80 * 10**9)
    plan = make_plan("diameter", diameter.preset("paper"), SEED, tmp_path)
    widths = []
    for gigabytes in (8, 512):
        monkeypatch.setattr(device, "machine_memory", lambda g=gigabytes: g * 10**9)
        widths.append(Device().width(plan))
        said = Device().announced(plan)
        assert said.startswith(f"{widths[-1]} lanes on ")
    assert widths[0] * device.data_bytes(plan) < 8e9
    assert widths == sorted(set(widths))


def test_a_checkpoint_of_other_runs_is_refused(tmp_path, monkeypatch):
    one = dataclasses.replace(CONFIG, orders=(math.inf,), runs=1)
    monkeypatch.setattr(recorder, "CHECKPOINT_SECONDS", 1e9)
    for name, lanes in (("four", 4), ("two", 2)):
        with monkeypatch.context() as patch:
            compute(tmp_path / name, config=one, lanes=lanes, stop=stopped_after(1, patch))
    (checkpoint,) = (tmp_path / "four").rglob("checkpoint-*.nc")
    (other,) = (tmp_path / "two").rglob("checkpoint-*.nc")
    other.unlink()
    shutil.copy(checkpoint, other.parent)
    with pytest.raises(
        OtherConfiguration, match=r"checkpoint .* arithmetic is 'lanes of 4"
    ):
        compute(tmp_path / "two", config=one, lanes=2)
    assert (other.parent / checkpoint.name).exists()


BESIDE = """
import sys, threading
from pathlib import Path
import jax
other = jax.devices("cpu")[1]
jax.config.update("jax_default_device", other)
from pve.engines.device import Device
from pve.engines.dispatch import run_experiment
from pve.experiments import diameter
from tiny import SEED, TINY
import dataclasses, math

where = set()
original = diameter.prepare
def prepare(*arguments):
    job = original(*arguments)
    def measure(params):
        where.update(jax.numpy.zeros(1).devices())
        return job.measure(params)
    return job._replace(measure=measure)
diameter.prepare = prepare
config = dataclasses.replace(TINY["diameter"], orders=(math.inf,), runs=2)
engine = Device(2)
engine.device = other
options = {"engine": engine, "progress": False}
report = run_experiment("diameter", config, SEED, sys.argv[1], **options)
assert len(report.finished) == 2, report
print(sorted(device.id for device in where))
"""


def test_models_are_measured_on_the_cores(tmp_path):
    """A second device of the CPU's stands for the accelerator."""
    flags = "--xla_force_host_platform_device_count=2"
    environment = {**os.environ, "XLA_FLAGS": flags, "PYTHONPATH": str(ROOT / "tests")}
    done = subprocess.run(
        [sys.executable, "-c", BESIDE, tmp_path / "data"],
        capture_output=True, text=True, env=environment,
    )  # fmt: skip
    assert done.stdout.strip() == "[0]", done.stderr


def test_options_belong_to_their_engines():
    with pytest.raises(
        ValueError, match=r"lanes is 4, but the engine is 'local'; expected .* 'device'"
    ):
        find_engine("local", lanes=4)
    with pytest.raises(ValueError, match=r"address is 'x', .*'device'; expected .*'ray'"):
        find_engine("device", address="x")
    usual = "Local" if jax.default_backend() == "cpu" else "Device"
    assert type(find_engine("auto")).__name__ == usual


# Verified ------------------------------------------------------------------------------


def test_retrained_in_lanes_as_it_was(whole):
    for name in ("diameter/order=3/run=1", "capacity/mode=stochastic/rank=2/run=0"):
        assert retrain(whole, name) == []


def test_what_another_device_made_is_not_trained_again(whole, tmp_path):
    folder = shutil.copytree(whole, tmp_path / "copy")
    manifest = folder / "diameter" / "manifest.json"
    identity = store.read_record(manifest)["identity"]
    identity["arithmetic"] = "lanes of 4 on NVIDIA H100"
    store.write_record(manifest, {"identity": identity})
    (problem,) = retrain(folder, "diameter/order=3/run=1")
    assert (
        "not trained again: arithmetic is 'lanes of 4 on NVIDIA H100'; expected" in problem
    )
