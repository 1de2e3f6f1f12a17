"""Legal arguments: what is not legal is refused in one line that says what is."""

from __future__ import annotations

import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any  # a NumPy or a JAX array: NumPy stays exact, JAX is traced and compiled
ROW_SUM_TOLERANCE = 1e-5  # a softmax over thousands of states in float32 stays within
ROUNDING = 1e-12  # of a probability computed in float64, by which it may be below zero


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


def check_integer(
    name: str, value: Any, legal: str, low: int, high: float = math.inf
) -> int:
    """Return an ``int`` from ``low`` to ``high`` or raise; ``legal`` says it in words."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value}; {legal}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; {legal}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} is {number}; {legal}")
    return number


def check_positive_integer(name: str, value: Any) -> int:
    """Return an ``int`` ≥ 1 or raise, naming what was given and what is legal."""
    return check_integer(name, value, "legal are the integers 1, 2, 3, …", 1)


def check_positive_number(name: str, value: Any) -> float:
    """Return a number > 0, not infinite, or raise."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 < value < math.inf):
        raise ValueError(f"{name} is {value!r}; legal are numbers > 0")
    return value


def check_finite(name: str, value: Any) -> float:
    """Return a finite number as a float, or raise."""
    legal = "legal are finite numbers"
    if isinstance(value, str | bytes | complex | np.ndarray):
        raise TypeError(f"{name} is {value!r}; {legal}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} is {value!r}; {legal}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number:g}; {legal}")
    return number


def check_share(name: str, value: Any) -> float:
    """Return a number in [0, 1] or raise."""
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}; legal are numbers in [0, 1]")
    return value


def check_one_of(name: str, value: Any, legal: Any) -> Any:
    """Return the value or raise unless it is one of the legal ones."""
    if value not in legal:
        raise ValueError(f"{name} is {value!r}; legal are {', '.join(map(repr, legal))}")
    return value


def check_distributions(name: str, array: Array) -> None:
    """Raise a ``ValueError`` unless the last axis holds probability distributions."""
    array = np.asarray(array)
    if not np.isfinite(array).all():
        where = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise ValueError(f"{name}{list(where)} is {array[where]}; legal are finite numbers")
    if (array < -ROUNDING).any():
        where = tuple(map(int, np.argwhere(array < -ROUNDING)[0]))
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


def as_distributions(name: str, array: np.ndarray) -> np.ndarray:
    """Return distributions without their rounding, or raise; exact ones as they are."""
    check_distributions(name, array)
    if (array < 0).any():
        array = np.maximum(array, 0.0)
    total = array.sum(-1, keepdims=True)
    rounded = np.abs(total - 1) > ROUNDING
    return np.where(rounded, array / total, array) if rounded.any() else array


def check_legal(legal: Any, reward: Array) -> np.ndarray | None:
    """Return which actions are legal, ``[S, A]``, by a mask and −∞ in a NumPy reward.

    None if all are. Raises a ``ValueError`` where a state has none, or a mask does not fit.
    """
    if legal is not None:
        legal = np.asarray(legal)
        if legal.dtype != bool:
            raise TypeError(f"legal has dtype {legal.dtype}; legal are true and false")
        if legal.shape != reward.shape:
            raise ValueError(
                f"legal has shape {list(legal.shape)}; legal with this reward is "
                f"{list(reward.shape)}"
            )
    if isinstance(reward, np.ndarray) and (reward == -math.inf).any():
        finite = reward > -math.inf
        legal = finite if legal is None else legal & finite
    if legal is None or legal.all():
        return None
    if not legal.any(-1).all():
        state = int(np.flatnonzero(~legal.any(-1))[0])
        raise ValueError(
            f"state {state} has no legal action; legal is at least one (at an end, one "
            "that stays with reward 0)"
        )
    return legal


def check_names(name: str, names: Any, count: int) -> tuple[str, ...] | None:
    """Return names as words, or None; raise unless there are ``count``, all distinct."""
    if names is None:
        return None
    names = check_distinct(name, names, str)
    if len(names) != count:
        raise ValueError(f"{name} has {len(names)} names; legal are {count}")
    return names


def check_takes_legal(policies: Array, legal: np.ndarray | None) -> None:
    """Raise a ``ValueError`` where a policy takes an action that is not legal."""
    if legal is None or is_traced(policies):
        return
    taken = np.asarray(policies) * ~legal
    if taken.any():
        *_, state, action = where = tuple(map(int, np.argwhere(taken)[0]))
        raise ValueError(
            f"policy{list(where)} is {taken[where]:g}; action {action} is not legal in "
            f"state {state}: legal are {np.flatnonzero(legal[state]).tolist()}"
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


def check_discount(discount: Any) -> float:
    """Return the discount as a float; raise unless 0 ≤ discount < 1."""
    legal = "legal are numbers in [0, 1)"
    if isinstance(discount, str):
        raise TypeError(f"discount is {discount!r}; {legal}")
    try:
        number = float(discount)
    except (TypeError, ValueError):
        raise TypeError(f"discount is {discount!r}; {legal}") from None
    if number == 1:
        raise ValueError(
            f"discount is 1; {legal}: undiscounted, a path that does not end may have no "
            "finite value. If all paths end, take a number close to 1, such as 0.9999"
        )
    if not 0 <= number < 1:
        raise ValueError(f"discount is {number:g}; {legal}")
    return number


def check_order(order: Any) -> int | float:
    """Return the order as an ``int`` or ``math.inf``; raise unless it is 1, 2, …, ∞."""
    legal = "legal are the integers 1, 2, 3, … and inf"
    if isinstance(order, bool | np.bool_):
        raise TypeError(f"order is {order}; {legal}")
    if isinstance(order, float | np.floating):
        if order == math.inf:
            return math.inf
        if not float(order).is_integer():
            raise ValueError(f"order is {order:g}; {legal}")
        order = int(order)
    return check_integer("order", order, legal, 1)


def parse_order(text: str) -> int | float:
    """The order that a word names; raises a ``ValueError`` that says what is legal."""
    try:
        number = float(text)
    except ValueError:
        raise ValueError(
            f"order is {text!r}; legal are the integers 1, 2, 3, … and inf"
        ) from None
    return check_order(number)


def parse_integer(text: str) -> int:
    """The integer that a word names; raises a ``ValueError`` that says what is legal."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r}; legal are integers") from None


def parse_number(text: str) -> float:
    """The number that a word names; raises a ``ValueError`` that says what is legal."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r}; legal are numbers") from None


KINDS = ("deterministic", "stochastic", "mixed")


def check_seed(seed: Any) -> int:
    """Return the seed as an ``int``; raise unless it is an integer in [0, 2³² − 1]."""
    legal = "legal are the integers 0 … 4294967295"
    return check_integer("seed", seed, legal, 0, 2**32 - 1)


def check_kind(kind: Any) -> str:
    """Return the kind; raise unless it is one of `KINDS`."""
    return check_one_of("kind", kind, KINDS)


def check_rank(rank: Any, num_states: int | None = None) -> int:
    """Return the rank; raise unless it is an integer from 1 to the number of states."""
    legal = f"legal are the integers 1 … {num_states or 'S, the number of states'}"
    return check_integer("rank", rank, legal, 1, num_states or math.inf)


PRESETS = ("smoke", "quick", "standard", "paper")
MODES = ("deterministic", "stochastic")
SHORT_MODES = {"det": "deterministic", "stoch": "stochastic"}


def check_distinct(name: str, values: Any, check: Any) -> tuple[Any, ...]:
    """Return a sequence's checked values; raise unless there are some, all distinct."""
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} is {values!r}; legal is a sequence")
    checked = tuple(check(value) for value in values)
    if not checked:
        raise ValueError(f"{name} is empty; legal is at least one")
    if len(set(checked)) < len(checked):
        raise ValueError(f"{name} is {list(checked)}; legal are distinct values")
    return checked


def check_mode(mode: Any) -> str:
    """Return the mode's full name; raise unless it is known."""
    return check_one_of("mode", SHORT_MODES.get(mode, mode), MODES)


def check_preset(preset: Any) -> str:
    """Return the preset; raise unless it is known."""
    return check_one_of("preset", preset, PRESETS)
