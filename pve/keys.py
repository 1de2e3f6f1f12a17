"""Random keys: one seed, named purposes."""

from __future__ import annotations

import zlib

import jax
import numpy as np

from pve.checks import Array, check_seed


def stream(seed: int, *names: str) -> Array:
    """The random key for a named purpose; one seed decides all of them.

    Args:
      seed: an integer from 0 to 2³² − 1.
      names: what the key is for, from the general to the particular.

    Returns:
      A JAX key that depends on the seed and the names alone.

    Raises:
      ValueError: the seed is out of range.
      TypeError: the seed is not an integer.

    >>> import jax
    >>> key = stream(0, "diameter", "order=30", "run=7")
    >>> bool((key == stream(0, "diameter", "order=30", "run=7")).all())
    True
    """
    key = jax.random.key(check_seed(seed), impl="threefry2x32")
    for name in names:
        key = jax.random.fold_in(key, zlib.crc32(name.encode()))
    return key


def generator(key: Array) -> np.random.Generator:
    """A NumPy generator seeded by a JAX key, for loops that no array operation replaces."""
    return np.random.default_rng(np.asarray(jax.random.key_data(key)).ravel())
