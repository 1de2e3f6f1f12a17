r"""What a model believes of its plan, what the plan is worth, and which errors decide.

Write :math:`q_*` for the environment's optimal action values, :math:`v_*` for their
maximum, and :math:`\tilde v_*`, :math:`\tilde\pi` for the model's own optimal value and
policy. Three functions tell a plan's story:

.. math::

   \delta(s, a) &= \tilde r(s, a) + \gamma \sum_{s'} \tilde p(s' \mid s, a)\, v_*(s')
     - q_*(s, a), \\
   g(s, a) &= v_*(s) - q_*(s, a) \ge 0, \\
   \eta(s) &= \tilde v_*(s) - v_*(s),

the *error* of one action where the optimal values are known, the *gap* that the error must
pass before a wrong action looks right, and the *overrating* of a state. They are linked by

.. math::

   \eta = (I - \gamma \tilde P_{\tilde\pi})^{-1} (\delta - g)(\cdot, \tilde\pi),

and the model takes an action to be worth :math:`q_* + \delta + \gamma \tilde p \eta`: an
overrating that is the same everywhere misleads nobody.

Training sees something else. At a state where a policy mixes actions the residual is the
mixture of their errors, in which errors of different sign cancel; `mixing_matrix` says how
much of them is seen.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from scipy import integrate

from pve.checks import Array, check_positive_integer
from pve.mdp.core import MDP, exact
from pve.mdp.planning import policy_iteration, policy_value

SAME = 1e-9  # smaller gaps count as none: the action is optimal


class Overrating(NamedTuple):
    """A model's plan, in the model and in the environment.

    Attributes:
      action: ``[S]``, what the plan does.
      own: ``[S]``, ṽ_*, what the model takes the plan to be worth.
      worth: ``[S]``, the plan's value in the environment.
      best: ``[S]``, v_*.
      error: ``[S, A]``, δ.
      gap: ``[S, A]``, g.
      visits: ``[S]``, the discounted share of time that the plan spends in each state, as
        the model imagines it, all states being equally likely at first.
      staying: the mean of p̃(s | s, a) over states and actions.
    """

    action: np.ndarray
    own: np.ndarray
    worth: np.ndarray
    best: np.ndarray
    error: np.ndarray
    gap: np.ndarray
    visits: np.ndarray
    staying: float

    @property
    def excess(self) -> np.ndarray:
        """By how much the model overrates each state, η = ṽ_* − v_*, ``[S]``."""
        return self.own - self.best

    @property
    def wrong(self) -> np.ndarray:
        """Which actions are not optimal, ``[S, A]``."""
        return self.gap > SAME

    @property
    def tempting(self) -> float:
        """The share of the wrong actions whose error passes the gap."""
        return float((self.error > self.gap)[self.wrong].mean())

    @property
    def lean(self) -> float:
        """The mean error of the wrong actions; below zero they are underrated."""
        return float(self.error[self.wrong].mean())


def overrating(model: MDP, env: MDP) -> Overrating:
    """Compare what a model believes of its plan with what the plan is worth.

    Args:
      model: the model, which plans.
      env: the environment.

    Returns:
      The plan and the functions that decide it, all exact.
    """
    model, env = exact(model), exact(env)
    states, discount = np.arange(env.num_states), env.discount
    best, _ = policy_iteration(env)
    own, plan = policy_iteration(model)
    of_actions = env.reward + discount * env.expect(best)
    action = plan.argmax(-1)
    chain = model.transition[states, action]
    start = np.full(env.num_states, (1 - discount) / env.num_states)
    return Overrating(
        action=action,
        own=own,
        worth=policy_value(env, plan),
        best=best,
        error=model.reward + discount * model.expect(best) - of_actions,
        gap=best[:, None] - of_actions,
        visits=np.linalg.solve(np.eye(env.num_states) - discount * chain.T, start),
        staying=float(model.transition[states, :, states].mean()),
    )


def with_errors(error: Array, transition: Array, env: MDP) -> MDP:
    """The model that has these errors of single actions and these transitions.

    Errors and transitions together are a model: r̃ = q_* + δ − γ p̃ v_*. So the errors of
    one model can be tried with the transitions of another.

    Args:
      error: ``[S, A]``, δ.
      transition: ``[S, A, S]``, p̃.
      env: the environment.

    Returns:
      The model, float64.

    Raises:
      ValueError: a transition whose rows are not distributions, or another shape.
    """
    env = exact(env)
    best, _ = policy_iteration(env)
    transition = np.asarray(transition, np.float64)
    reward = env.reward + error
    reward = reward + env.discount * ((env.transition - transition) @ best)
    return MDP(reward, transition, env.discount)


def wrong_choice_bound(model: MDP, env: MDP) -> tuple[np.ndarray, np.ndarray]:
    """What each of a plan's choices gives away, and a bound on it.

    Where the plan takes a and the environment's optimal policy b, the gap g(s, a) is at
    most δ(s, a) − δ(s, b) + γ τ (max η − min η), with τ the total variation between
    p̃(· | s, a) and p̃(· | s, b).

    Args:
      model: the model, which plans.
      env: the environment.

    Returns:
      The gaps ``[S]`` and their bounds ``[S]``.
    """
    model, env = exact(model), exact(env)
    found, states = overrating(model, env), np.arange(env.num_states)
    best = policy_iteration(env)[1].argmax(-1)
    mine, theirs = ((states, chosen) for chosen in (found.action, best))
    apart = np.abs(model.transition[mine] - model.transition[theirs]).sum(-1) / 2
    errors = found.error[mine] - found.error[theirs]
    return found.gap[mine], errors + env.discount * apart * np.ptp(found.excess)


class Residuals(NamedTuple):
    """Root-mean-square errors of one model on some policies, at their own values.

    Attributes:
      everywhere: of the residual T̃_π v_π − v_π, over all states.
      mixture: of the residual where a policy mixes actions; NaN where none does.
      single: of the errors of all single actions in the same states.
    """

    everywhere: float
    mixture: float
    single: float


def residuals(model: MDP, env: MDP, policies: Array, values: Array) -> Residuals:
    """The residual that training sees, and the errors of single actions behind it.

    Args:
      model: the model.
      env: the environment.
      policies: ``[B, S, A]``.
      values: ``[B, S]``, their values in the environment.

    Returns:
      The root mean squares.
    """
    policies = np.asarray(policies, np.float64)
    off = model.reward + model.discount * model.expect(values)
    off = np.asarray(off - (env.reward + env.discount * env.expect(values)))
    residual = (policies * off).sum(-1)
    mixes = policies.max(-1) < 1 - 1e-6
    if not mixes.any():
        return Residuals(_rms(residual), np.nan, np.nan)
    return Residuals(_rms(residual), _rms(residual[mixes]), _rms(off[mixes]))


def _rms(numbers: np.ndarray) -> float:
    return float(np.sqrt((numbers**2).mean()))


def mixing_matrix(kind: str, num_actions: int) -> np.ndarray:
    """What a random choice in a state sees of errors δ(a): E (Σ_a π(a) δ(a))² = δᵀ C δ.

    A deterministic choice gives C = I / A: each error counts, and none can hide behind
    another. With uniform weights, divided by their sum, C = λ I + μ 1 1ᵀ: errors that sum
    to zero count with weight λ alone, which is far less than 1 / A.

    Args:
      kind: ``"deterministic"`` or ``"stochastic"``.
      num_actions: the number of actions, A.

    Returns:
      C, ``[A, A]``.

    Raises:
      ValueError: another kind, or a number below 1.
    """
    check_positive_integer("num_actions", num_actions)
    if kind == "deterministic":
        return np.eye(num_actions) / num_actions
    if kind != "stochastic":
        raise ValueError(f"kind is {kind!r}; expected 'deterministic' or 'stochastic'")
    if num_actions == 1:
        return np.ones((1, 1))
    square = integrate.quad(_square, 0, np.inf, args=(num_actions,), limit=200)[0]
    product = (1 / num_actions - square) / (num_actions - 1)  # as they sum to one
    return product + (square - product) * np.eye(num_actions)


def _square(t: float, num_actions: int) -> float:
    """E (U_1 / Σ U)² = ∫ of this, as 1 / x² = ∫ t e^(−t x) dt, for uniform U."""
    if t < 1e-3:  # the closed forms below lose their digits
        return t * (1 / 3 - t / 4) * (1 - t / 2) ** (num_actions - 1)
    decay = np.exp(-t)
    second = (2 - decay * (t * t + 2 * t + 2)) / t**3
    return float(t * second * ((1 - decay) / t) ** (num_actions - 1))


def conditional_values(policies: Array, values: Array) -> tuple[np.ndarray, np.ndarray]:
    """The mean value of the policies that take an action, weighted by its probability.

    Args:
      policies: ``[B, S, A]``.
      values: ``[B, S]``.

    Returns:
      How often each action is taken, ``[S, A]``, and the mean values, ``[S, A, S]`` (zero
      where the action never is).
    """
    policies, values = np.asarray(policies, np.float64), np.asarray(values, np.float64)
    taken = policies.sum(0)
    flat = policies.reshape(len(policies), -1).T @ values
    means = flat.reshape(*taken.shape, -1) / np.maximum(taken, 1e-12)[..., None]
    return taken / len(policies), means


def blind_spot(model: MDP, env: MDP, means: Array) -> np.ndarray:
    """The error δ of a model with the best reward, from its transitions alone.

    If the reward is right on average over the policies that take a in s, whose mean value
    is μ_sa, then δ(s, a) = γ (p̃ − p)(· | s, a) · (v_* − μ_sa): the model does not see all
    of the dip in value that taking a brings about, and goes on allowing for it.

    Args:
      model: the model.
      env: the environment.
      means: ``[S, A, S]``, μ.

    Returns:
      ``[S, A]``.
    """
    model, env = exact(model), exact(env)
    dips = policy_iteration(env)[0] - np.asarray(means)
    apart = model.transition - env.transition
    return env.discount * (apart * dips).sum(-1)
