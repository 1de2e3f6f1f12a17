r"""Many policies' values where moves are local.

The systems :math:`(I - \gamma P_\pi)\, v_\pi = r_\pi` of one MDP have their nonzeros in
the same places: where some action leads. On a map a state has few neighbours, and with
the states in the order of Cuthill and McKee (1969) all nonzeros lie within w of the
diagonal. Elimination then takes :math:`S w^2` operations where a dense system takes
:math:`S^3`. (LAPACK's ``gbsv``, with partial pivoting like the dense solver.)
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy.linalg import lapack
from scipy.sparse import csr_array
from scipy.sparse.csgraph import reverse_cuthill_mckee

from pve.mdp.core import MDP

BLOCK = 16  # policies whose systems are formed at once


class Band(NamedTuple):
    """Where an MDP's transitions lie once its states are reordered.

    Attributes:
      order: ``[S]``, the state at each place.
      rows: ``[M]``, the first states of all pairs that a move joins, in either direction,
        and of each state with itself.
      columns: ``[M]``, the second states of these pairs.
      width: w, the largest distance between a pair's two places.
    """

    order: np.ndarray
    rows: np.ndarray
    columns: np.ndarray
    width: int


def find_band(mdp: MDP) -> Band | None:
    """The band of an MDP in NumPy; None where a dense system is no slower."""
    moves = (mdp.transition > 0).any(1)
    moves |= moves.T
    np.fill_diagonal(moves, True)
    if np.count_nonzero(moves) > mdp.num_states**2 // 4:
        return None
    order = reverse_cuthill_mckee(csr_array(moves), symmetric_mode=True)
    rows, columns = np.nonzero(moves)
    place = np.argsort(order)
    width = int(np.abs(place[rows] - place[columns]).max())
    return Band(order, rows, columns, width) if 4 * width <= mdp.num_states else None


def banded_values(mdp: MDP, policies: np.ndarray, band: Band) -> np.ndarray:
    """The exact values of policies, as `pve.policy_value` gives them.

    Args:
      mdp: the MDP, in NumPy float64.
      policies: ``[N, S, A]``, likewise.
      band: from `find_band`.

    Returns:
      ``[N, S]``.
    """
    order, rows, columns, width = band
    num_states = mdp.num_states
    place = np.argsort(order)
    # LAPACK's layout by columns: entry (i, j) stands in row 2 w + i − j of column j, and
    # w rows above are kept free for what pivoting fills.
    height = 3 * width + 1
    entries = height * place[columns] + 2 * width + place[rows] - place[columns]
    diagonal = height * np.arange(num_states) + 2 * width
    discounted = mdp.discount * mdp.transition[rows, :, columns]  # [M, A]
    rewards = (policies * mdp.reward).sum(-1)[:, order]
    values = np.empty(policies.shape[:2])
    for start in range(0, len(policies), BLOCK):
        block = policies[start : start + BLOCK]
        systems = np.zeros((len(block), num_states * height))
        systems[:, entries] = -np.einsum("nma,ma->nm", block[:, rows], discounted)
        systems[:, diagonal] += 1
        for number, system in enumerate(systems, start):
            values[number, order] = lapack.dgbsv(
                width, width, system.reshape(num_states, height).T, rewards[number],
                overwrite_ab=True, overwrite_b=True,
            )[2]  # fmt: skip
    return values
