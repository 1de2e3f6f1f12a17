"""What the first page says, by hand."""

import numpy as np
import pytest

import pve
from pve.book import opening
from pve.experiments import capacity


def test_published_numbers_are_quoted_with_their_errors():
    told = opening.published()
    assert sorted(told) == [
        "diameter-1", "diameter-inf", "plan-deterministic", "plan-stochastic"
    ]  # fmt: skip
    mean, error = capacity.PUBLISHED["stochastic"][20]
    assert told["plan-stochastic"] == f"{mean:g} ± {error:g}"
    low, high = (float(told[f"diameter-{k}"].split(" ± ")[0]) for k in ("1", "inf"))
    assert low < high


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
    assert opening.published().items() <= told.items()
