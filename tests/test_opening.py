"""What the first page says, by hand."""

import numpy as np
import pytest
import xarray as xr

import pve
from pve.book import opening


@pytest.mark.parametrize(
    ("covered", "begins"),
    [
        (0.951, "Yet the plan made there, carried out in the world, is worth 95.1% of"),
        (0.8, "The plan made there is worth 80.0% of the best: this page was built"),
    ],
)
def test_the_verdict_knows_a_good_plan(covered, begins):
    assert opening.verdict(covered).startswith(begins)


def test_facts_of_a_model_that_leaps():
    # Two states, stay or go; the second pays 1. The model goes there from nowhere.
    move = np.array([[[1.0, 0], [0, 1]], [[0, 1], [0, 1]]])
    env = pve.MDP([[0.0, 0], [1, 1]], move, 0.9)
    leaping = move.copy()
    leaping[1, :, :] = 0.5
    told = opening.facts(pve.MDP(env.reward, leaping, 0.9), env)
    assert told["leaps"] == pytest.approx(0.25)  # half of the moves of one state in two
    assert told["verdict"].startswith("Yet the plan made there")
    assert "100.0%" in told["verdict"]


def test_coverage_counts_what_is_finished():
    plans = np.ones((2, 2, 3, 4))
    plans[:, 1, 2] = np.nan
    plans[0, 1, 1] = np.nan  # of one set only: no finished pair
    plan = xr.Dataset(
        {"performance": (("mode", "rank", "run", "step"), plans)},
        {"rank": [20, 40], "mode": ["deterministic", "stochastic"]},
    )
    wide = xr.Dataset(
        {"performance": (("order", "run", "step"), np.ones((2, 5, 4)))},
        {"order": [1.0, np.inf]},
    )
    assert opening.coverage(wide, plan) == (
        "orders 1 and ∞ of 6, with 5 of 120 runs; ranks 20 and 40 of 10, with 3 and 1 "
        "of 10 runs"
    )
