r"""Worlds with many states and few successors: transitions as one sparse matrix.

With :math:`S` states, :math:`A` actions and :math:`m` successors of each pair a transition
has :math:`S A m` numbers where an array ``[S, A, S]`` has :math:`S^2 A`. A `SparseMDP` is
planned in and evaluated like a `pve.MDP`, by the same functions, and models of limited rank
are trained on it: all they need is its policies' exact values. It is NumPy throughout; no
JAX transformation goes through it.
"""

from __future__ import annotations

import dataclasses
import math
import os
from typing import Any

import numpy as np
from scipy.sparse import csr_array, issparse

from pve.checks import (
    ROUNDING,
    Array,
    as_array,
    as_distributions,
    check_discount,
    check_distributions,
    check_legal,
    check_names,
    check_order,
    check_policies,
    check_takes_legal,
    check_value_shape,
    is_traced,
)
from pve.mdp import planning
from pve.mdp.bellman import bellman, bellman_power
from pve.mdp.by_type import answers_for
from pve.mdp.core import MDP, exact
from pve.mdp.files import KNOWN, read_arrays, write_arrays
from pve.mdp.krylov import chain_value, moves_are_local

# Numbers of a transition (64 MiB) up to which an array is made unless asked otherwise.
LARGEST_DENSE = 2**23
MATRIX = ("data", "indices", "indptr")  # what a CSR matrix holds


def stays_sparse(sparse: bool | None, numbers: int) -> bool:
    """Whether a world given sparsely is to be a `SparseMDP`.

    Args:
      sparse: what was asked for; None if nothing was.
      numbers: S² A, those of its transition as an array.

    Returns:
      What was asked for, else whether there are more than `LARGEST_DENSE`.

    Raises:
      TypeError: ``sparse`` is another value.
    """
    if sparse is None:
        return numbers > LARGEST_DENSE
    if not isinstance(sparse, bool):
        raise TypeError(f"sparse is {sparse!r}; expected True, False or None")
    return sparse


@dataclasses.dataclass(frozen=True, eq=False)
class SparseMDP:
    """A finite Markov decision process whose transition is a sparse matrix.

    It is validated when it is made, as a `pve.MDP` is. ``pve.policy_value``,
    ``pve.policy_iteration``, ``pve.value_iteration``, ``pve.greedy_policy``,
    ``pve.performance``, ``pve.bellman``, ``pve.bellman_power``,
    ``pve.improvement_policies`` and ``pve.train`` take it.

    Attributes:
      reward: ``[S, A]``; −∞ for an action that is not legal.
      rows: ``[S A, S]``, a matrix of scipy.sparse: row s A + a is the distribution of the
        next state after action a in state s. It is kept as a CSR array.
      discount: a number, 0 ≤ discount < 1.
      legal: ``[S, A]``, true where an action may be taken; None if all may be. The other
        actions have reward 0 and move nowhere.
      start: ``[S]``, the distribution of the first state, if there is one.
      state_names: ``S`` words, if states have names.
      action_names: ``A`` words, if actions have names.

    Raises:
      ValueError: a shape, a number or a row sum is not legal; the message says which.
      TypeError: an argument is not an array of real numbers, or ``rows`` is not sparse.
    """

    reward: np.ndarray
    rows: csr_array
    discount: float
    legal: np.ndarray | None = None
    start: np.ndarray | None = None
    state_names: tuple[str, ...] | None = None
    action_names: tuple[str, ...] | None = None

    def __post_init__(self) -> None:
        reward = np.asarray(as_array("reward", self.reward), np.float64)
        if not issparse(self.rows):
            raise TypeError(
                f"rows is a {type(self.rows).__name__}; expected a matrix of scipy.sparse"
            )
        if reward.ndim != 2 or 0 in reward.shape:
            raise ValueError(
                f"reward has shape {list(reward.shape)}; expected [S, A] with S, A ≥ 1"
            )
        states, actions = reward.shape
        if self.rows.shape != (states * actions, states):
            raise ValueError(
                f"rows has shape {list(self.rows.shape)}; expected "
                f"[{states * actions}, {states}] with this reward"
            )
        legal = check_legal(self.legal, reward)
        rows = csr_array(self.rows).astype(np.float64)
        if legal is not None:
            reward = np.where(legal, reward, 0.0)
            rows = _staying_where(~legal, rows)
        if not np.isfinite(reward).all():
            where = tuple(map(int, np.argwhere(~np.isfinite(reward))[0]))
            raise ValueError(
                f"reward{list(where)} is {reward[where]}; expected a finite number"
            )
        start = self.start
        if start is not None:
            start = np.asarray(as_array("start", np.asarray(start)), np.float64)
            if start.shape != (states,):
                raise ValueError(
                    f"start has shape {list(start.shape)}; expected [{states}]"
                )
            start = as_distributions("start", start)
        for name, value in (
            ("reward", reward),
            ("rows", _as_distributions(rows, actions)),
            ("discount", check_discount(self.discount)),
            ("legal", legal),
            ("start", start),
            ("state_names", check_names("state_names", self.state_names, states)),
            ("action_names", check_names("action_names", self.action_names, actions)),
        ):
            object.__setattr__(self, name, value)

    @property
    def num_states(self) -> int:
        """The number of states, ``S``."""
        return self.reward.shape[0]

    @property
    def num_actions(self) -> int:
        """The number of actions, ``A``."""
        return self.reward.shape[1]

    def expect(self, values: Array) -> np.ndarray:
        """The mean value of the next state, Σ_s' p(s' | s, a) v(s'), in NumPy.

        Args:
          values: ``[..., S]``.

        Returns:
          ``[..., S, A]``.

        Raises:
          TypeError: it is called under a JAX transformation.
        """
        check_value_shape(values, self.num_states)
        if is_traced(values):
            raise TypeError(
                "values are traced by JAX; a SparseMDP expects known numbers "
                "(its dense() goes through JAX)"
            )
        values = np.asarray(values, np.float64)
        flat = self.rows @ values.reshape(-1, self.num_states).T
        return flat.T.reshape(*values.shape[:-1], *self.reward.shape)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write it to a file, NumPy's ``.npz``; `load` gives back the same numbers.

        Raises:
          ValueError: the file cannot be written.
        """
        matrix = {name: getattr(self.rows, name) for name in MATRIX}
        named = ("reward", "discount", *KNOWN)
        write_arrays(path, matrix | {name: getattr(self, name) for name in named})

    @classmethod
    def load(cls, path: str | os.PathLike[str]) -> SparseMDP:
        """Read what `save` wrote; no pickle is opened.

        Raises:
          ValueError: the file cannot be read, or holds no sparse MDP.
          TypeError: an array in it is not of real numbers.
        """
        fields = read_arrays(path, ("reward", "discount", *MATRIX))
        parts = tuple(fields.pop(name) for name in MATRIX)
        shape = fields["reward"].size, len(np.atleast_1d(fields["reward"]))
        try:
            rows = csr_array(parts, shape)
            rows.check_format(full_check=True)
        except (ValueError, TypeError) as error:
            raise ValueError(f"{str(path)!r} is no sparse MDP: {error}") from None
        return cls(rows=rows, **fields)

    def dense(self) -> MDP:
        """The same world as a `pve.MDP`, whose transition has S² A numbers."""
        transition = self.rows.toarray().reshape(*self.reward.shape, self.num_states)
        known = self.legal, self.start, self.state_names, self.action_names
        return MDP(self.reward, transition, self.discount, *known)


def _staying_where(chosen: np.ndarray, rows: csr_array) -> csr_array:
    """The rows, but with the state staying where ``chosen``, ``[S, A]``, is true."""
    states = np.repeat(np.arange(len(chosen)), chosen.sum(-1))
    places = np.flatnonzero(chosen)
    entries = rows.tocoo()
    kept = ~chosen.ravel()[entries.row]
    return csr_array(
        (
            np.concatenate([entries.data[kept], np.ones(len(places))]),
            (
                np.concatenate([entries.row[kept], places]),
                np.concatenate([entries.col[kept], states]),
            ),
        ),
        rows.shape,
    )


def _as_distributions(rows: csr_array, actions: int) -> csr_array:
    """Rows freed of their rounding, or a ``ValueError`` that names state and action."""
    rows.sum_duplicates()
    entry_rows = np.repeat(np.arange(rows.shape[0]), np.diff(rows.indptr))
    wrong = ~np.isfinite(rows.data) | (rows.data < -ROUNDING)
    if wrong.any():
        at = int(np.flatnonzero(wrong)[0])
        state, action = divmod(int(entry_rows[at]), actions)
        raise ValueError(
            f"transition[{state}, {action}, {rows.indices[at]}] is {rows.data[at]:g}; "
            "expected a probability in [0, 1]"
        )
    data = np.maximum(rows.data, 0.0)
    total = np.bincount(entry_rows, data, rows.shape[0])
    check_distributions("transition", total.reshape(-1, actions, 1))
    scale = np.where(np.abs(total - 1) > ROUNDING, total, 1.0)
    rows = csr_array((data / scale[entry_rows], rows.indices, rows.indptr), rows.shape)
    rows.eliminate_zeros()
    return rows


def _chain(mdp: SparseMDP, policy: np.ndarray) -> tuple[csr_array, np.ndarray]:
    """P_π and r_π of a policy ``[S, A]``."""
    states, taken = np.nonzero(policy)
    weights = policy[states, taken]
    columns = states * mdp.num_actions + taken
    shares = csr_array((weights, (states, columns)), (mdp.num_states, mdp.rows.shape[0]))
    return csr_array(shares @ mdp.rows), (policy * mdp.reward).sum(-1)


def _local(mdp: SparseMDP) -> bool:
    """Whether the world's moves are local; found once."""
    found = mdp.__dict__.get("_moves_are_local")
    if found is None:
        entries = mdp.rows.tocoo()
        places = entries.row // mdp.num_actions, entries.col
        moves = csr_array((entries.data, places), (mdp.num_states,) * 2)
        found = moves_are_local(moves)
        object.__setattr__(mdp, "_moves_are_local", found)
    return found


def _value(mdp: SparseMDP, policy: np.ndarray) -> np.ndarray:
    return chain_value(*_chain(mdp, policy), mdp.discount, local=_local(mdp))


@answers_for(exact, SparseMDP)
def _exact(mdp: SparseMDP) -> SparseMDP:
    return mdp


@answers_for(planning.policy_value, SparseMDP)
def _policy_value(mdp: SparseMDP, policy: Array) -> np.ndarray:
    """One policy after another."""
    if is_traced(policy):
        raise TypeError("policy is traced by JAX; a SparseMDP expects known numbers")
    check_policies(policy, mdp.num_states, mdp.num_actions)
    check_takes_legal(policy, mdp.legal)
    policies = np.reshape(policy, (-1, mdp.num_states, mdp.num_actions))
    values = [_value(mdp, np.asarray(each, np.float64)) for each in policies]
    return np.reshape(values, np.shape(policy)[:-1])


@answers_for(planning._best_actions, SparseMDP)
def _best_actions(mdp: SparseMDP, value: np.ndarray) -> np.ndarray:
    """As `pve.mdp.planning.best_actions` compares them: difference by difference."""
    moved, size = mdp.discount * mdp.expect(np.stack([value, np.abs(value)]))
    action_values, size = mdp.reward + moved, np.abs(mdp.reward) + size
    if mdp.legal is not None:
        action_values = np.where(mdp.legal, action_values, -math.inf)
    top = action_values.argmax(-1)[:, None]
    gap = np.take_along_axis(action_values, top, -1) - action_values
    best = gap <= planning.SCREEN * (size + np.take_along_axis(size, top, -1))
    s, a = np.nonzero(best & (best.sum(-1, keepdims=True) > 1))
    here = mdp.rows[s * mdp.num_actions + a]
    there = mdp.rows[s * mdp.num_actions + top[s, 0]]

    def sums(matrix: csr_array, by: Any) -> np.ndarray:
        entries = matrix.tocoo()
        terms = entries.data * by(value[entries.col], value[s[entries.row]])
        return np.bincount(entries.row, terms, len(s))

    lead, slack = np.zeros_like(gap), np.zeros_like(gap)
    apart = here - there
    moves = sums(apart, lambda next_value, own: next_value - own)
    lead[s, a] = mdp.reward[s, a] - mdp.reward[s, top[s, 0]] + mdp.discount * moves
    # The rewards, the probabilities and the values may all be rounded.
    terms = sums(here + there, lambda next_value, own: np.abs(next_value - own))
    terms += sums(abs(apart), lambda next_value, _: np.abs(next_value))
    rewards = np.abs(mdp.reward[s, a]) + np.abs(mdp.reward[s, top[s, 0]])
    slack[s, a] = planning.TIE * (rewards + mdp.discount * terms)
    lead[~best] = -math.inf
    return best & (lead >= lead.max(-1, keepdims=True) - slack)


@answers_for(planning.policy_iteration, SparseMDP)
def _policy_iteration(mdp: SparseMDP) -> tuple[np.ndarray, np.ndarray]:
    states, eye = np.arange(mdp.num_states), np.eye(mdp.num_actions)
    legal = True if mdp.legal is None else mdp.legal
    actions, tried = np.where(legal, mdp.reward, -math.inf).argmax(-1), set()
    while True:
        value = _value(mdp, eye[actions])
        best = _best_actions(mdp, value)
        stays = best[states, actions]
        tried.add(actions.tobytes())
        actions = np.where(stays, actions, best.argmax(-1))
        if stays.all() or actions.tobytes() in tried:  # again: better by rounding alone
            break
    plan = best.argmax(-1)
    return _value(mdp, eye[plan]), eye[plan]


@answers_for(planning.performance, SparseMDP)
def _performance(model: Any, env: Any, *, start: Array | None = None) -> float:
    if np.shape(model.reward) != np.shape(env.reward):
        raise ValueError(
            f"model has reward of shape {list(np.shape(model.reward))}; expected "
            f"{list(np.shape(env.reward))} with this environment"
        )
    value = planning.policy_value(env, planning.plan_within(model, env)[1])
    return float(value.mean() if start is None else planning._weigh(value, start))


@answers_for(bellman_power, SparseMDP)
def _bellman_power(
    mdp: SparseMDP, policy: Array, value: Array, order: Any, **implementation: Any
) -> np.ndarray:
    del implementation  # there is only one
    order = check_order(order)
    if order == math.inf:
        raise ValueError(
            "order is inf; expected an integer ≥ 1: the limit T_π^∞ v is "
            "pve.policy_value(mdp, policy)"
        )
    policy = np.asarray(policy, np.float64)
    for _ in range(int(order)):
        value = bellman(mdp, policy, np.asarray(value, np.float64))
    return value
