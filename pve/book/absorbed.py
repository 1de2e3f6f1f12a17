"""Models under several losses, taken apart: plans, losses, which half holds the plan."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import xarray as xr

from pve.book.rivals import BLIND, LOSSES
from pve.book.text import table
from pve.checks import Array
from pve.equivalence.losses import likelihood_loss, pve_loss, ve_loss
from pve.equivalence.policies import improvement_policies, random_functions
from pve.keys import stream
from pve.mdp.core import MDP, exact
from pve.mdp.planning import performance, policy_iteration, policy_value

MEASURES = ("likelihood", "random functions", "values", "own values", "performance")
# A model is known by the loss that trained it, its rank and its run.
Key = tuple[str, int, int]


class Fresh(NamedTuple):
    """What models are measured on: policies that none was trained on.

    Attributes:
      policies: ``[N, S, A]``, along improvement paths.
      values: ``[N, S]``, their own.
      functions: ``[N, S]``, U(−1, 1).
      others: ``[N, S]``, the values in another order.
    """

    policies: np.ndarray
    values: np.ndarray
    functions: np.ndarray
    others: np.ndarray


def fresh(env: MDP, seed: int, count: int, mode: str) -> Fresh:
    """Draw what to measure on.

    Args:
      env: the environment.
      seed: of the page.
      count: how many policies, a multiple of 5.
      mode: kind of the policies.
    """
    key = stream(seed, "chapter", "baselines", "fresh")
    policies = np.asarray(improvement_policies(key, env, count // 5, 5, mode))
    values = policy_value(env, policies)
    functions = np.asarray(random_functions(key, count, env.num_states))
    others = np.random.default_rng(seed).permutation(values)
    return Fresh(policies, values, functions, others)


def measured(models: Mapping[Key, MDP], env: MDP, asked: Fresh) -> xr.DataArray:
    """All models under all four losses, and what their plans are worth.

    Args:
      models: every loss at the same ranks and runs.
      env: the environment.
      asked: what to measure on.

    Returns:
      Along ``loss_name``, ``rank``, ``run`` and ``measure``, see `MEASURES`. The
      likelihood loss is given above its least possible value.
    """
    best = float(likelihood_loss(env, env))
    ranks = sorted({rank for _, rank, _ in models})
    runs = sorted({run for *_, run in models})

    def numbers(model: MDP) -> list[float]:
        policies = asked.policies
        return [
            float(likelihood_loss(model, env)) - best,
            float(ve_loss(model, env, policies, asked.functions, 1)),
            float(ve_loss(model, env, policies, asked.others, 1)),
            float(pve_loss(model, policies, asked.values)),
            performance(model, env),
        ]

    rows = [
        [[numbers(models[loss, rank, run]) for run in runs] for rank in ranks]
        for loss in LOSSES
    ]
    return xr.DataArray(
        rows,
        {"loss_name": list(LOSSES), "rank": ranks, "run": runs, "measure": list(MEASURES)},
    )


def plans_table(performance: xr.DataArray) -> str:
    """What plans are worth by loss and rank, a table in Markdown.

    Args:
      performance: along ``loss_name``, ``rank`` and ``run``.

    Returns:
      Medians, with the lowest and the highest run in brackets.
    """
    ranks = performance["rank"].values
    rows = []
    for loss in performance.loss_name.values:
        cells = [loss]
        for rank in ranks:
            runs = performance.sel(loss_name=loss, rank=rank)
            low, middle, high = (float(x) for x in runs.quantile([0, 0.5, 1], "run"))
            cells.append(f"{middle:.1f} ({low:.1f}–{high:.1f})")
        rows.append(cells)
    header = ["trained by", *(f"rank {rank}" for rank in ranks)]
    return table(header, rows, align="l" + "r" * len(ranks))


SETTLED = 0.1  # a loss that falls by less, from shortest to longest, has settled


def study_facts(study: xr.Dataset) -> dict[str, Any]:
    """What the prose says of the shipped trainings.

    Args:
      study: as `pve.book.rivals.load` gives it.

    Returns:
      Sizes; for each blind loss the rank up to which it fell by less than `SETTLED` from
      the shortest training to the longest; and up to that rank, after the longest, the best
      of its plans and the worst of the other losses'.
    """
    worth = study.performance.isel(length=-1)
    seeing = worth.drop_sel(loss_name=list(BLIND)).min(("loss_name", "run"))
    facts: dict[str, Any] = {
        "runs": study.sizes["run"],
        "times": float(study.length[-1] / study.length[0]),
    }
    for loss, name in zip(BLIND, ("ml", "random"), strict=True):
        plans = worth.sel(loss_name=loss).max("run")
        losses = study.loss.sel(loss_name=loss).median("run")
        fell = 1 - losses.isel(length=-1) / losses.isel(length=0)
        facts[f"{name}-settled"] = _up_to(fell < SETTLED)
        below = study["rank"] <= facts[f"{name}-settled"]
        facts[f"{name}-best"] = float(plans.where(below).max())
        facts[f"{name}-others"] = float(seeing.where(below).min())
    return facts


def _up_to(holds: xr.DataArray) -> int:
    """The last rank up to which something holds without a break; 0 if it never does."""
    some = holds["rank"].values[np.cumprod(holds.values).astype(bool)]
    return int(some[-1]) if len(some) else 0


def leak(model: MDP, env: MDP) -> float:
    """The share of a model's probability that goes where no action of the world leads.

    Args:
      model: all states and actions count alike.
      env: the environment.
    """
    possible = exact(env).transition.max(1) > 0
    return float((exact(model).transition * ~possible[:, None]).sum(-1).mean())


def floor(env: MDP, weights: Array, rank: int, variance: float) -> float:
    """A lower bound on the order-1 loss of any model of a rank, with independent functions.

    Args:
      env: the environment.
      weights: ``[S, A]``, how often policies take an action.
      rank: of the model.
      variance: of the functions, σ².
    """
    p, total = exact(env).transition, 0.0
    for action in range(env.num_actions):
        weighted = np.sqrt(np.asarray(weights)[:, action, None]) * p[:, action]
        total += (np.linalg.svd(weighted, compute_uv=False)[rank:] ** 2).sum()
    return float(env.discount**2 * variance * total)


def absorbed(model: MDP, env: MDP, mean: Array) -> tuple[np.ndarray, np.ndarray]:
    """The reward error that would be best, and the actual one.

    Args:
      model: the model.
      env: the environment.
      mean: ``[S]`` or ``[S, A, S]``, the mean function.

    Returns:
      −γ δp·μ and δr, ``[S, A]`` each.
    """
    model, env = exact(model), exact(env)
    best = -env.discount * ((model.transition - env.transition) * mean).sum(-1)
    return best, model.reward - env.reward


class Halves(NamedTuple):
    """What the plans of a model are worth, and of its halves with other partners.

    Attributes:
      whole: of the model.
      transitions: of its p̃ with the environment's reward.
      reward: of its r̃ with the environment's transitions.
      informed: of its p̃ with r̃ = q* − γ p̃ v*.
    """

    whole: float
    transitions: float
    reward: float
    informed: float


def halves(model: MDP, env: MDP) -> Halves:
    """Cut a model in two and give each half a new partner.

    Args:
      model: the model.
      env: the environment.
    """
    env = exact(env)
    p = np.asarray(model.transition, np.float64)
    p = p / p.sum(-1, keepdims=True)
    best, gamma = policy_iteration(env)[0], env.discount
    knowing = env.reward + gamma * env.expect(best) - gamma * p @ best
    partners = (
        (model.reward, p), (env.reward, p), (model.reward, env.transition), (knowing, p)
    )  # fmt: skip
    return Halves(*(performance(MDP(r, q, gamma), env) for r, q in partners))


def median_halves(
    models: Mapping[Key, MDP], env: MDP, ranks: Iterable[int]
) -> dict[str, Halves]:
    """`halves` of each loss, medians over ranks and runs.

    Args:
      models: trained ones.
      env: the environment.
      ranks: which ranks count.
    """
    ranks = set(ranks)
    return {
        loss: Halves(
            *np.median(
                [halves(m, env) for (of, d, _), m in models.items()
                 if of == loss and d in ranks], 0,
            ).tolist()
        )
        for loss in LOSSES
    }  # fmt: skip


def halves_table(found: Mapping[str, Halves]) -> str:
    """A table in Markdown of `median_halves`.

    Args:
      found: by loss.
    """
    header = [
        "trained by", "as trained", "its $\\tilde p$ with the true $r$",
        "its $\\tilde r$ with the true $p$",
        "its $\\tilde p$, and $\\tilde r = q_* - \\gamma \\tilde p v_*$",
    ]  # fmt: skip
    rows = [[loss, *(f"{x:.2f}" for x in cut)] for loss, cut in found.items()]
    return table(header, rows, align="lrrrr")


def error_at_optimum(models: Sequence[MDP], env: MDP) -> float:
    """How far models' action values at v* are off: the RMS, in the median over models.

    Args:
      models: the models.
      env: the environment.
    """
    env = exact(env)
    best = policy_iteration(env)[0]
    true = env.reward + env.discount * env.expect(best)
    gaps = [
        np.asarray(m.reward) + env.discount * np.asarray(m.expect(best)) - true
        for m in models
    ]
    return float(np.median([np.sqrt((gap**2).mean()) for gap in gaps]))
