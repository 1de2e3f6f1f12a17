"""Models at some moments of their training: the same as in the folder, and as on record."""

import shutil

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from oracles import damage
from tiny import TINY

import pve
from pve.cli import main
from pve.results import moments
from pve.results.summary import MEASURED, load_summary
from pve.runs import store
from pve.runs.folders import differences

PAPER = ROOT / "book" / "data" / "paper"


@pytest.fixture(scope="module")
def written(finished, tmp_path_factory):
    out = tmp_path_factory.mktemp("moments")
    assert main(["summary", str(finished), "--models", "20", "--out", str(out)]) == 0
    return out


def test_last_models_are_those_of_the_data_folder(finished, written):
    models = moments.load_moments(written, 20)
    assert list(models.step) == [20, 40]
    for mode in TINY["capacity"].modes:
        at = {"mode": mode, "rank": 20, "run": 1}
        kept = moments.model_at(models, **at, step=40)
        np.testing.assert_array_equal(
            pve.flatten(kept), pve.flatten(pve.load_model(finished, "capacity", **at))
        )


def test_earlier_models_plan_as_was_recorded(finished, written):
    models, env = moments.load_moments(written, 20), pve.four_rooms().mdp
    recorded = pve.load(finished, "capacity").performance
    for at in ({"mode": "stochastic", "run": 0}, {"mode": "deterministic", "run": 1}):
        model = moments.model_at(models, **at, rank=20, step=20)
        expected = float(recorded.sel(at).sel(rank=20, step=20))
        assert pve.performance(model, env) == pytest.approx(expected)


def test_another_training_is_not_taken_for_the_recorded_one(
    finished, tmp_path, monkeypatch
):
    monkeypatch.setattr(moments, "load", lambda *_: pve.load(finished, "capacity") + 1)
    with pytest.raises(
        RuntimeError, match=r"trained again is worth .*, but .* is recorded"
    ):
        moments.write_moments(finished, tmp_path, [20])


def test_a_step_without_an_evaluation_is_refused(finished, tmp_path):
    with pytest.raises(ValueError, match=r"steps are \[30\]; expected some of 20"):
        moments.write_moments(finished, tmp_path, [30])


def test_a_rank_without_models_is_refused(written):
    with pytest.raises(
        ValueError, match=r"rank is 3; expected one that is stored: .*rank=2\.nc"
    ):
        moments.load_moments(written, 3)


def without(finished, folder, rank):
    """A copy of the data folder without the runs of a rank."""
    shutil.copytree(finished, folder)
    for runs in folder.glob(f"capacity/*/rank={rank}"):
        shutil.rmtree(runs)
    return folder


def test_models_of_another_rank_are_added(finished, written, tmp_path, monkeypatch):
    out = tmp_path / "out"
    for rank in (2, 20):
        some = without(finished, tmp_path / f"without {rank}", rank)
        moments.write_moments(some, out, [20], add=True)
    for rank in (2, 20):
        added, at_once = (moments.load_moments(x, rank) for x in (out, written))
        xr.testing.assert_identical(added, at_once)
    monkeypatch.setattr(moments, "differences", lambda *_: ["seed is 1 there, 2 here"])
    before = (out / moments.MANIFEST).read_bytes()
    with pytest.raises(ValueError, match="of other numbers: seed is 1 there, 2 here"):
        moments.write_moments(finished, out, [20], add=True)
    assert (out / moments.MANIFEST).read_bytes() == before


@pytest.mark.parametrize("name", ["models-rank=20.nc", moments.MANIFEST])
def test_damage_is_found(written, tmp_path, name):
    for file in written.iterdir():
        (tmp_path / file.name).write_bytes(file.read_bytes())
    damage(tmp_path / name, "flipped")
    with pytest.raises(store.CorruptFile, match=name):
        moments.load_moments(tmp_path, 20)


@pytest.mark.parametrize(
    ("rank", "some"),
    [
        (20, [("stochastic", 0), ("deterministic", 3)]),
        (60, [("stochastic", 0), ("stochastic", 2)]),
    ],
)
def test_shipped_models_are_those_of_the_shipped_results(rank, some):
    models, results = moments.load_moments(PAPER, rank), load_summary(PAPER, "capacity")
    assert (PAPER / f"models-rank={rank}.nc").stat().st_size < 2**21
    stored = results.performance.sel(rank=rank).dropna("run", how="all")
    assert set(models.run.values) <= set(stored.run.values)
    identity = {name: x for name, x in models.attrs.items() if name != "discount"}
    of_results = {x: y for x, y in results.attrs.items() if x not in MEASURED}
    assert differences(identity, of_results) == []
    env = pve.four_rooms().mdp
    for mode, run in some:
        for step in models.step.values:
            where = {"mode": mode, "run": run, "rank": rank, "step": step}
            plan = pve.performance(moments.model_at(models, **where), env)
            assert plan == pytest.approx(float(results.performance.sel(where)), rel=1e-6)
    readme = (PAPER / "README.md").read_text(encoding="utf-8")
    rows = readme.splitlines()
    (row,) = [line for line in rows if line.startswith(f"| models of rank {rank},")]
    assert f"| {models.sizes['run']} of " in row
    for step in models.step.values:
        assert f"{step:,}" in row
