r"""Tables of outcomes whose episodes end, and what absorbing states would make of them.

The value of an episode solves :math:`w_\pi = \sum_a \pi(a \mid s) \sum_o p_o\, [g_o +
\gamma (1 - d_o)\, w_\pi(s_o)]`, with :math:`d_o = 1` where an outcome ends the episode.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np

from pve.book.text import table as markdown
from pve.mdp.core import MDP
from pve.mdp.planning import policy_value


class Unrolled(NamedTuple):
    """A table of outcomes as arrays.

    Attributes:
      gains: ``[S, A]``, mean rewards.
      onward: ``[S, A, S]``, discounted probabilities; what ends leads nowhere.
      entered: the states that an end enters, in order.
    """

    gains: np.ndarray
    onward: np.ndarray
    entered: list[int]


def unrolled(outcomes: Mapping[int, Any], discount: float) -> Unrolled:
    """Write a table of outcomes as arrays.

    Args:
      outcomes: ``[s][a]``, lists of probability, next state, reward and whether it ends.
      discount: γ.
    """
    gains = np.zeros((len(outcomes), len(outcomes[0])))
    onward = np.zeros((*gains.shape, len(outcomes)))
    entered: set[int] = set()
    for s, a in np.ndindex(gains.shape):
        for chance, following, gain, ended in outcomes[s][a]:
            gains[s, a] += chance * gain
            onward[s, a, following] += chance * (not ended)
            entered |= {int(following)} if ended else set()
    return Unrolled(gains, discount * onward, sorted(entered))


def value(gains: np.ndarray, onward: np.ndarray, policy: np.ndarray) -> np.ndarray:
    """The value of an episode from each state, ``[S]``.

    Args:
      gains: ``[S, A]``.
      onward: ``[S, A, S]``.
      policy: ``[S, A]``.
    """
    system = np.eye(len(gains)) - np.einsum("sa,sat->st", policy, onward)
    return np.linalg.solve(system, (policy * gains).sum(-1))


def reached(onward: np.ndarray, first: np.ndarray) -> np.ndarray:
    """The states reachable from the first ones by outcomes that do not end, ``[S]``.

    Args:
      onward: ``[S, A, S]``.
      first: ``[S]``, where episodes start.
    """
    step, seen = np.any(onward, axis=1), np.array(first, bool)
    while (step[seen].any(0) & ~seen).any():
        seen |= step[seen].any(0)
    return seen


class Compared(NamedTuple):
    """A table of outcomes, and the same with absorbing states.

    Attributes:
      ends: the states of the table that stay where they are, unpaid.
      added: how many states the import has added.
      alive: ``[S]``, which states can be met before an end.
      changed: ``[S]``, where absorbing states would change the value.
    """

    ends: np.ndarray
    added: int
    alive: np.ndarray
    changed: np.ndarray


def compared(outcomes: Mapping[int, Any], mdp: MDP, policy: np.ndarray) -> Compared:
    """Compare the values of a table with those that absorbing states would give.

    Args:
      outcomes: see `unrolled`.
      mdp: the table, imported.
      policy: of the MDP, ``[S, A]``.

    Raises:
      ArithmeticError: the MDP's values are not those of the table.
    """
    gains, onward, entered = unrolled(outcomes, mdp.discount)
    size = len(gains)
    truth = value(gains, onward, policy[:size])
    if not np.allclose(policy_value(mdp, policy)[:size], truth):
        raise ArithmeticError("the imported MDP has other values than its table")
    stays = mdp.transition[range(size), :, range(size)] == 1
    ends = np.flatnonzero((stays & (mdp.reward[:size] == 0)).all(-1))
    onward[entered], gains[entered] = 0, 0  # absorbing: worth nothing
    changed = ~np.isclose(value(gains, onward, policy[:size]), truth, rtol=1e-9)
    start = np.ones(mdp.num_states) if mdp.start is None else np.asarray(mdp.start)
    alive = reached(onward, start[:size] > 0)
    alive[entered] = False
    return Compared(ends, mdp.num_states - size, alive, changed)


def table(found: Mapping[str, Compared]) -> str:
    """Where episodes end, table by table, in Markdown.

    Args:
      found: by name.
    """
    header = [
        "", "states of the table", "of these ends", "state added",
        "reachable from a start", "absorbing would change", "of these reachable",
    ]  # fmt: skip
    rows = [
        [
            name,
            len(x.alive),
            len(x.ends),
            x.added,
            *(states.sum() for states in (x.alive, x.changed, x.changed & x.alive)),
        ]
        for name, x in found.items()
    ]
    return markdown(header, rows)
