r"""MDPs from arrays as other libraries lay them out.

Some put the action first, some give a matrix per action, dense or sparse, some list the
pairs of state and action that exist; rewards may depend on the state alone or on the
next state, too. `pve.MDP` has one form, ``[S, A]`` and ``[S, A, S]``; `from_arrays` brings
the others into it. Rewards by the next state are averaged over it,
:math:`r(s, a) = \sum_{s'} p(s' \mid s, a)\, r(s, a, s')`.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy.sparse import issparse

from pve.checks import (
    Array,
    as_array,
    as_distributions,
    check_legal,
    check_one_of,
    check_values_fit,
)
from pve.mdp.core import MDP
from pve.mdp.sparse import SparseMDP, stays_sparse
from pve.worlds.sparse_arrays import from_pairs, from_stack, is_sparse

MOST_ACTIONS = 1000  # numbers that actions of pairs may have, however few pairs there are
LAYOUTS = ("SAS", "ASS")
OTHER = {"SAS": "[S, A, S]", "ASS": "[A, S, S]"}


def from_arrays(
    reward: Any,
    transition: Any,
    discount: float,
    *,
    layout: str | None = None,
    pairs: tuple[Any, Any] | None = None,
    legal: Any = None,
    start: Any = None,
    state_names: Sequence[str] | None = None,
    action_names: Sequence[str] | None = None,
    sparse: bool | None = None,
) -> Any:
    """The MDP of arrays in the layout of mdptoolbox, QuantEcon and others.

    Args:
      reward: ``[S]``, ``[S, A]`` or, by the next state, in the transition's layout; with
        ``pairs`` ``[L]``. −∞ where an action is not legal.
      transition: ``[S, A, S]``, ``[A, S, S]`` or a list of A matrices ``[S, S]``, NumPy's
        or scipy.sparse's; with ``pairs`` a matrix ``[L, S]``.
      discount: in [0, 1).
      layout: ``"SAS"`` or ``"ASS"``, the order of the transition's axes. None takes the one
        that the shape allows; where S = A it allows both, and None is refused. A list of
        sparse matrices is ``"ASS"``.
      pairs: states ``[L]`` and actions ``[L]``, the pairs that the rows of reward and
        transition belong to (QuantEcon's ``s_indices`` and ``a_indices``). Other pairs are
        not legal.
      legal: ``[S, A]``, true where an action may be taken; None if all may be.
      start: ``[S]``, the distribution of the first state.
      state_names: ``S`` words.
      action_names: ``A`` words.
      sparse: whether to make a `pve.SparseMDP`. None makes one from scipy.sparse's matrices
        if S² A is above 2²³ (64 MiB as an array), and a `pve.MDP` from all else.

    Returns:
      The MDP or SparseMDP, in NumPy float64.

    Raises:
      ValueError: a shape, a number or a row sum is not legal; the message says which.
      TypeError: an argument is not an array of real numbers.
    """
    known: tuple[Any, Any, Any] = (start, state_names, action_names)
    if pairs is not None:
        if layout is not None or legal is not None:
            raise ValueError("pairs are given with layout or legal; expected pairs alone")
        return _of_pairs(reward, transition, pairs, discount, known, sparse)
    if layout is not None:
        check_one_of("layout", layout, LAYOUTS)
    if is_sparse(transition) and not issparse(transition):
        layout = layout or "ASS"
        numbers = sum(math.prod(np.shape(matrix)) for matrix in transition)
        if stays_sparse(sparse, numbers):
            return from_stack(reward, transition, discount, layout, legal, known)
    transition = _dense("transition", transition)
    if sparse is not None and stays_sparse(sparse, transition.size):
        layout = _layout(transition.shape, layout)
        return from_stack(reward, transition, discount, layout, legal, known)
    layout = _layout(transition.shape, layout)
    if layout == "ASS":
        transition = transition.swapaxes(0, 1)
    num_states, num_actions, _ = transition.shape
    reward = _dense("reward", reward)
    if reward.ndim == 1:
        reward = np.repeat(reward[:, None], num_actions, axis=1)
    if reward.ndim == 3:
        reward = _expected(reward, transition, layout, legal)
    if reward.shape != (num_states, num_actions):
        raise ValueError(
            f"reward has shape {list(reward.shape)}; expected with this transition "
            f"[{num_states}], [{num_states}, {num_actions}] or, by the next state, "
            f"{_shape(num_states, num_actions, layout)}"
        )
    return check_values_fit(MDP(reward, transition, discount, legal, *known))


def _dense(name: str, arrays: Any) -> np.ndarray:
    if issparse(arrays):
        arrays = arrays.toarray()
    elif is_sparse(arrays):
        arrays = [a.toarray() if issparse(a) else a for a in arrays]
    elif isinstance(arrays, np.ndarray) and arrays.dtype == object:
        arrays = [a.toarray() if issparse(a) else a for a in arrays.ravel()]
    return np.asarray(as_array(name, arrays), np.float64)


def _layout(shape: tuple[int, ...], layout: str | None) -> str:
    """The layout of a transition's shape: the given one if it fits, or the only one."""
    fits = []
    if len(shape) == 3 and 0 not in shape:
        fits += ["SAS"] * (shape[0] == shape[2]) + ["ASS"] * (shape[1] == shape[2])
    if not fits or layout not in (None, *fits):
        legal = OTHER[layout] if layout else " or ".join(OTHER.values())
        raise ValueError(f"transition has shape {list(shape)}; expected {legal}")
    if layout is None and len(fits) == 2:
        raise ValueError(
            f"transition has shape {list(shape)}, as many states as actions: say "
            "layout='SAS' or layout='ASS'"
        )
    return layout or fits[0]


def _shape(num_states: int, num_actions: int, layout: str) -> list[int]:
    sizes = {"S": num_states, "A": num_actions}
    return [sizes[axis] for axis in layout]


def _expected(reward: Array, transition: Array, layout: str, legal: Any) -> Array:
    """The mean over the next states that can follow."""
    num_states, num_actions, _ = transition.shape
    if reward.shape != tuple(_shape(num_states, num_actions, layout)):
        return reward  # refused later, like all other shapes
    if layout == "ASS":
        reward = reward.swapaxes(0, 1)
    mask = check_legal(legal, np.zeros(transition.shape[:2]))
    rows = np.ones(transition.shape[:2], bool) if mask is None else mask
    chances = np.zeros_like(transition)
    chances[rows] = as_distributions("transition", transition[rows])
    products = np.zeros_like(reward)
    np.multiply(chances, reward, out=products, where=chances > 0)
    return products.sum(-1)


def _of_pairs(
    reward: Any,
    transition: Any,
    pairs: tuple[Any, Any],
    discount: float,
    known: tuple[Any, Any, Any],
    sparse: bool | None,
) -> MDP | SparseMDP:
    reward = _dense("reward", reward)
    rows = transition if issparse(transition) else _dense("transition", transition)
    if rows.ndim != 2 or 0 in rows.shape:
        raise ValueError(f"transition has shape {list(rows.shape)}; expected [L, S]")
    count, num_states = rows.shape
    if reward.shape != (count,):
        raise ValueError(f"reward has shape {list(reward.shape)}; expected [{count}]")
    try:
        states, actions = (np.asarray(side) for side in pairs)
    except ValueError:
        raise ValueError(
            "pairs is not a pair; expected states [L] and actions [L]"
        ) from None
    for name, side, most in (
        ("states", states, num_states),
        ("actions", actions, max(count * num_states, MOST_ACTIONS)),
    ):  # fmt: skip
        if side.shape != (count,) or side.dtype.kind not in "iu":
            raise ValueError(
                f"{name} of pairs have shape {list(side.shape)} and dtype {side.dtype}; "
                f"expected [{count}] integers"
            )
        if side.min() < 0 or side.max() >= most:
            raise ValueError(
                f"{name} of pairs are {side.min()} to {side.max()}; expected "
                f"integers from 0 to {most - 1}"
            )
    num_actions = int(actions.max()) + 1
    legal = np.zeros((num_states, num_actions), bool)
    legal[states, actions] = True
    if legal.sum() < count:
        raise ValueError("pairs hold a state and action twice; expected each once")
    if (sparse is not None or issparse(rows)) and stays_sparse(
        sparse, legal.size * num_states
    ):
        return from_pairs(reward, rows, discount, states, actions, legal, known)
    rows = _dense("transition", rows)
    rewards = np.zeros(legal.shape)
    rewards[states, actions] = reward
    transitions = np.zeros((*legal.shape, num_states))
    transitions[states, actions] = rows
    return check_values_fit(MDP(rewards, transitions, discount, legal, *known))
