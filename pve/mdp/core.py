r"""Markov decision processes.

A finite MDP is a triple :math:`(r, p, \gamma)`: the expected reward
:math:`r(s, a)`, the probability :math:`p(s' \mid s, a)` of the next state and the
discount :math:`\gamma \in [0, 1)`. An environment and a finished model are both of
this type.

Shapes, here and in the whole package: ``S`` states, ``A`` actions, ``B`` batch,
``K`` order, ``N`` runs. Policies are ``[S, A]`` with rows summing to one, values
``[S]``.
"""

from __future__ import annotations

import dataclasses
import functools
import os
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

import jax
import numpy as np

from pve.checks import (
    Array,
    as_array,
    as_distributions,
    check_discount,
    check_distributions,
    check_legal,
    check_names,
    check_value_shape,
    is_traced,
)
from pve.mdp.by_type import by_type
from pve.mdp.files import KNOWN, read_arrays, write_arrays
from pve.mdp.files import NUMBERS as LEAVES

_P = ParamSpec("_P")
_R = TypeVar("_R")


def full_precision(function: Callable[_P, _R]) -> Callable[_P, _R]:
    """Have a function's products of float32 numbers computed in float32, on any device.

    By default a GPU computes them in TF32, with 10 bits of mantissa instead of 23, and
    other accelerators in bfloat16: the environment's own loss would then be 1e-4 and not
    1e-11. This holds for the function and its derivatives alone; no setting of JAX is
    changed.
    """

    @functools.wraps(function)
    def precise(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        with jax.default_matmul_precision("highest"):
            return function(*args, **kwargs)

    return precise


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True, eq=False)
class MDP:
    """A finite Markov decision process, validated when it is made.

    It is a JAX pytree with the first three attributes as leaves, so it goes through
    ``jit``, ``vmap`` and ``grad``; there the numbers are unknown and only shapes are
    checked. NumPy arrays and lists are kept as NumPy float64, JAX arrays as they are. The
    other attributes are not leaves but part of the tree's structure.

    In NumPy, rows that are rounded (their sum is within 1e-5 of one) are divided by their
    sum, and a probability below zero by rounding alone is set to zero.

    Attributes:
      reward: ``[S, A]``, the expected reward of an action in a state; finite, or in NumPy
        −∞ for an action that is not legal.
      transition: ``[S, A, S]``, the probability of the next state; rows sum to one.
      discount: a number, 0 ≤ discount < 1.
      legal: ``[S, A]``, true where an action may be taken, at least one in every state;
        None if all may be. In NumPy the other actions have reward 0 and move nowhere.
      start: ``[S]``, the distribution of the first state, if there is one.
      state_names: ``S`` words, if states have names.
      action_names: ``A`` words, if actions have names.

    Raises:
      ValueError: a shape, a number or a row sum is not legal; the message says which.
      TypeError: an argument is not an array of real numbers.
    """

    reward: Array
    transition: Array
    discount: Any
    legal: np.ndarray | None = None
    start: np.ndarray | None = None
    state_names: tuple[str, ...] | None = None
    action_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        reward = as_array("reward", self.reward)
        transition = as_array("transition", self.transition)
        if reward.ndim != 2 or 0 in reward.shape:
            raise ValueError(
                f"reward has shape {list(reward.shape)}; expected [S, A] with S, A ≥ 1"
            )
        num_states, num_actions = reward.shape
        if transition.shape != (num_states, num_actions, num_states):
            raise ValueError(
                f"transition has shape {list(transition.shape)}; expected "
                f"[{num_states}, {num_actions}, {num_states}] with this reward; "
                "pve.from_arrays makes an MDP of other layouts"
            )
        legal = check_legal(self.legal, reward)
        if legal is not None:
            if isinstance(reward, np.ndarray):
                reward = np.where(legal, reward, 0.0)
            if isinstance(transition, np.ndarray):
                stay = np.eye(num_states)[:, None]
                transition = np.where(legal[..., None], transition, stay)
        if isinstance(transition, np.ndarray):
            transition = as_distributions("transition", transition)
        object.__setattr__(self, "reward", reward)
        object.__setattr__(self, "transition", transition)
        object.__setattr__(self, "legal", legal)
        if self.start is not None:
            start = as_array("start", np.asarray(self.start))
            if start.shape != (num_states,):
                raise ValueError(
                    f"start has shape {list(start.shape)}; expected [{num_states}]"
                )
            object.__setattr__(self, "start", as_distributions("start", start))
        for name, count in (("state_names", num_states), ("action_names", num_actions)):
            object.__setattr__(self, name, check_names(name, getattr(self, name), count))
        if not is_traced(self.discount):
            object.__setattr__(self, "discount", check_discount(self.discount))
        if not is_traced(reward) and not np.isfinite(np.asarray(reward)).all():
            where = tuple(map(int, np.argwhere(~np.isfinite(np.asarray(reward)))[0]))
            raise ValueError(
                f"reward{list(where)} is {reward[where]}; expected a finite number"
            )
        if isinstance(transition, jax.Array) and not is_traced(transition):
            check_distributions("transition", transition)

    @property
    def num_states(self) -> int:
        """The number of states, ``S``."""
        return self.reward.shape[-2]

    @property
    def num_actions(self) -> int:
        """The number of actions, ``A``."""
        return self.reward.shape[-1]

    @full_precision
    def expect(self, values: Array) -> Array:
        """The mean value of the next state, Σ_s' p(s' | s, a) v(s').

        Args:
          values: ``[..., S]``.

        Returns:
          ``[..., S, A]``.

        Raises:
          ValueError: the values' shape does not fit.
        """
        check_value_shape(values, self.num_states)
        rows = self.transition.reshape(-1, self.num_states)
        return (values @ rows.T).reshape(*values.shape[:-1], *self.reward.shape)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, NumPy's ``.npz``; `load` gives back the same numbers.

        Raises:
          ValueError: the file cannot be written.
        """
        write_arrays(path, {name: getattr(self, name) for name in (*LEAVES, *KNOWN)})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> MDP:
        """Read what `save` wrote; no pickle is opened.

        Raises:
          ValueError: the file cannot be read, or holds no MDP.
          TypeError: an array in it is not of real numbers.
        """
        return cls(**read_arrays(path))

    def tree_flatten_with_keys(self) -> tuple[tuple[Any, ...], _Known]:
        """Return the leaves with their names, as JAX asks of a pytree."""
        key = jax.tree_util.GetAttrKey
        leaves = tuple((key(name), getattr(self, name)) for name in LEAVES)
        return leaves, _Known({name: getattr(self, name) for name in KNOWN})

    @classmethod
    def tree_unflatten(cls, known: _Known, leaves: tuple[Any, ...]) -> MDP:
        """Rebuild the record without validation: leaves may be placeholders."""
        mdp = object.__new__(cls)
        for name, leaf in zip(LEAVES, leaves, strict=True):
            object.__setattr__(mdp, name, leaf)
        for name, value in known.fields.items():
            object.__setattr__(mdp, name, value)
        return mdp


class _Known:
    """What an MDP has besides its leaves, equal and hashed by content."""

    def __init__(self, fields: dict[str, Any]) -> None:
        self.fields = fields
        self.content = tuple(
            value.tobytes() if isinstance(value, np.ndarray) else value
            for value in fields.values()
        )

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Known) and self.content == other.content

    def __hash__(self) -> int:
        return hash(self.content)


@by_type
def exact(mdp: MDP) -> MDP:
    """The same MDP in NumPy float64, for exact computations.

    Rows are divided by their sums, since float32 rows sum to one only to 1e-7.

    Raises:
      TypeError: ``mdp`` is not an MDP.
    """
    if not (hasattr(mdp, "transition") and hasattr(mdp, "discount")):
        raise TypeError(f"mdp is a {type(mdp).__name__}; expected a pve.MDP")
    transition = np.asarray(mdp.transition, np.float64)
    return MDP(
        np.asarray(mdp.reward, np.float64),
        transition / transition.sum(-1, keepdims=True),
        float(mdp.discount),
        **{name: getattr(mdp, name, None) for name in KNOWN},
    )
