"""Sparse MDPs from the layouts of other libraries; nothing is made dense on the way."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse, vstack

from pve.checks import as_array, check_values_fit
from pve.mdp.sparse import SparseMDP


def is_sparse(arrays: Any) -> bool:
    """Whether a transition or reward is given by scipy.sparse, alone or in a list."""
    if isinstance(arrays, np.ndarray):
        return arrays.dtype == object and any(map(issparse, arrays.ravel()))
    return issparse(arrays) or (
        isinstance(arrays, list | tuple) and any(map(issparse, arrays))
    )


def stacked(name: str, arrays: Any, layout: str) -> tuple[csr_array, int]:
    """The rows of a list of matrices, stacked in the order of `SparseMDP.rows`.

    Args:
      name: what messages call it.
      arrays: A matrices ``[S, S]`` or, in layout SAS, S matrices ``[A, S]``.
      layout: ``"ASS"`` or ``"SAS"``.

    Returns:
      ``[S A, S]`` and A.

    Raises:
      ValueError: the matrices have other shapes.
    """
    matrices = [
        csr_array(each)
        if issparse(each)
        else csr_array(np.atleast_2d(as_array(name, each)))
        for each in arrays
    ]
    shapes = {each.shape for each in matrices}
    count, (height, states) = len(matrices), next(iter(shapes), (0, 0))
    fits = states > 0 and (height if layout == "ASS" else count) == states
    if len(shapes) != 1 or not fits or not height:
        legal = "A matrices [S, S]" if layout == "ASS" else "S matrices [A, S]"
        found = " and ".join(str(list(shape)) for shape in sorted(shapes))
        raise ValueError(
            f"{name} has {count} matrices of shape {found}; expected one of {legal}"
        )
    rows = csr_array(vstack(matrices, format="csr"))
    if layout == "SAS":
        return rows, height
    order = np.arange(count * states).reshape(count, states).T.ravel()
    return csr_array(rows[order]), count


def from_stack(
    reward: Any,
    transition: Any,
    discount: float,
    layout: str,
    legal: Any,
    known: tuple[Any, Any, Any],
) -> SparseMDP:
    """The sparse MDP of a list of matrices; see `pve.from_arrays`."""
    rows, actions = stacked("transition", transition, layout)
    states = rows.shape[1]
    if (is_sparse(reward) or np.ndim(reward) == 3) and not issparse(reward):
        gains, count = stacked("reward", reward, layout)
        if (gains.shape, count) != (rows.shape, actions):
            raise ValueError(
                f"reward has {len(reward)} matrices, {count} actions and {gains.shape[1]} "
                f"states; expected {actions} and {states} with this transition"
            )
        rows.eliminate_zeros()  # what cannot follow costs nothing
        with np.errstate(over="ignore", invalid="ignore"):  # what is not finite is refused
            total = rows.sum(1)
            mean = (rows * gains).sum(1) / np.where(total > 0, total, 1.0)
        reward = mean.reshape(states, actions)
    else:
        dense = reward.toarray() if issparse(reward) else reward
        reward = np.asarray(as_array("reward", dense), np.float64)
        if reward.shape == (states,):
            reward = np.repeat(reward[:, None], actions, axis=1)
    return check_values_fit(SparseMDP(reward, rows, discount, legal, *known))


def from_pairs(
    reward: np.ndarray,
    rows: csr_array,
    discount: float,
    states: np.ndarray,
    actions: np.ndarray,
    legal: np.ndarray,
    known: tuple[Any, Any, Any],
) -> SparseMDP:
    """The sparse MDP of checked pairs of state and action; see `pve.from_arrays`.

    Args:
      reward: ``[L]``.
      rows: ``[L, S]``.
      discount: γ.
      states: ``[L]``.
      actions: ``[L]``.
      legal: ``[S, A]``, true for the pairs.
      known: the start, names of states and names of actions.
    """
    rewards = np.zeros(legal.shape)
    rewards[states, actions] = reward
    entries = csr_array(rows).tocoo()
    places = (states * legal.shape[1] + actions)[entries.row]
    shape = legal.size, rows.shape[1]
    found = csr_array((entries.data, (places, entries.col)), shape)
    return check_values_fit(SparseMDP(rewards, found, discount, legal, *known))
