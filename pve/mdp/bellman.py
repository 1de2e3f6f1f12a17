r"""Bellman operators and their powers.

For a policy :math:`\pi` and a value :math:`v`,

.. math::

   (T_\pi v)(s) = \sum_a \pi(a \mid s)
     \Bigl[ r(s, a) + \gamma \sum_{s'} p(s' \mid s, a)\, v(s') \Bigr],

an affine map :math:`T_\pi v = r_\pi + \gamma P_\pi v` that contracts by
:math:`\gamma` in the maximum norm. Its power :math:`T_\pi^k` applies it
:math:`k` times; the limit :math:`T_\pi^\infty v` is :math:`v_\pi` whatever :math:`v`.

The operators ask three things of an MDP or model: ``.reward``, ``.discount`` and
``.expect``. Where it also has a ``.transition`` matrix, `pve.mdp.power` computes the
power, which is what makes high orders affordable.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pve.checks import Array, as_array, check_order, check_policies, check_value_shape
from pve.mdp.by_type import by_type
from pve.mdp.core import full_precision
from pve.mdp.power import check_implementation, policy_power


def bellman(mdp: Any, policy: Array, value: Array) -> Array:
    """Apply the Bellman operator of a policy, T_π v.

    Args:
      mdp: an MDP or anything with ``.reward``, ``.discount`` and ``.expect``.
      policy: ``[..., S, A]``, rows summing to one.
      value: ``[..., S]``, with the same leading axes or broadcasting against them.

    Returns:
      ``[..., S]``. NumPy in, NumPy out; a JAX array anywhere gives a JAX array.

    Raises:
      ValueError: a shape does not fit the MDP's, or the policy's rows are not
        distributions.
      TypeError: an argument is not an array of real numbers.
    """
    policy, value = _check_arguments(mdp, policy, value)
    return _backup(mdp, policy, value)


def _check_arguments(mdp: Any, policy: Any, value: Any) -> tuple[Array, Array]:
    num_states, num_actions = mdp.reward.shape[-2:]
    policy, value = as_array("policy", policy), as_array("value", value)
    check_policies(policy, num_states, num_actions)
    check_value_shape(value, num_states)
    return policy, value


def _backup(mdp: Any, policy: Array, value: Array) -> Array:
    action_values = mdp.reward + mdp.discount * mdp.expect(value)
    if not isinstance(action_values, jax.Array):
        return (policy * action_values).sum(-1)
    # Action by action, so that a compiled step reads the policies where they lie: with the
    # actions innermost, XLA would transpose them for every product.
    actions = range(policy.shape[-1])
    terms = (policy[..., a] * action_values[..., a] for a in actions)
    return functools.reduce(operator.add, terms)


def bellman_optimality(mdp: Any, value: Array) -> Array:
    """Apply the Bellman optimality operator, (T v)(s) = max_a [r + γ p v](s, a).

    The maximum is over the legal actions.

    Args:
      mdp: an MDP or anything with ``.reward``, ``.discount`` and ``.expect``.
      value: ``[..., S]``.

    Returns:
      ``[..., S]``.

    Raises:
      ValueError: the value's shape does not fit the MDP's.
      TypeError: the value is not an array of real numbers.
    """
    value = as_array("value", value)
    check_value_shape(value, mdp.reward.shape[-2])
    action_values = mdp.reward + mdp.discount * mdp.expect(value)
    legal = getattr(mdp, "legal", None)
    if legal is None:
        return action_values.max(-1)
    return action_values.max(-1, where=legal, initial=-math.inf)


@by_type
@full_precision
def bellman_power(
    mdp: Any, policy: Array, value: Array, order: int, *, implementation: str = "chains"
) -> Array:
    """Apply the Bellman operator of a policy ``order`` times, T_π^k v.

    Differentiable in the MDP and the value, in reverse mode; for JAX arrays the iteration
    is one compiled loop.

    Args:
      mdp: an MDP or anything with ``.reward``, ``.discount`` and ``.expect``.
      policy: ``[S, A]`` or ``[B, S, A]``, rows summing to one.
      value: ``[S]`` or ``[B, S]``.
      order: k, an integer ≥ 1. (The limit is ``pve.policy_value``.)
      implementation: how to compute it, for JAX arrays, an MDP with a ``.transition`` and
        orders above 1: a name that `pve.mdp.power.policy_power` knows. It decides the speed
        and the last bits, nothing else.

    Returns:
      The k-step value, ``[S]`` or ``[B, S]``.

    Raises:
      ValueError: the order or the implementation is not legal, a shape does not fit, or
        the policy's rows are not distributions.
      TypeError: an argument is not an array of real numbers, or the order not an integer.
    """
    checked = check_order(order)
    if checked == math.inf:
        raise ValueError(
            "order is inf; expected an integer ≥ 1: the limit T_π^∞ v is "
            "pve.policy_value(mdp, policy)"
        )
    order = int(checked)
    check_implementation(implementation)
    num_states, num_actions = mdp.reward.shape[-2:]
    policy, value = _check_arguments(mdp, policy, value)
    leaves = jax.tree.leaves((mdp, policy, value))
    if not any(isinstance(leaf, jax.Array) for leaf in leaves):
        for _ in range(order):
            value = _backup(mdp, policy, value)
        return value
    if order == 1:
        return _backup(mdp, policy, value)
    if not hasattr(mdp, "transition"):
        return jax.lax.fori_loop(0, order, lambda _, v: _backup(mdp, policy, v), value)
    batch = np.broadcast_shapes(np.shape(policy)[:-2], np.shape(value)[:-1])
    policies = jnp.broadcast_to(policy, (*batch, num_states, num_actions))
    values = jnp.broadcast_to(value, (*batch, num_states))
    count = math.prod(batch)
    policies = policies.reshape(count, num_states, num_actions)
    result = policy_power(
        order,
        mdp.discount * mdp.transition,
        (policies * mdp.reward).sum(-1),
        policies,
        values.reshape(count, num_states),
        implementation=implementation,
    )
    return result.reshape(*batch, num_states)


@full_precision
def induced_transition(mdp: Any, policies: Array) -> Array:
    """The chains that policies induce, P_π(s, s') = Σ_a π(a | s) p(s' | s, a).

    Args:
      mdp: anything with ``.transition``, ``[S, A, S]``.
      policies: ``[B, S, A]``.

    Returns:
      ``[B, S, S]``.
    """
    # One [B, A] @ [A, S] product per state is four times faster than einsum's order.
    return (policies.swapaxes(0, 1) @ mdp.transition).swapaxes(0, 1)
