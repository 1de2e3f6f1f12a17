"""Sets of policies: their distributions, their paths and their named streams."""

import jax
import numpy as np
import pytest
from oracles import backup, long_run_value, random_mdp
from scipy import stats

import pve
from pve.checks import check_seed
from pve.equivalence.policies import improvement_path
from pve.keys import generator, stream

KEY = jax.random.key(11)
N, S, A = 4000, 5, 4


def is_deterministic(policies):
    return ((policies == 0) | (policies == 1)).all((-2, -1))


# Random policies --------------------------------------------------------------------


@pytest.mark.parametrize("kind", ["deterministic", "stochastic", "mixed"])
def test_rows_are_distributions(kind):
    policies = np.asarray(pve.random_policies(KEY, 100, S, A, kind))
    assert policies.shape == (100, S, A)
    assert policies.dtype == np.float32
    assert (policies >= 0).all()
    np.testing.assert_allclose(policies.sum(-1), 1, rtol=0, atol=1e-6)


def test_deterministic_actions_are_equally_likely_and_independent():
    policies = np.asarray(pve.random_policies(KEY, N, S, A, "deterministic"))
    assert is_deterministic(policies).all()
    actions = policies.argmax(-1)
    for state in range(S):
        counts = np.bincount(actions[:, state], minlength=A)
        assert stats.chisquare(counts).pvalue > 1e-5
    pairs = np.bincount(actions[:, 0] * A + actions[:, 1], minlength=A * A)
    assert stats.chisquare(pairs).pvalue > 1e-5


def test_stochastic_rows_are_uniform_weights_over_their_sum():
    policies = np.asarray(pve.random_policies(KEY, N, S, A, "stochastic"))
    assert not is_deterministic(policies).any()
    weights = np.random.default_rng(0).uniform(size=(20_000, A))
    reference = (weights / weights.sum(-1, keepdims=True))[:, 0]
    for action in range(A):
        same = stats.ks_2samp(policies[:, 0, action], reference).pvalue
        assert same > 1e-5
    # Not the flat Dirichlet, which one might take it for.
    flat = np.random.default_rng(0).dirichlet(np.ones(A), 20_000)[:, 0]
    assert stats.ks_2samp(policies[:, 0, 0], flat).pvalue < 1e-12


def test_mixed_are_whole_policies_of_both_kinds():
    policies = np.asarray(pve.random_policies(KEY, N, S, A))
    deterministic = is_deterministic(policies)
    assert stats.binomtest(int(deterministic.sum()), N, 0.5).pvalue > 1e-5
    # Rows of a stochastic policy are stochastic, every one.
    rows = (policies[~deterministic] == 1).any(-1)
    assert not rows.any()


def test_functions_are_uniform():
    functions = np.asarray(pve.random_functions(KEY, N, S))
    assert functions.shape == (N, S)
    assert functions.dtype == np.float32
    assert stats.kstest(functions.ravel(), stats.uniform(-1, 2).cdf).pvalue > 1e-5


def test_illegal_arguments_are_named():
    with pytest.raises(
        ValueError, match=r"kind is 'det'; expected one of 'deterministic', "
    ):
        pve.random_policies(KEY, 3, S, A, "det")
    with pytest.raises(ValueError, match="num is 0; expected an integer ≥ 1"):
        pve.random_policies(KEY, 0, S, A)
    with pytest.raises(TypeError, match=r"num_states is 2\.5; expected an integer"):
        pve.random_policies(KEY, 1, 2.5, A)
    with pytest.raises(ValueError, match="num is -1; expected an integer ≥ 1"):
        pve.random_functions(KEY, -1, S)


# Improvement paths ------------------------------------------------------------------


def small_map():
    return pve.grid_world("#####\n#   #\n# # #\n#  G#\n#####", discount=0.9).mdp


def replay(mdp, policies, covered=0.9):
    """Split a sequence of policies into paths by the exact values alone."""
    optimum = pve.policy_iteration(mdp)[0].mean()
    means = pve.policy_value(mdp, policies).mean(-1)
    paths, first = [], 0
    for i, mean in enumerate(means):
        gap = optimum - means[first]
        if i > first and mean - means[first] >= covered * gap:
            paths.append(list(range(first, i + 1)))
            first = i + 1
    if first < len(means):
        paths.append(list(range(first, len(means))))
    return paths


def test_path_step_by_step_with_the_same_coins():
    mdp = random_mdp(0, 6, 3, 0.9)
    # Values far above zero: a share of the gap is not a share of the optimum.
    mdp = pve.MDP(mdp.reward + 5, mdp.transition, 0.9)
    policies = improvement_path(KEY, mdp, 40, update_probability=0.2, covered=0.7)
    random = generator(KEY)
    optimum = pve.policy_iteration(mdp)[0].mean()
    expected, paths = [], 0
    while len(expected) < 40:
        actions = random.integers(3, size=6)
        value = long_run_value(mdp, np.eye(3)[actions])
        start = value.mean()
        expected.append(np.eye(3)[actions])
        paths += 1
        while len(expected) < 40:
            coins = random.random(6) < 0.2
            each = [backup(mdp, np.eye(3)[[a] * 6], value) for a in range(3)]
            best, greedy = np.max(each, 0), np.argmax(each, 0)
            for s in np.flatnonzero(coins):
                value[s], actions[s] = best[s], greedy[s]
            expected.append(np.eye(3)[actions])
            mean = long_run_value(mdp, expected[-1]).mean()
            if mean - start >= 0.7 * (optimum - start):
                break
    assert paths > 3
    np.testing.assert_array_equal(policies, expected)


def test_first_policies_of_paths_are_uniform():
    # A path of one policy: γ = 0 and every state taking part reaches the optimum at
    # once, so every other policy is a first one.
    mdp = random_mdp(1, 6, 3, 0.0)
    policies = improvement_path(KEY, mdp, 2000, update_probability=1.0)
    first, optimal = policies[::2], policies[1::2]
    np.testing.assert_array_equal(optimal[0], np.eye(3)[mdp.reward.argmax(-1)])
    assert (optimal == optimal[0]).all()
    counts = first.sum((0, 1))
    assert stats.chisquare(counts).pvalue > 1e-5


def test_paths_end_when_nine_tenths_are_covered(rooms):
    policies = improvement_path(KEY, rooms.mdp, 120)
    means = pve.policy_value(rooms.mdp, policies).mean(-1)
    optimum = pve.policy_iteration(rooms.mdp)[0].mean()
    paths = replay(rooms.mdp, policies)
    assert len(paths) >= 2
    for path in paths[:-1]:
        share = (means[path] - means[path[0]]) / (optimum - means[path[0]])
        assert (share[:-1] < 0.9).all()
        assert share[-1] >= 0.9
        # Within a path a tenth of the states is touched; between paths all are redrawn.
        changed = (policies[path[1:]] != policies[path[:-1]]).any(-1).mean(-1)
        assert changed.max() < 0.35
        redrawn = (policies[path[-1] + 1] != policies[path[-1]]).any(-1).mean()
        assert redrawn > 0.55


def test_published_paths_are_one_unfinished_path(rooms):
    policies = improvement_path(KEY, rooms.mdp, 1000, published=True)
    changed = (policies[1:] != policies[:-1]).any(-1).mean(-1)
    assert changed.max() < 0.35  # never redrawn
    means = pve.policy_value(rooms.mdp, policies[::100]).mean(-1)
    assert means[0] < 20
    assert means[-1] > 0.98 * 72.89057


def test_perturbed_states_are_a_tenth():
    mdp, base, each = small_map(), 60, 30
    paths = improvement_path(jax.random.split(KEY, 3)[0], mdp, base)
    for kind in ("deterministic", "stochastic"):
        policies = pve.improvement_policies(KEY, mdp, base, each, kind)
        assert policies.shape == (base * each, mdp.num_states, 4)
        assert policies.dtype == np.float32
        assert is_deterministic(policies).all() == (kind == "deterministic")
        groups = policies.reshape(base, each, mdp.num_states, 4)
        differs = (groups != paths[:, None]).any(-1)
        expected = 0.1 if kind == "stochastic" else 0.1 * 3 / 4
        test = stats.binomtest(int(differs.sum()), differs.size, expected)
        assert test.pvalue > 1e-5
        # Independently from state to state and from policy to policy.
        for axes in ((0, 1), (0, 2)):
            shares = differs.mean(axes)
            assert np.abs(shares - expected).max() < 0.06


def test_unperturbed_policies_are_the_path():
    mdp = small_map()
    policies = pve.improvement_policies(KEY, mdp, 5, 3, perturbed=0.0)
    paths = improvement_path(jax.random.split(KEY, 3)[0], mdp, 5)
    np.testing.assert_array_equal(policies, np.repeat(paths, 3, axis=0))


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"kind": "mixed"}, "kind is 'mixed'; expected 'deterministic' or 'stochastic'"),
        ({"num_base": 0}, "num_base is 0; expected an integer ≥ 1"),
        ({"num_perturbed": -1}, "num_perturbed is -1; expected"),
        ({"perturbed": 1.5}, "perturbed is 1.5; expected a number in"),
        ({"covered": -0.1}, "covered is -0.1; expected a number in"),
        ({"update_probability": 0}, "update_probability is 0; expected a number in"),
    ],
)
def test_illegal_path_arguments(arguments, message):
    with pytest.raises(ValueError, match=message):
        pve.improvement_policies(KEY, small_map(), **{"num_base": 2, **arguments})


# Streams ----------------------------------------------------------------------------


def bits(*names):
    return tuple(np.asarray(jax.random.key_data(stream(*names))).tolist())


def test_streams_differ_by_every_name_and_by_nothing_else():
    names = [(0, "diameter", "order=30", f"run={i}") for i in range(200)]
    names += [(0, "diameter", "order=inf", f"run={i}") for i in range(200)]
    names += [(1, "diameter", "order=30", "run=0"), (2**32 - 1, "diameter")]
    names += [(0, "capacity", "order=30", "run=0"), (0, "run=0", "order=30", "diameter")]
    names += [(0,), (1,), (0, ""), (0, "diameter"), (0, "diameter", "order=30")]
    assert len({bits(*each) for each in names}) == len(names)
    assert bits(*names[0]) == bits(*names[0])


def test_stream_is_pinned():
    # Results of a seed are kept for years: this changes only with a new format.
    assert bits(7, "diameter", "order=30", "run=7") == PINNED


PINNED = (2085629895, 2879514688)


def test_generator_follows_its_key():
    first, again = generator(stream(3, "a")), generator(stream(3, "a"))
    other = generator(stream(3, "b"))
    draws = [each.random(5).tolist() for each in (first, again, other)]
    assert draws[0] == draws[1] != draws[2]


@pytest.mark.parametrize("seed", [0, 7, 2**32 - 1, np.int64(5)])
def test_legal_seeds(seed):
    assert check_seed(seed) == seed
    assert type(check_seed(seed)) is int


@pytest.mark.parametrize(
    ("seed", "error"),
    [
        (-1, ValueError),
        (2**32, ValueError),
        (2.5, TypeError),
        (2.0, TypeError),
        ("7", TypeError),
        (True, TypeError),
        (None, TypeError),
    ],
)
def test_illegal_seeds(seed, error):
    with pytest.raises(error, match=r"expected an integer from 0 to 4294967295") as caught:
        check_seed(seed)
    assert str(seed) in str(caught.value)


LEGAL = np.array([[True, False, True], [False, True, False], [True, True, True]])


@pytest.mark.parametrize("kind", ["deterministic", "stochastic", "mixed"])
def test_random_policies_take_legal_actions(kind):
    drawn = pve.random_policies(jax.random.key(0), 6000, 3, 3, kind, legal=LEGAL)
    drawn = np.asarray(drawn, float)
    assert not drawn[:, ~LEGAL].any()
    np.testing.assert_allclose(drawn.sum(-1), 1, atol=1e-6)
    # Legal actions are alike.
    np.testing.assert_allclose(drawn.mean(0), LEGAL / LEGAL.sum(-1)[:, None], atol=0.03)


def test_improvement_policies_take_legal_actions():
    mdp = random_mdp(0, 3, 3)
    mdp = pve.MDP(mdp.reward, mdp.transition, mdp.discount, LEGAL)
    for kind in ("deterministic", "stochastic"):
        drawn = pve.improvement_policies(jax.random.key(0), mdp, 20, 5, kind)
        assert not drawn[:, ~LEGAL].any()
        assert len(np.unique(drawn, axis=0)) > 4
