"""What must come out at the preset `quick`, on the results that the book's build shows.

Where the book was built its runs are taken from the store; what is missing is computed,
and the build will find it there.
"""

import dataclasses
import math

import numpy as np
import pytest

import pve
from pve.book import page
from pve.engines.dispatch import run_experiment
from pve.experiments import diameter
from pve.mdp.planning import performance_limits

SEED = 0
ORDERS = (1, math.inf)  # the finite orders above 1 take minutes; the build trains them
RUNS = 3  # of each, and all that the build has trained


@pytest.fixture(scope="module")
def results():
    folder = page.data_folder(SEED, "quick")
    config = dataclasses.replace(diameter.preset("quick"), orders=ORDERS, runs=RUNS)
    report = run_experiment("diameter", config, SEED, folder, progress=False)
    assert not report.failed
    return pve.load(folder, "diameter").sel(order=list(ORDERS))


def models(order, runs):
    folder = page.data_folder(SEED, "quick")
    return [pve.load_model(folder, "diameter", order=order, run=run) for run in runs]


def test_order_1_collapses(results):
    spread = results.spread.sel(order=1)
    assert spread[-1] < 0.1 * spread[0]


def test_order_1_collapses_onto_the_environment(results, rooms):
    """The exact class is the environment alone, so that is where runs must collapse."""
    truth = pve.flatten(rooms.mdp)
    for model in models(1, results.run.values):
        assert np.linalg.norm(pve.flatten(model) - truth) < 0.5


def test_proper_models_plan_and_stay_apart(results):
    plans = results.normalised_performance.sel(order=math.inf).isel(step=-1)
    assert plans.median() > 0.9
    spread = results.spread.sel(order=math.inf)
    assert spread[-1] > 0.3 * spread[0]


def test_recorded_performance_is_the_stored_models(results, rooms):
    """Against the stored arrays, planned and evaluated by value iteration."""
    low, high = performance_limits(rooms.mdp)
    for run, model in enumerate(models(math.inf, range(2))):
        _, policy = pve.value_iteration(model, 1e-9)
        value = pve.policy_value(rooms.mdp, policy).mean()
        recorded = results.performance.sel(order=math.inf, run=run).isel(step=-1)
        assert float(recorded) == pytest.approx(value, rel=1e-6)
        normalised = results.normalised_performance.sel(order=math.inf, run=run)
        assert float(normalised[-1]) == pytest.approx(
            (value - low) / (high - low), rel=1e-6
        )
