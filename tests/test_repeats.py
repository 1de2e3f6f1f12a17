"""The commands that repeat an experiment do, and cost what is worked out by hand."""

import dataclasses

import papermill
import pytest
import xarray as xr
from conftest import ROOT
from test_costs import cells

from pve.book import page, repeats
from pve.cli import _parser, _settings
from pve.experiments import EXPERIMENTS


@pytest.mark.parametrize("name", ["diameter", "capacity", "muzero"])
def test_commands_are_legal_and_mean_what_stands_beside_them(name):
    settings = EXPERIMENTS[name].preset("quick")
    facts = {"experiment": name, "seed": 3, "preset": "quick", "seconds": 1200.0}
    header, *rows = cells(repeats.table(xr.Dataset(attrs=facts), name, 4))
    assert tuple(header) == repeats.HEADER
    commands = [row[0].strip("`").split() for row in rows]
    assert [words[0] for words in commands] == ["papermill"] * 2 + ["pve"] * 4
    (last,) = commands[5:]
    assert page.data_folder(4, "quick").match(last[2])
    assert _parser().parse_args(last[1:]).command == "seeds"
    for words in commands[:2]:
        assert set(words[4::2]) <= set(papermill.inspect_notebook(str(ROOT / words[1])))
    more, standard, paper = (
        _settings(_parser().parse_args(each[1:])) for each in commands[2:5]
    )
    assert more == dataclasses.replace(settings, runs=2 * settings.runs)
    assert standard == EXPERIMENTS[name].preset("standard")
    assert paper == EXPERIMENTS[name].preset("paper")
    # Seconds of all runs on four cores; twice the runs take twice as long.
    assert rows[0][-1] == "5 minutes"
    assert rows[2][-1] == "10 minutes"
    assert int(rows[2][2]) == 2 * int(rows[0][2])


def test_a_training_of_seconds_foretells_none_of_weeks():
    facts = {"experiment": "diameter", "seed": 3, "preset": "smoke", "seconds": 1200.0}
    _, *rows = cells(repeats.table(xr.Dataset(attrs=facts), "diameter", 4))
    assert [row[-1] for row in rows[:3]] == ["5 minutes", "5 minutes", "10 minutes"]
    assert {row[-1] for row in rows[3:5]} == {"unknown from here"}


def test_work_is_a_sum_over_runs():
    settings = dataclasses.replace(
        EXPERIMENTS["capacity"].preset("smoke"),
        modes=("stochastic",), ranks=(20, 40), runs=3, steps=100, every=50, log_every=10,
        batch=5,
    )  # fmt: skip
    assert repeats.work("capacity", settings) == 3 * (80 + 100) * 100 * 5
