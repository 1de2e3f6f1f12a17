"""Families of models: distributions whatever the parameters, of the rank they say."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from scipy import stats

import pve

S, A = 12, 3
FAMILIES = [pve.SoftmaxModel(), pve.LowRankModel(1), pve.LowRankModel(5)]


def softmax(logits, axis):
    weights = np.exp(np.asarray(logits, float))
    return weights / weights.sum(axis, keepdims=True)


@pytest.fixture(params=FAMILIES, ids=repr, scope="module")
def model(request):
    return request.param


@pytest.fixture(scope="module")
def params(model):
    return model.init(jax.random.key(1), S, A)


def test_rows_are_distributions(model, params):
    mdp = model.mdp(params, 0.9)
    assert isinstance(mdp, pve.MDP)
    assert mdp.discount == 0.9
    np.testing.assert_array_equal(mdp.reward, params.reward)
    transition = np.asarray(mdp.transition)
    assert transition.shape == (S, A, S)
    assert (transition > 0).all()
    np.testing.assert_allclose(transition.sum(-1), 1, rtol=0, atol=1e-6)


def test_extreme_logits_stay_distributions(model, params):
    extreme = jax.tree.map(lambda x: 1e4 * x, params)
    transition = np.asarray(model.mdp(extreme, 0.9).transition)
    np.testing.assert_allclose(transition.sum(-1), 1, rtol=0, atol=1e-6)


def test_bound_expects_what_its_matrix_does(model, params):
    bound, mdp = model.bind(params, 0.9), model.mdp(params, 0.9)
    assert bound.discount == 0.9
    for shape in ((S,), (7, S), (2, 3, S)):
        values = np.random.default_rng(0).normal(size=shape).astype(np.float32)
        expected = np.einsum("sat,...t->...sa", np.asarray(mdp.transition), values)
        got = bound.expect(jnp.asarray(values))
        np.testing.assert_allclose(got, expected, rtol=0, atol=2e-6)


def test_initial_parameters_fill_their_ranges(model):
    params = model.init(jax.random.key(2), 40, 4)
    reward, *logits = (np.asarray(x).ravel() for x in params)
    for numbers, scale in [(reward, 1), *((x, 5) for x in logits)]:
        assert stats.kstest(numbers, stats.uniform(-scale, 2 * scale).cdf).pvalue > 1e-5


def test_initial_parameters_follow_the_key(model):
    first, again, other = (model.init(jax.random.key(i), S, A) for i in (0, 0, 1))
    for x, y, z in zip(first, again, other, strict=True):
        np.testing.assert_array_equal(x, y)
        assert not np.isclose(x, z).any()


def test_softmax_is_over_next_states():
    model = pve.SoftmaxModel()
    params = model.init(jax.random.key(0), S, A)
    assert params.logits.shape == (S, A, S)
    expected = softmax(params.logits, 0).transpose(2, 1, 0)
    np.testing.assert_allclose(model.mdp(params, 0.9).transition, expected, atol=1e-6)
    np.testing.assert_array_equal(
        model.bind(params, 0.9).transition, model.mdp(params, 0.9).transition
    )


@pytest.mark.parametrize("rank", [1, 2, 5, S])
def test_matrices_have_the_rank(rank):
    model = pve.LowRankModel(rank)
    params = model.init(jax.random.key(0), S, A)
    transition = np.asarray(model.mdp(params, 0.9).transition, float)
    for action in range(A):
        leave = softmax(params.leave[action].T, 1)  # [S, d], over latent states
        arrive = softmax(params.arrive[:, action].T, 1)  # [d, S], over next states
        np.testing.assert_allclose(transition[:, action], leave @ arrive, atol=1e-6)
        assert np.linalg.matrix_rank(transition[:, action], tol=1e-5) == rank


def test_low_rank_never_forms_its_matrix():
    model = pve.LowRankModel(2)
    params = model.init(jax.random.key(0), 50, 3)

    def expect(params, values):
        return model.bind(params, 0.9).expect(values)

    jaxpr = jax.make_jaxpr(expect)(params, jnp.zeros((5, 50)))
    sizes = [np.prod(v.aval.shape) for eqn in jaxpr.eqns for v in eqn.outvars]
    assert max(sizes) < 50 * 50


@pytest.mark.parametrize(
    ("rank", "error"),
    [(0, ValueError), (-3, ValueError), (2.5, TypeError), ("2", TypeError)],
)
def test_illegal_ranks(rank, error):
    with pytest.raises(
        error, match=r"rank is .*; expected an integer from 1 to S"
    ) as caught:
        pve.LowRankModel(rank)
    assert str(rank) in str(caught.value)


def test_rank_above_the_number_of_states():
    with pytest.raises(ValueError, match=r"rank is 13; expected an integer from 1 to 12"):
        pve.LowRankModel(13).init(jax.random.key(0), S, A)
