r"""Residuals, errors of values and order-k differences of models: what the page measures.

For a policy :math:`\pi` with value :math:`v_\pi`: the error
:math:`e = \tilde v_\pi - v_\pi`, the residual
:math:`\rho_1 = \tilde T_\pi v_\pi - v_\pi`, and on a function :math:`v` the difference
:math:`\delta_k(v) = \tilde T_\pi^k v - T_\pi^k v`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from pve.book import yardstick
from pve.book.text import table
from pve.checks import Array
from pve.figures.captions import digits
from pve.mdp.bellman import bellman
from pve.mdp.core import MDP
from pve.mdp.planning import policy_value
from pve.results.load import load_model


def chains(model: MDP, policies: Array) -> np.ndarray:
    """The transitions under policies, ``[B, S, S]``, float64."""
    transition = np.asarray(model.transition, np.float64)
    return np.einsum("bsa,sat->bst", np.asarray(policies, np.float64), transition)


def differences(
    env: MDP, model: MDP, policies: Array, starts: Array, order: int
) -> np.ndarray:
    """δ_k of functions, for all orders k up to ``order``.

    Args:
      env: the environment.
      model: the model.
      policies: ``[B, S, A]``.
      starts: ``[B, S]``, the functions.
      order: the largest k.

    Returns:
      ``[order, B, S]``.
    """
    policies = np.asarray(policies, np.float64)
    gamma = float(env.discount)
    reward, imagined_reward = (
        (policies * np.asarray(mdp.reward)).sum(-1) for mdp in (env, model)
    )
    chain, imagined_chain = (chains(mdp, policies) for mdp in (env, model))
    value = imagined = np.asarray(starts, np.float64)
    found = np.empty((order, *value.shape))
    for k in range(order):
        value = reward + gamma * (chain @ value[..., None])[..., 0]
        imagined = imagined_reward + gamma * (imagined_chain @ imagined[..., None])[..., 0]
        found[k] = imagined - value
    return found


class Bracket(NamedTuple):
    """‖e‖₂ / ‖ρ₁‖₂ of each policy, between its bounds.

    Attributes:
      lower: ``[B]``, 1 / (1 + γ √κ(P̃_π)).
      ratio: ``[B]``.
      upper: ``[B]``, √κ(D) / (1 − γ), D = (1 − γ)(I − γ P̃_π)⁻¹.
    """

    lower: np.ndarray
    ratio: np.ndarray
    upper: np.ndarray


def bracket(model: MDP, policies: Array, values: Array) -> Bracket:
    """The error of each value as a multiple of its residual, between its bounds.

    Args:
      model: the model.
      policies: ``[B, S, A]``.
      values: ``[B, S]``, of the policies.
    """
    gamma, under = float(model.discount), chains(model, policies)
    resolvent = np.linalg.inv(np.eye(under.shape[-1]) - gamma * under)
    error, residual = _error_and_residual(model, policies, values)
    ratio = np.linalg.norm(error, axis=-1) / np.linalg.norm(residual, axis=-1)
    lower = 1 / (1 + gamma * np.sqrt(_largest_column(under)))
    visits = (1 - gamma) * resolvent
    return Bracket(lower, ratio, np.sqrt(_largest_column(visits)) / (1 - gamma))


def _largest_column(matrices: np.ndarray) -> np.ndarray:
    return np.asarray(matrices.sum(-2).max(-1))  # κ


def _error_and_residual(
    model: MDP, policies: Array, values: Array
) -> tuple[np.ndarray, np.ndarray]:
    values = np.asarray(values, np.float64)
    imagined = np.asarray(bellman(model, policies, values), np.float64)
    return policy_value(model, policies) - values, imagined - values


def random_bound(
    env: MDP, model: MDP, policies: Array, values: Array, order: int
) -> np.ndarray:
    """The bound on ‖e‖∞ by the order-k loss with functions U(−1, 1), ``[B]``.

    Args:
      env: the environment.
      model: the model.
      policies: ``[B, S, A]``.
      values: ``[B, S]``, of the policies.
      order: k.
    """
    shrunk, values = float(env.discount) ** order, np.asarray(values, np.float64)
    own, true = (np.linalg.matrix_power(chains(m, policies), order) for m in (model, env))
    at_zero = differences(env, model, policies, np.zeros_like(values), order)[-1]
    loss = (at_zero**2).sum(-1) + shrunk**2 / 3 * ((own - true) ** 2).sum((-1, -2))
    return np.asarray(np.sqrt((1 + 3 * (values**2).sum(-1)) * loss) / (1 - shrunk))


class Measured(NamedTuple):
    """A group of models on the policies that all pages use.

    Attributes:
      proper: ``[M, N]``, ℓ_∞ by model and policy.
      value: ``[M, N]``, ℓ_V likewise.
      brackets: of each model, on a few of the policies.
    """

    proper: np.ndarray
    value: np.ndarray
    brackets: list[Bracket]


def measured(models: Sequence[MDP], asked: yardstick.Yardstick, few: int) -> Measured:
    """Measure a group of models.

    Args:
      models: the models.
      asked: the policies.
      few: how many of them get brackets.
    """
    policies, values = asked.policies[:few], asked.values[:few]
    return Measured(
        np.array([yardstick.proper_loss(model, asked) for model in models]),
        np.array([yardstick.value_error(model, asked) for model in models]),
        [bracket(model, policies, values) for model in models],
    )


def errors_table(found: Mapping[str, Measured]) -> str:
    """Losses of groups of models and how far they are apart, a table in Markdown.

    Args:
      found: by name of the group. A loss is the mean over policies, in the median over
        models, as everywhere in the book; the median policy is one over both.
    """
    header = [
        "models", "$\\ell_\\infty$", "$\\ell_{\\text V}$",
        "$\\ell_{\\text V}$, median policy",
        "$\\lVert e \\rVert_2 / \\lVert \\rho_1 \\rVert_2$, median", "most",
        "bound, median",
    ]  # fmt: skip
    rows = []
    for name, one in found.items():
        _, ratio, upper = np.concatenate(one.brackets, -1)
        rows.append(
            [
                name,
                digits(float(np.median(one.proper.mean(-1))), 2),
                digits(float(np.median(one.value.mean(-1)))),
                digits(float(np.median(one.value)), 2),
                f"{np.median(ratio):.1f}",
                f"{ratio.max():.1f}",
                f"{np.median(upper):.0f}",
            ]
        )
    return table(header, rows, align="l" + "r" * 6)


ORDERS = (1, 30, 300)  # of the losses in the table of bounds


def bounds_table(
    env: MDP, models: Mapping[str, MDP], policies: Array, values: Array
) -> str:
    """Errors of values beside all bounds, a table in Markdown.

    Args:
      env: the environment.
      models: by name.
      policies: ``[B, S, A]``.
      values: ``[B, S]``, of the policies.

    Returns:
      Medians over policies.

    Raises:
      ArithmeticError: an error is larger than a bound.
    """
    header = [
        "trained at", "largest error of a value",
        *(f"bound by $\\ell_{{{k}}}$" for k in ORDERS), "by the residual $\\rho_1$",
    ]  # fmt: skip
    rows = []
    for name, model in models.items():
        error, residual = _error_and_residual(model, policies, values)
        largest = np.abs(error).max(-1)
        bounds = [random_bound(env, model, policies, values, k) for k in ORDERS]
        bounds.append(np.abs(residual).max(-1) / (1 - float(env.discount)))
        if any((largest > bound * (1 + 1e-6) + 1e-9).any() for bound in bounds):
            raise ArithmeticError(f"a value of {name} errs more than a bound allows")
        medians = [float(np.median(x)) for x in (largest, *bounds)]
        rows.append([name, *(digits(x) for x in medians)])
    return table(header, rows, align="l" + "r" * 5)


class Course(NamedTuple):
    """A run of the diameter experiment, step by step.

    Attributes:
      step: ``[K]``.
      proper: ``[K]``, ℓ_∞.
      value: ``[K]``, ℓ_V.
    """

    step: np.ndarray
    proper: np.ndarray
    value: np.ndarray


def course(
    folder: str | Path, run: int, steps: Sequence[int], asked: yardstick.Yardstick
) -> Course:
    """Both losses of a run of order ∞ at some of its snapshots.

    Args:
      folder: the data folder.
      run: which run.
      steps: of the snapshots.
      asked: the policies; means over them.
    """
    rows = []
    for step in steps:
        model = load_model(folder, "diameter", order=np.inf, run=run, step=int(step))
        losses = yardstick.proper_loss(model, asked), yardstick.value_error(model, asked)
        rows.append((int(step), *(float(x.mean()) for x in losses)))
    return Course(*np.array(rows).T)
