"""What the losses see of models, by formulas and by hand."""

import math

import numpy as np
import pytest
from oracles import random_mdp, stochastic_policies

import pve
from pve.book import sight

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
