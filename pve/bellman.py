r"""Bellman operators and their powers.

For a policy :math:`\pi` and a value :math:`v`,

.. math::

   (T_\pi v)(s) = \sum_a \pi(a \mid s)
     \Bigl[ r(s, a) + \gamma \sum_{s'} p(s' \mid s, a)\, v(s') \Bigr],

an affine map :math:`T_\pi v = r_\pi + \gamma P_\pi v` that contracts by
:math:`\gamma` in the largest absolute difference. Its power :math:`T_\pi^k` applies it
:math:`k` times; the limit :math:`T_\pi^\infty v` is :math:`v_\pi` whatever :math:`v`.

The operators ask three things of an MDP or model: ``.reward``, ``.discount`` and
``.expect``. Where it also has a ``.transition`` matrix, a power forms the matrix
:math:`P_\pi` once per policy, which is what makes high orders affordable.
"""

from __future__ import annotations

import functools
import math
import operator
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np

from pve.mdp import Array, as_array, check_policies, check_value_shape

# Policies whose chains are iterated together. One matrix of Four Rooms is 43 kB in
# float32; ten of them stay in a core's second-level cache through all K products.
GROUP = 10


def check_order(order: Any) -> int | float:
    """Return the order as an ``int`` or ``math.inf``; raise unless it is 1, 2, …, ∞."""
    legal = "legal are the integers 1, 2, 3, … and inf"
    if isinstance(order, bool | np.bool_):
        raise TypeError(f"order is {order}; {legal}")
    if isinstance(order, float | np.floating):
        if order == math.inf:
            return math.inf
        if not float(order).is_integer():
            raise ValueError(f"order is {order:g}; {legal}")
        order = int(order)
    try:
        number = operator.index(order)
    except TypeError:
        raise TypeError(f"order is {order!r}; {legal}") from None
    if number < 1:
        raise ValueError(f"order is {number}; {legal}")
    return number


def bellman(mdp: Any, policy: Array, value: Array) -> Array:
    """Apply the Bellman operator of a policy, T_π v.

    Args:
      mdp: an MDP or anything with ``.reward``, ``.discount`` and ``.expect``.
      policy: ``[..., S, A]``, rows summing to one.
      value: ``[..., S]``, with the same leading axes or broadcasting against them.

    Returns:
      ``[..., S]``. NumPy in, NumPy out; a JAX array anywhere gives a JAX array.

    Raises:
      ValueError: a shape does not fit the MDP's, or the policy's rows are no
        distributions.
      TypeError: an argument is no array of real numbers.
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
    # Action by action, which a compiled step reads where it lies: with the actions
    # innermost, XLA would transpose the policies anew for every product.
    actions = range(policy.shape[-1])
    terms = (policy[..., a] * action_values[..., a] for a in actions)
    return functools.reduce(operator.add, terms)


def bellman_optimality(mdp: Any, value: Array) -> Array:
    """Apply the Bellman optimality operator, (T v)(s) = max_a [r + γ p v](s, a).

    Args:
      mdp: an MDP or anything with ``.reward``, ``.discount`` and ``.expect``.
      value: ``[..., S]``.

    Returns:
      ``[..., S]``.

    Raises:
      ValueError: the value's shape does not fit the MDP's.
      TypeError: the value is no array of real numbers.
    """
    value = as_array("value", value)
    check_value_shape(value, mdp.reward.shape[-2])
    return (mdp.reward + mdp.discount * mdp.expect(value)).max(-1)


def bellman_power(mdp: Any, policy: Array, value: Array, order: int) -> Array:
    """Apply the Bellman operator of a policy ``order`` times, T_π^k v.

    Differentiable in the MDP and the value, in reverse mode; through JAX arrays the
    iteration is one compiled loop.

    Args:
      mdp: an MDP or anything with ``.reward``, ``.discount`` and ``.expect``.
      policy: ``[S, A]`` or ``[B, S, A]``, rows summing to one.
      value: ``[S]`` or ``[B, S]``.
      order: k, an integer ≥ 1. (The limit is ``pve.policy_value``.)

    Returns:
      The k-step value, ``[S]`` or ``[B, S]``.

    Raises:
      ValueError: the order is not legal, a shape does not fit, or the policy's rows are
        no distributions.
      TypeError: an argument is no array of real numbers.
    """
    checked = check_order(order)
    if checked == math.inf:
        raise ValueError(
            "order is inf; legal are the integers 1, 2, 3, …: the limit T_π^∞ v is "
            "pve.policy_value(mdp, policy)"
        )
    order = int(checked)
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
    result = _policy_power(
        order,
        mdp.discount * mdp.transition,
        (policies * mdp.reward).sum(-1),
        policies,
        values.reshape(count, num_states),
    )
    return result.reshape(*batch, num_states)


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


@functools.partial(jax.custom_vjp, nondiff_argnums=(0,))
def _policy_power(
    order: int, transition: Array, reward: Array, policies: Array, values: Array
) -> Array:
    """Iterate v ← r_π + P_π v, ``order`` times, for a batch of policies.

    The chains P_π are formed once per policy, a group of policies at a time, so that
    they stay in cache. The derivative keeps the iterates, runs the adjoint through the
    same loop and takes all outer products in one batched matrix product, where automatic
    differentiation would add a [B, S, S] array at each of the ``order`` steps.

    Args:
      order: how often the operator is applied, ``K``.
      transition: ``[S, A, S]``, discounted.
      reward: ``[B, S]``, of the policies.
      policies: ``[B, S, A]``.
      values: ``[B, S]``.
    """
    return _policy_power_forward(order, transition, reward, policies, values)[0]


def _split(array: Array) -> Array:
    """Group the leading axis by its largest divisor that is at most ``GROUP``."""
    count = len(array)
    group = max(size for size in range(1, GROUP + 1) if count % size == 0)
    return array.reshape(-1, group, *array.shape[1:])


def _form_chains(transition: Array, policies: Array) -> Array:
    return (policies[..., None] * transition).sum(-2)


def _policy_power_forward(
    order: int, transition: Array, reward: Array, policies: Array, values: Array
) -> tuple[Array, tuple[Array, Array, Array]]:
    def iterate(group: tuple[Array, Array, Array]) -> tuple[Array, Array]:
        reward, policies, values = group
        chains = _form_chains(transition, policies)

        def step(values: Array, _: None) -> tuple[Array, Array]:
            return reward + jnp.einsum("bst,bt->bs", chains, values), values

        return jax.lax.scan(step, values, length=order)

    groups = _split(reward), _split(policies), _split(values)
    final, iterates = jax.lax.map(iterate, groups)
    return final.reshape(values.shape), (transition, policies, iterates)


def _policy_power_backward(
    order: int, residuals: tuple[Array, Array, Array], cotangent: Array
) -> tuple[Array, Array, Array, Array]:
    transition, policies, iterates = residuals

    def adjoint(transition_bar: Array, group: Any) -> tuple[Array, Any]:
        policies, iterates, cotangent = group
        chains = _form_chains(transition, policies)

        def step(adjoint: Array, _: None) -> tuple[Array, Array]:
            return jnp.einsum("bst,bs->bt", chains, adjoint), adjoint

        at_start, adjoints = jax.lax.scan(step, cotangent, length=order)
        outer = jnp.einsum("kbs,kbt->sbt", adjoints[::-1], iterates)
        transition_bar += policies.transpose(1, 2, 0) @ outer
        policies_bar = jnp.einsum("sbt,sat->bsa", outer, transition)
        return transition_bar, (adjoints.sum(0), policies_bar, at_start)

    groups = _split(policies), iterates, _split(cotangent)
    start = jnp.zeros_like(transition)
    transition_bar, rest = jax.lax.scan(adjoint, start, groups)
    reward_bar, policies_bar, values_bar = (x.reshape(-1, *x.shape[2:]) for x in rest)
    return transition_bar, reward_bar, policies_bar, values_bar


_policy_power.defvjp(_policy_power_forward, _policy_power_backward)
