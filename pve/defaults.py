"""JAX's defaults, with which all numbers here are computed, whatever a user has set.

Types of arrays, random bits and the rounding of products depend on settings of JAX that
environment variables can change, such as ``JAX_ENABLE_X64``. Here they are set: for a
block, for a function or, in a program of ours, from then on.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import Any

import jax

DEFAULTS = {
    "default_matmul_precision": None,
    "default_prng_impl": "threefry2x32",
    "disable_jit": False,
    "enable_x64": False,
    "numpy_dtype_promotion": "standard",
    "numpy_rank_promotion": "allow",
    "threefry_partitionable": True,
}

# Settings that are the user's to choose: they change random bits or the rounding of sums.
RECORDED = {
    "disable_most_optimizations": False,
    "exec_time_optimization_effort": 0.0,
    "memory_fitting_effort": 0.0,
    "optimization_level": "UNKNOWN",
    "random_seed_offset": 0,
}


def _changed() -> dict[str, object]:
    """The settings that are not at their defaults, with those defaults."""
    return {
        name: value
        for name, value in DEFAULTS.items()
        if getattr(jax.config, f"jax_{name}") != value
    }


@contextlib.contextmanager
def jax_defaults() -> Iterator[None]:
    """Compute with JAX's defaults in this thread; also a decorator of functions."""
    with contextlib.ExitStack() as block:
        for name, value in _changed().items():
            block.enter_context(getattr(jax, name)(value))
        yield


@contextlib.contextmanager
def on_cpu_cores() -> Iterator[None]:
    """Compute on this machine's cores in this thread, even beside an accelerator."""
    with jax.default_device(jax.local_devices(backend="cpu")[0]), jax_defaults():
        yield


def flags() -> dict[str, Any]:
    """Settings of XLA and JAX that can change numbers and stay as the user has them.

    Empty where nothing is set; they belong to the identity of results.
    """
    named = os.environ.get("XLA_FLAGS", "").split()
    given = " ".join(flag for flag in sorted(named) if not flag.startswith("--xla_dump"))
    found: dict[str, Any] = {"XLA_FLAGS": given} if given else {}
    for name, usual in RECORDED.items():
        value = jax.config.values.get(f"jax_{name}", usual)
        if value != usual:
            found[f"JAX_{name.upper()}"] = value
    return found


def check_devices() -> None:
    """Raise a ``ValueError`` that says why unless JAX can compute on this machine's cores.

    Runs are prepared on the cores, whatever trains them.
    """
    try:
        jax.local_devices(backend="cpu")
    except (AssertionError, RuntimeError):
        given = getattr(jax.config, "jax_platforms", None)
        raise ValueError(
            f"JAX_PLATFORMS is {given!r}, so JAX cannot use the CPU; expected 'cpu' or, "
            "for every device that the machine has, ''"
        ) from None


def settle_jax() -> None:
    """Compute everything in this program with JAX's defaults from here on."""
    for name, value in _changed().items():
        jax.config.update(f"jax_{name}", value)
