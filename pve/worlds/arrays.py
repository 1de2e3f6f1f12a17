r"""MDPs from arrays as other libraries lay them out.

Some put the action first, some give a matrix per action, dense or sparse, some list the
pairs of state and action that there are; rewards may depend on the state alone or on the
next state, too. `pve.MDP` has one form, ``[S, A]`` and ``[S, A, S]``; `from_arrays` brings
the others into it. Rewards by the next state are taken in expectation,
:math:`r(s, a) = \sum_{s'} p(s' \mid s, a)\, r(s, a, s')`.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from scipy import sparse

from pve.checks import Array, as_array, as_distributions, check_legal, check_one_of
from pve.mdp.core import MDP

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
) -> MDP:
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
        transition are of (QuantEcon's ``s_indices`` and ``a_indices``). Others are not
        legal.
      legal: ``[S, A]``, true where an action may be taken; None if all may be.
      start: ``[S]``, the distribution of the first state.
      state_names: ``S`` words.
      action_names: ``A`` words.

    Returns:
      The MDP, in NumPy float64.

    Raises:
      ValueError: a shape, a number or a row sum is not legal; the message says which.
      TypeError: an argument is no array of real numbers.
    """
    known: tuple[Any, Any, Any] = (start, state_names, action_names)
    if pairs is not None:
        if layout is not None or legal is not None:
            raise ValueError("layout or legal with pairs; legal is one of them alone")
        return MDP(*_of_pairs(reward, transition, pairs, discount), *known)
    if layout is not None:
        check_one_of("layout", layout, LAYOUTS)
    if _is_sparse_list(transition) and layout is None:
        layout = "ASS"
    transition = _dense("transition", transition)
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
            f"reward has shape {list(reward.shape)}; legal with this transition are "
            f"[{num_states}], [{num_states}, {num_actions}] and, by the next state, "
            f"{_shape(num_states, num_actions, layout)}"
        )
    return MDP(reward, transition, discount, legal, *known)


def _is_sparse_list(arrays: Any) -> bool:
    return isinstance(arrays, list | tuple) and any(map(sparse.issparse, arrays))


def _dense(name: str, arrays: Any) -> np.ndarray:
    if sparse.issparse(arrays):
        arrays = arrays.toarray()
    elif _is_sparse_list(arrays):
        arrays = [a.toarray() if sparse.issparse(a) else a for a in arrays]
    elif isinstance(arrays, np.ndarray) and arrays.dtype == object:
        arrays = [a.toarray() if sparse.issparse(a) else a for a in arrays.ravel()]
    return np.asarray(as_array(name, arrays), np.float64)


def _layout(shape: tuple[int, ...], layout: str | None) -> str:
    """The layout of a transition's shape: the given one if it fits, or the only one."""
    fits = []
    if len(shape) == 3 and 0 not in shape:
        fits += ["SAS"] * (shape[0] == shape[2]) + ["ASS"] * (shape[1] == shape[2])
    if not fits or layout not in (None, *fits):
        legal = OTHER[layout] if layout else " and ".join(OTHER.values())
        raise ValueError(f"transition has shape {list(shape)}; legal are {legal}")
    if layout is None and len(fits) == 2:
        raise ValueError(
            f"transition has shape {list(shape)}, as many states as actions: legal is to "
            "say layout='SAS' or layout='ASS'"
        )
    return layout or fits[0]


def _shape(num_states: int, num_actions: int, layout: str) -> list[int]:
    sizes = {"S": num_states, "A": num_actions}
    return [sizes[axis] for axis in layout]


def _expected(reward: Array, transition: Array, layout: str, legal: Any) -> Array:
    """The mean over the next state, of those that can follow."""
    num_states, num_actions, _ = transition.shape
    if reward.shape != tuple(_shape(num_states, num_actions, layout)):
        return reward  # refused with all other shapes
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
    reward: Any, transition: Any, pairs: tuple[Any, Any], discount: float
) -> tuple[Array, Array, float, Array]:
    reward, rows = _dense("reward", reward), _dense("transition", transition)
    if rows.ndim != 2 or not rows.size:
        raise ValueError(f"transition has shape {list(rows.shape)}; legal is [L, S]")
    count, num_states = rows.shape
    if reward.shape != (count,):
        raise ValueError(f"reward has shape {list(reward.shape)}; legal is [{count}]")
    try:
        states, actions = (np.asarray(side) for side in pairs)
    except ValueError:
        raise ValueError("pairs is no pair; legal are states [L] and actions [L]") from None
    for name, side, most in (
        ("states", states, num_states), ("actions", actions, count * num_states),
    ):  # fmt: skip
        if side.shape != (count,) or side.dtype.kind not in "iu":
            raise ValueError(
                f"{name} of pairs have shape {list(side.shape)} and dtype {side.dtype}; "
                f"legal are [{count}] integers"
            )
        if side.min() < 0 or side.max() >= most:
            raise ValueError(
                f"{name} of pairs are {side.min()} to {side.max()}; legal are 0 … "
                f"{most - 1}"
            )
    num_actions = int(actions.max()) + 1
    legal = np.zeros((num_states, num_actions), bool)
    legal[states, actions] = True
    if legal.sum() < count:
        raise ValueError("pairs hold a state and action twice; legal is once")
    rewards = np.zeros(legal.shape)
    rewards[states, actions] = reward
    transitions = np.zeros((*legal.shape, num_states))
    transitions[states, actions] = rows
    return rewards, transitions, discount, legal
