"""What a training will take is said before it begins, and is of the right size."""

import math
import time
import warnings

import jax
import numpy as np
import pytest
from scipy import sparse
from test_sparse import random_world

import pve
from pve.training import forecast as module
from pve.training.forecast import Forecast, announce, forecast

RECIPE = pve.Recipe(10_000, learning_rate=1e-2)


def expected(env, model, order=math.inf, **changed):
    given = {"runs": 1, "num_policies": 10_000, "solved": True, "recipe": RECIPE} | changed
    return forecast(env, model, order, **given)


def line(states):
    """A dense world of two actions whose moves lead anywhere."""
    near = np.full((states, 2, states), 1 / states)
    return pve.MDP(np.zeros((states, 2)), near, 0.9)


def test_by_hand():
    """Two thousand dense systems of 300 states, and a model of rank 4."""
    found = expected(line(300), pve.LowRankModel(4), num_policies=2000)
    assert found.values == pytest.approx(2000 * (2 / 3 * 300**3 + 2 * 300**2 * 2) / 1e10)
    parameters = 300 * 2 + 2 * 2 * 300 * 4
    step = 6 * 50 * parameters / 2e10 + parameters / 3e8
    assert found.steps == pytest.approx(10_000 * step)
    assert found.bytes >= 2000 * 300 * 2 * 12
    assert found.seconds == found.values + found.steps


def test_what_takes_longer_is_forecast_to():
    env, low = line(60), pve.LowRankModel(4)
    base = expected(env, low)
    assert expected(env, low, num_policies=20_000).values == 2 * base.values
    assert expected(env, low, solved=False).values == 0
    assert expected(env, pve.SoftmaxModel()).steps > base.steps
    assert expected(env, pve.SoftmaxModel(), 30).steps > expected(env, low, 1).steps
    assert expected(env, low, runs=1000).seconds > base.seconds
    assert expected(line(600), low).values > 100 * base.values


def test_a_value_takes_as_long_as_forecast():
    """Within a factor of ten, in time that this process had to itself."""
    world = random_world(0, 2000, 4, 5, 0.99)
    found = expected(world, pve.LowRankModel(4), num_policies=8).values
    policies = np.asarray(pve.random_policies(jax.random.key(0), 8, 2000, 4))
    pve.policy_value(world, policies[:1])
    begun = time.perf_counter()
    pve.policy_value(world, policies)
    assert 0.1 < found / (time.perf_counter() - begun) < 10


def test_thousands_of_states_are_announced_before_anything_long():
    """The default draws 10,000 policies; what this costs is said, then nothing is done."""
    states = 2000
    rows = sparse.csr_array(np.roll(np.eye(states), 1, 1).repeat(4, 0))
    env = pve.SparseMDP(np.ones((states, 4)), rows, 0.9).dense()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        begun = time.perf_counter()
        with pytest.raises(UserWarning, match=r"forecast to take about \d+ .* 10,000 pol"):
            pve.train(jax.random.key(0), env, pve.SoftmaxModel())
        assert time.perf_counter() - begun < 60


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (Forecast(5400, 1800, 3e9), "about 2 hours (90 minutes for exact values of 70 pol"),
        (Forecast(0, 660, 0), "11 minutes (0 seconds for exact values of 70 policies, 11"),
        (Forecast(1, 2, 64e9), "3 seconds .* 64.0 GB of memory; fewer policies"),
    ],
)
def test_what_is_said(found, words):
    pattern = words.replace("(", r"\(")
    with pytest.warns(UserWarning, match=pattern):
        announce(found, 70, RECIPE)


def test_what_is_short_is_not_announced(monkeypatch):
    announce(Forecast(1, 1, 1), 1, RECIPE)
    env, recipe = line(5), pve.Recipe(2)
    pve.train(jax.random.key(0), env, recipe=recipe, num_policies=4)
    monkeypatch.setattr(module, "LONG", 0.0)
    with pytest.warns(UserWarning, match="training is forecast to take about 0 seconds"):
        pve.train(jax.random.key(0), env, recipe=recipe, num_policies=4)
