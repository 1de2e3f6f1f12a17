"""The command line: what it says, what it writes and how it ends."""

import dataclasses
import math
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time

import pytest
import xarray as xr
from conftest import ROOT
from oracles import damage
from tiny import SEED, data_files, files, touched

import pve
from pve.experiments import diameter
from pve.experiments.settings import DIAMETER

TINY = ("--preset", "smoke", "--runs", "2", "--steps", "40", "--every", "20",
        "--policies", "50", "--batch", "4")  # fmt: skip
ORDERS = ("--orders", "1", "inf")
ENVIRONMENT = {"PYTHONPATH": str(ROOT), "MPLBACKEND": "agg", "COLUMNS": "200"}


def start(*arguments, program=("-m", "pve"), **environment):
    """Start the program as a user does, in an environment of the user's."""
    return subprocess.Popen(
        [sys.executable, *program, *map(str, arguments)],
        env=os.environ | ENVIRONMENT | environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    out, err = process.communicate(timeout=300)
    return process.returncode, out, err


# Experiments ------------------------------------------------------------------------


def test_diameter_as_a_program(finished, tmp_path):
    status, out, err = finish(start("diameter", tmp_path, SEED, *TINY, *ORDERS))
    assert status == 0, err
    assert "4 runs due, 0 finished; " in out
    assert re.search(r" (kB|MB) to write in", out)
    assert "diameter: 4 of 4 runs finished" in out
    assert "100%" in err  # the progress, which no terminal shows
    assert "\r" not in err
    assert len(err.splitlines()) < 4
    assert "Traceback" not in err
    assert data_files(tmp_path, "diameter") == data_files(finished, "diameter")


def test_capacity_and_the_short_names_of_modes(finished, tmp_path, call):
    ranks = ("--ranks", "2", "20")
    status, out, _ = call("capacity", tmp_path, SEED, *TINY, *ranks, "--modes", "det")
    assert status == 0
    assert "capacity: 4 of 4 runs finished" in out
    status, out, _ = call("capacity", tmp_path, SEED, *TINY, *ranks, "--modes", "stoch")
    assert status == 0
    assert data_files(tmp_path, "capacity") == data_files(finished, "capacity")


def test_running_again_computes_nothing(finished, tmp_path, call):
    folder = shutil.copytree(finished, tmp_path / "copy")
    before = touched(folder)
    status, out, err = call("diameter", folder, SEED, *TINY, *ORDERS)
    assert status == 0
    assert "0 runs due, 4 finished" in out
    assert "4 of 4 runs finished" in out
    assert err == ""
    assert touched(folder) == before


def test_options_override_the_preset(tmp_path, call, monkeypatch):
    seen = []

    def prepare(config, seed, env, task):
        seen.append((config, seed, env.num_states, task.name))
        raise ArithmeticError("enough")

    monkeypatch.setattr(diameter, "prepare", prepare)
    given = ("--steps", "60", "--batch", "3", "--policies", "70", "--every", "15",
             "--orders", "2", "inf", "--runs", "1")  # fmt: skip
    environment = ("--env", "gymnasium:FrozenLake-v1")
    call("diameter", tmp_path, 5, "--preset", "standard", *given, *environment)
    configs, seeds, states, names = zip(*seen, strict=True)
    expected = dataclasses.replace(
        DIAMETER["standard"], steps=60, batch=3, policies=70, every=15, log_every=5,
        orders=(2, math.inf), runs=1, env="gymnasium:FrozenLake-v1",
    )  # fmt: skip
    assert set(configs) == {expected}
    assert set(seeds) == {5}
    assert set(states) == {16}
    assert sorted(names) == ["order=2/run=0", "order=inf/run=0"]


def test_a_world_of_ones_own_with_a_discount(tmp_path, call, monkeypatch):
    seen = []

    def prepare(config, seed, env, task):
        seen.append((config.env, env.num_states, env.discount))
        raise ArithmeticError("enough")

    monkeypatch.setattr(diameter, "prepare", prepare)
    one = ("0", "--preset", "smoke", "--runs", "1", "--orders", "inf")
    call("diameter", tmp_path / "rooms", *one, "--discount", "0.5")
    lake = "gymnasium:FrozenLake-v1?map_name=8x8"
    call("diameter", tmp_path / "lake", *one, "--env", lake, "--discount", "0.75")
    assert seen == [
        ("four-rooms?discount=0.5", 104, 0.5),
        (f"{lake}&discount=0.75", 64, 0.75),
    ]


def test_shorter_training_keeps_its_snapshots(tmp_path, call, monkeypatch):
    seen = []

    def prepare(config, *rest):
        seen.append(config)
        raise ArithmeticError("enough")

    monkeypatch.setattr(diameter, "prepare", prepare)
    call("diameter", tmp_path, 0, "--preset", "smoke", "--runs", "1", "--steps", "130")
    # The preset's 50 and 10 do not divide 130: the nearest below that do.
    assert (seen[0].steps, seen[0].every, seen[0].log_every) == (130, 26, 2)


def test_much_data_is_announced(tmp_path, call, monkeypatch):
    monkeypatch.setattr(
        shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 0)
    )
    status, out, err = call("diameter", tmp_path, 0, "--preset", "paper")
    assert status == 2
    assert re.search(r"720 runs due, 0 finished; 6\d(\.\d)? GB to write", out)
    assert "That is a lot" in out
    assert "0 bytes free; the runs that are due need 6" in err


# Reading ----------------------------------------------------------------------------


def test_figures_as_png_and_pdf(finished, tmp_path, call, monkeypatch):
    monkeypatch.setattr("pve.figures.model_on_map.NUM_TRAJECTORIES", 40)
    folder = shutil.copytree(finished, tmp_path / "copy")
    status, out, _ = call("figures", folder, "--out", tmp_path / "pictures")
    assert status == 0
    paths = sorted((tmp_path / "pictures").iterdir())
    assert sorted(out.split()) == [str(path) for path in paths]
    names = {path.stem for path in paths}
    assert {"diameters", "clouds", "trajectories", "capacity"} <= names
    for name in names:
        picture = (tmp_path / "pictures" / f"{name}.png").read_bytes()
        page = (tmp_path / "pictures" / f"{name}.pdf").read_bytes()
        assert picture.startswith(b"\x89PNG")
        assert len(picture) > 5000
        assert page.startswith(b"%PDF")
        assert page.rstrip().endswith(b"%%EOF")


def test_status_and_verify_of_sound_data(finished, call):
    status, out, err = call("status", finished)
    assert (status, err) == (0, "")
    assert out == "diameter: 4 finished\ncapacity: 8 finished\n"
    status, out, err = call("verify", finished)
    assert (status, out, err) == (0, "all files are as recorded\n", "")


def test_verify_names_damage_and_fails(finished, tmp_path, call):
    folder = shutil.copytree(finished, tmp_path / "copy")
    damage(folder / "diameter" / "order=1" / "run=0" / "curves.nc", "flipped")
    status, out, err = call("verify", folder)
    assert status == 1
    assert out == "1 problem\n"
    assert "order=1/run=0/curves.nc" in err
    assert err.count("\n") == 1


def test_verify_retrains(finished, call):
    status, out, _ = call("verify", finished, "--retrain", "diameter/order=inf/run=0")
    assert (status, out) == (0, "all files are as recorded\n")


def test_failed_run(tmp_path, call, monkeypatch):
    original = diameter.prepare

    def prepare(config, seed, env, task):
        if task["run"] == 1:
            raise ArithmeticError("on purpose")
        return original(config, seed, env, task)

    command = ("diameter", tmp_path, SEED, *TINY, "--orders", "inf")
    with monkeypatch.context() as patch:
        patch.setattr(diameter, "prepare", prepare)
        status, out, err = call(*command)
    assert status == 1
    assert "1 of 2 runs finished" in out
    assert "diameter order=inf/run=1 failed: ArithmeticError: on purpose" in err
    assert "run the same command again to continue" in err
    assert "Traceback" not in err
    status, out, _ = call("status", tmp_path)
    assert status == 1
    assert "order=inf/run=1 failed: ArithmeticError: on purpose" in out
    assert call(*command)[0] == 0
    assert call("status", tmp_path)[:2] == (0, "diameter: 2 finished\n")


@pytest.mark.parametrize("command", [[], ["diameter"], ["figures"], ["verify"]], ids=str)
def test_help(command, call):
    status, out, err = call(*command, "--help")
    assert (status, err) == (0, "")
    assert "usage: pve" in out


# Bad input --------------------------------------------------------------------------

ONE = ("diameter", "DATA", "0", "--preset", "smoke")
TWO = ("capacity", "DATA", "0", "--preset", "smoke")
BAD = {
    "seed negative": (("diameter", "DATA", "-1"), ["'-1'", "0 to 4294967295"]),
    "seed fractional": (("diameter", "DATA", "2.5"), ["'2.5'", "0 to 4294967295"]),
    "seed a word": (("capacity", "DATA", "seven"), ["'seven'", "0 to 4294967295"]),
    "seed too large": (("diameter", "DATA", "4294967296"), ["4294967296", "0 to 42"]),
    "preset": (
        ("diameter", "DATA", "0", "--preset", "fast"),
        ["'fast'", "'smoke', 'quick', 'standard', 'paper'"],
    ),
    "order zero": ((*ONE, "--orders", "0"), ["order is 0", "integer ≥ 1, or inf"]),
    "order negative": ((*ONE, "--orders", "-1"), ["order is -1", "integer ≥ 1, or"]),
    "order fractional": ((*ONE, "--orders", "2.5"), ["order is 2.5", "integer ≥ 1"]),
    "order a word": ((*ONE, "--orders", "one"), ["'one'", "integer ≥ 1, or inf"]),
    "orders twice": ((*ONE, "--orders", "1", "1"), ["[1, 1]", "distinct"]),
    "rank zero": ((*TWO, "--ranks", "0"), ["rank is 0", "an integer from 1 to "]),
    "rank above S": ((*TWO, "--ranks", "105"), ["rank is 105", "1 to 104"]),
    "rank a word": ((*TWO, "--ranks", "full"), ["'full'", "expected"]),
    "mode": ((*TWO, "--modes", "greedy"), ["'greedy'", "'deterministic', 'stoch"]),
    "runs": ((*ONE, "--runs", "0"), ["runs is 0", "integer ≥ 1"]),
    "runs a word": ((*ONE, "--runs", "many"), ["'many'", "expected"]),
    "steps": ((*ONE, "--steps", "0"), ["steps is 0", "integer ≥ 1"]),
    "steps fractional": ((*ONE, "--steps", "1.5"), ["'1.5'", "expected"]),
    "batch": ((*ONE, "--batch", "-3"), ["batch is -3", "integer ≥ 1"]),
    "policies": ((*TWO, "--policies", "55"), ["policies is 55", "multiple of 10"]),
    "every": ((*ONE, "--every", "7"), ["steps is 200", "multiple of 7"]),
    "runs without end": ((*ONE, "--runs", "1" + 12 * "0"), ["1000000000000", "100000"]),
    "lanes": ((*ONE, "--lanes", "4"), ["lanes is 4", "'local'", "'device'"]),
    "no lanes": (
        (*ONE, "--engine", "device", "--lanes", "0"),
        ["lanes is 0", "integer ≥ 1"],
    ),
    "lanes fractional": ((*ONE, "--lanes", "1.5"), ["'1.5'", "expected an integer"]),
    "more lanes than memory": (
        (*ONE, "--engine", "device", "--lanes", "1000000"),
        ["lanes is 1000000", "of memory"],
    ),
    "minutes": ((*ONE, "--minutes", "0"), ["minutes is 0", "number > 0"]),
    "minutes a word": ((*ONE, "--minutes", "x"), ["'x'", "expected a number"]),
    "discount a word": ((*ONE, "--discount", "x"), ["'x'", "expected a number"]),
    "address": ((*ONE, "--address", "head:6379"), ["'head:6379'", "'local'", "'ray'"]),
    "engine": ((*ONE, "--engine", "slurm"), ["'slurm'", "'local', 'device', 'ray'"]),
    "environment": (
        (*ONE, "--env", "five-rooms"),
        ["'five-rooms'", "'jacks-cars', 'gymnasium:NAME', 'map:FILE' and 'npz:FILE'"],
    ),
    "map": ((*ONE, "--env", "map:nowhere.txt"), ["'nowhere.txt'", "cannot be read"]),
    "gymnasium": (
        (*ONE, "--env", "gymnasium:Nowhere-v0"),
        ["'Nowhere-v0'", "expected a name that gymnasium knows"],
    ),
    "gymnasium in a module": (
        (*ONE, "--env", "gymnasium:nowhere:Lake-v1"),
        ["'nowhere:Lake-v1'", "expected a name that gymnasium knows"],
    ),
    "option of an environment": (
        (*ONE, "--env", "four-rooms?ice=1"),
        ["'ice'", "expected one of slip, discount"],
    ),
    "npz": ((*ONE, "--env", "npz:nowhere.npz"), ["'nowhere.npz'", "cannot be read"]),
    "discount": ((*ONE, "--discount", "1"), ["discount is 1", "[0, 1)", "0.9999"]),
    "discount twice": (
        (*ONE, "--env", "four-rooms?discount=0.9", "--discount", "0.5"),
        ["has a discount", "give it once"],
    ),
    "name too long": (("status", "long" * 100), ["long", "File name too long"]),
    "no name to write to": (("figures", "DATA", "--out", ""), ["--out is ''", "expected"]),
    "repeats": (("bench", "--repeats", "0"), ["repeats is 0", "integer ≥ 1"]),
    "empty name": (("diameter", "", "0", "--preset", "smoke"), ["''", "expected"]),
    "command": (("diametre", "DATA", "0"), ["'diametre'", "diameter", "capacity"]),
    "option": ((*ONE, "--ordres", "1"), ["--ordres"]),
    "figures of nothing": (("figures", "DATA"), ["DATA", "holds no results", "expected"]),
    "status of nothing": (("status", "DATA"), ["DATA", "holds no results", "expected"]),
    "verify of nothing": (("verify", "DATA"), ["DATA", "holds no results", "expected"]),
}


@pytest.mark.parametrize(("arguments", "parts"), BAD.values(), ids=BAD)
def test_bad_input_is_one_line_and_writes_nothing(
    arguments, parts, call, tmp_path, monkeypatch
):
    monkeypatch.chdir(tmp_path)
    status, out, err = call(*arguments)
    assert status == 2
    assert out == ""
    assert len(err.splitlines()) == 1, err
    for part in parts:
        assert part in err
    assert list(tmp_path.iterdir()) == []


def test_bad_input_as_a_program(tmp_path):
    status, out, err = finish(start("diameter", tmp_path / "data", "-1"))
    assert (status, out) == (2, "")
    assert err == "pve diameter: seed is '-1'; expected an integer from 0 to 4294967295\n"
    assert not (tmp_path / "data").exists()


def test_unwritable_folder(call, tmp_path):
    (tmp_path / "file").write_text("")
    status, out, err = call("diameter", tmp_path / "file" / "data", 0, *TINY)
    assert (status, out) == (2, "")
    assert "cannot be written" in err
    assert "expected a folder that you may write" in err
    assert err.count("\n") == 1


def test_other_configuration_is_refused(finished, tmp_path, call):
    folder = shutil.copytree(finished, tmp_path / "copy")
    before = files(folder)
    status, out, err = call("diameter", folder, SEED + 1, *TINY, *ORDERS)
    assert (status, out) == (2, "")
    assert f"seed is {SEED} there, {SEED + 1} here" in err
    assert err.count("\n") == 1
    assert files(folder) == before


def test_damaged_manifest_is_reported(finished, tmp_path, call):
    folder = shutil.copytree(finished, tmp_path / "copy")
    (folder / "diameter" / "manifest.json").write_text("{}")
    for command in ("figures", "diameter"):
        rest = (SEED, *TINY, *ORDERS) if command == "diameter" else ()
        status, _, err = call(command, folder, *rest)
        assert status == 2
        assert "manifest.json: edited or damaged" in err
        assert err.count("\n") == 1


# Interrupted ------------------------------------------------------------------------


def wait_for(found, process):
    while not found():
        assert process.poll() is None, process.communicate()
        time.sleep(0.02)


# The program with a checkpoint after every chunk, so that no loaded machine can make the
# test wait for one; `test_runner` tests the checkpoint that Ctrl-C itself asks for.
CAREFUL = """
import sys
from pve.runs import recorder
from pve.cli import main
recorder.CHECKPOINT_SECONDS = -1
sys.exit(main())
"""


@pytest.mark.parametrize("sent", [signal.SIGINT, signal.SIGTERM])
def test_interrupted_command_says_how_to_continue_and_does(tmp_path, sent):
    command = ("diameter", tmp_path, SEED, "--preset", "smoke", "--orders", "inf",
               "--runs", "1", "--steps", "2500", "--every", "25", "--policies", "50",
               "--batch", "4")  # fmt: skip
    process = start(*command, program=("-c", CAREFUL))
    run = tmp_path / "diameter" / "order=inf" / "run=0"
    # The second shard is written at step 975 of 2500.
    wait_for(lambda: any(run.glob("snapshots-001-*.nc")), process)
    (first,) = run.glob("snapshots-000-*.nc")
    process.send_signal(sent)
    killer = threading.Timer(60, process.kill)
    killer.start()
    status, out, err = finish(process)
    killer.cancel()
    assert status == 130, err
    assert "Traceback" not in err
    assert "run the same command again to continue: python -m pve diameter" in out
    assert not (run / "record.json").exists()
    written = first.stat().st_mtime_ns
    status, out, err = finish(start(*command))
    assert status == 0, err
    assert "1 of 1 runs finished" in out
    assert first.stat().st_mtime_ns == written  # continued, not begun again
    results = pve.load(tmp_path, "diameter")
    assert results.step.values.tolist() == list(range(0, 2501, 25))
    assert results.logged_step.values.tolist() == list(range(5, 2501, 5))


def test_bits_depend_neither_on_a_process_cores_nor_on_what_jax_is_set_to(tmp_path):
    """Both together, as each costs the start of a program; order 5 is not exact."""
    command = ("--preset", "smoke", "--orders", "5", "inf", "--runs", "1", "--steps", "20",
               "--every", "20", "--policies", "50")  # fmt: skip
    one = f"import os; os.sched_setaffinity(0, {{{min(os.sched_getaffinity(0))}}})"
    alone = ("-c", f"{one}; import sys; from pve.cli import main; sys.exit(main())")
    odd = {"program": alone, "JAX_ENABLE_X64": "1", "JAX_THREEFRY_PARTITIONABLE": "0"}
    found = []
    for folder, ways in (tmp_path / "odd", odd), (tmp_path / "usual", {}):
        status, _, err = finish(start("diameter", folder, SEED, *command, **ways))
        assert status == 0, err
        found.append(data_files(folder, "diameter"))
    assert found[0] == found[1]
    assert len(found[0]) == 4
    with xr.open_dataset(tmp_path / "odd/diameter/order=5/run=0/curves.nc") as curves:
        assert curves.loss.dtype == "float32"


def test_interrupted_before_the_first_run(tmp_path, call, monkeypatch):
    def interrupt(*arguments):
        raise KeyboardInterrupt

    monkeypatch.setattr("pve.engines.cost.forecast", interrupt)
    try:
        status, _, err = call("diameter", tmp_path, SEED, *TINY)
    except KeyboardInterrupt:
        pytest.fail("the interrupt was not caught")
    assert status == 130
    assert err.count("\n") == 1
