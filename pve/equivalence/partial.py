r"""Partial models: states that need not be told apart are one.

Let blocks partition the states. They are *consistent* if states of a block have the same
rewards and go to each block with the same probabilities, whatever the action. Then the
blocks are the states of a smaller MDP, the lumped one, with the same value for every policy
that does not look inside blocks, and the same optimal value. (Consistent blocks are what
the literature on abstraction calls a stochastic bisimulation: Givan, Dean and Greig, 2003.)
There is a coarsest consistent partition: begin with one block, and split what differs until
nothing does.
"""

from __future__ import annotations

import numpy as np

from pve.checks import Array
from pve.mdp.core import MDP, exact

DIGITS = 9  # rewards and probabilities that agree to so many decimals are the same


def _check_blocks(blocks: Array, num_states: int) -> np.ndarray:
    found = np.asarray(blocks)
    if found.shape != (num_states,) or set(found.tolist()) != set(
        range(len(set(found.tolist())))
    ):
        raise ValueError(
            f"blocks are {found.tolist()}; expected {num_states} numbers 0 … n − 1, "
            "each of them taken"
        )
    return found.astype(int)


def _into_blocks(mdp: MDP, blocks: np.ndarray) -> np.ndarray:
    """The probability of going to each block, ``[S, A, n]``."""
    return mdp.transition @ np.eye(blocks.max() + 1)[blocks]


def inconsistency(mdp: MDP, blocks: Array) -> float:
    """By how much states of one block differ in a reward or a probability of a block.

    Args:
      mdp: the MDP.
      blocks: ``[S]``, each state's block, 0 … n − 1.

    Returns:
      The largest difference; 0 for consistent blocks.

    Raises:
      ValueError: the blocks are not legal.
    """
    mdp = exact(mdp)
    blocks = _check_blocks(blocks, mdp.num_states)
    facts = np.concatenate([mdp.reward[..., None], _into_blocks(mdp, blocks)], -1)
    members = [facts[blocks == block] for block in range(blocks.max() + 1)]
    return max(float(np.ptp(member, axis=0).max()) for member in members)


def lump(mdp: MDP, blocks: Array) -> MDP:
    """The MDP whose states are blocks, averaged over the states of each.

    Args:
      mdp: the MDP.
      blocks: ``[S]``, each state's block, 0 … n − 1.

    Returns:
      The MDP of n states; exact for policies that do not look inside blocks if the blocks
      are consistent.

    Raises:
      ValueError: the blocks are not legal.
    """
    mdp = exact(mdp)
    blocks = _check_blocks(blocks, mdp.num_states)
    member = np.eye(blocks.max() + 1)[blocks]
    share = (member / member.sum(0)).T  # [n, S]
    reward = share @ mdp.reward
    transition = np.einsum("ns,sam->nam", share, _into_blocks(mdp, blocks))
    return MDP(reward, transition, mdp.discount)


def coarsest_blocks(mdp: MDP) -> np.ndarray:
    """The coarsest consistent partition of the states.

    Args:
      mdp: the MDP.

    Returns:
      ``[S]``, each state's block; blocks are numbered by their first state.
    """
    mdp = exact(mdp)
    blocks = np.zeros(mdp.num_states, int)
    while True:
        facts = np.concatenate([mdp.reward[..., None], _into_blocks(mdp, blocks)], -1)
        rows = np.round(facts.reshape(mdp.num_states, -1), DIGITS) + 0.0
        rows = np.concatenate([blocks[:, None], rows], -1)
        _, first, found = np.unique(rows, axis=0, return_index=True, return_inverse=True)
        found = np.argsort(np.argsort(first))[found.ravel()]
        if found.max() == blocks.max():
            return found
        blocks = found
