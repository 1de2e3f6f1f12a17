r"""The exact value of a policy whose chain is sparse, :math:`(I - \gamma P)\, v = r`.

*Elimination* fills a sparse system in: little where moves are local, as on a map, but
almost wholly where they lead anywhere, and then it takes longer than a dense solve. Where
moves lead anywhere, though, chains mix within a few of them, and GMRES (Saad and Schultz,
1986) is done after a dozen or so products with :math:`P`. What mixing cannot damp is the
constant, which the system multiplies by :math:`1 - \gamma`: it is split off. With one
state's value as the reference, :math:`v = y + c / (1 - \gamma)` with :math:`y(s_0) = 0`,

.. math:: y - \gamma\, [P y - (P y)(s_0)] = r - r(s_0),
   \qquad c = r(s_0) + \gamma\, (P y)(s_0) ,

whose other eigenvalues are those of :math:`I - \gamma P`. Either way the solution is
refined by its residuals until every state's equation holds to its own rounding. Where GMRES
does not get there (chains that mix slowly, or keep to several parts), elimination does.
"""

from __future__ import annotations

import numpy as np
from scipy.sparse import csr_array, eye_array
from scipy.sparse.csgraph import reverse_cuthill_mckee
from scipy.sparse.linalg import LinearOperator, gmres, splu

FEW = 1e8  # operations of a banded elimination up to which it is used in any case
LOCAL = 10.0  # a band's width squared, as a multiple of S, up to which moves count as local
HUB = 8.0  # states with so many times the mean number of neighbours do not count
SETTLED = 16 * np.finfo(np.float64).eps  # share of its terms: a state's equation holds
ROUGH = 1e-12  # likewise, accepted where rounding allows no better
REFINEMENTS = 6  # at most
INNER = 1e-9  # the share of a residual that GMRES leaves
RESTART, RESTARTS = 60, 5


def moves_are_local(moves: csr_array) -> bool:
    """Whether elimination fills in little, judged by the band of Cuthill and McKee.

    Args:
      moves: ``[S, S]``, nonzero where some action leads.
    """
    links = moves + moves.T
    degree = np.diff(links.indptr)
    kept = np.flatnonzero(degree <= HUB * max(1.0, degree.mean()))
    links = csr_array(links[kept][:, kept])
    order = reverse_cuthill_mckee(links, symmetric_mode=True)
    place = np.argsort(order)
    entries = links.tocoo()
    if not entries.nnz:
        return True
    width = int(np.abs(place[entries.row] - place[entries.col]).max())
    operations = len(kept) * float(width) ** 2
    return operations <= max(FEW, LOCAL * len(kept) ** 2)


def chain_value(
    chain: csr_array, reward: np.ndarray, discount: float, *, local: bool
) -> np.ndarray:
    """The solution of (I − γ P) v = r, exact in each state to its own rounding.

    Args:
      chain: ``[S, S]``, P.
      reward: ``[S]``, r.
      discount: γ.
      local: whether to eliminate at once, see `moves_are_local`.

    Returns:
      ``[S]``.
    """
    if not local:
        value = _by_gmres(chain, reward, discount)
        if value is not None:
            return value
    return _by_elimination(chain, reward, discount)


def _residual(
    chain: csr_array, reward: np.ndarray, discount: float, value: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """The residual of each state's equation, and the size of its terms.

    Differences of values are formed first: they keep their digits where the values are
    large compared with them, as they are for γ close to 1.
    """
    rises = value[chain.indices] - np.repeat(value, np.diff(chain.indptr))
    moves = csr_array((chain.data * rises, chain.indices, chain.indptr), chain.shape)
    residual = reward + discount * moves.sum(1) - (1 - discount) * value
    size = np.abs(value)
    return residual, np.abs(reward) + discount * (chain @ size) + size


def _by_gmres(chain: csr_array, reward: np.ndarray, discount: float) -> np.ndarray | None:
    """The solution by GMRES; None where it does not converge."""
    states = chain.shape[0]
    hub = int(np.bincount(chain.indices, chain.data, states).argmax())  # where chains go

    def relative(vector: np.ndarray) -> np.ndarray:
        moved = chain @ vector
        return vector - discount * (moved - moved[hub])

    system = LinearOperator((states, states), relative, dtype=np.float64)
    value, residual = np.zeros(states), reward
    for _ in range(REFINEMENTS):
        y, unfinished = gmres(
            system,
            residual - residual[hub],
            rtol=INNER,
            atol=0.0,
            restart=min(RESTART, states),
            maxiter=RESTARTS,
        )
        if unfinished:
            return None
        y = y - y[hub]
        constant = residual[hub] + discount * (chain @ y)[hub]
        value = value + y + constant / (1 - discount)
        residual, size = _residual(chain, reward, discount, value)
        if (np.abs(residual) <= SETTLED * size).all():
            return value
    return value if (np.abs(residual) <= ROUGH * size).all() else None


def _by_elimination(chain: csr_array, reward: np.ndarray, discount: float) -> np.ndarray:
    """The solution by factors of the transpose, whose diagonal dominates in each column.

    So no rows need to be exchanged, and costs do not leak into states from which nothing
    leads to them.
    """
    system = (eye_array(chain.shape[0]) - discount * chain).T.tocsc()
    factors = splu(system, diag_pivot_thresh=0.0)
    value, residual = np.zeros(len(reward)), reward
    for _ in range(REFINEMENTS):
        correction = factors.solve(residual, trans="T")
        value = value + correction
        if (np.abs(correction) <= 2 * np.finfo(np.float64).eps * np.abs(value)).all():
            break
        residual = _residual(chain, reward, discount, value)[0]
    return value
