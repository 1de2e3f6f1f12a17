"""Argument checks: what is wrong is refused in one line that says what was expected."""

from __future__ import annotations

import math
import operator
import warnings
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

Array = Any  # a NumPy or a JAX array: NumPy stays exact, JAX is traced and compiled
ROW_SUM_TOLERANCE = 1e-5  # a float32 softmax over thousands of states stays within it
CLOSE = 1e-12  # a discount closer to 1 leaves values too few digits to compare actions
HUGE = np.finfo(np.float64).max / 8  # of a value: differences and sums of two still fit
ROUNDING = 1e-12  # how far float64 may take a probability below 0, or a sum off 1


def as_array(name: str, value: Any) -> Array:
    """Return a float array: JAX arrays as they are, all else as NumPy float64.

    Raises:
      TypeError: the value is not an array of real numbers.
    """
    if isinstance(value, jax.Array):
        if not jnp.issubdtype(value.dtype, jnp.floating):
            raise TypeError(f"{name} has dtype {value.dtype}; expected real floats")
        return value
    try:
        array = np.asarray(value)
    except ValueError as error:  # rows of unequal length
        raise TypeError(f"{name} is not an array of real numbers: {error}") from None
    if array.dtype.kind not in "iuf":
        raise TypeError(
            f"{name} is not an array of real numbers: its dtype is {array.dtype}"
        )
    return array.astype(np.float64)


def is_traced(*arrays: Any) -> bool:
    """Whether any numbers are not known yet (inside ``jit``, ``grad``, ``vmap``)."""
    return any(isinstance(array, jax.core.Tracer) for array in arrays)


def check_integer(
    name: str, value: Any, expected: str, low: int, high: float = math.inf
) -> int:
    """Return an ``int`` from ``low`` to ``high``, or raise and say what was expected."""
    if isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value}; {expected}")
    try:
        number = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} is {value!r}; {expected}") from None
    if not low <= number <= high:
        raise ValueError(f"{name} is {number}; {expected}")
    return number


def check_positive_integer(name: str, value: Any) -> int:
    """Return an ``int`` ≥ 1 or raise, naming what was given and what was expected."""
    return check_integer(name, value, "expected an integer ≥ 1", 1)


def check_positive_number(name: str, value: Any) -> float:
    """Return a finite number > 0, or raise."""
    number = isinstance(value, int | float) and not isinstance(value, bool)
    if not (number and 0 < value < math.inf):
        raise ValueError(f"{name} is {value!r}; expected a number > 0")
    return value


def check_finite(name: str, value: Any) -> float:
    """Return a finite number as a float, or raise."""
    expected = "expected a finite number"
    if isinstance(value, str | bytes | complex | np.ndarray):
        raise TypeError(f"{name} is {value!r}; {expected}")
    try:
        number = float(value)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"{name} is {value!r}; {expected}") from None
    if not math.isfinite(number):
        raise ValueError(f"{name} is {number:g}; {expected}")
    return number


def check_share(name: str, value: Any) -> float:
    """Return a number in [0, 1] or raise."""
    if value is None or isinstance(value, bool | str) or np.ndim(value):
        raise TypeError(f"{name} is {value!r}; expected a number in [0, 1]")
    if not 0 <= value <= 1:
        raise ValueError(f"{name} is {value!r}; expected a number in [0, 1]")
    return value


def check_truth(name: str, value: Any) -> bool:
    """Return true or false, or raise: a number is neither."""
    if not isinstance(value, bool | np.bool_):
        raise TypeError(f"{name} is {value!r}; expected true or false")
    return bool(value)


def check_one_of(name: str, value: Any, legal: Any) -> Any:
    """Return the value or raise unless it is one of the legal ones."""
    if value not in legal:
        raise ValueError(
            f"{name} is {value!r}; expected one of {', '.join(map(repr, legal))}"
        )
    return value


def check_distributions(name: str, array: Array) -> None:
    """Raise a ``ValueError`` unless the last axis holds probability distributions."""
    array = np.asarray(array)
    if not np.isfinite(array).all():
        where = tuple(map(int, np.argwhere(~np.isfinite(array))[0]))
        raise ValueError(f"{name}{list(where)} is {array[where]}; expected a finite number")
    if (array < -ROUNDING).any():
        where = tuple(map(int, np.argwhere(array < -ROUNDING)[0]))
        raise ValueError(
            f"{name}{list(where)} is {array[where]:g}; expected a probability in [0, 1]"
        )
    with np.errstate(over="ignore"):  # an infinite sum is refused like any other
        total = array.sum(-1, dtype=np.float64)
    wrong = np.abs(total - 1) > ROW_SUM_TOLERANCE
    if wrong.any():
        where = tuple(map(int, np.argwhere(wrong)[0]))
        raise ValueError(
            f"{name}{list(where)} sums to {total[where]:g}; every row must sum to 1"
        )


def as_distributions(name: str, array: np.ndarray) -> np.ndarray:
    """Return distributions freed of their rounding, or raise; exact ones as they are."""
    check_distributions(name, array)
    if (array < 0).any():
        array = np.maximum(array, 0.0)
    total = array.sum(-1, keepdims=True)
    rounded = np.abs(total - 1) > ROUNDING
    return np.where(rounded, array / total, array) if rounded.any() else array


def check_legal(legal: Any, reward: Array) -> np.ndarray | None:
    """Return which actions are legal, ``[S, A]``, from a mask and −∞ in a NumPy reward.

    None if all are. Raises a ``ValueError`` if a state has none or the mask does not fit,
    a ``TypeError`` if the mask is not boolean.
    """
    if legal is not None:
        legal = np.asarray(legal)
        if legal.dtype != bool:
            raise TypeError(f"legal has dtype {legal.dtype}; expected true or false")
        if legal.shape != reward.shape:
            raise ValueError(
                f"legal has shape {list(legal.shape)}; expected "
                f"{list(reward.shape)} with this reward"
            )
    if isinstance(reward, np.ndarray) and (reward == -math.inf).any():
        finite = reward > -math.inf
        legal = finite if legal is None else legal & finite
    if legal is None or legal.all():
        return None
    if not legal.any(-1).all():
        state = int(np.flatnonzero(~legal.any(-1))[0])
        raise ValueError(
            f"state {state} has no legal action; expected at least one (at an end, one "
            "that stays with reward 0)"
        )
    return legal


def check_names(name: str, names: Any, count: int) -> tuple[str, ...] | None:
    """Return names as words, or None; raise unless there are ``count``, all distinct."""
    if names is None:
        return None
    names = check_distinct(name, names, str)
    if len(names) != count:
        raise ValueError(f"{name} has {len(names)} names; expected {count}")
    return names


def check_takes_legal(policies: Array, legal: np.ndarray | None) -> None:
    """Raise a ``ValueError`` if a policy takes an action that is not legal."""
    if legal is None or is_traced(policies):
        return
    taken = np.asarray(policies) * ~legal
    if taken.any():
        *_, state, action = where = tuple(map(int, np.argwhere(taken)[0]))
        raise ValueError(
            f"policy{list(where)} is {taken[where]:g}, but action {action} is not allowed "
            f"in state {state}; expected only {np.flatnonzero(legal[state]).tolist()}"
        )


def check_policies(policies: Array, num_states: int, num_actions: int) -> None:
    """Raise a ``ValueError`` unless ``policies`` is ``[..., S, A]``, rows summing to 1.

    The numbers are checked only where they are known, not under a JAX transformation.
    """
    shape = np.shape(policies)
    if shape[-2:] != (num_states, num_actions):
        raise ValueError(
            f"policy has shape {list(shape)}; expected [..., {num_states}, "
            f"{num_actions}] (states, actions)"
        )
    if not is_traced(policies):
        check_distributions("policy", policies)


def check_value_shape(values: Array, num_states: int) -> None:
    """Raise a ``ValueError`` unless ``values`` is ``[..., S]``."""
    shape = np.shape(values)
    if shape[-1:] != (num_states,):
        raise ValueError(
            f"value has shape {list(shape)}; expected [..., {num_states}] (states)"
        )


def check_discount(discount: Any) -> float:
    """Return the discount as a float; raise unless 0 ≤ discount < 1."""
    expected = "expected a number in [0, 1)"
    if isinstance(discount, str):
        raise TypeError(f"discount is {discount!r}; {expected}")
    try:
        number = float(discount)
    except (TypeError, ValueError, OverflowError):
        raise TypeError(f"discount is {discount!r}; {expected}") from None
    if number == 1:
        raise ValueError(
            f"discount is 1; {expected}: undiscounted, a path that does not end may have "
            "no finite value. If all paths end, take a number close to 1, such as 0.9999"
        )
    if not 0 <= number < 1:
        raise ValueError(f"discount is {number:g}; {expected}")
    if 1 - number < CLOSE:
        warnings.warn(
            f"discount is 1 − {1 - number:.0e}: closer to 1 than 1 − {CLOSE:g}, rounding "
            "decides between actions, and plans may not be optimal",
            stacklevel=4,
        )
    return number


def check_values_fit(mdp: Any) -> Any:
    """Return an MDP, or raise a ``ValueError`` if values may be too large for float64."""
    largest, most = float(np.abs(mdp.reward).max()), HUGE * (1 - mdp.discount)
    if largest > most:
        raise ValueError(
            f"reward is as large as {largest:g}: with discount {mdp.discount:g} values may "
            f"be too large for float64; expected at most {most:.1g}, as in another unit"
        )
    return mdp


def check_order(order: Any) -> int | float:
    """Return the order as an ``int`` or ``math.inf``; raise unless it is 1, 2, …, ∞."""
    expected = "expected an integer ≥ 1, or inf"
    if isinstance(order, bool | np.bool_):
        raise TypeError(f"order is {order}; {expected}")
    if isinstance(order, float | np.floating):
        if order == math.inf:
            return math.inf
        if not float(order).is_integer():
            raise ValueError(f"order is {order:g}; {expected}")
        order = int(order)
    return check_integer("order", order, expected, 1)


def parse_order(text: str) -> int | float:
    """The order that a word names; raises a ``ValueError`` if it names none."""
    try:
        number = float(text)
    except ValueError:
        raise ValueError(f"order is {text!r}; expected an integer ≥ 1, or inf") from None
    return check_order(number)


def parse_integer(text: str) -> int:
    """The integer that a word names; raises a ``ValueError`` if it names none."""
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{text!r}; expected an integer") from None


def parse_number(text: str) -> float:
    """The number that a word names; raises a ``ValueError`` if it names none."""
    try:
        return float(text)
    except ValueError:
        raise ValueError(f"{text!r}; expected a number") from None


KINDS = ("deterministic", "stochastic", "mixed")


def check_seed(seed: Any) -> int:
    """Return the seed as an ``int``; raise unless it is an integer in [0, 2³² − 1]."""
    expected = "expected an integer from 0 to 4294967295"
    return check_integer("seed", seed, expected, 0, 2**32 - 1)


def check_kind(kind: Any) -> str:
    """Return the kind; raise unless it is one of `KINDS`."""
    return check_one_of("kind", kind, KINDS)


def check_rank(rank: Any, num_states: int | None = None) -> int:
    """Return the rank; raise unless it is an integer from 1 to the number of states."""
    expected = f"expected an integer from 1 to {num_states or 'S, the number of states'}"
    return check_integer("rank", rank, expected, 1, num_states or math.inf)


PRESETS = ("smoke", "quick", "standard", "paper")
MODES = ("deterministic", "stochastic")
SHORT_MODES = {"det": "deterministic", "stoch": "stochastic"}


def check_distinct(name: str, values: Any, check: Any) -> tuple[Any, ...]:
    """Return a sequence's checked values; raise unless there are some, all distinct."""
    if isinstance(values, str) or not hasattr(values, "__iter__"):
        raise TypeError(f"{name} is {values!r}; expected a sequence")
    checked = tuple(check(value) for value in values)
    if not checked:
        raise ValueError(f"{name} is empty; expected at least one")
    if len(set(checked)) < len(checked):
        raise ValueError(f"{name} is {list(checked)}; expected distinct values")
    return checked


def check_mode(mode: Any) -> str:
    """Return the mode's full name; raise unless it is known."""
    return check_one_of("mode", SHORT_MODES.get(mode, mode), MODES)


def check_preset(preset: Any) -> str:
    """Return the preset; raise unless it is known."""
    return check_one_of("preset", preset, PRESETS)
