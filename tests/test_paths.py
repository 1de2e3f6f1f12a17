"""Improvement paths as the chapter on capacity shows them."""

import numpy as np
import pytest

import pve
from pve.book import paths


def test_paths_are_counted_by_their_falls():
    assert paths.starts(np.array([1.0, 30, 60, 2, 50, 45, 10])) == 3


def test_settled_policies_are_near_the_optimum():
    # One state, two actions: worth 0 and 10; the uniform policy is worth 5.
    env = pve.MDP([[0.0, 1.0]], np.ones((1, 2, 1)), 0.9)
    assert paths.settled(np.array([10.0, 9.96, 9.94, 0]), env) == 50


def test_ours_begin_again_and_the_published_go_on(rooms):
    env = rooms.mdp
    ours, published = (paths.along(env, 0, published=b) for b in (False, True))
    optimum = pve.policy_iteration(env)[0].mean()
    for found in (ours, published):
        assert found.values.shape == (120,)
        assert found.perturbed.shape == (120, 3)
        assert found.values.max() <= optimum + 1e-9
        assert found.perturbed.max() <= optimum + 1e-9
        # A perturbed policy is nearly always worse than the one it comes from.
        assert np.mean(found.perturbed.mean(-1) <= found.values) > 0.5
    assert paths.starts(ours.values) > paths.starts(published.values) == 1
    told = paths.facts(ours, published, env)
    assert told["starts"] == paths.starts(ours.values)
    assert told["settled-published"] > 50 > paths.settled(ours.values, env)


def test_paths_of_a_seed_are_its_own(rooms):
    first, again, other = (paths.along(rooms.mdp, s, published=False) for s in (3, 3, 4))
    np.testing.assert_array_equal(first.perturbed, again.perturbed)
    assert np.abs(first.values - other.values).max() > 1


@pytest.mark.parametrize("published", [False, True])
def test_every_tenth_state_is_perturbed(rooms, monkeypatch, published):
    monkeypatch.setattr(paths, "PERTURBED", 0.0)
    found = paths.along(rooms.mdp, 0, published=published)
    np.testing.assert_allclose(found.perturbed, np.repeat(found.values[:, None], 3, 1))
