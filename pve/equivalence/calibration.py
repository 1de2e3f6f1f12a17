r"""What a value loss becomes when the model's next state is drawn and not averaged.

At a state and action let the world's target be :math:`y = r + \gamma v(s')` with
:math:`s' \sim p`, and the model's prediction :math:`x = \tilde r + \gamma v(\tilde s)` with
a *sample* :math:`\tilde s \sim \tilde p`. Then

.. math:: \mathbb E (x - y)^2 = (\mathbb E x - \mathbb E y)^2
   + \gamma^2 \operatorname{Var}_p v + \gamma^2 \operatorname{Var}_{\tilde p} v .

The first term is the loss that is meant; the second is the same for all models; the third
is the model's own variance, and punishes a model for being as uncertain as the world. With
the reward given the sum is linear in :math:`\tilde p`, so that among all models a
deterministic one is best. Two independent samples cure it:
:math:`\mathbb E (x_1 - y)(x_2 - y)` lacks the third term.

That value-aware losses are uncalibrated for this reason was shown by Voelcker and others,
*Calibrated Value-Aware Model Learning*, 2025. Everything here is an exact expectation, in
NumPy float64.
"""

from __future__ import annotations

import dataclasses
from typing import Any, NamedTuple

import numpy as np

from pve.checks import Array
from pve.mdp.core import MDP, exact


class SampledLoss(NamedTuple):
    """The expected loss of a sampled prediction, in its three parts.

    Each is a mean over the batch of a sum over states, actions weighted by the policy.

    Attributes:
      bias: the squared difference of the means: the loss that is meant.
      world: γ² times the variance of v under the environment.
      model: γ² times the variance of v under the model.
    """

    bias: float
    world: float
    model: float

    @property
    def total(self) -> float:
        """What a loss of single samples amounts to, E (x − y)²."""
        return self.bias + self.world + self.model

    @property
    def corrected(self) -> float:
        """What two samples of the model give, E (x₁ − y)(x₂ − y)."""
        return self.bias + self.world


def variance(mdp: Any, values: Array) -> np.ndarray:
    """The variance of the next state's value, Σ_s' p(s' | s, a) v(s')² − (p v)².

    Args:
      mdp: anything with ``.expect``.
      values: ``[..., S]``.

    Returns:
      ``[..., S, A]``, ≥ 0.
    """
    values = np.asarray(values, np.float64)
    values = values - values.mean(-1, keepdims=True)  # fewer digits are lost
    squares = np.asarray(mdp.expect(values**2), np.float64)
    return np.maximum(squares - np.asarray(mdp.expect(values), np.float64) ** 2, 0.0)


def sampled_loss(model: MDP, env: MDP, policies: Array, values: Array) -> SampledLoss:
    """The loss of one step with a drawn next state in the world and in the model.

    Args:
      model: the model.
      env: the environment.
      policies: ``[B, S, A]``.
      values: ``[B, S]``, the functions v, such as the policies' values.

    Returns:
      The loss in its parts.
    """
    model, env = exact(model), exact(env)
    policies = np.asarray(policies, np.float64)
    values = np.asarray(values, np.float64)
    gamma = env.discount
    off = model.reward - env.reward + gamma * (model.expect(values) - env.expect(values))
    parts = off**2, gamma**2 * variance(env, values), gamma**2 * variance(model, values)
    return SampledLoss(*(float((policies * x).sum((-1, -2)).mean()) for x in parts))


def certain_model(
    env: MDP, policies: Array, values: Array, *, free_reward: bool = True
) -> MDP:
    """The model that minimises the sampled loss, among all models: a deterministic one.

    For each next state the best reward is found, if it is free; then the next state with
    the least loss is chosen.

    Args:
      env: the environment.
      policies: ``[B, S, A]``; each action must be taken by some in each state.
      values: ``[B, S]``, the functions v.
      free_reward: whether the model's reward is learnt; else it is the environment's.

    Returns:
      The model; each row of its transition has a single 1.

    Raises:
      ValueError: an action is never taken in some state.
    """
    env = exact(env)
    policies = np.asarray(policies, np.float64)
    values = np.asarray(values, np.float64)
    weight = policies.transpose(1, 2, 0)  # [S, A, B]
    total = weight.sum(-1)
    if (total <= 0).any():
        s, a = map(int, np.argwhere(total <= 0)[0])
        raise ValueError(f"no policy takes action {a} in state {s}; at least one must")
    weight = weight / total[..., None]
    gamma = env.discount
    target = (env.reward + gamma * env.expect(values)).transpose(1, 2, 0)  # [S, A, B]
    reward = env.reward.copy()
    goes = np.zeros((env.num_states, env.num_actions), int)
    for s, a in np.ndindex(*goes.shape):
        miss = target[s, a] - gamma * values.T  # [next S, B]
        best = miss @ weight[s, a] if free_reward else np.full(len(miss), env.reward[s, a])
        goes[s, a] = ((miss - best[:, None]) ** 2 @ weight[s, a]).argmin()
        reward[s, a] = best[goes[s, a]]
    return dataclasses.replace(env, reward=reward, transition=np.eye(env.num_states)[goes])
