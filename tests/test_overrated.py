"""What the page says of overrated plans is what the shipped results have on record."""

import numpy as np
import pytest
from conftest import ROOT

import pve
from pve.book import overrated
from pve.keys import stream
from pve.results import moments
from pve.results.summary import load_summary

PAPER = ROOT / "book" / "data" / "paper"


@pytest.fixture(scope="module")
def found():
    models = moments.load_moments(PAPER, 20).sel(run=[0, 3])
    policies = {
        mode: pve.random_policies(stream(0, mode), 5, 104, 4, mode)
        for mode in models.mode.values
    }
    return overrated.measures(models, 20, pve.four_rooms().mdp, policies)


def test_worth_is_the_recorded_performance(found):
    recorded = load_summary(PAPER, "capacity").performance.sel(rank=20, run=[0, 3])
    expected = recorded.sel(step=found.step).transpose("mode", "step", "run")
    np.testing.assert_allclose(found.worth, expected, rtol=1e-6)


def test_policies_that_mix_nothing_hide_nothing(found):
    pure, mixed = (found.sel(mode=mode) for mode in ("deterministic", "stochastic"))
    assert pure.residual.identical(pure.single.rename("residual"))
    assert (mixed.residual < mixed.single).all()


def test_table_has_a_row_for_each_model(found):
    header, rule, *rows = overrated.overrated_table(found).splitlines()
    assert len(rows) == found.worth.size
    assert rule.count(":|") == header.count("|") - 2
    last = found.isel(mode=-1, step=-1, run=-1)
    assert rows[-1].startswith("| stoch. | 1,000,000 | 3 |")
    assert f"| {float(last.own):.1f} |" in rows[-1]
