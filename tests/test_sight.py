"""What the losses see of a lazy model and of trained ones, by formulas and by hand."""

import math

import numpy as np
import pytest
from oracles import random_mdp, stochastic_policies

import pve
from pve.book import sight, yardstick

ENV = random_mdp(0, 4, 2, 0.9)


@pytest.fixture
def asked():
    policies = stochastic_policies(1, 3, 4, 2)
    functions = np.random.default_rng(2).normal(size=(3, 4))
    return sight.Asked(ENV, policies, functions, pve.policy_value(ENV, policies))


def richer(by):
    return pve.MDP(ENV.reward + by, ENV.transition, ENV.discount)


@pytest.mark.parametrize(("order", "steps"), [(1, 1), (3, 1 + 0.9 + 0.81), (math.inf, 1)])
def test_the_losses_of_an_offset(asked, order, steps):
    # Each of k steps adds the offset, discounted; four states add their squares.
    found = sight.losses([richer(0.0), richer(0.5), richer(1.0)], order, asked)
    np.testing.assert_allclose(found, 4 * steps**2 * np.array([0, 0.25, 1]), atol=1e-9)


def test_distances_by_hand():
    # Eight rewards, each off by 1.
    np.testing.assert_allclose(
        sight.distances([ENV, richer(1.0)], ENV), [0, math.sqrt(8)], rtol=1e-6
    )


def lazy(share):
    values = yardstick.yardstick(ENV, 0).values
    stay = np.eye(4)[:, None]
    reward = (1 - share) * ENV.reward + share * 0.1 * values.mean(0)[:, None]
    return pve.MDP(reward, (1 - share) * ENV.transition + share * stay, 0.9)


def test_a_lazy_model_beside_trained_ones():
    told = sight.lazy_facts(0.5, lazy(0.5), [richer(0.1), richer(0.2), richer(0.3)], ENV, 0)
    measured = yardstick.proper_loss(lazy(0.5), yardstick.yardstick(ENV, 0)).mean()
    assert told["lazy-loss"] == pytest.approx(measured)
    assert told["lazy-distance"] == pytest.approx(sight.distances([lazy(0.5)], ENV)[0])
    assert told["lazy-plans"] == pve.performance(lazy(0.5), ENV)
    assert told["end-loss"] == pytest.approx(4 * 0.2**2)
    assert told["end-distance"] == pytest.approx(0.2 * math.sqrt(8), rel=1e-6)


@pytest.mark.parametrize(
    ("offset", "share", "beaten"),
    [(0.3, 0.8, True), (1e-4, 0.8, False), (10.0, 0.8, False)],
)
def test_the_verdict_asks_for_a_larger_loss_nearer_by(offset, share, beaten):
    told = sight.lazy_facts(share, lazy(share), [richer(offset)], ENV, 0)
    nearer = told["end-distance"] < told["lazy-distance"]
    assert (told["end-loss"] > told["lazy-loss"] and nearer) == beaten
    assert told["verdict"].startswith("a larger loss") == beaten
