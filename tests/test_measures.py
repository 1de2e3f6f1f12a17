"""Measures against NumPy's SVD, scikit-learn and brute force."""

import jax
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from oracles import chain, random_mdp, seeds, stochastic_policies
from scipy import stats
from sklearn.decomposition import PCA

import pve
from pve.equivalence.distances import published_diameter
from pve.mdp.planning import performance_limits

SHAPES = [(5, 40), (40, 5), (6, 6), (2, 3)]


def cloud(seed, num, dimension):
    random = np.random.default_rng(seed)
    return random.normal(size=(num, dimension)) * np.linspace(3, 0.1, dimension) + 7


def same_up_to_sign(first, second):
    """Whether columns agree, each up to its sign."""
    signs = np.sign((first * second).sum(0))
    np.testing.assert_allclose(first, second * signs, rtol=0, atol=1e-9)


# Principal components ---------------------------------------------------------------


@pytest.mark.parametrize("shape", SHAPES)
def test_components_are_those_of_the_svd(shape):
    models = cloud(0, *shape)
    num = min(2, shape[0] - 1, shape[1])
    got = pve.principal_components(models, num)
    left, singular, right = np.linalg.svd(models - models.mean(0), full_matrices=False)
    same_up_to_sign(got.scores, (left * singular)[:, :num])
    same_up_to_sign(got.directions.T, right[:num].T)
    np.testing.assert_allclose(got.variances, singular[:num] ** 2 / shape[0])
    np.testing.assert_allclose(got.mean, models.mean(0))


@pytest.mark.parametrize("shape", SHAPES)
def test_components_are_those_of_scikit_learn(shape):
    models = cloud(1, *shape)
    num = min(2, shape[0] - 1, shape[1])
    got = pve.principal_components(models, num)
    reference = PCA(num, svd_solver="full").fit(models)
    same_up_to_sign(got.scores, reference.transform(models))
    same_up_to_sign(got.directions.T, reference.components_.T)
    unbiased = got.variances * shape[0] / (shape[0] - 1)
    np.testing.assert_allclose(unbiased, reference.explained_variance_)
    others = cloud(2, 7, shape[1])
    same_up_to_sign(got.project(others), reference.transform(others))


@given(seeds, st.integers(2, 8), st.integers(1, 8))
def test_components_reproduce_the_models(seed, num, dimension):
    models = cloud(seed, num, dimension)
    got = pve.principal_components(models, num)
    back = got.mean + got.scores @ got.directions
    np.testing.assert_allclose(back, models, rtol=0, atol=1e-5)
    np.testing.assert_allclose(got.project(models), got.scores, rtol=0, atol=1e-5)
    inner = got.directions @ got.directions.T
    kept = np.diag(inner) > 0.5  # a direction without variance is left at zero
    np.testing.assert_allclose(inner, np.diag(kept.astype(float)), atol=1e-5)
    assert (np.diff(got.variances) <= 1e-9).all()


def test_largest_score_is_positive():
    for seed in range(10):
        scores = pve.principal_components(cloud(seed, 6, 9)).scores
        extreme = scores[np.abs(scores).argmax(0), [0, 1]]
        assert (extreme > 0).all()


def test_equal_models_have_no_components():
    got = pve.principal_components(np.full((4, 10), 3.0))
    assert not got.scores.any()
    assert not got.directions.any()
    assert not got.variances.any()
    assert pve.diameter(np.full((4, 10), 3.0)) == 0
    assert pve.spread(np.full((4, 10), 3.0)) == 0


def test_models_on_a_line_have_one_component():
    line = np.outer([0.0, 1.0, 5.0], [3.0, 4.0])
    got = pve.principal_components(line)
    np.testing.assert_allclose(got.directions[0], [0.6, 0.8])
    np.testing.assert_allclose(np.diff(got.scores[:, 0]), [5, 20])
    np.testing.assert_allclose(got.scores[:, 1], 0, atol=1e-6)
    np.testing.assert_allclose(got.directions[1], 0, atol=1e-6)


def test_single_precision_keeps_its_digits():
    # Far from the origin and close together: means must not be taken in float32.
    models = (cloud(3, 20, 50) * 1e-3).astype(np.float32) + np.float32(1)
    exact = pve.principal_components(models.astype(np.float64))
    got = pve.principal_components(models)
    np.testing.assert_allclose(got.scores, exact.scores, rtol=0, atol=1e-9)


@pytest.mark.parametrize(
    ("models", "num", "message"),
    [
        (np.zeros(4), 1, r"models has shape \[4\]; expected \[N, D\] with N ≥ 2"),
        (np.zeros((1, 4)), 1, r"models has shape \[1, 4\]; expected"),
        (np.full((3, 4), np.nan), 1, r"models holds NaN"),
        (np.zeros((3, 4)), 4, r"num is 4; expected an integer from 1 to 3"),
        (np.zeros((3, 4)), 0, r"num is 0; expected"),
    ],
)
def test_illegal_models(models, num, message):
    with pytest.raises(ValueError, match=message):
        pve.principal_components(models, num)


# Distances --------------------------------------------------------------------------


def test_diameter_is_the_range_along_the_first_component():
    models = cloud(4, 9, 30)
    scores = PCA(1, svd_solver="full").fit_transform(models)
    assert pve.diameter(models) == pytest.approx(np.ptp(scores), rel=1e-9)
    corners = np.array([[0.0, 0, 0], [3, 4, 0], [1.5, 2, 0.1]])
    assert pve.diameter(corners) == pytest.approx(5, rel=1e-3)


@given(seeds, st.integers(2, 9), st.integers(1, 9))
def test_spread_is_the_rms_distance_between_pairs(seed, num, dimension):
    models = cloud(seed, num, dimension)
    squares = [((models[i] - models[j]) ** 2).sum() for i in range(num) for j in range(i)]
    assert pve.spread(models) == pytest.approx(np.sqrt(np.mean(squares)), rel=1e-9)


def test_published_diameter_by_hand():
    groups = np.zeros((3, 20))
    groups[0, 4], groups[1, 0], groups[2, 19] = 1.0, -2.0, 6.0  # ranges 1, 2, 6
    scores = np.append(groups.ravel(), [1000.0] * 19)  # not a whole group
    mean, error = published_diameter(scores)
    assert mean == pytest.approx(3)
    assert error == pytest.approx(np.sqrt((4 + 1 + 9) / 2 / 3))
    with pytest.raises(ValueError, match="scores of 39 runs; expected at least 40"):
        published_diameter(scores[:39])


def test_flatten_puts_rewards_first():
    mdp = random_mdp(0, 3, 2)
    flat = pve.flatten(mdp)
    assert flat.shape == (6 + 18,)
    np.testing.assert_array_equal(flat[:6], mdp.reward.ravel())
    np.testing.assert_array_equal(flat[6:], mdp.transition.ravel())
    stacked = jax.tree.map(lambda *x: np.stack(x), *(random_mdp(i) for i in range(4)))
    flat = pve.flatten(stacked)
    assert flat.shape == (4, 24)
    np.testing.assert_array_equal(flat[2], pve.flatten(random_mdp(2)))


# Behaviour --------------------------------------------------------------------------


def test_limits_are_the_uniform_and_the_optimal_policy(rooms):
    low, high = performance_limits(rooms.mdp)
    assert high == pytest.approx(72.89057, abs=5e-6)
    value = np.linalg.solve(
        np.eye(104) - 0.99 * rooms.mdp.transition.mean(1), rooms.mdp.reward.mean(1)
    )
    assert low == pytest.approx(value.mean(), rel=1e-12)
    np.testing.assert_array_equal(pve.uniform_policy(rooms.mdp), np.full((104, 4), 0.25))


def test_trajectories_never_take_a_forbidden_move(rooms):
    policy = np.eye(4)[np.random.default_rng(0).integers(4, size=104)]
    states = pve.trajectories(jax.random.key(0), rooms.mdp, policy, 30, 500, 40)
    assert states.shape == (500, 41)
    assert (states[:, 0] == 30).all()
    _, matrix = chain(rooms.mdp, policy)
    assert (matrix[states[:, :-1], states[:, 1:]] > 0).all()


def test_trajectories_move_as_the_chain_does():
    mdp, policy = random_mdp(5, 4, 3), stochastic_policies(5, 1, 4, 3)[0]
    num = 4000
    states = pve.trajectories(jax.random.key(1), mdp, policy, 2, num, 6)
    _, matrix = chain(mdp, policy)
    for time in (1, 3, 6):
        expected = np.linalg.matrix_power(matrix, time)[2] * num
        counts = np.bincount(states[:, time], minlength=4)
        assert stats.chisquare(counts, expected).pvalue > 1e-5
    # And move by move: pairs of neighbours, whenever they happen.
    pairs = np.bincount(states[:, 3] * 4 + states[:, 4], minlength=16)
    expected = np.linalg.matrix_power(matrix, 3)[2][:, None] * matrix * num
    assert stats.chisquare(pairs, expected.ravel()).pvalue > 1e-5


def test_illegal_trajectories(rooms):
    policy = pve.uniform_policy(rooms.mdp)
    for start in (-1, 104):
        with pytest.raises(
            ValueError, match=rf"start is {start}; expected an integer from 0 to 103"
        ):
            pve.trajectories(jax.random.key(0), rooms.mdp, policy, start, 2, 2)
    for num, length, name in ((0, 2, "num is 0"), (2, -1, "length is -1")):
        with pytest.raises(ValueError, match=f"{name}; expected an integer ≥ 1"):
            pve.trajectories(jax.random.key(0), rooms.mdp, policy, 0, num, length)
    with pytest.raises(ValueError, match=r"policy has shape \[3, 4\]; expected"):
        pve.trajectories(jax.random.key(0), rooms.mdp, policy[:3], 0, 2, 2)


def test_share_of_optimal_actions(rooms):
    assert pve.optimal_action_share(rooms.mdp, rooms.mdp) == 1
    # Where the model prefers nothing it takes action 0, left: count where that is best.
    idle = pve.MDP(np.zeros((104, 4)), rooms.mdp.transition, 0.99)
    value, _ = pve.value_iteration(rooms.mdp, 1e-10)
    actions = rooms.mdp.reward + 0.99 * rooms.mdp.transition @ value
    best = actions[:, 0] >= actions.max(1) - 1e-7
    assert 0 < best.mean() < 1
    assert pve.optimal_action_share(idle, rooms.mdp) == pytest.approx(best.mean())
