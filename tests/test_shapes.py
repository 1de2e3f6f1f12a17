"""Shapes that stand in types are checked while the tests run, and wrong ones are found."""

import typing

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from beartype import beartype
from jaxtyping import TypeCheckError, jaxtyped

from pve.equivalence import models
from pve.mdp import power

S, A, B, D = 3, 2, 4, 2
SHAPES = {
    "transition": (S, A, S),
    "reward": (B, S),
    "policies": (B, S, A),
    "values": (B, S),
}


def arrays(**other):
    return [jnp.ones(shape) / S for shape in (SHAPES | other).values()]


@pytest.mark.parametrize("name", power.IMPLEMENTATIONS)
def test_powers_take_the_shapes_that_they_say(name):
    compute = power.IMPLEMENTATIONS[name]
    assert compute(2, *arrays()).shape == (B, S)
    for wrong in (
        {"transition": (S, A, S + 1)},
        {"reward": (B, S + 1)},
        {"policies": (B + 1, S, A)},
        {"values": (S,)},
    ):
        with pytest.raises(TypeCheckError):
            compute(2, *arrays(**wrong))
    with pytest.raises(TypeCheckError):
        compute(2, *arrays()[:3], np.ones((B, S), np.int32))


@pytest.mark.parametrize("model", [models.SoftmaxModel(), models.LowRankModel(D)])
def test_models_have_the_shapes_that_they_say(model):
    params = model.init(jax.random.key(0), S, A)
    bound = model.bind(params, 0.9)
    for checked in (params, bound):
        names = checked.__annotations__
        fields = {name: getattr(checked, name) for name in names if name != "discount"}
        accepts(type(checked), fields)
        for name, field in fields.items():
            with pytest.raises(TypeCheckError):
                accepts(type(checked), fields | {name: field[:-1]})
    expect = jaxtyped(typechecker=beartype)(type(bound).expect)
    assert expect(bound, jnp.ones((5, B, S))).shape == (5, B, S, A)


def accepts(kind, fields):
    """Raise unless arrays have the shapes of a class's fields, letter by letter."""
    shapes = typing.get_type_hints(kind)

    @jaxtyped(typechecker=None)  # within one call a letter has one value
    def check():
        for name, array in fields.items():
            if not isinstance(array, shapes[name]):
                raise TypeCheckError(f"{kind.__name__}.{name} has shape {array.shape}")

    check()
