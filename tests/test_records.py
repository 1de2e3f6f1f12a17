"""What the page on the status says of a data folder and of its surroundings."""

import platform

import jax
import numpy as np
import pytest

import pve
from pve.book import records
from pve.runs import folders, store


@pytest.fixture
def kept(tmp_path):
    """A data folder by hand: what was asked of each experiment, and what its runs took."""

    def keep(experiment, made, seconds, processor):
        folder = folders.ExperimentFolder(tmp_path, experiment)
        store.make_folder(folder.path)
        identity = {"experiment": experiment, **made}
        store.write_record(folder.manifest, {"identity": identity})
        for number, spent in enumerate(seconds):
            run = folder.run(f"order=1/run={number}")
            store.make_folder(run.path)
            record = {"seconds": spent, "machine": {"processor": processor}}
            store.write_record(run.record_path, record)
        return folder

    return keep


def test_nothing_is_said_to_be_nothing(tmp_path):
    assert records.experiments(tmp_path, "smoke") == records.NOTHING


def test_an_experiment_without_a_finished_run_is_nothing_yet(kept, tmp_path):
    kept("diameter", {"seed": 3, "steps": 2_000, "batch": 8, "every": 50}, [], "Abacus")
    assert records.experiments(tmp_path, "smoke") == records.NOTHING


def test_experiments_by_hand(kept, tmp_path):
    made = {"seed": 3, "steps": 2_000, "batch": 8, "every": 50}
    folder = kept("diameter", made, [60, 30, 45], "Zuse")
    made = {"seed": 3, "steps": 12_000, "batch": 20, "every": 100}
    kept("capacity", made, [600], "Abacus")
    failed = folder.run("order=1/run=9")  # has no record, so it does not count
    store.make_folder(failed.path)
    store.write_record(failed.failure_path, {"error": "a loss is infinite"})
    assert records.experiments(tmp_path, "quick").split("\n") == [
        "| experiment | preset | seed | runs | steps | batch | time of all runs |",
        "|---|---|--:|--:|--:|--:|--:|",
        "| diameter | `quick` | 3 | 3 | 2,000 | 8 | 2.2 minutes |",
        "| capacity | `quick` | 3 | 1 | 12,000 | 20 | 10.0 minutes |",
        "",
        "Computed on: Abacus, Zuse.",
    ]


def test_surroundings_name_versions_and_codes():
    lines = records.surroundings("smoke").splitlines()
    told = dict(line.strip("| ").split(" | ") for line in lines[2:])
    assert told["pve"] == pve.__version__
    assert told["jax"] == jax.__version__
    assert told["numpy"] == np.__version__
    assert told["Python"] == platform.python_version()
    assert told["preset"] == "`smoke`"
    assert told["numerical code, capacity"] == f"`{folders.numerical_code('capacity')}`"
    assert int(told["cores"]) >= 1
