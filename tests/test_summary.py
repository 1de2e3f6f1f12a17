"""Summaries: what they keep, and that their runs come out again."""

import math
import shutil

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from oracles import damage
from tiny import TINY

from pve.results.load import load
from pve.results.summary import first_losses, load_summary, write_summary
from pve.runs import provenance, store

SHIPPED = ROOT / "book" / "data" / "standard"


@pytest.fixture(scope="module")
def written(finished, tmp_path_factory):
    folder = tmp_path_factory.mktemp("summary")
    write_summary(finished, folder)
    return folder


@pytest.fixture
def summary(written, tmp_path):
    """A copy of the summary, which a test may damage."""
    return shutil.copytree(written, tmp_path / "copy")


@pytest.mark.parametrize("experiment", list(TINY))
def test_summary_is_what_was_loaded(finished, summary, experiment):
    expected, got = load(finished, experiment), load_summary(summary, experiment)
    xr.testing.assert_identical(got.drop_attrs(), expected.drop_attrs())
    (machine,) = got.attrs.pop("machines")  # that of the runs
    assert machine == provenance.machine()
    assert got.attrs == expected.attrs


def test_summaries_of_other_experiments_stay(finished, summary, tmp_path):
    before = load_summary(summary, "capacity")
    shutil.copytree(finished / "diameter", tmp_path / "alone" / "diameter")
    write_summary(tmp_path / "alone", summary)
    for name in TINY:
        xr.testing.assert_identical(
            load_summary(summary, name).drop_attrs(), load(finished, name).drop_attrs()
        )
    assert load_summary(summary, "capacity").attrs == before.attrs
    with pytest.raises(ValueError, match=r"holds no 'muzero'; expected one of"):
        load_summary(summary, "muzero")


@pytest.fixture
def halves(finished, tmp_path):
    """The finished capacity runs in two data folders, by their numbers."""
    for number in (0, 1):
        shutil.copytree(finished / "capacity", tmp_path / f"{number}" / "capacity")
        for run in (tmp_path / f"{number}").rglob(f"run={1 - number}"):
            shutil.rmtree(run)
    return tmp_path / "0", tmp_path / "1"


def test_runs_are_added_to_those_of_another_folder(finished, halves, tmp_path):
    expected = load(finished, "capacity")
    elsewhere = {**provenance.machine(), "processor": "another"}
    for path in halves[1].rglob("record.json"):
        store.write_record(path, {**store.read_record(path), "machine": elsewhere})
    write_summary(halves[0], tmp_path / "out")
    for _ in range(2):  # what is there twice is there once
        write_summary(halves[1], tmp_path / "out", add=True)
        got = load_summary(tmp_path / "out", "capacity")
        xr.testing.assert_identical(got.drop_attrs(), expected.drop_attrs())
        assert got.attrs["seconds"] == pytest.approx(expected.attrs["seconds"], rel=1e-6)
        assert got.attrs["machines"] == [provenance.machine(), elsewhere]


def test_without_add_a_summary_is_of_one_folder(halves, tmp_path):
    for half in halves:
        write_summary(half, tmp_path / "out")
    assert list(load_summary(tmp_path / "out", "capacity").run) == [1]


def test_other_numbers_are_not_added(finished, summary, tmp_path):
    before = (summary / "capacity.nc").read_bytes()
    record = store.read_record(summary / "manifest.json")
    record["experiments"]["capacity"]["identity"]["seed"] += 1
    record.pop("digest", None)
    store.write_record(summary / "manifest.json", record)
    shutil.copytree(finished / "capacity", tmp_path / "data" / "capacity")
    with pytest.raises(ValueError, match=r"of other numbers: seed is \d+ there, \d+ here"):
        write_summary(tmp_path / "data", summary, add=True)
    assert (summary / "capacity.nc").read_bytes() == before


def test_runs_that_are_compared_are_not_added(finished, summary):
    with pytest.raises(ValueError, match="'diameter' compares all runs with each other"):
        write_summary(finished, summary, add=True)


@pytest.mark.parametrize("kind", ["truncated", "flipped", "emptied", "deleted"])
@pytest.mark.parametrize("name", ["diameter.nc", "manifest.json"])
def test_damage_is_found(summary, name, kind):
    damage(summary / name, kind)
    with pytest.raises(store.CorruptFile, match=name):
        load_summary(summary, "diameter")


def test_what_is_not_there_is_named(summary):
    with pytest.raises(ValueError, match=r"experiment is 'x'; expected one of 'diameter'"):
        load_summary(summary, "x")


@pytest.mark.parametrize(
    ("experiment", "run"),
    [
        ("diameter", {"order": 1, "run": 1}),
        ("capacity", {"mode": "stochastic", "rank": 20, "run": 0}),
    ],
)
def test_runs_come_out_again(summary, experiment, run):
    kept = load_summary(summary, experiment)
    again = first_losses(kept, 30, **run)
    np.testing.assert_array_equal(again, kept.loss.sel(run)[:3])
    other = first_losses(kept, 30, **{**run, "run": 1 - run["run"]})
    assert not np.allclose(other, again, rtol=1e-2)


# Shipped with the book --------------------------------------------------------------


@pytest.mark.parametrize(
    ("experiment", "run"),
    [
        ("diameter", {"order": 30, "run": 3}),
        ("diameter", {"order": math.inf, "run": 5}),
        ("capacity", {"mode": "stochastic", "rank": 40, "run": 2}),
    ],
)
def test_the_shipped_results_come_out_again(experiment, run):
    kept = load_summary(SHIPPED, experiment)
    again = first_losses(kept, 1000, **run)
    expected = kept.loss.sel(run)
    expected = expected.sel(logged_step=expected.logged_step <= 1000).values
    assert len(expected) == len(again) == 10
    # Another machine rounds otherwise; training carries that on, but not far in a
    # thousand steps. Another run's losses differ by tenths.
    np.testing.assert_allclose(again, expected, rtol=5e-3)
