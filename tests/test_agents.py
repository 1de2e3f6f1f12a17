"""The MuZero study as an experiment: its files, its numbers and its interruptions."""

import dataclasses
import shutil
import threading

import jax
import jax.numpy as jnp
import matplotlib as mpl
import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from oracles import damage
from tiny import SEED, data_files, touched

import pve
from pve import muzero
from pve.cli import main
from pve.engines.cost import forecast
from pve.engines.dispatch import find_engine, run_experiment
from pve.experiments import muzero as experiment
from pve.keys import stream
from pve.results.load import status
from pve.results.summary import first_losses, load_summary, write_summary
from pve.results.verify import retrain, verify
from pve.runs import pieces, store
from pve.runs.plan import make_plan, settings_of

SHIPPED = ROOT / "book" / "data" / "muzero-standard"
TINY = experiment.MuZeroConfig(
    runs=2, phases=3, steps=4, latent=4, slots=2, actors=8, length=6, batch=8, refresh=2
)
ONE = dataclasses.replace(TINY, runs=1, arms=("past",))
RUN = "arm=past/run=0"


def compute(folder, config=TINY, **options):
    return run_experiment("muzero", config, SEED, folder, progress=False, **options)


@pytest.fixture(scope="module")
def finished(tmp_path_factory):
    """A data folder with tiny pairs of agents, made by the command."""
    folder = tmp_path_factory.mktemp("agents")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(experiment.PRESETS, "smoke", TINY)
        assert main(["muzero", str(folder), str(SEED), "--preset", "smoke"]) == 0
    return folder


@pytest.fixture
def copy(finished, tmp_path):
    return shutil.copytree(finished, tmp_path / "copy")


def single(world):
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), world)


def trained(arm, run):
    """An agent and its measures by the library's functions alone, no storage between."""
    env, key = pve.four_rooms().mdp, stream(SEED, "muzero", f"run={run}")
    trace = muzero.train(key, single(env), jnp.float32(muzero.ARMS[arm]), TINY)
    asked = stream(SEED, "muzero", f"run={run}", "asked")
    return trace, muzero.measure(asked, env, trace, TINY)


# Numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize("arm", muzero.ARMS)
def test_stored_numbers_are_those_of_the_agent_and_its_measures(finished, arm):
    found = pve.load(finished, "muzero")
    assert dict(found.sizes) == {
        "arm": 2, "run": 2, "phase": 3, "policy": 11, "step": 12,
    }  # fmt: skip
    _, expected = trained(arm, 1)
    xr.testing.assert_equal(
        found.sel(arm=arm, run=1, drop=True).drop_attrs(), expected.drop_attrs()
    )
    assert found.attrs["optimal_performance"] == pytest.approx(72.89057, abs=1e-5)


def test_the_stored_model_is_the_agents_last(finished):
    trace, _ = trained("past", 0)
    last = muzero.Params(*(array[-1] for array in trace.params))
    expected = muzero.latent_model(last, (TINY.phases - 1) % TINY.slots, 0.99)
    model = pve.load_model(finished, "muzero", arm="past", run=0)
    np.testing.assert_array_equal(model.reward, expected.mdp.reward)
    np.testing.assert_allclose(model.transition, expected.mdp.transition, rtol=1e-15)
    (path,) = (finished / "muzero" / RUN).glob("snapshots-*.nc")
    kept = store.read_dataset(path).isel(step=0)
    np.testing.assert_array_equal(kept.encoder, expected.encoder)
    np.testing.assert_array_equal(kept["head"], expected.head)
    with pytest.raises(ValueError, match=r"expected \['arm', 'run'\]"):
        pve.load_model(finished, "muzero", order=1, run=0)


def test_a_run_does_not_depend_on_the_others(finished, tmp_path):
    compute(tmp_path, ONE)
    ours = data_files(tmp_path, "muzero")
    assert len(ours) == 2
    assert ours == data_files(finished, "muzero", f"{RUN}/")


def test_other_worlds_will_do_unless_they_forbid_actions(tmp_path):
    lake = dataclasses.replace(ONE, env="gymnasium:FrozenLake-v1")
    assert compute(tmp_path / "lake", lake).failed == {}
    assert pve.load(tmp_path / "lake", "muzero").sizes["policy"] == 11
    reward = np.array([[0.0, -np.inf], [1.0, 0.0]])
    pve.MDP(reward, np.full((2, 2, 2), 0.5), 0.9).save(tmp_path / "world.npz")
    world = dataclasses.replace(ONE, env=f"npz:{tmp_path / 'world.npz'}")
    with pytest.raises(ValueError, match="forbids some actions; expected for muzero one"):
        compute(tmp_path / "world", world)
    assert not (tmp_path / "world").exists()


# Continuing -------------------------------------------------------------------------


def stop_after(phases, monkeypatch):
    """An event that is set after so many phases."""
    stop, original, count = threading.Event(), experiment._program, 0

    def counted(*arguments):
        nonlocal count
        count += 1
        if count == phases:
            stop.set()
        return original(*arguments)

    monkeypatch.setattr(experiment, "_program", counted)
    return stop


@pytest.mark.parametrize("kind", ["sound", "truncated", "flipped"])
def test_interrupted_agents_end_with_the_same_bits(finished, tmp_path, monkeypatch, kind):
    for phases in (1, 1):  # stopped after the first phase, then after the second
        with monkeypatch.context() as patch:
            report = compute(tmp_path, ONE, stop=stop_after(phases, patch))
        assert report.stopped
        assert report.computed == []
        assert status(tmp_path)["muzero"] == {RUN: "unfinished"}
    (checkpoint,) = tmp_path.rglob("checkpoint-*.nc")
    if kind != "sound":
        damage(checkpoint, kind)
    done, original = [], experiment._program

    def noted(config, agent, *rest):
        done.append(int(agent.phase))
        return original(config, agent, *rest)

    monkeypatch.setattr(experiment, "_program", noted)
    assert compute(tmp_path, ONE).computed == [RUN]
    assert done == ([2] if kind == "sound" else [0, 1, 2])
    assert data_files(tmp_path, "muzero") == data_files(finished, "muzero", f"{RUN}/")
    assert verify(tmp_path) == []
    assert not list(tmp_path.rglob("checkpoint-*.nc"))


def test_stopped_before_the_first_phase_leaves_no_checkpoint(tmp_path, monkeypatch):
    stop = threading.Event()
    original = experiment.prepare

    def prepare(*arguments):
        stop.set()
        return original(*arguments)

    monkeypatch.setattr(experiment, "prepare", prepare)
    assert compute(tmp_path, ONE, stop=stop).stopped
    assert not list(tmp_path.rglob("checkpoint-*.nc"))
    assert status(tmp_path)["muzero"] == {RUN: "missing"}


def test_a_checkpoint_is_written_when_the_last_one_is_old(finished, tmp_path, monkeypatch):
    monkeypatch.setattr(pieces, "CHECKPOINT_SECONDS", -1)
    saved, original = [], pieces.RunFolder.save_checkpoint

    def save(self, state, history):
        saved.append(len(history["policy"]))
        original(self, state, history)

    monkeypatch.setattr(pieces.RunFolder, "save_checkpoint", save)
    compute(tmp_path, ONE)
    assert saved == [1, 2, 3]
    assert data_files(tmp_path, "muzero") == data_files(finished, "muzero", f"{RUN}/")


def test_arms_and_agents_join_those_there_are(finished, tmp_path):
    plain = dataclasses.replace(TINY, runs=1, arms=("plain",))
    compute(tmp_path, plain)
    before = touched(tmp_path / "muzero" / "arm=plain" / "run=0")
    found = pve.load(tmp_path, "muzero")
    assert found.arm.values.tolist() == ["plain"]
    assert len(compute(tmp_path).computed) == 3
    assert touched(tmp_path / "muzero" / "arm=plain" / "run=0") == before
    assert data_files(tmp_path, "muzero") == data_files(finished, "muzero")
    assert compute(tmp_path).computed == []


def test_other_settings_are_refused(finished, copy):
    with pytest.raises(ValueError, match="latent is 4 there, 5 here"):
        compute(copy, dataclasses.replace(TINY, latent=5))


def test_loss_that_is_no_number_fails_the_run(tmp_path, monkeypatch):
    original = experiment._program

    def broken(*arguments):
        def phase(*given):
            agent, found = original(*arguments)(*given)
            if int(agent.phase) == 2:
                found = found._replace(value_loss=found.value_loss.at[1].set(jnp.nan))
            return agent, found

        return phase

    monkeypatch.setattr(experiment, "_program", broken)
    report = compute(tmp_path, ONE)
    assert report.failed == {RUN: "FloatingPointError: the loss is nan at step 5"}


# Reading ----------------------------------------------------------------------------


def test_commands_read_the_folder(finished, copy, tmp_path, capsys):
    mpl.use("agg")
    capsys.readouterr()
    assert main(["status", str(copy)]) == 0
    assert capsys.readouterr().out == "muzero: 4 finished\n"
    assert main(["verify", str(copy), "--retrain", f"muzero/{RUN}"]) == 0
    assert capsys.readouterr().out == "all files are as recorded\n"
    assert main(["figures", str(copy), "--out", str(tmp_path / "visuals")]) == 0
    names = {path.name for path in (tmp_path / "visuals").iterdir()}
    assert {"agents-errors.png", "agents-learning.pdf"} <= names
    assert main(["summary", str(copy), "--out", str(tmp_path / "summary")]) == 0
    kept, loaded = load_summary(tmp_path / "summary", "muzero"), pve.load(copy, "muzero")
    xr.testing.assert_identical(kept.drop_attrs(), loaded.drop_attrs())
    assert settings_of(kept.attrs) == dataclasses.replace(
        experiment.preset("smoke"), **TINY.identity()
    )
    with pytest.raises(ValueError, match=r"'muzero'; expected one whose runs are"):
        first_losses(kept, 4, arm="plain", run=0)


def test_every_variable_says_what_it_means(finished, tmp_path):
    write_summary(finished, tmp_path)
    paths = [*finished.rglob("*.nc"), *tmp_path.glob("*.nc")]
    assert len(paths) == 9
    for path in paths:
        found = store.read_dataset(path)
        assert all(found[name].attrs["long_name"] for name in found.variables), path


def test_verify_finds_damage_and_retrain_a_forgery(copy):
    run = copy / "muzero" / "arm=plain" / "run=1"
    curves = store.read_dataset(run / "curves.nc")
    curves["plan"] = curves["plan"] * 1.001
    record = store.read_record(run / "record.json")
    record["files"]["curves.nc"] = store.write_dataset(run / "curves.nc", curves)
    store.write_record(run / "record.json", record)
    assert verify(copy) == []
    (problem,) = retrain(copy, "muzero/arm=plain/run=1")
    assert "losses and measures differ" in problem
    damage(run / "curves.nc", "flipped")
    (problem,) = verify(copy)
    assert "arm=plain/run=1/curves.nc" in problem


def test_forecast_is_what_will_lie_on_the_disk(finished, tmp_path):
    plan = forecast(make_plan("muzero", TINY, SEED, tmp_path))
    written = sum(path.stat().st_size for path in finished.rglob("run=*/*.*"))
    assert plan.due == 4
    assert plan.bytes == pytest.approx(written, rel=0.35)
    settings = experiment.preset("standard")
    kept = experiment.run_bytes(settings, pve.four_rooms().mdp, None)
    assert kept == pytest.approx(94_500, rel=0.02)  # as measured


# Bad input --------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--arms", "future"], "arm is 'future'; expected one of 'plain', 'past'"),
        (["--arms", "past", "past"], "distinct"),
        (["--steps", "26"], "expected a multiple of refresh = 25"),
        (["--phases", "0"], "phases is 0; expected"),
        (["--runs", "many"], "expected an integer"),
        (["--runs", "1000000"], "runs is 1000000; expected an integer from 1 to 100000"),
        (["--learning-rate", "fast"], "expected a number"),
        (
            ["--engine", "device"],
            "engine is 'device'; expected 'local' or 'ray' for muzero",
        ),
        (["--policies", "5"], "--policies"),
        (["--preset", "fast"], "'fast'; expected one of 'smoke'"),
    ],
)
def test_bad_input_is_one_line_and_writes_nothing(options, message, tmp_path, capsys):
    command = ["muzero", str(tmp_path / "data"), "0", "--preset", "smoke", *options]
    try:
        ended = main(command)
    except SystemExit as end:
        ended = end.code
    out, err = capsys.readouterr()
    assert (ended, out) == (2, "")
    assert message in err
    assert err.count("\n") == 1
    assert not (tmp_path / "data").exists()


def test_options_override_the_preset(tmp_path, monkeypatch, capsys):
    seen = []

    def prepare(config, seed, env, task):
        seen.append((config, task.name))
        raise ArithmeticError("enough")

    monkeypatch.setattr(experiment, "prepare", prepare)
    given = ("--arms", "plain", "--runs", "1", "--phases", "2", "--steps", "75",
             "--latent", "5", "--unroll", "3", "--learning-rate", "0.5")  # fmt: skip
    assert main(["muzero", str(tmp_path), "0", "--preset", "smoke", *given]) == 1
    ((config, name),) = seen
    expected = dataclasses.replace(
        experiment.preset("smoke"), arms=("plain",), runs=1, phases=2, steps=75,
        latent=5, unroll=3, learning_rate=0.5,
    )  # fmt: skip
    assert (config, name) == (expected, "arm=plain/run=0")


def test_auto_takes_the_cores_where_runs_do_not_go_side_by_side(monkeypatch):
    monkeypatch.setattr(jax, "default_backend", lambda: "gpu")
    assert type(find_engine("auto", "muzero")).__name__ == "Local"
    assert type(find_engine("auto", "diameter")).__name__ == "Device"


def test_identity_is_what_decides_the_numbers():
    grown = dataclasses.replace(TINY, runs=99, arms=("past",))
    assert grown.identity() == TINY.identity()
    names = {field.name for field in dataclasses.fields(TINY)}
    assert set(TINY.identity()) == names - {"runs", "arms"}
    assert dataclasses.replace(TINY, phases=4).identity() != TINY.identity()
    assert TINY.run_steps == 12


# The shipped summary ----------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    return load_summary(SHIPPED, "muzero")


def test_shipped_summary_is_whole(shipped):
    standard = experiment.preset("standard")
    assert settings_of(shipped.attrs).identity() == standard.identity()
    assert shipped.sizes["run"] == standard.runs
    assert shipped.arm.values.tolist() == sorted(muzero.ARMS)
    assert shipped.attrs["machines"][0]["cores"] >= 1
    assert shipped.attrs["jax"]
    assert all(np.isfinite(shipped[name]).all() for name in shipped.data_vars)
    assert (SHIPPED / "muzero.nc").stat().st_size < 300_000


def test_shipped_summary_is_repeated_by_training_again(shipped):
    # The first phase at the shipped size, of one run: elsewhere the last bits differ.
    settings = dataclasses.replace(settings_of(shipped.attrs), phases=1)
    key = stream(shipped.attrs["seed"], "muzero", "run=7")
    trace = muzero.train(key, single(pve.four_rooms().mdp), jnp.float32(1), settings)
    total = np.asarray(trace.reward_loss + settings.value_weight * trace.value_loss)
    stored = shipped.first_losses.sel(arm="past", run=7)
    np.testing.assert_allclose(total[0, : len(stored)], stored, rtol=1e-3)


def test_damaged_summary_is_refused(tmp_path):
    copied = shutil.copytree(SHIPPED, tmp_path / "copy")
    damage(copied / "muzero.nc", "truncated")
    with pytest.raises(store.CorruptFile, match=r"muzero\.nc"):
        load_summary(copied, "muzero")
