"""What the page on the relatives of value equivalence computes, draws and tabulates."""

from __future__ import annotations

import dataclasses
import itertools
from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
from matplotlib.figure import Figure
from scipy import stats

from pve.book.text import table
from pve.checks import Array
from pve.equivalence.calibration import SampledLoss, sampled_loss
from pve.equivalence.transfer import transfer
from pve.equivalence.value_aware import two_state_model
from pve.figures import narrow, style
from pve.mdp.bellman import bellman_optimality
from pve.mdp.core import MDP
from pve.mdp.planning import (
    greedy_policy,
    performance,
    policy_iteration,
    policy_value,
)
from pve.mdp.returns import Law, plan_for_cvar, return_law

BLUE, ORANGE = "#0072B2", "#D55E00"
SHORE, STORM, USUAL, CALM, BRIDGE = range(5)
STATES = ("shore", "storm", "usual", "calm", "bridge")
ACTIONS = ("bridge", "ferry")
ZERO = 1e-9  # what is smaller is shown as nothing
HORIZON = 4  # moves over which laws of returns are compared: two crossings

# Demands by what the table calls them: place and words in the picture of what implies what.
NODES = {
    "rewards, next states": (4.6, 4.0, "rewards and next states"),
    "laws of all returns": (1.6, 3.0, "laws of all returns\n(distributional)"),
    "backups of all values": (7.6, 3.0, "one backup of all values\n(order 1, value-aware)"),
    "all policies' values": (4.2, 2.0, "values of all policies\n(proper)"),
    "one function, $v_*$": (8.4, 1.5, "the backup of $v_*$\n(iterated)"),
    "the acting policy's value": (2.2, 1.0, "value of the acting policy\n(unrolled)"),
    "plan for the mean loses": (6.4, 0.2, "plan for the mean"),
    "plan for the worst quarter loses": (-1.6, 0.2, "plan for the worst share"),
    "sampled loss": (9.4, 4.0, "least sampled loss"),
}
# What implies what, and a model of the page that shows that the converse is false.
ARROWS = {
    ("rewards, next states", "laws of all returns"): "",
    ("rewards, next states", "backups of all values"): "usual",
    ("laws of all returns", "all policies' values"): "usual",
    ("laws of all returns", "plan for the worst quarter loses"): "lazy",
    ("backups of all values", "all policies' values"): "",
    ("backups of all values", "one function, $v_*$"): "two-state",
    ("all policies' values", "the acting policy's value"): "deaf",
    ("all policies' values", "plan for the mean loses"): "lazy",
    ("one function, $v_*$", "plan for the mean loses"): "lazy",
}


def crossing(*, certain: bool = False, again: bool = True, toll: float = 0.2) -> MDP:
    """A river, to be crossed by the bridge or by the ferry.

    The bridge pays 1 − toll. The ferry pays 0 in a storm and 2 when it is calm, half and
    half. A usual day pays 1; the world has none.

    Args:
      certain: whether the ferry always meets the usual day: the model, not the world.
      again: whether each crossing ends back on the shore; else everything ends after it.
      toll: of the bridge.

    Returns:
      The MDP, γ = 0.9, of 5 states, or of 6 with the end.
    """
    states = 5 if again else 6
    after = SHORE if again else states - 1
    transition = np.zeros((states, 2, states))
    transition[1:, :, after] = 1
    transition[SHORE, 0, BRIDGE] = 1
    if certain:
        transition[SHORE, 1, USUAL] = 1
    else:
        transition[SHORE, 1, [STORM, CALM]] = 0.5
    pays = np.zeros(states)
    pays[[USUAL, CALM, BRIDGE]] = 1, 2, 1 - toll
    names = STATES if again else (*STATES, "end")
    return MDP(
        np.repeat(pays[:, None], 2, 1),
        transition,
        0.9,
        state_names=names,
        action_names=ACTIONS,
    )


class Iterations(NamedTuple):
    """Value iteration with a new two-state model at every step.

    Attributes:
      step: ``[I]``, how many backups.
      stands: ``[I]``, the mean of the function v_i.
      greedy: ``[I]``, what the policy that is greedy for it is worth.
      planned: ``[I]``, what the plan to the end in the model made for v_i is worth.
      promised: ``[I]``, what that model takes the plan to be worth.
      apart: ``[I]``, the largest difference from v_i of value iteration in the world.
    """

    step: np.ndarray
    stands: np.ndarray
    greedy: np.ndarray
    planned: np.ndarray
    promised: np.ndarray
    apart: np.ndarray


def iterations(env: MDP, last: int) -> Iterations:
    """Iterate values by two-state models, and plan to the end in each of them.

    Args:
      env: the environment.
      last: the number of backups, ≥ 1.

    Returns:
      A row for each number of backups from 1 on.
    """
    value, true, rows = np.zeros(env.num_states), np.zeros(env.num_states), []
    for step in range(1, last + 1):
        value = bellman_optimality(two_state_model(env, value), value)
        true = bellman_optimality(env, true)
        model = two_state_model(env, value)
        worth = policy_value(env, greedy_policy(env, value)).mean()
        rows.append(
            (
                step,
                value.mean(),
                worth,
                performance(model, env),
                policy_iteration(model)[0].mean(),
                np.abs(value - true).max(),
            )
        )
    return Iterations(*np.array(rows).T)


def draw_iterations(found: Iterations, optimum: float) -> Figure:
    """Draw how far one can plan in a model that is right for one function."""
    fig, ax = style.new_figure(figsize=(6.4, 3.4))
    ax.axhline(optimum, color=style.BLACK, lw=1, ls="--")
    ax.plot(found.step, found.greedy, color=style.BLACK, label="greedy for $v_i$")
    ax.plot(
        found.step, found.planned, "o", ms=3, color=ORANGE, label="planned in the model"
    )
    ax.plot(found.step, found.promised, color=ORANGE, lw=1, label="what the model promises")
    ax.plot(found.step, found.stands, color=BLUE, label="mean of $v_i$")
    ax.set(xlabel="backups $i$", ylabel="mean value", ylim=(0, None))
    ax.legend(loc="upper right", bbox_to_anchor=(1, 0.92), ncols=2, fontsize=9)
    return fig


def tolerances(
    sets: Mapping[str, Array],
    target: Array,
    counts: Array,
    epsilons: Array,
    discount: float,
) -> dict[str, np.ndarray]:
    """What a tolerance on the first n functions of a set is worth on another function.

    Args:
      sets: functions ``[B, S]`` by the set's name.
      target: ``[S]``, the other function.
      counts: ``[N]``, n; those above a set's size are left out (NaN).
      epsilons: ``[E]``, the tolerances.
      discount: γ.

    Returns:
      By the set's name ``[E, N]``.
    """
    return {
        name: np.array(
            [
                [
                    transfer(values[:n], target, float(epsilon), discount).tolerance
                    if n <= len(values)
                    else np.nan
                    for n in counts
                ]
                for epsilon in epsilons
            ]
        )
        for name, values in sets.items()
    }


def draw_tolerances(
    found: Mapping[str, np.ndarray], counts: Array, epsilons: Array, trivial: float
) -> Figure:
    """Draw what `tolerances` gives against the number of functions."""
    fig, ax = style.new_figure(figsize=(6.4, 3.6))
    ax.axhline(trivial, color=style.BLACK, lw=1, ls="--")
    dashes = ("-", "--", ":")
    for (name, bounds), color in zip(found.items(), (BLUE, ORANGE), strict=True):
        for bound, dash, epsilon in zip(bounds, dashes, epsilons, strict=False):
            ax.loglog(
                counts, bound, dash, color=color, marker="o", ms=3,
                label=f"{name}, ε = {epsilon:g}",
            )  # fmt: skip
    ax.set(xlabel="functions on which the model is within ε", ylabel="tolerance on $v_*$")
    ax.set_xticks(counts, [f"{n:g}" for n in counts])
    ax.set_yticks((1, 2, 5, 10, 20), ("1", "2", "5", "10", "20"))
    ax.minorticks_off()
    ax.legend(loc="lower left", fontsize=8)
    return fig


class Departures(NamedTuple):
    """Policies that depart from the acting one in a share of the states.

    Attributes:
      share: ``[N]``.
      world: ``[N, B]``, the mean values of policies in the world.
      model: ``[N, B]``, those in the model.
    """

    share: np.ndarray
    world: np.ndarray
    model: np.ndarray


def departures(
    env: MDP, model: MDP, acting: Array, shares: Array, num: int, seed: int
) -> Departures:
    """Evaluate policies ever farther from the acting one, in the world and in a model.

    Args:
      env: the environment.
      model: the model.
      acting: ``[S, A]``, deterministic.
      shares: ``[N]``, of the states in which another action is drawn.
      num: how many policies for each share, B.
      seed: of the draws.
    """
    rng = np.random.default_rng(seed)
    own = np.asarray(acting).argmax(-1)
    shares = np.asarray(shares, np.float64)
    eye, found = np.eye(env.num_actions), []
    for share in shares:
        departs = rng.random((num, env.num_states)) < share
        other = (own + rng.integers(1, env.num_actions, departs.shape)) % env.num_actions
        policies = eye[np.where(departs, other, own)]
        found.append([policy_value(each, policies).mean(-1) for each in (env, model)])
    world, imagined = np.array(found).swapaxes(0, 1)
    return Departures(shares, world, imagined)


def draw_departures(found: Departures) -> Figure:
    """Draw what policies are worth, and what the model makes of them."""
    fig, ax = style.new_figure(figsize=(6.4, 3.2))
    named = (("in the world", found.world, BLUE), ("in the model", found.model, ORANGE))
    for label, values, color in named:
        ax.plot(found.share, values, ".", ms=4, color=color, alpha=0.4)
        ax.plot(found.share, values.mean(-1), color=color, label=label)
    ax.set(
        xlabel="share of the states in which the policy departs from the acting one",
        ylabel="mean value",
        ylim=(0, None),
    )
    ax.legend(loc="center right", fontsize=9)
    return fig


def draw_calibration(
    chance: float,
    believed: Array,
    drawn: Array,
    corrected: Array,
    parts: Mapping[str, SampledLoss],
) -> Figure:
    """Draw the sampled loss on two states, and its parts on a larger world.

    Args:
      chance: p, the world's probability of the state that is worth 1.
      believed: ``[N]``, the model's probabilities q at which losses were drawn.
      drawn: ``[N]``, averages of the sampled loss there.
      corrected: ``[N]``, averages of the corrected one.
      parts: on the larger world, by the model's name.
    """
    fig, (ax, bars) = style.new_figure(1, 2, figsize=(7.4, 3.6))
    q = np.linspace(0, 1, 101)
    ax.axvline(chance, color=style.GREY, lw=0.8, ls=":")
    ax.plot(q, chance + q - 2 * chance * q, color=ORANGE, label="sampled")
    ax.plot(q, (q - chance) ** 2 + chance * (1 - chance), color=BLUE, label="corrected")
    ax.plot(believed, drawn, "o", ms=4, color=ORANGE)
    ax.plot(believed, corrected, "o", ms=4, color=BLUE)
    ax.set(xlabel="the model's probability $q$", ylabel="loss", title="two states")
    ax.legend(fontsize=9)
    pieces = (("bias", style.BLACK), ("model", ORANGE), ("world", "#c9c9c9"))
    labels = {"bias": "bias²", "model": "model's variance", "world": "world's variance"}
    for place, loss in enumerate(parts.values()):
        bottom = 0.0
        for piece, color in reversed(pieces):
            height = getattr(loss, piece)
            label = labels[piece] if place == 0 else None
            bars.bar(place, height, 0.6, bottom=bottom, color=color, label=label)
            bottom += height
    bars.set_xticks(range(len(parts)), list(parts), fontsize=9)
    bars.set(title="Four Rooms", ylabel="sampled loss")
    bars.set_ylim(0, 1.15 * max(loss.total for loss in parts.values()))
    bars.legend(fontsize=8)
    return fig


def calibration_table(
    models: Mapping[str, MDP], env: MDP, policies: Array, values: Array
) -> str:
    """What the two losses say of models, and what the models are good for.

    Args:
      models: by what they are called.
      env: the environment.
      policies: ``[B, S, A]``.
      values: ``[B, S]``, the policies' values.
    """
    rows = []
    for name, model in models.items():
        loss = sampled_loss(model, env, policies, values)
        off = np.sqrt(np.mean((policy_value(model, policies) - values) ** 2))
        staying = np.einsum("sas->sa", np.asarray(model.transition)).mean()
        rows.append(
            [
                name,
                f"{loss.total:.2f}",
                f"{loss.corrected:.2f}",
                f"{off:.2f}",
                f"{performance(model, env):.1f}",
                f"{100 * staying:.0f} %",
            ]
        )
    header = ["model", "sampled", "corrected", "error", "worth", "stays"]
    return table(header, rows, align="lrrrrr")


def draw_risk(laws: Mapping[str, Law], model_law: Law) -> Figure:
    """Draw the returns of two plans, and what their worst share is worth.

    Args:
      laws: the laws in the world, of the bridge and of the ferry, by their names.
      model_law: the ferry's in the model.
    """
    fig, (ax, worst) = style.new_figure(1, 2, figsize=(7.4, 3.4))
    share = np.linspace(0.01, 1, 200)
    colors = dict(zip(laws, (BLUE, ORANGE), strict=True))
    drawn = [(name, law, colors[name], "-") for name, law in laws.items()]
    drawn.append(("ferry, in the model", model_law, ORANGE, "--"))
    for place, (name, law, color, dash) in enumerate(drawn):
        at = law.returns + 0.03 * (place - 1)
        ax.vlines(at, 0, law.chances, color=color, ls=dash, lw=2)
        ax.plot(
            at, law.chances, "o", ms=5, color=color, mfc="none" if dash == "--" else color
        )
        cvar = [law.cvar(alpha) for alpha in share]
        worst.plot(share, cvar, dash, color=color, label=name)
    ax.set(xlabel="return", ylabel="probability", ylim=(0, 1.1), title="laws of the return")
    worst.set(
        xlabel="share α of the worst outcomes",
        ylabel="their mean, CVaR",
        title="what one fears",
    )
    worst.legend(fontsize=9, loc="center left", bbox_to_anchor=(0, 0.4))
    return fig


def risk_table(world: MDP, model: MDP, moves: int, shares: Array) -> str:
    """The plans that the model makes for each share of the worst outcomes, and their price.

    Args:
      world: plans are carried out here, from state 0.
      model: plans are made here.
      moves: how many rewards are counted.
      shares: α of each row.
    """
    rows = []
    names = world.action_names or tuple(map(str, range(world.num_actions)))
    for share in shares:
        best, right = plan_for_cvar(world, SHORE, moves, share)
        promised, plan = plan_for_cvar(model, SHORE, moves, share)
        earned = return_law(world, plan, SHORE, moves).cvar(share)
        rows.append(
            [
                f"{share:g}",
                names[right[SHORE].argmax()],
                f"{best:.2f}",
                names[plan[SHORE].argmax()],
                f"{promised:.2f}",
                f"{earned:.2f}",
            ]
        )
    header = ["α", "best plan", "worth", "model's plan", "promised", "worth"]
    return table(header, rows, align="rlrlrr")


def demands(models: Mapping[str, MDP], env: MDP, acting: Array) -> dict[str, list[float]]:
    """How far models are from what each relative of value equivalence demands.

    Args:
      models: of a small world, by what they are called.
      env: the world; after two moves a crossing has paid.
      acting: ``[S, A]``, the policy that collects the data.

    Returns:
      For each demand a number for each model; 0 where the model meets it. The sampled
      loss is given relative to the environment's, and can be negative.
    """
    choices = itertools.product(range(env.num_actions), repeat=env.num_states)
    policies = np.eye(env.num_actions)[list(choices)]
    values, laws = policy_value(env, policies), _laws(env, policies)
    best = policy_iteration(env)[0]
    own = policy_value(env, acting)
    least = sampled_loss(env, env, policies, values).total
    fear, _ = plan_for_cvar(env, SHORE, 2, 0.25)
    found: dict[str, list[float]] = {}

    def note(name: str, number: Any) -> None:
        found.setdefault(name, []).append(0.0 if abs(number) < ZERO else float(number))

    for model in models.values():
        _, timid = plan_for_cvar(model, SHORE, 2, 0.25)
        earned = return_law(env, timid, SHORE, 2).cvar(0.25)
        paid = np.abs(model.reward - env.reward).max()
        moved = np.abs(model.transition - env.transition).sum(-1).max() / 2
        pairs = zip(_laws(model, policies), laws, strict=True)
        note("rewards, next states", max(paid, moved))
        note("laws of all returns", max(map(_apart, pairs)))
        note("backups of all values", _backups_apart(model, env, values))
        note("all policies' values", np.abs(policy_value(model, policies) - values).max())
        note("one function, $v_*$", _backups_apart(model, env, best))
        note("the acting policy's value", np.abs(policy_value(model, acting) - own).max())
        note("sampled loss", sampled_loss(model, env, policies, values).total - least)
        note("plan for the mean loses", best.mean() - performance(model, env))
        note("plan for the worst quarter loses", fear - earned)
    return found


def _laws(mdp: MDP, policies: Array) -> list[Law]:
    states = range(mdp.num_states)
    return [return_law(mdp, policy, s, HORIZON) for policy in policies for s in states]


def _apart(laws: tuple[Law, Law]) -> float:
    (one, other) = laws
    return float(
        stats.wasserstein_distance(one.returns, other.returns, one.chances, other.chances)
    )


def _backups_apart(model: MDP, env: MDP, values: np.ndarray) -> float:
    off = model.reward - env.reward
    return float(
        np.abs(off + env.discount * (model.expect(values) - env.expect(values))).max()
    )


def demands_table(found: Mapping[str, list[float]], models: Mapping[str, MDP]) -> str:
    """What `demands` gives, a row for each demand; what is met is a tick."""
    rows = [
        [
            name,
            *(
                "✓" if number == 0 else f"{number:.2f}".replace("-", "−")
                for number in numbers
            ),
        ]
        for name, numbers in found.items()
    ]
    return table(["", *models], rows, align="l" + "r" * len(models))


def draw_map() -> Figure:
    """Draw which demand implies which, and the models that refute the converses."""
    fig, ax = style.new_figure(figsize=(6.8, 4.4))
    fig.set_gid(narrow.AS_DRAWN)
    for (one, other), model in ARROWS.items():
        start, end = (np.array(NODES[name][:2]) for name in (one, other))
        room = [12 + 6 * len(NODES[name][2].splitlines()) for name in (one, other)]
        arrow = {"arrowstyle": "-|>", "color": style.BLACK, "lw": 1.2}
        arrow |= dict(zip(("shrinkA", "shrinkB"), room, strict=True))
        ax.annotate("", end, start, arrowprops=arrow)
        if model:
            at = 0.5 * (start + end)
            ax.text(
                *at, model, ha="center", va="center", fontsize=9, style="italic",
                color=ORANGE, bbox={"fc": "white", "ec": "none", "pad": 1},
            )  # fmt: skip
    for name, (x, y, words) in NODES.items():
        alone = name == "sampled loss"
        box = {"boxstyle": "round,pad=0.35", "fc": "white", "ec": ORANGE if alone else BLUE}
        box["ls"] = "--" if alone else "-"
        ax.text(x, y, words, ha="center", va="center", fontsize=9, bbox=box)
    ax.set(xlim=(-3.4, 11), ylim=(-0.2, 4.4))
    ax.set_axis_off()
    return fig


def with_features(env: MDP, *chains: Array) -> MDP:
    """A world with features beside it that change by themselves and pay nothing.

    Args:
      env: the world.
      chains: of each feature ``[n, n]``, the probabilities of its next value.

    Returns:
      The product; the world's state is the slowest index, the last feature the fastest.
    """
    reward, transition = np.asarray(env.reward), np.asarray(env.transition)
    for chain in chains:
        chain = np.asarray(chain, np.float64)
        size = len(reward) * len(chain)
        reward = np.repeat(reward, len(chain), 0)
        transition = np.einsum("sat,xy->sxaty", transition, chain)
        transition = transition.reshape(size, env.num_actions, size)
    return dataclasses.replace(
        env, reward=reward, transition=transition, legal=None, start=None, state_names=None
    )
