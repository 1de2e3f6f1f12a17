"""Many runs in one compiled program, side by side in lanes.

Each lane is a run: its state, its key and its data stand along a leading axis of all
arrays. What is drawn in a lane is bit for bit what its run draws alone; only the rounding
of its arithmetic may differ, and that depends on how many lanes there are, never on what
the other lanes hold.
"""

from __future__ import annotations

import dataclasses
import functools
from typing import Any

import jax

from pve.checks import Array
from pve.mdp.power import LARGEST
from pve.training.loop import State, take_steps
from pve.training.problem import Problem


@functools.partial(jax.jit, static_argnames="length")
def advance_lanes(states: State, problems: Problem, length: int) -> tuple[State, Array]:
    """Take ``length`` steps in every lane, in one compiled loop.

    Args:
      states: where the runs stand; every leaf has a leading axis of lanes, ``[N, …]``.
      problems: those of the runs, stacked likewise; they share all else.
      length: how many steps.

    Returns:
      The states after, and the batch losses before each step, ``[N, length]``.
    """
    return jax.vmap(functools.partial(take_steps, length=length))(states, problems)


def for_device(objective: Any, device: Any, num_states: int) -> Any:
    """The same objective, its powers computed in the way that suits a device best.

    Args:
      objective: see `pve.training.objective`; one without powers stays as it is.
      device: a JAX device.
      num_states: ``S``, which decides whether a chain fits on a GPU's chip.
    """
    if not hasattr(objective, "implementation"):
        return objective
    on_chip = device.platform == "gpu" and num_states <= LARGEST
    name = "kernel" if on_chip else "products"
    return dataclasses.replace(objective, implementation=name)
