"""What the book's chapters share: its words, its pages, its results."""

import jax.numpy as jnp
import myst_nb
import numpy as np
import pytest

from pve.book import text


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array(2.5), 2.5),
        (jnp.asarray(0.25), 0.25),
        (7, 7),
        (0.1, 0.1),
        ("half as far", "half as far"),
    ],
)
def test_the_prose_is_told_pythons_own_numbers(monkeypatch, value, told):
    calls = []
    monkeypatch.setattr(myst_nb, "glue", lambda *args, **kw: calls.append((args, kw)))
    text.tell("dia-rms", value)
    assert calls == [(("dia-rms", told), {"display": False})]
    assert type(calls[0][0][1]) is type(told)
