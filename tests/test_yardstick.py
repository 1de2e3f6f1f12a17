"""The policies that all pages ask, and what their means hide."""

import numpy as np
import pytest
from oracles import backup, long_run_value, random_mdp

import pve
from pve.book import yardstick
from pve.equivalence.lazy import lazy_model

ENV, OTHER = random_mdp(0, 4, 2), random_mdp(1, 4, 2)


@pytest.fixture(scope="module")
def asked():
    return yardstick.yardstick(ENV, 3, 300)


def test_the_policies_have_their_values_and_come_out_again(asked):
    assert asked.policies.shape == (300, 4, 2)
    for index in (0, 260):  # of two blocks
        wanted = long_run_value(ENV, asked.policies[index])
        np.testing.assert_allclose(asked.values[index], wanted, atol=1e-6)
    again = yardstick.yardstick(ENV, 3, 300)
    np.testing.assert_array_equal(again.policies, asked.policies)
    assert (yardstick.yardstick(ENV, 4, 300).policies != asked.policies).any()


def test_losses_by_loops(asked):
    proper = yardstick.proper_loss(OTHER, asked)
    error = yardstick.value_error(OTHER, asked)
    for index in (0, 7, 299):
        policy, value = asked.policies[index], asked.values[index]
        wanted = ((backup(OTHER, policy, value) - value) ** 2).sum()
        assert proper[index] == pytest.approx(wanted, rel=1e-4)
        wanted = ((long_run_value(OTHER, policy) - value) ** 2).sum()
        assert error[index] == pytest.approx(wanted, rel=1e-4)
    assert proper.mean() == pytest.approx(
        float(pve.pve_loss(OTHER, asked.policies, asked.values)), rel=1e-4
    )
    assert yardstick.proper_loss(ENV, asked).max() < 1e-8
    assert yardstick.typical([ENV, OTHER, OTHER], asked) == pytest.approx(proper.mean())


@pytest.mark.parametrize("share", [0.1, 0.9])
def test_the_lazy_loss_is_that_of_the_lazy_model(asked, share):
    model = lazy_model(ENV, share, asked.values.mean(0))
    wanted = yardstick.proper_loss(model, asked)
    np.testing.assert_allclose(yardstick.lazy_loss(share, asked), wanted, rtol=1e-4)


def test_what_is_said_of_a_tail_known_by_hand():
    losses = np.array([1.0] * 90 + [91.0] * 10)
    told = yardstick.facts(losses)
    assert told["policies"] == "100"
    assert told["mean"] == 10
    assert told["error"] == pytest.approx(27 / 99**0.5)


def test_means_of_samples_spread_as_the_root_of_their_size():
    losses = np.random.default_rng(0).exponential(size=5000)
    for size in (16, 64):
        found = yardstick.means_of_samples(losses, size, 1, draws=4000)
        assert found.std() == pytest.approx(losses.std() / size**0.5, rel=0.05)
