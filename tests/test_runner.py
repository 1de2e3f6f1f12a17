"""Runs: the same bits however they were computed, and nothing lost on the way."""

import contextlib
import dataclasses
import json
import math
import os
import pickle
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import jax.numpy as jnp
import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from oracles import damage
from tiny import SEED, TINY, data_files, files, touched

from pve.atomic import TEMPORARY
from pve.engines import dispatch, local
from pve.engines.cost import forecast, total_cost
from pve.engines.dispatch import run_experiment
from pve.experiments import capacity, diameter
from pve.results.load import status
from pve.results.verify import retrain, verify
from pve.runs import attempt, recorder, store
from pve.runs.folders import OtherConfiguration, RunFolder
from pve.runs.plan import make_plan
from pve.training import loop
from pve.training.objective import OrderK, Proper
from pve.worlds.by_name import make_environment

ONE = dataclasses.replace(TINY["diameter"], orders=(math.inf,), runs=1)


def compute(folder, experiment="diameter", config=None, **options):
    config = config or TINY[experiment]
    return run_experiment(
        experiment, config, options.pop("seed", SEED), folder, progress=False, **options
    )


def stop_after(chunks, monkeypatch):
    """An event that every run sets after so many chunks."""
    stop = threading.Event()
    original = loop.run

    def counted(*arguments, **options):
        for count, chunk in enumerate(original(*arguments, **options), 1):
            yield chunk
            if count == chunks:
                stop.set()

    monkeypatch.setattr(attempt, "run", counted)
    return stop


# Bits -------------------------------------------------------------------------------


def test_the_whole_folder_is_what_was_asked_for(finished):
    def names(experiment):  # a snapshot's file is named by its checksum too
        found = data_files(finished, experiment)
        return {re.sub(r"-[0-9a-f]{16}\.nc$", "", name) for name in found}

    assert names("diameter") == {
        f"order={order}/run={run}/{name}"
        for order in (1, "inf")
        for run in (0, 1)
        for name in ("curves.nc", "snapshots-000")
    }
    assert names("capacity") == {
        f"mode={mode}/rank={rank}/run={run}/{name}"
        for mode in ("deterministic", "stochastic")
        for rank in (2, 20)
        for run in (0, 1)
        for name in ("curves.nc", "snapshots-000")
    }


def test_every_run_is_another(finished):
    for experiment in TINY:
        checksums = data_files(finished, experiment)
        assert len(set(checksums.values())) == len(checksums)


def test_runs_do_not_depend_on_how_many_are_asked_for(finished, tmp_path):
    config = dataclasses.replace(TINY["diameter"], orders=(math.inf,), runs=3)
    report = compute(tmp_path, config=config)
    assert report.finished == [f"order=inf/run={i}" for i in range(3)]
    three = data_files(tmp_path, "diameter")
    for run in (0, 1):
        expected = data_files(finished, "diameter", "order=inf", f"run={run}/")
        assert len(expected) == 2
        assert expected.items() <= three.items()


def test_one_run_alone_is_that_run(finished, tmp_path, monkeypatch):
    for module in (diameter, capacity):
        every = module.tasks(TINY[module.NAME])
        last = every[-1]
        monkeypatch.setattr(module, "tasks", lambda config, last=last: [last])
        compute(tmp_path, module.NAME)
        alone = data_files(tmp_path, module.NAME)
        assert alone == data_files(finished, module.NAME, f"{last.name}/")


def test_order_and_threads_do_not_matter(finished, tmp_path, monkeypatch):
    original = diameter.tasks
    monkeypatch.setattr(diameter, "tasks", lambda config: original(config)[::-1])
    monkeypatch.setattr(os, "cpu_count", lambda: 1)
    assert compute(tmp_path).computed == [task.name for task in diameter.tasks(
        TINY["diameter"])]  # fmt: skip
    assert data_files(tmp_path, "diameter") == data_files(finished, "diameter")


def test_ends_of_chunks_do_not_matter(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(Proper, "chunk", 5)
    compute(tmp_path, config=ONE)
    expected = data_files(finished, "diameter", "order=inf/run=0/")
    assert data_files(tmp_path, "diameter") == expected


def test_another_seed_is_another_run(finished, tmp_path):
    compute(tmp_path, config=ONE, seed=SEED + 1)
    ours = data_files(tmp_path, "diameter")
    theirs = data_files(finished, "diameter", "order=inf/run=0/")
    assert len(ours) == len(theirs) > 0
    assert not set(ours.values()) & set(theirs.values())


def test_another_process_compiling_anew_gives_the_same_bits(finished, tmp_path):
    child(tmp_path, environment={"JAX_ENABLE_COMPILATION_CACHE": "false"})
    expected = data_files(finished, "diameter", "order=inf/run=0/")
    assert data_files(tmp_path, "diameter") == expected


def test_capacity_shares_its_data_across_ranks_alone():
    config, env = TINY["capacity"], make_environment("four-rooms")
    jobs = {
        task.name: capacity.prepare(config, SEED, env, task)
        for task in capacity.tasks(config)
    }

    def data(mode, rank, run):
        job = jobs[f"mode={mode}/rank={rank}/run={run}"]
        return [np.asarray(x) for x in job.problem.data]

    first = data("stochastic", 2, 0)
    assert first[0].shape == (50, 104, 4)
    for x, y in zip(first, data("stochastic", 20, 0), strict=True):
        np.testing.assert_array_equal(x, y)
    for other in (data("stochastic", 2, 1), data("deterministic", 2, 0)):
        assert not np.array_equal(first[0], other[0])
    keys = [str(job.problem.key) for job in jobs.values()]
    assert len(set(keys)) == len(keys)  # batches differ, between ranks too


# Continuing -------------------------------------------------------------------------


def test_finished_runs_are_not_computed_again(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished, tmp_path / "copy")
    before = touched(folder)

    def refuse(*arguments):
        raise AssertionError("prepared again")

    for module in (diameter, capacity):
        monkeypatch.setattr(module, "prepare", refuse)
        report = compute(folder, module.NAME)
        assert report.computed == []
        assert report.failed == {}
        assert len(report.finished) == len(module.tasks(TINY[module.NAME]))
    assert touched(folder) == before


def test_more_runs_join_those_there_are(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    before = touched(folder / "diameter" / "order=inf" / "run=0")
    config = dataclasses.replace(TINY["diameter"], orders=(1, 2, math.inf), runs=1)
    report = compute(folder, config=config)
    assert report.computed == ["order=2/run=0"]
    assert touched(folder / "diameter" / "order=inf" / "run=0") == before
    assert set(status(folder)["diameter"].values()) == {"finished"}


@pytest.mark.parametrize("experiment", ["diameter", "capacity"])
def test_interrupted_runs_end_with_the_same_bits(
    finished, tmp_path, monkeypatch, experiment
):
    # Chunks of 5 steps end between snapshots and between recorded losses, too.
    monkeypatch.setattr(Proper, "chunk", 5)
    monkeypatch.setattr(OrderK, "chunk", 5)
    small = {"diameter": {}, "capacity": {"ranks": (2,), "modes": ("stochastic",)}}
    config = dataclasses.replace(TINY[experiment], runs=1, **small[experiment])
    for chunks in (1, 4):
        with monkeypatch.context() as patch:
            stop = stop_after(chunks, patch)
            report = compute(tmp_path, experiment, config, stop=stop)
            assert report.stopped
            assert report.computed == []
        states = set(status(tmp_path)[experiment].values())
        assert "unfinished" in states
        assert states <= {"unfinished", "missing"}
    report = compute(tmp_path, experiment, config)
    assert not report.stopped
    ours = data_files(tmp_path, experiment)
    assert len(ours) == 2 * len(report.finished)
    assert ours.items() <= data_files(finished, experiment).items()
    assert verify(tmp_path) == []


def test_ctrl_c_waits_for_the_checkpoint(finished, tmp_path, monkeypatch):
    original = loop.run

    def interrupting(*arguments, **options):
        for chunk in original(*arguments, **options):
            yield chunk
            signal.pthread_kill(threading.main_thread().ident, signal.SIGINT)
            time.sleep(0.5)  # the run is still at work when the interrupt is seen

    with monkeypatch.context() as patch:
        patch.setattr(attempt, "run", interrupting)
        # Where other tests take the cores, the usual grace may be too short to write in.
        patch.setattr(local, "GRACE_SECONDS", 60)
        with pytest.raises(KeyboardInterrupt):
            compute(tmp_path, config=ONE)
    assert len(list(tmp_path.rglob("checkpoint-*.nc"))) == 1
    assert compute(tmp_path, config=ONE).computed == ["order=inf/run=0"]
    expected = data_files(finished, "diameter", "order=inf/run=0/")
    assert data_files(tmp_path, "diameter") == expected


def test_an_interrupt_whose_exception_is_lost_still_stops():
    stop, before = threading.Event(), signal.getsignal(signal.SIGINT)

    def lost():
        with contextlib.suppress(KeyboardInterrupt):
            signal.raise_signal(signal.SIGINT)
        assert stop.is_set()

    with pytest.raises(KeyboardInterrupt), dispatch._interrupts_set(stop):
        lost()
    assert signal.getsignal(signal.SIGINT) is before


def test_stop_before_the_start_computes_nothing(tmp_path):
    stop = threading.Event()
    stop.set()
    report = compute(tmp_path, stop=stop)
    assert report.stopped
    assert report.finished == []
    assert set(status(tmp_path)["diameter"].values()) == {"missing"}


@pytest.mark.parametrize("name", ["checkpoint", "pending"])
@pytest.mark.parametrize("kind", ["truncated", "flipped", "emptied"])
def test_damaged_checkpoint_is_not_used(finished, tmp_path, monkeypatch, kind, name):
    with monkeypatch.context() as patch:
        compute(tmp_path, config=ONE, stop=stop_after(1, patch))
    (found,) = tmp_path.rglob(f"{name}-*.nc")
    damage(found, kind)
    report = compute(tmp_path, config=ONE)
    assert report.computed == ["order=inf/run=0"]
    expected = data_files(finished, "diameter", "order=inf/run=0/")
    assert data_files(tmp_path, "diameter") == expected


def test_snapshots_inside_a_checkpoint_are_continued_from(finished, tmp_path, monkeypatch):
    """Folders begun before pending snapshots had a file of their own."""
    with monkeypatch.context() as patch:
        compute(tmp_path, config=ONE, stop=stop_after(1, patch))
    files = RunFolder(tmp_path / "diameter", "order=inf/run=0")
    plan = make_plan("diameter", ONE, SEED, tmp_path)
    state, everything = files.load_checkpoint(plan.prepare(plan.tasks[0]).state)
    assert "pending_step" in everything
    files.save_checkpoint(state, everything)
    assert not list(tmp_path.rglob("pending-*.nc"))
    compute(tmp_path, config=ONE)
    expected = data_files(finished, "diameter", "order=inf/run=0/")
    assert data_files(tmp_path, "diameter") == expected


def test_a_checkpoint_says_what_it_is_and_is_continued_from(tmp_path, monkeypatch):
    with monkeypatch.context() as patch:
        compute(tmp_path, config=ONE, stop=stop_after(1, patch))
    (checkpoint,) = tmp_path.rglob("checkpoint-*.nc")
    with xr.open_dataset(checkpoint, engine="h5netcdf") as found:
        said = {name: found[name].attrs["long_name"] for name in found.variables}
        assert all(found[name].attrs["units"] == "1" for name in found.variables)
        assert found.attrs["title"] == "diameter order=inf/run=0"
        assert f'"seed": {SEED}' in found.attrs["configuration"]
    assert {"state of the training, step", "recorded until now, logged loss"} <= set(
        said.values()
    )
    assert len(set(said.values())) == len(said)
    starts = []
    original = loop.run

    def noted(state, *arguments, **options):
        starts.append(int(state.step))
        return original(state, *arguments, **options)

    monkeypatch.setattr(attempt, "run", noted)
    compute(tmp_path, config=ONE)
    assert starts == [20]
    assert not list(tmp_path.rglob("checkpoint-*.nc"))


def test_snapshots_are_stored_in_shards(finished, tmp_path, monkeypatch):
    # The bits of a snapshot do not depend on which file it lies in.
    monkeypatch.setattr(recorder, "SHARD", 2)
    compute(tmp_path, config=ONE)
    run = tmp_path / "diameter" / "order=inf" / "run=0"
    parts = [shard(run, i) for i in (0, 1)]
    assert [part.step.values.tolist() for part in parts] == [[0, 20], [40]]
    whole = shard(finished / "diameter" / "order=inf" / "run=0", 0)
    for part in parts:
        assert part.identical(whole.sel(step=part.step))


def shard(run, index):
    (path,) = run.glob(f"snapshots-{index:03d}-*.nc")
    return store.read_dataset(path)


@pytest.mark.parametrize("kind", ["truncated", "flipped", "emptied"])
def test_shard_damaged_on_the_way_fails_the_run(finished, tmp_path, monkeypatch, kind):
    # Written at step 20, damaged before the end: it must not be recorded as sound.
    monkeypatch.setattr(recorder, "SHARD", 2)
    original = RunFolder.finish

    def finish(self, *arguments):
        damage(next(self.path.glob("snapshots-000-*.nc")), kind)
        original(self, *arguments)

    with monkeypatch.context() as patch:
        patch.setattr(RunFolder, "finish", finish)
        report = compute(tmp_path, config=ONE)
    (message,) = report.failed.values()
    assert "snapshots-000" in message
    assert "damaged while the run went on" in message
    assert compute(tmp_path, config=ONE).computed == ["order=inf/run=0"]
    assert verify(tmp_path) == []
    whole = shard(finished / "diameter" / "order=inf" / "run=0", 0)
    assert shard(tmp_path / "diameter" / "order=inf" / "run=0", 1).identical(
        whole.sel(step=[40])
    )


# Killed ------------------------------------------------------------------------------

# A program that computes some runs. Each of its processes is killed when it is about to
# give its n-th file its name (an integer: nothing is cleaned up, the temporary file
# stays) or after so many seconds (a float, if it has not ended before). They are forked
# before JAX has started anything, which saves importing it each time.
PROGRAM = """
import os, pickle, signal, sys, threading
from pve.runs import recorder
from pve.engines.dispatch import find_engine, run_experiment
recorder.CHECKPOINT_SECONDS = -1
config, seed, folder, kills, lanes = pickle.loads(bytes.fromhex(sys.argv[1]))
replace, count = os.replace, 0

def compute(last):
    def counting(*arguments):
        global count
        count += 1
        if count == last:
            os.kill(os.getpid(), signal.SIGKILL)
        replace(*arguments)
    os.replace = counting
    if isinstance(last, float):
        kill = threading.Timer(last, os.kill, (os.getpid(), signal.SIGKILL))
        kill.daemon = True
        kill.start()
    engine = find_engine("device" if lanes else "local", lanes=lanes)
    report = run_experiment(
        "diameter", config, seed, folder, progress=False, engine=engine
    )
    assert not report.failed, report.failed

for last in kills:
    process = os.fork()
    if process == 0:
        compute(last)
        os._exit(0)
    status = os.waitstatus_to_exitcode(os.waitpid(process, 0)[1])
    assert status == -signal.SIGKILL or (status == 0 and isinstance(last, float)), status
if not kills:
    compute(None)
"""


def child(folder, kills=(), environment=None, config=ONE, lanes=None):
    task = pickle.dumps((config, SEED, str(folder), kills, lanes)).hex()
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM, task],
        env=os.environ | {"PYTHONPATH": str(ROOT)} | (environment or {}),
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr


def test_killed_again_and_again_ends_with_the_same_bits(finished, tmp_path):
    child(tmp_path, kills=(1, 2, 1, 2, 2, 3))
    assert list(tmp_path.rglob(f"{TEMPORARY}*"))
    assert status(tmp_path)["diameter"] == {"order=inf/run=0": "unfinished"}
    assert compute(tmp_path, config=ONE).computed == ["order=inf/run=0"]
    expected = data_files(finished, "diameter", "order=inf/run=0/")
    assert data_files(tmp_path, "diameter") == expected
    assert verify(tmp_path) == []
    run = tmp_path / "diameter" / "order=inf" / "run=0"
    left = {path.name.partition("-")[0] for path in run.iterdir()} - {".lock"}
    assert left == {"curves.nc", "snapshots", "record.json"}


def test_killed_at_random_times_ends_with_the_same_bits(tmp_path):
    # Enough chunks, each with a checkpoint, that most of the times fall between them.
    longer = dataclasses.replace(ONE, steps=2000)
    times = np.random.default_rng(SEED).uniform(0.5, 6, 5).tolist()
    child(tmp_path / "killed", times, config=longer)
    compute(tmp_path / "killed", config=longer)
    compute(tmp_path / "alone", config=longer)
    killed, alone = (data_files(tmp_path / x, "diameter") for x in ("killed", "alone"))
    assert killed == alone
    assert verify(tmp_path / "killed") == []


def test_killed_lanes_are_carried_elsewhere_and_end_with_the_same_bits(tmp_path):
    two = dataclasses.replace(ONE, runs=2)
    # Killed between the files of one lane and between those of two.
    child(tmp_path / "here", kills=(2, 3, 4, 5, 6), config=two, lanes=2)
    assert list((tmp_path / "here").rglob("checkpoint-*.nc"))
    shutil.move(tmp_path / "here", tmp_path / "there")
    for name in ("there", "alone"):
        engine = dispatch.find_engine("device", lanes=2)
        assert compute(tmp_path / name, config=two, engine=engine).failed == {}
    there, alone = (data_files(tmp_path / x, "diameter") for x in ("there", "alone"))
    assert there == alone
    assert verify(tmp_path / "there") == []


# Folders ----------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"batch": 5}, "batch is 4 there, 5 here"),
        ({"policies": 60}, "policies is 50 there, 60 here"),
        ({"learning_rate": 0.5}, "learning_rate is .* there, 0.5 here"),
        ({"steps": 80}, "steps is 40 there, 80 here"),
        ({"seed": SEED + 1}, f"seed is {SEED} there, {SEED + 1} here"),
        ({"env": "gymnasium:FrozenLake-v1"}, "env is 'four-rooms' there, 'gymnasium:"),
    ],
    ids=lambda value: next(iter(value)) if isinstance(value, dict) else "",
)
def test_other_configuration_is_refused_and_nothing_touched(
    finished, tmp_path, change, message
):
    folder = shutil.copytree(finished, tmp_path / "copy")
    before = files(folder)
    seed = change.pop("seed", SEED)
    config = dataclasses.replace(TINY["diameter"], **change)
    for call in (
        lambda: run_experiment("diameter", config, seed, folder),
        lambda: make_plan("diameter", config, seed, folder).claimed(),
    ):
        with pytest.raises(OtherConfiguration, match=message) as caught:
            call()
        assert "expected the same one or a new folder" in str(caught.value)
        assert "\n" not in str(caught.value)
    assert files(folder) == before
    change["seed"] = seed


def test_other_code_is_refused(finished, tmp_path, monkeypatch):
    folder = shutil.copytree(finished, tmp_path / "copy")
    monkeypatch.setattr("pve.runs.provenance.code_hash", lambda *roots: "other")
    with pytest.raises(OtherConfiguration, match=r"code is '.*' there, 'other' here"):
        compute(folder)


def test_experiments_in_a_folder_are_independent(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    shutil.rmtree(folder / "capacity")
    before = files(folder)
    config = dataclasses.replace(
        TINY["capacity"], ranks=(2,), modes=("stochastic",), runs=1, batch=5
    )
    compute(folder, "capacity", config, seed=SEED + 1)
    assert before.items() <= files(folder).items()


def test_runs_without_a_manifest_are_not_claimed(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    (folder / "diameter" / "manifest.json").unlink()
    with pytest.raises(OtherConfiguration, match="runs without a manifest"):
        compute(folder)


def test_unwritable_folder(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(ValueError, match=r"cannot be written: .*; expected a folder"):
        compute(tmp_path / "file")


def test_folder_without_a_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(ValueError, match="data folder is ''; expected"):
        compute("")
    assert list(tmp_path.iterdir()) == []


def test_full_disk_is_said_before_the_start(tmp_path, monkeypatch):
    usage = shutil.disk_usage(tmp_path)._replace(free=1000)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    with pytest.raises(ValueError, match=r"1 kB free; the runs .* need .*[kM]B"):
        compute(tmp_path)


@pytest.mark.parametrize(
    ("arguments", "error", "message"),
    [
        (
            {"experiment": "diametre"},
            ValueError,
            "'diametre'; expected one of 'diameter', ",
        ),
        ({"seed": -1}, ValueError, "seed is -1; expected"),
        ({"seed": "7"}, TypeError, "seed is '7'; expected"),
        (
            {"engine": "slurm"},
            ValueError,
            "engine is 'slurm'; expected one of 'auto', 'local', 'device', 'ray'",
        ),
    ],
)
def test_illegal_arguments_leave_no_folder(tmp_path, arguments, error, message):
    given = {"experiment": "diameter", "settings": ONE, "seed": 0, **arguments}
    with pytest.raises(error, match=message):
        run_experiment(data_dir=tmp_path / "data", **given)
    assert not (tmp_path / "data").exists()


def test_rank_above_the_number_of_states(tmp_path):
    config = dataclasses.replace(TINY["capacity"], ranks=(2, 105))
    with pytest.raises(ValueError, match="rank is 105; expected an integer from 1 to 104"):
        compute(tmp_path / "data", "capacity", config)
    assert not (tmp_path / "data").exists()


def test_forecast_is_what_will_lie_on_the_disk(finished, tmp_path):
    for experiment, config in TINY.items():
        plan = forecast(make_plan(experiment, config, SEED, tmp_path))
        assert (plan.due, plan.finished) == (4 if experiment == "diameter" else 8, 0)
        done = forecast(make_plan(experiment, config, SEED, finished))
        assert (done.due, done.finished, done.bytes) == (0, plan.due, 0)
        assert plan == total_cost(experiment, config)
    config = TINY["diameter"]
    written = sum(
        path.stat().st_size for path in (finished / "diameter").rglob("run=*/*.*")
    )
    plan = make_plan("diameter", config, SEED, tmp_path)
    assert forecast(plan).bytes == pytest.approx(written, rel=0.2)
    assert not list(tmp_path.iterdir())  # a forecast makes no folder


# Failures ---------------------------------------------------------------------------


def test_failed_run_is_recorded_and_tried_again(finished, tmp_path, monkeypatch):
    original = diameter.prepare

    def prepare(config, seed, env, task):
        if task["run"] == 0 and task["order"] == 1:
            raise ArithmeticError("on purpose")
        return original(config, seed, env, task)

    with monkeypatch.context() as patch:
        patch.setattr(diameter, "prepare", prepare)
        report = compute(tmp_path)
    assert report.failed == {"order=1/run=0": "ArithmeticError: on purpose"}
    assert len(report.computed) == 3
    states = status(tmp_path)["diameter"]
    assert states.pop("order=1/run=0") == "failed: ArithmeticError: on purpose"
    assert set(states.values()) == {"finished"}
    failure = json.loads((tmp_path / "diameter/order=1/run=0/failure.json").read_text())
    assert "on purpose" in failure["traceback"]
    assert compute(tmp_path).computed == ["order=1/run=0"]
    assert set(status(tmp_path)["diameter"].values()) == {"finished"}
    assert not list(tmp_path.rglob("failure.json"))
    assert data_files(tmp_path, "diameter") == data_files(finished, "diameter")


def test_loss_that_is_no_number_fails_the_run(tmp_path, monkeypatch):
    original = diameter.prepare

    def prepare(*arguments):
        job = original(*arguments)
        data = job.problem.data
        broken = data._replace(targets=data.targets.at[:].set(jnp.nan))
        return job._replace(problem=dataclasses.replace(job.problem, data=broken))

    monkeypatch.setattr(diameter, "prepare", prepare)
    report = compute(tmp_path, config=ONE)
    message = "FloatingPointError: the loss is nan at step 0"
    assert report.failed == {"order=inf/run=0": message}
    assert status(tmp_path)["diameter"] == {"order=inf/run=0": f"failed: {message}"}


def test_full_disk_in_the_middle_fails_the_run_and_says_so(tmp_path, monkeypatch):
    original = store.write_bytes

    def write(path, content):
        if path.suffix == ".nc":
            raise OSError(28, "No space left on device")
        return original(path, content)

    with monkeypatch.context() as patch:
        patch.setattr(store, "write_bytes", write)
        report = compute(tmp_path, config=ONE)
    assert "No space left on device" in report.failed["order=inf/run=0"]
    assert compute(tmp_path, config=ONE).computed == ["order=inf/run=0"]


def test_run_of_another_process_is_left_to_it(tmp_path):
    other = tmp_path / "diameter" / "order=inf" / "run=0"
    other.mkdir(parents=True)
    with store.locked(other / ".lock"):
        report = compute(tmp_path, config=dataclasses.replace(ONE, runs=2))
    assert report.elsewhere == ["order=inf/run=0"]
    assert report.computed == ["order=inf/run=1"]
    assert report.finished == ["order=inf/run=1"]


# Verifying --------------------------------------------------------------------------


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def test_verify_finds_nothing_in_sound_data(finished):
    assert verify(finished) == []


def test_verify_finds_every_damaged_file(copy):
    runs = [f"order={order}/run={run}" for order in (1, "inf") for run in (0, 1)]
    damaged = [
        path.relative_to(copy / "diameter").as_posix()
        for pattern in ("curves.nc", "snapshots-000-*.nc")
        for run in runs
        for path in (copy / "diameter" / run).glob(pattern)
    ]
    kinds = ["truncated", "flipped", "emptied", "deleted"]
    for name, kind in zip(damaged, 2 * kinds, strict=True):
        damage(copy / "diameter" / name, kind)
    problems = verify(copy)
    assert len(problems) == len(damaged)
    for name in damaged:
        assert any(name in problem for problem in problems)


@pytest.mark.parametrize("kind", ["truncated", "flipped", "emptied"])
def test_verify_finds_a_damaged_record(copy, kind):
    damage(copy / "diameter" / "order=1" / "run=1" / "record.json", kind)
    (problem,) = verify(copy)
    assert "order=1/run=1/record.json" in problem


def test_run_without_its_record_is_not_finished(copy):
    damage(copy / "diameter" / "order=1" / "run=1" / "record.json", "deleted")
    assert status(copy)["diameter"]["order=1/run=1"] == "missing"


@pytest.mark.parametrize(
    "name", ["order=1/run=1/record.json", "manifest.json", "plan.json"]
)
def test_verify_finds_a_deleted_description(copy, name):
    damage(copy / "diameter" / name, "deleted")
    (problem,) = verify(copy)
    assert f"diameter/{name}: missing" in problem


@pytest.mark.parametrize("kind", ["truncated", "flipped", "emptied"])
def test_verify_finds_a_damaged_plan(copy, kind):
    damage(copy / "diameter" / "plan.json", kind)
    (problem,) = verify(copy)
    assert "diameter/plan.json" in problem


def swap(first, second):
    spare = first.with_name("spare")
    first.rename(spare)
    second.rename(first)
    spare.rename(second)


@pytest.mark.parametrize("name", ["curves.nc", "record.json", ""])
def test_verify_finds_swapped_files(copy, name):
    runs = [copy / "capacity" / "mode=stochastic" / f"rank={r}" / "run=0" for r in (2, 20)]
    swap(*(run / name if name else run for run in runs))
    problems = verify(copy)
    assert len(problems) >= 2
    for rank in (2, 20):
        assert any(f"rank={rank}/run=0" in problem for problem in problems)


def test_verify_finds_an_edited_record(copy):
    path = copy / "diameter" / "order=1" / "run=0" / "record.json"
    record = json.loads(path.read_text())
    path.write_text(json.dumps({**record, "seconds": 0.001}))
    (problem,) = verify(copy)
    assert "record.json: edited or damaged" in problem


def test_verify_finds_an_edited_manifest(copy):
    path = copy / "diameter" / "manifest.json"
    path.write_text(path.read_text().replace(f'"seed": {SEED}', '"seed": 8'))
    (problem,) = verify(copy)
    assert "manifest.json: edited or damaged" in problem
    with pytest.raises(store.CorruptFile, match=r"manifest\.json"):
        compute(copy)


def test_verify_finds_runs_of_another_configuration(copy, finished):
    # A manifest that is sound but another's.
    path = copy / "diameter" / "manifest.json"
    identity = store.read_record(path)["identity"]
    store.write_record(path, {"identity": {**identity, "batch": 5}})
    problems = verify(copy)
    assert len(problems) == 4
    assert all("another configuration" in problem for problem in problems)


def test_retrain_gives_the_bits_again(copy):
    assert retrain(copy, "diameter/order=inf/run=1") == []
    assert retrain(copy, "capacity/mode=stochastic/rank=2/run=0") == []


def test_retrain_tells_a_forged_result(copy):
    # A forger who knows the format: every checksum fits, but it does not come out again.
    run = copy / "diameter" / "order=inf" / "run=1"
    curves = store.read_dataset(run / "curves.nc")
    curves["loss"][0] *= 1.001
    record = store.read_record(run / "record.json")
    record["files"]["curves.nc"] = store.write_dataset(run / "curves.nc", curves)
    store.write_record(run / "record.json", record)
    assert verify(copy) == []
    (problem,) = retrain(copy, "diameter/order=inf/run=1")
    assert "losses and measures differ" in problem


def test_retrain_asks_for_a_finished_run(copy):
    with pytest.raises(
        ValueError, match="'diameter/order=9/run=0' is not finished; expected"
    ):
        retrain(copy, "diameter/order=9/run=0")
