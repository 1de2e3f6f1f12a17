"""What the page says of short trainings of several ranks follows from the numbers."""

import numpy as np
import pytest
import xarray as xr
from oracles import random_mdp, stochastic_policies

import pve
from pve.book import ranks
from pve.results.endings import final_losses


@pytest.fixture
def results():
    """Ranks 2 and 20, two sets, three runs, by hand: plans in the order of the runs."""
    ends = [[[10.0, 20, 60], [50, 55, 70]], [[40, 40, 40], [42, 41, 40]]]
    performance = np.stack([np.zeros((2, 2, 3)), np.array(ends)], -1)
    losses = np.ones((2, 2, 3, 7))
    losses[:, 0, :, -5:] = 8.0
    losses[:, 1, :, -5:] = 2.0
    losses[0, 1, 0, -5:] = 9.0  # one loss that rises with the rank
    axes = ("mode", "rank", "run")
    return xr.Dataset(
        {
            "performance": ((*axes, "step"), performance),
            "normalised_performance": ((*axes, "step"), performance / 100),
            "loss": ((*axes, "logged_step"), losses),
        },
        {
            "mode": ["deterministic", "stochastic"], "rank": [2, 20], "run": [0, 1, 2],
            "step": [0, 100], "logged_step": np.arange(7),
        },
    )  # fmt: skip


def test_plans_by_hand(results):
    told = ranks.plan_facts(results)
    assert (told["low-rank"], told["high-rank"]) == (2, 20)
    assert told["low-plans"] == pytest.approx(40)  # of 10 20 60 40 40 40
    assert told["high-plans"] == pytest.approx(46)  # of 50 55 70 42 41 40
    assert (told["gain-deterministic"], told["gain-stochastic"]) == (35, 1)
    assert told["between-seeds"] == 11  # of 50, 20, 0 and 2
    assert told["trend"] == "on this page the rank decides more than the seed"
    assert told["better"] == 5
    assert ranks.plan_facts(results.isel(rank=[0, 0]))["trend"].startswith("the seed")


def test_losses_by_hand(results):
    assert final_losses(results.loss).sel(mode="stochastic", rank=20, run=1) == 2
    assert ranks.loss_facts(results) == {"falls": 5, "seeds": 6, "loss-ratio": 4}


def test_the_worst_run_by_hand(results):
    assert ranks.worst_facts(results) == {
        "worst": 10, "worst-rank": 2, "worst-mode": "deterministic", "worst-median": 20
    }  # fmt: skip
    results.performance[0, 0, 0, 1] = np.nan  # a run that is not finished
    assert ranks.worst_facts(results)["worst"] == 20


def test_leaps_are_a_mean_in_per_cent():
    stay = np.stack([np.eye(2)], 1)
    leap = np.stack([[[0.5, 0.5], [0, 1.0]]], 1)
    env, model = (pve.MDP(np.zeros((2, 1)), p, 0.9) for p in (stay, leap))
    assert ranks.leaps([env, model], env) == pytest.approx(100 * (0 + 0.25) / 2)


def test_deviations_of_an_offset():
    # Every reward is 1 too high: residual 1 everywhere, error 1 / (1 − γ).
    env = random_mdp(0, 4, 2, 0.9)
    model = pve.MDP(env.reward + 1, env.transition, env.discount)
    policies = stochastic_policies(1, 3, 4, 2)
    values = pve.policy_value(env, policies)
    np.testing.assert_allclose(ranks.deviations(model, policies, values), [1, 10, 10])


def test_deviations_of_runs_know_their_places(results):
    env = random_mdp(0, 4, 2, 0.9)
    policies = stochastic_policies(1, 3, 4, 2)
    asked = dict.fromkeys(
        ("deterministic", "stochastic"), (policies, pve.policy_value(env, policies))
    )

    def of_run(mode, rank, run):
        wrong = rank + run + (mode == "stochastic") / 2
        return pve.MDP(env.reward + wrong, env.transition, env.discount)

    found = ranks.deviations_of_runs(results, of_run, asked)
    residual, error, stretch = found.sel(mode="stochastic", rank=20, run=2)
    np.testing.assert_allclose([residual, error, stretch], [22.5, 225, 10])
    np.testing.assert_allclose(found.sel(mode="deterministic", rank=2, run=0), [2, 20, 10])


@pytest.mark.parametrize(
    ("last", "verdict"),
    [(11.0, "No"), (5.0, "They change by -50%, much less than the residual")],
)
def test_the_verdict_on_values(results, last, verdict):
    shape = (3, *results.performance.isel(step=-1).shape)
    numbers = np.ones(shape)
    numbers[0, :, 0], numbers[0, :, 1] = 4, 1
    numbers[0, 1, 1] = 2  # the residual falls least with the second set
    numbers[1, :, 0], numbers[1, :, 1] = 10, last
    found = xr.DataArray(numbers, dims=("of", "mode", "rank", "run"))
    told = ranks.error_facts(found)
    assert (told["residual-low"], told["residual-high"]) == (4, 1.5)
    assert (told["error-low"], told["error-high"]) == (10, last)
    assert (told["stretch-low"], told["stretch-high"]) == (1, 1)
    assert told["residual-change"] == 0.5
    assert told["error-change"] == pytest.approx(last / 10)
    assert told["error-verdict"] == verdict
