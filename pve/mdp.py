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
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any  # a NumPy or a JAX array: NumPy stays exact, JAX is traced and compiled

ROW_SUM_TOLERANCE = 1e-5  # a softmax over thousands of states in float32 stays within


def as_array(name: str, value: Any) -> Array:
    """Return a float array: JAX arrays as they are, all else as NumPy float64."""
    if isinstance(value, jax.Array):
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise TypeError(f"{name} has dtype {value.dtype}; legal are real floats")
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of unequal length
        raise TypeError(f"{name} is no array of real numbers: {error}") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(f"{name} is no array of real numbers: its dtype is {array.dtype}")
    return array.astype(np.float64)


def is_traced(*arrays: Any) -> bool:
    """Whether the numbers are not known yet (inside ``jit``, ``grad``, ``vmap``)."""
    return any(isinstance(array, jax.core.Tracer) for array in arrays)


def check_positive_integer(name: str, value: Any) -> int:
    """Return an ``int`` ≥ 1 or raise, naming what was given and what is legal."""
    legal = "legal are the integers 1, 2, 3, …"
    if isinstance(value, bool):
        raise TypeError(f"{name} is {value}; {legal}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; {legal}") from None
    if number < 1:
        raise ValueError(f"{name} is {number}; {legal}")
    return number


def check_distributions(name: str, array: Array) -> None:
    """Raise a ``ValueError`` unless the last axis holds probability distributions."""
    array = np.asarray(array)
    if not np.isfinite(array).all():
        where = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise ValueError(f"{name}{list(where)} is {array[where]}; legal are finite numbers")
    if (array < 0).any():
        where = tuple(map(int, np.argwhere(array < 0)[0]))
        raise ValueError(
            f"{name}{list(where)} is {array[where]:g}; legal are probabilities in [0, 1]"
        )
    total = array.sum(-1, dtype=np.float64)
    wrong = np.abs(total - 1) > ROW_SUM_TOLERANCE
    if wrong.any():
        where = tuple(map(int, np.argwhere(wrong)[0]))
        raise ValueError(
            f"{name}{list(where)} sums to {total[where]:g}; every row must sum to 1"
        )


def check_policies(policies: Array, num_states: int, num_actions: int) -> None:
    """Raise a ``ValueError`` unless ``policies`` is ``[..., S, A]``, rows summing to 1.

    The numbers are checked only where they are known, not under a JAX transformation.
    """
    shape = np.shape(policies)
    if shape[-2:] != (num_states, num_actions):
        raise ValueError(
            f"policy has shape {list(shape)}; legal is [..., {num_states}, "
            f"{num_actions}] (states, actions)"
        )
    if not is_traced(policies):
        check_distributions("policy", policies)


def check_value_shape(values: Array, num_states: int) -> None:
    """Raise a ``ValueError`` unless ``values`` is ``[..., S]``."""
    shape = np.shape(values)
    if shape[-1:] != (num_states,):
        raise ValueError(
            f"value has shape {list(shape)}; legal is [..., {num_states}] (states)"
        )


@jax.tree_util.register_pytree_with_keys_class
@dataclasses.dataclass(frozen=True, eq=False)
class MDP:
    """A finite Markov decision process, validated when it is made.

    It is a JAX pytree with the three attributes as leaves, so it goes through ``jit``,
    ``vmap`` and ``grad``; there the numbers are unknown and only shapes are checked.
    NumPy arrays and lists are kept as NumPy float64, JAX arrays as they are.

    Attributes:
      reward: ``[S, A]``, the expected reward of an action in a state; finite.
      transition: ``[S, A, S]``, the probability of the next state; rows sum to one.
      discount: a number, 0 ≤ discount < 1.

    Raises:
      ValueError: a shape, a number or a row sum is not legal; the message says which.
      TypeError: an argument is no array of real numbers.
    """

    reward: Array
    transition: Array
    discount: Any

    def __post_init__(self) -> None:
        reward = as_array("reward", self.reward)
        transition = as_array("transition", self.transition)
        object.__setattr__(self, "reward", reward)
        object.__setattr__(self, "transition", transition)
        if reward.ndim != 2 or 0 in reward.shape:
            raise ValueError(
                f"reward has shape {list(reward.shape)}; legal is [S, A] with S, A ≥ 1"
            )
        num_states, num_actions = reward.shape
        if transition.shape != (num_states, num_actions, num_states):
            raise ValueError(
                f"transition has shape {list(transition.shape)}; legal with this reward "
                f"is [{num_states}, {num_actions}, {num_states}]"
            )
        if not is_traced(self.discount):
            object.__setattr__(self, "discount", check_discount(self.discount))
        if not is_traced(reward) and not np.isfinite(np.asarray(reward)).all():
            where = tuple(map(int, np.argwhere(~np.isfinite(np.asarray(reward)))[0]))
            raise ValueError(
                f"reward{list(where)} is {reward[where]}; legal are finite numbers"
            )
        if not is_traced(transition):
            check_distributions("transition", transition)

    @property
    def num_states(self) -> int:
        """The number of states, ``S``."""
        return self.reward.shape[-2]

    @property
    def num_actions(self) -> int:
        """The number of actions, ``A``."""
        return self.reward.shape[-1]

    def expect(self, values: Array) -> Array:
        """The next value's mean, Σ_s' p(s' | s, a) v(s').

        Args:
          values: ``[..., S]``.

        Returns:
          ``[..., S, A]``.
        """
        check_value_shape(values, self.num_states)
        rows = self.transition.reshape(-1, self.num_states)
        return (values @ rows.T).reshape(*values.shape[:-1], *self.reward.shape)

    def tree_flatten_with_keys(self) -> tuple[tuple[Any, ...], None]:
        """Return the leaves with their names, as JAX asks of a pytree."""
        key = jax.tree_util.GetAttrKey
        return tuple(
            (key(name), getattr(self, name))
            for name in ("reward", "transition", "discount")
        ), None

    @classmethod
    def tree_unflatten(cls, _: None, leaves: tuple[Any, ...]) -> MDP:
        """Rebuild the record without validation: leaves may be placeholders."""
        mdp = object.__new__(cls)
        for name, leaf in zip(("reward", "transition", "discount"), leaves, strict=True):
            object.__setattr__(mdp, name, leaf)
        return mdp


def check_discount(discount: Any) -> float:
    """Return the discount as a float; raise unless 0 ≤ discount < 1."""
    legal = "legal are numbers in [0, 1)"
    if isinstance(discount, str):
        raise TypeError(f"discount is {discount!r}; {legal}")
    try:
        number = float(discount)
    except (TypeError, ValueError):
        raise TypeError(f"discount is {discount!r}; {legal}") from None
    if not 0 <= number < 1:
        raise ValueError(f"discount is {number:g}; {legal}")
    return number


def exact(mdp: MDP) -> MDP:
    """The same MDP in NumPy float64, for exact computations.

    Rows are divided by their sums, since float32 rows sum to one only to 1e-7.

    Raises:
      TypeError: ``mdp`` is no MDP.
    """
    if not (hasattr(mdp, "transition") and hasattr(mdp, "discount")):
        raise TypeError(f"mdp is a {type(mdp).__name__}; legal is a pve.MDP")
    transition = np.asarray(mdp.transition, np.float64)
    return MDP(
        np.asarray(mdp.reward, np.float64),
        transition / transition.sum(-1, keepdims=True),
        float(mdp.discount),
    )
