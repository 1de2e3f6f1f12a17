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


@pytest.fixture
def wide():
    """Orders 1 and ∞, one group of 20 runs, ended 0.02 and 2.43 apart."""
    return xr.Dataset(
        {
            "performance": (("order", "run", "step"), np.ones((2, 20, 4))),
            "normalised_performance": (("order", "run", "step"), np.ones((2, 20, 4))),
            "diameter": ("order", [0.02, 2.43]),
        },
        {"order": [1.0, np.inf]},
    )


@pytest.fixture
def plan():
    """Ranks 20, 60 and 104, three runs; of rank 60 one is finished, of 104 half of one."""
    plans = np.ones((2, 3, 3, 4))
    plans[:, 0, :, -1] = [[68, 70, 72], [30, 40, 50]]
    plans[:, 1, 0, -1] = 72
    plans[:, 1, 1:] = plans[:, 2, 1:] = plans[0, 2, 0] = np.nan
    return xr.Dataset(
        {
            "performance": (("mode", "rank", "run", "step"), plans),
            "loss": (("mode", "rank", "run", "logged_step"), np.ones((2, 3, 3, 20))),
        },
        {
            "mode": ["deterministic", "stochastic"],
            "rank": [20, 60, 104],
            "run": range(3),
            "step": range(4),
            "logged_step": range(20),
        },
        {"optimal_performance": 73.0},
    )


def test_findings_stand_beside_what_was_published(wide, plan):
    lines = opening.findings_table(wide, plan.sel(rank=[20, 60])).splitlines()
    error = np.sqrt(4 / 3 + 1.2**2)
    assert lines[2:] == [
        "| diameter, order 1 | 0.00 ± 0.00 | 0.02 | 20 of 120 | — |",
        # One group of 20 varies by √6 times the error of a mean of six.
        f"| diameter, order ∞ | 2.21 ± 0.22 | 2.43 | 20 of 120 | {1 / np.sqrt(7):.1f} |",
        "| plan, rank 20, deterministic policies | 69.5 ± 1.2 | 70.0 ± 1.2 | 3 of 10 | "
        f"{0.5 / error:.1f} |",
        "| plan, rank 20, stochastic policies | 29 ± 8 | 40.0 ± 5.8 | 3 of 10 | 1.1 |",
        "| plan, rank 60, stochastic policies | 71.5 ± 0.5 | 72.0 | 1 of 10 | — |",
    ]


def test_what_has_not_been_computed_is_named(wide, plan):
    assert opening.left_open(wide, plan) == (
        "orders 30, 40, 50, 60 and ranks 30, 40, 50, 70, 80, 90, 100, 104"
    )
    ranks = [20, 30, 40, 50, 60, 70, 80, 90, 100]
    whole = plan.sel(rank=[20] * 9).assign_coords(rank=ranks)
    assert opening.left_open(wide, whole) == "orders 30, 40, 50, 60 and rank 104"
