r"""Losses: how far a model is from value equivalence on given policies and values.

The order-:math:`k` loss compares :math:`k` applications of two Bellman operators,

.. math:: \ell_k(\tilde m) = \frac1B \sum_{b=1}^B \sum_s
   \bigl[ (T_{\pi_b}^k v_b)(s) - (\tilde T_{\pi_b}^k v_b)(s) \bigr]^2 ,

the proper one asks that the environment's own value :math:`v_\pi` stay where it is,

.. math:: \ell_\infty(\tilde m) = \frac1B \sum_{b=1}^B \sum_s
   \bigl[ v_{\pi_b}(s) - (\tilde T_{\pi_b} v_{\pi_b})(s) \bigr]^2 ,

(Grimm et al., 2021). The first needs the environment, the second only policies with
their values. Mind that :math:`\ell_\infty` is a one-step residual, not the limit of
:math:`\ell_k`: both vanish together, yet away from zero they differ.
"""

from __future__ import annotations

import math
from typing import Any

import jax.numpy as jnp

from pve.checks import Array, check_order
from pve.mdp.bellman import bellman_power
from pve.mdp.core import full_precision


def target_loss(
    model: Any,
    policies: Array,
    values: Array,
    targets: Array,
    order: int,
    *,
    implementation: str = "chains",
) -> Array:
    """Mean over the batch of Σ_s (target − T̃_π^k v)²: both losses, targets given.

    Args:
      model: anything with ``.reward``, ``.discount`` and ``.expect``.
      policies: ``[B, S, A]``.
      values: ``[B, S]``.
      targets: ``[B, S]``, T_π^k v of the environment.
      order: k, an integer ≥ 1.
      implementation: see `pve.mdp.bellman.bellman_power`.

    Returns:
      A number ≥ 0.
    """
    difference = targets - bellman_power(
        model, policies, values, order, implementation=implementation
    )
    return (difference**2).sum(-1).mean()


def ve_loss(model: Any, env: Any, policies: Array, values: Array, order: int) -> Array:
    """The order-k value-equivalence loss, mean over B of Σ_s (T_π^k v − T̃_π^k v)².

    Args:
      model: an MDP, a bound model, or anything with ``.reward``, ``.discount`` and
        ``.expect``.
      env: the environment, likewise.
      policies: ``[B, S, A]``.
      values: ``[B, S]``.
      order: k, an integer ≥ 1.

    Returns:
      A number ≥ 0.

    Raises:
      ValueError: the order is ∞ (use `pve_loss`) or not legal, or a shape is wrong.
    """
    if check_order(order) == math.inf:
        raise ValueError(
            "order is inf; ve_loss expects an integer ≥ 1: "
            "for the proper loss call pve_loss(model, policies, values)"
        )
    targets = bellman_power(env, policies, values, order)
    return target_loss(model, policies, values, targets, order)


def pve_loss(model: Any, policies: Array, values: Array) -> Array:
    """The proper value-equivalence loss, mean over B of Σ_s (v_π − T̃_π v_π)².

    Args:
      model: an MDP, a bound model, or anything with ``.reward``, ``.discount`` and
        ``.expect``.
      policies: ``[B, S, A]``.
      values: ``[B, S]``, the environment's exact values of these policies.

    Returns:
      A number ≥ 0.

    Raises:
      ValueError: a shape is wrong, or the policies' rows are not distributions.
    """
    return target_loss(model, policies, values, values, 1)


def likelihood_loss(model: Any, env: Any) -> Array:
    """Cross entropy of the transitions plus squared error of the reward, mean over (s, a).

    Args:
      model: anything with ``.reward`` and ``.transition``; probabilities > 0 wherever the
        environment's are.
      env: the environment, likewise.

    Returns:
      A number, smallest where the two are the same (then the transitions' entropy).
    """
    # Where p = 0 the term is zero, whatever p̃: the logarithm may be infinite there.
    possible = env.transition > 0
    logs = jnp.log(jnp.where(possible, model.transition, 1.0))
    entropy = -(env.transition * logs).sum(-1)
    return (entropy + (model.reward - env.reward) ** 2).mean()


@full_precision
def value_error_loss(model: Any, policies: Array, values: Array) -> Array:
    """The true error of a model's values, mean over B of Σ_s (ṽ_π − v_π)².

    Differentiable in the model, through the linear solve. Compiled programs that hold one
    should run one at a time: in two threads XLA's solves can wait for each other forever.

    Args:
      model: anything with ``.reward``, ``.transition`` and ``.discount``.
      policies: ``[B, S, A]``.
      values: ``[B, S]``, the environment's exact values of these policies.

    Returns:
      A number ≥ 0.
    """
    chains = (jnp.swapaxes(policies, 0, 1) @ model.transition).swapaxes(0, 1)
    system = jnp.eye(chains.shape[-1], dtype=chains.dtype) - model.discount * chains
    reward = (policies * model.reward).sum(-1)
    imagined = jnp.linalg.solve(system, reward[..., None])[..., 0]
    return ((imagined - values) ** 2).sum(-1).mean()
