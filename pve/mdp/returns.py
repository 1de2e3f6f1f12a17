r"""The whole distribution of a return: its law, its variance, its worst part.

The value of a policy is the mean of the return :math:`G = \sum_t \gamma^t r(s_t, a_t)`.
Those who fear bad luck want to know more. The *law* of the return over finitely many moves
is a finite list of atoms, found by following (state, return so far). Over all moves the
variance :math:`\sigma^2` solves a linear equation like the value's,

.. math:: \sigma_\pi^2(s) = \operatorname{Var}\bigl[ r(s, a) + \gamma v_\pi(s') \bigr]
   + \gamma^2\, \mathbb E\, \sigma_\pi^2(s') ,

with :math:`a \sim \pi(\cdot \mid s)` and :math:`s' \sim p(\cdot \mid s, a)` (Sobel, 1982).
The *conditional value at risk* :math:`\mathrm{CVaR}_\alpha` is the mean of the worst share
:math:`\alpha` of the return's outcomes (Rockafellar and Uryasev, 2000); at
:math:`\alpha = 1` it is the mean.

The rewards of a `pve.MDP` are means: chance within a reward itself is not seen here.
"""

from __future__ import annotations

import itertools
from typing import NamedTuple

import numpy as np

from pve.checks import (
    Array,
    check_policies,
    check_positive_integer,
    check_takes_legal,
)
from pve.mdp.core import MDP, exact
from pve.mdp.planning import policy_value

SAME = 1e-12  # returns that differ by less than this share of their bound are one atom


class Law(NamedTuple):
    """A distribution on finitely many returns.

    Attributes:
      returns: ``[n]``, increasing.
      chances: ``[n]``, their probabilities, > 0, which sum to one.
    """

    returns: np.ndarray
    chances: np.ndarray

    @property
    def mean(self) -> float:
        """The mean return."""
        return float(self.returns @ self.chances)

    @property
    def deviation(self) -> float:
        """The standard deviation of the return."""
        return float(np.sqrt((self.returns - self.mean) ** 2 @ self.chances))

    def cvar(self, share: float) -> float:
        """The mean of the worst outcomes that together have the given probability.

        Args:
          share: α, 0 < α ≤ 1.

        Raises:
          ValueError: the share is not in (0, 1].
        """
        if not 0 < share <= 1:
            raise ValueError(f"share is {share!r}; expected a number in (0, 1]")
        before = np.concatenate([[0.0], np.cumsum(self.chances)[:-1]])
        taken = np.clip(share - before, 0.0, self.chances)
        return float(taken @ self.returns / taken.sum())


def return_law(mdp: MDP, policy: Array, state: int, moves: int) -> Law:
    """The exact law of the discounted return of a policy over some moves.

    Args:
      mdp: the MDP.
      policy: ``[S, A]``, rows summing to one.
      state: the first state, 0 … S − 1.
      moves: how many rewards are counted, ≥ 1. Atoms can multiply at each.

    Returns:
      The law; returns that are equal up to rounding are one atom.

    Raises:
      ValueError: the policy, the state or the number of moves is not legal.
    """
    mdp = exact(mdp)
    check_policies(policy, mdp.num_states, mdp.num_actions)
    check_takes_legal(policy, mdp.legal)
    check_positive_integer("moves", moves)
    if not 0 <= state < mdp.num_states:
        raise ValueError(
            f"state is {state}; expected an integer from 0 to {mdp.num_states - 1}"
        )
    policy = np.asarray(policy, np.float64)
    rewards = np.abs(mdp.reward[np.isfinite(mdp.reward)])
    size = float(rewards.max() or 1.0) / (1 - mdp.discount)
    here = {(state, 0): (0.0, 1.0)}  # by state and rounded return: return, chance
    for t in range(moves):
        following: dict[tuple[int, int], tuple[float, float]] = {}
        for (s, _), (total, chance) in here.items():
            for a in np.flatnonzero(policy[s]):
                paid = total + mdp.discount**t * float(mdp.reward[s, a])
                atom = round(paid / (SAME * size))
                for after in np.flatnonzero(mdp.transition[s, a]):
                    goes = chance * policy[s, a] * mdp.transition[s, a, after]
                    key = (int(after), atom)
                    _, so_far = following.get(key, (paid, 0.0))
                    following[key] = (paid, so_far + float(goes))
        here = following
    atoms: dict[int, tuple[float, float]] = {}
    for (_, atom), (total, chance) in here.items():
        atoms[atom] = (total, atoms.get(atom, (total, 0.0))[1] + chance)
    returns, chances = np.array(sorted(atoms.values())).T
    return Law(returns, chances / chances.sum())


def return_deviation(mdp: MDP, policy: Array) -> np.ndarray:
    """The standard deviation of a policy's return over all moves, from every state.

    Args:
      mdp: the MDP.
      policy: ``[S, A]``, rows summing to one.

    Returns:
      ``[S]``, σ_π.

    Raises:
      ValueError: the policy is not legal.
    """
    mdp = exact(mdp)
    value = policy_value(mdp, policy)
    policy = np.asarray(policy, np.float64)
    centred = mdp.reward - value[:, None]  # about a state's value: small differences
    ahead, squared = mdp.expect(np.stack([value, value**2]))
    gamma = mdp.discount
    spread = centred**2 + 2 * gamma * centred * ahead + gamma**2 * squared
    chain = np.einsum("sa,sat->st", policy, mdp.transition)
    system = np.eye(mdp.num_states) - gamma**2 * chain
    variance = np.linalg.solve(system, (policy * spread).sum(-1))
    return np.sqrt(np.maximum(variance, 0.0))


def plan_for_cvar(
    mdp: MDP, state: int, moves: int, share: float
) -> tuple[float, np.ndarray]:
    """The deterministic policy with the largest CVaR of the return, by trying them all.

    Policies that remember their luck so far can do better where a choice comes after it;
    they are not tried.

    Args:
      mdp: the MDP, small: there are A^S policies.
      state: the first state.
      moves: how many rewards are counted.
      share: α, 0 < α ≤ 1; 1 plans for the mean.

    Returns:
      The CVaR and the policy ``[S, A]``; among equals the lexicographically first.

    Raises:
      ValueError: the state, the number of moves or the share is not legal.
    """
    shapes = itertools.product(range(mdp.num_actions), repeat=mdp.num_states)
    best, plan = -np.inf, np.eye(mdp.num_actions)[np.zeros(mdp.num_states, int)]
    for actions in shapes:
        policy = np.eye(mdp.num_actions)[list(actions)]
        found = return_law(mdp, policy, state, moves).cvar(share)
        if found > best + SAME * max(1.0, abs(best) if np.isfinite(best) else 1.0):
            best, plan = found, policy
    return best, plan
