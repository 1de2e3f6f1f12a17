r"""What value equivalence demands of a model: linear equations, counted and met.

A model :math:`(\tilde r, \tilde p)` is value equivalent for policies :math:`\pi` and
functions :math:`v` if in every state :math:`s`

.. math:: \sum_a \pi(a \mid s) \Bigl[ \tilde r(s, a) + \gamma \sum_{s'}
   \tilde p(s' \mid s, a)\, v(s') \Bigr] = (T_\pi v)(s) .

The equations of a state bind no other. The number of independent ones is the product of two
ranks: that of the action distributions in :math:`s` and that of the functions up to
constants, which the reward absorbs. Everything here is NumPy in float64.
"""

from __future__ import annotations

import numpy as np
from scipy import optimize

from pve.checks import Array
from pve.mdp.core import MDP, exact


def class_dimension(policies: Array, values: Array) -> int:
    """The dimension of the set of value-equivalent models, the sign of p̃ disregarded.

    Args:
      policies: ``[N, S, A]``.
      values: ``[M, S]``, the functions, each for all of the policies.

    Returns:
      S A S − w Σ_s ρ_s, with ρ_s the rank of the action distributions in s, and w + 1 that
      of the vectors (1, v) with (0, 1, …, 1). It holds for any discount above 0.
    """
    policies, values = np.asarray(policies, float), np.asarray(values, float)
    _, num_states, num_actions = policies.shape
    rows = np.column_stack([np.ones(len(values)), values])
    total = np.append(0.0, np.ones(num_states))
    w = np.linalg.matrix_rank(np.vstack([rows, total])) - 1
    rho = np.linalg.matrix_rank(policies.swapaxes(0, 1))
    return int(num_states * num_actions * num_states - w * rho.sum())


def far_member(
    world: MDP, values: Array, aims: Array, policies: Array | None = None
) -> MDP:
    """A model far from the world that meets its demands: a corner of the class.

    For each state and action a linear programme picks the next states' probabilities, and
    the reward makes up for them.

    Args:
      world: the environment.
      values: ``[N, S]``, the functions.
      aims: ``[S, A, S]``; p̃(· | s, a) minimises the product with its aim.
      policies: ``[N, S, A]``, deterministic, or None. Given, a function binds only the
        pairs (s, a) that its policy takes, as in proper value equivalence; a pair that none
        takes is left as in the world.

    Returns:
      The model, value equivalent for all policies, or for each policy at its function.

    Raises:
      RuntimeError: the solver failed.
    """
    world, values = exact(world), np.asarray(values, float)
    reward, transition = world.reward.copy(), world.transition.copy()
    for s, a in np.ndindex(*reward.shape):
        bound = values if policies is None else values[np.asarray(policies)[:, s, a] == 1]
        if not len(bound):
            continue
        row = transition[s, a].copy()
        demands = np.vstack([np.ones_like(row), bound[1:] - bound[0]])
        found = optimize.linprog(aims[s, a], A_eq=demands, b_eq=demands @ row)
        if found.status != 0:
            raise RuntimeError(f"linear programme of ({s}, {a}): {found.message}")
        transition[s, a] = found.x
        reward[s, a] += world.discount * (row - found.x) @ bound[0]
    return MDP(reward, transition, world.discount)
