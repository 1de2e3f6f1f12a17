"""Every implementation of a power, against float64."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from jax.experimental import pallas as pl
from oracles import dot_precisions, equations, random_mdp, stochastic_policies

import pve
from pve.mdp import power
from pve.mdp.power import IMPLEMENTATIONS, policy_power

# States, actions, policies and order. Among them: chains that are padded, some that fill
# a kernel to the brim and some that are too large; batches of one group of chains and of
# several.
SIZES = [(7, 3, 21), (104, 4, 13), (128, 2, 7), (130, 3, 3)]
CASES = [(*sizes, order) for sizes in SIZES for order in (1, 2, 30, 60)]
NAMES = ["transition", "reward", "policies", "values"]
TOLERANCE = 1e-5  # of the largest entry: roundings of float32 come to a tenth of it

every_implementation = pytest.mark.parametrize("name", IMPLEMENTATIONS)
every_case = pytest.mark.parametrize("case", CASES, ids=str)


def problem(states, actions, count, seed=0):
    """The four arrays and a cotangent, float32."""
    random = np.random.default_rng(seed)
    mdp = random_mdp(seed, states, actions, 0.99)
    arrays = (
        mdp.discount * mdp.transition,
        random.uniform(-1, 1, (count, states)),
        stochastic_policies(seed, count, states, actions),
        random.uniform(-1, 1, (count, states)),
        random.normal(size=(count, states)),
    )
    return tuple(array.astype(np.float32) for array in arrays)


def enumeration(order, transition, reward, policies, values):
    """The power as one of a matrix: that of v ↦ r + P v on vectors (v, 1)."""
    count, states = values.shape
    affine = np.zeros((count, states + 1, states + 1), values.dtype)
    affine[:, :-1, :-1] = np.einsum("bsa,sat->bst", policies, transition)
    affine[:, :-1, -1] = reward
    affine[:, -1, -1] = 1
    start = np.concatenate([values, np.ones_like(values[:, :1])], 1)
    return (np.linalg.matrix_power(affine, order) @ start[..., None])[:, :-1, 0]


def answer(name, order):
    """A function that gives a power and, by a cotangent, its four gradients."""

    def value_and_gradients(*arrays):
        *inputs, cotangent = arrays

        def function(*inputs):
            return policy_power(order, *inputs, implementation=name)

        value, pullback = jax.vjp(function, *inputs)
        return value, *pullback(cotangent)

    return value_and_gradients


@functools.cache
def compiled(name, order):
    return jax.jit(answer(name, order))


@functools.cache
def computed(name, case):
    *sizes, order = case
    return compiled(name, order)(*problem(*sizes))


@functools.cache
def exact(case):
    """The same by the definition in float64, of which the tests check every number."""
    *sizes, order = case
    with jax.enable_x64(True):
        arrays = (jnp.asarray(array, float) for array in problem(*sizes))
        return [np.asarray(x) for x in compiled("reference", order)(*arrays)]


def assert_close(got, expected, what):
    assert np.isfinite(expected).all()
    scale = np.abs(expected).max()
    np.testing.assert_allclose(got, expected, 0, TOLERANCE * scale, err_msg=what)


@every_case
@every_implementation
def test_values_are_those_of_enumeration(name, case):
    *sizes, order = case
    *inputs, _ = (array.astype(float) for array in problem(*sizes))
    got = computed(name, case)[0]
    assert got.dtype == np.float32
    assert_close(got, enumeration(order, *inputs), "value")


@every_case
@every_implementation
def test_gradients_are_those_of_float64(name, case):
    for what, got, expected in zip(
        NAMES, computed(name, case)[1:], exact(case)[1:], strict=True
    ):
        assert got.dtype == np.float32
        assert_close(got, expected, what)


@every_case
def test_gradients_of_float64_are_right(case):
    # By a complex step of the enumeration, which has no error of truncation: there is no
    # automatic differentiation in it, and no JAX.
    *sizes, order = case
    *inputs, cotangent = (array.astype(float) for array in problem(*sizes))
    random = np.random.default_rng(1)
    for i, gradient in enumerate(exact(case)[1:]):
        direction = random.normal(size=gradient.shape)
        moved = [array.astype(complex) for array in inputs]
        moved[i] += 1e-30j * direction
        slope = (cotangent * enumeration(order, *moved).imag).sum() / 1e-30
        assert (gradient * direction).sum() == pytest.approx(slope, rel=1e-10)


STEPS, RUNS = 2, 3
*SMALL, ORDER = 7, 3, 21, 2


@functools.cache
def side_by_side(name):
    """A compiled program of several runs, step after step."""
    many = jax.vmap(answer(name, ORDER))
    return jax.jit(lambda *arrays: jax.lax.map(lambda x: many(*x), arrays))


def runs():
    """The arrays of several runs at several steps, ``[STEPS, RUNS, …]`` each."""
    drawn = [problem(*SMALL, seed=seed) for seed in range(STEPS * RUNS)]
    stacked = [np.stack(arrays) for arrays in zip(*drawn, strict=True)]
    return [array.reshape(STEPS, RUNS, *array.shape[1:]) for array in stacked]


@every_implementation
def test_runs_side_by_side_are_single_runs(name):
    arrays = runs()
    got = side_by_side(name)(*arrays)
    for index in np.ndindex(STEPS, RUNS):
        expected = compiled(name, ORDER)(*(array[index] for array in arrays))
        for what, x, y in zip(["value", *NAMES], got, expected, strict=True):
            assert_close(x[index], np.asarray(y), what)


@every_implementation
@pytest.mark.parametrize("spoilt", range(4), ids=NAMES)
def test_a_run_of_nan_stays_alone(name, spoilt):
    many, clean = side_by_side(name), runs()
    dirty = [array.copy() for array in clean]
    dirty[spoilt][:, 1] = np.nan
    before, after = many(*clean), many(*dirty)
    for what, x, y in zip(["value", *NAMES], before, after, strict=True):
        np.testing.assert_array_equal(y[:, [0, 2]], x[:, [0, 2]], what)
    assert np.isnan(after[0][:, 1]).all()


def test_kernels_of_runs_that_share_their_transition():
    # What is not batched has no axis in the batched kernel's grid.
    transition, *rest = problem(*SMALL)[:4]
    pairs = [np.stack([array, array[::-1]]) for array in rest]

    @jax.jit
    @jax.vmap
    def many(*rest):
        return policy_power(3, transition, *rest, implementation="kernel")

    expected = enumeration(3, *(array.astype(float) for array in (transition, *rest)))
    for got, turned in zip(many(*pairs), (expected, expected[::-1]), strict=True):
        assert_close(got, turned, "value")


@pytest.mark.parametrize(("steps", "blocks"), [(0, 60), (7, 10)])
def test_products_in_blocks_of_steps(steps, blocks, monkeypatch):
    # At most so many steps in a block, and a divisor of all: six for seven.
    case = states, actions, count, order = 104, 4, 13, 60
    monkeypatch.setattr(power, "BLOCK", states * actions * count * steps)
    function, arrays = answer("products", order), problem(states, actions, count)
    products = [
        equation
        for equation in equations(jax.make_jaxpr(function)(*arrays).jaxpr)
        if equation.primitive.name == "dot_general"
    ]
    shapes = {equation.outvars[0].aval.shape for equation in products}
    assert (order // blocks, count, states, actions) in shapes
    for what, x, y in zip(
        NAMES, jax.jit(function)(*arrays)[1:], exact(case)[1:], strict=True
    ):
        assert_close(x, y, what)


@every_implementation
def test_power_of_an_mdp_by_every_implementation(name):
    mdp, policies = random_mdp(0, 4, 3), stochastic_policies(0, 3, 4, 3)
    values = np.random.default_rng(0).normal(size=(3, 4))
    arrays = jax.tree.map(jnp.asarray, (mdp, policies, values))
    got = pve.bellman_power(*arrays, 3, implementation=name)
    assert_close(got, pve.bellman_power(mdp, policies, values, 3), name)


@pytest.mark.parametrize("order", [1, 2])
@pytest.mark.parametrize("convert", [np.asarray, jnp.asarray])
def test_an_unknown_implementation_is_named(order, convert):
    mdp, policies = random_mdp(0), convert(stochastic_policies(0, 2))
    listed = "'reference', 'chains', 'products', 'kernel'"
    message = f"implementation is 'fast'; expected one of {listed}"
    values = np.zeros((2, 3))
    for call in (
        lambda: pve.bellman_power(mdp, policies, values, order, implementation="fast"),
        lambda: policy_power(
            order, mdp.transition, values, policies, values, implementation="fast"
        ),
    ):
        with pytest.raises(ValueError, match="implementation") as caught:
            call()
        assert str(caught.value) == message


@pytest.mark.parametrize("order", [0, -1])
def test_illegal_orders(order):
    with pytest.raises(ValueError, match=f"order is {order}; expected an integer ≥ 1"):
        policy_power(order, *problem(*SMALL)[:4])


# What a GPU is asked for ------------------------------------------------------------


HIGHEST = (jax.lax.Precision.HIGHEST,) * 2


@every_implementation
@pytest.mark.parametrize("states", [7, 130])
def test_every_product_is_of_full_precision(name, states):
    *inputs, cotangent = problem(states, 3, 4)

    def value(*inputs):
        return policy_power(3, *inputs, implementation=name)

    # The kernel itself has no product of matrices, the gradients have several.
    of_values = dot_precisions(value, *inputs)
    assert bool(of_values) is not (name == "kernel" and states == 7)
    of_gradients = dot_precisions(answer(name, 3), *inputs, cotangent)
    assert len(of_gradients) >= 3
    of_runs = dot_precisions(jax.vmap(value), *(array[None] for array in inputs))
    assert set(of_values + of_gradients + of_runs) == {HIGHEST}


def test_no_product_is_overlooked():
    x = np.ones((16, 16), np.float32)

    def kernel(x, y):
        y[:] = jnp.dot(x[:], x[:])

    def inner(x):
        shape = jax.ShapeDtypeStruct(x.shape, x.dtype)
        return pl.pallas_call(kernel, shape, interpret=True)(x)

    @jax.custom_vjp
    def squared(x):
        return x @ x

    squared.defvjp(lambda x: (x @ x, x), lambda x, bar: (bar @ x.T + x.T @ bar,))

    def scanned(x):
        return jax.lax.scan(lambda x, _: (x @ x, None), x, length=2)[0]

    def chosen(x):
        return jax.lax.cond(x[0, 0] > 0, lambda x: x @ x, lambda x: x, x)

    for function in (inner, squared, scanned, jax.jit(chosen), jax.vmap(squared)):
        assert dot_precisions(function, x) == [None]
    assert dot_precisions(jax.grad(lambda x: squared(x).sum()), x) == [None] * 3


def kernels(order=3, states=7):
    """The equations of `pallas_call` in a value and its gradients."""
    arrays = problem(states, 3, 4)
    jaxpr = jax.make_jaxpr(answer("kernel", order))(*arrays).jaxpr
    return [e for e in equations(jaxpr) if e.primitive.name == "pallas_call"]


def test_kernels_sum_in_full_float32():
    found = kernels()
    assert len(found) == 2
    for kernel in found:
        inside = {e.primitive.name for e in equations(kernel.params["jaxpr"])}
        assert "reduce_sum" in inside
        assert "dot_general" not in inside


def test_kernels_are_compiled_on_a_gpu_and_interpreted_elsewhere(monkeypatch):
    for backend in ("cpu", "tpu", "gpu"):
        monkeypatch.setattr(jax, "default_backend", lambda backend=backend: backend)
        for kernel in kernels():
            assert kernel.params["interpret"] is (backend != "gpu")
    assert kernel.params["compiler_params"].num_warps == power.WARPS


def test_more_states_than_a_kernel_holds():
    assert len(kernels(states=128)) == 2
    assert kernels(states=129) == []
