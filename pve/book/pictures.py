"""The live pictures of the chapters: the numbers they start from, and how they stand still.

Each is a function that asks the library for the numbers and returns a
`pve.book.live.Live`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon, Rectangle

from pve.book.live import Live
from pve.checks import Array
from pve.equivalence.simplex import CORNERS, allowed, share
from pve.figures import style
from pve.mdp.bellman import bellman
from pve.mdp.core import MDP
from pve.mdp.planning import policy_value
from pve.worlds.gridworld import GridWorld

# The policies' colours, in their order; as in book/_static/custom.css.
INKS = ("#0072b2", "#b84a00", "#00795a", "#8f4a8c")


def simplex_picture(
    world: MDP,
    policies: Array,
    state: int,
    action: int,
    *,
    shown: int = 2,
    epsilon: float = 0.15,
    most: float = 0.6,
) -> Live:
    """The triangle of next-state distributions, and the strips that policies leave of it.

    Args:
      world: of three states.
      policies: ``[N, 3, A]``, deterministic, N at most four; all take the action in the
        state.
      state: the state s of the pair.
      action: the action a of the pair.
      shown: how many of the policies count at first.
      epsilon: the residual allowed at first.
      most: the largest ε of the slider.

    Raises:
      ValueError: the world does not have three states, a policy takes another action, or
        there are too many policies.
    """
    policies = np.asarray(policies, np.float64)
    if world.num_states != 3 or len(policies) > len(INKS):
        raise ValueError(
            f"there are {world.num_states} states and {len(policies)} policies; expected "
            f"3 and at most {len(INKS)}"
        )
    if (policies[:, state, action] != 1).any():
        raise ValueError(f"a policy does not take action {action} in state {state}")
    values = policy_value(world, policies)
    row = np.asarray(world.transition)[state, action]
    corners = allowed(row, values[:shown], world.discount, epsilon)
    figure, ax = style.new_figure(figsize=(4.4, 3.9))
    _draw_simplex(row, values[:shown], corners, ax)
    ax.set_title(
        f"{shown} policies, ε = {epsilon:g}: {share(corners):.0%} of the triangle is left"
    )
    return Live(
        "simplex",
        {
            "transition": row.tolist(),
            "values": values.tolist(),
            "discount": float(world.discount),
            "model": _far_member(row, corners).tolist(),
            "shown": shown,
            "epsilon": epsilon,
            "most": most,
        },
        figure,
        f"A triangle, its corners three next states; {shown} lines meet inside it in the "
        "world, and around them a shaded polygon is left where their strips overlap",
    )


def _far_member(row: Array, corners: Array) -> np.ndarray:
    """A distribution most of the way to the farthest corner of a polygon."""
    far = corners[np.abs(corners - row).sum(-1).argmax()]
    return row + 0.7 * (far - row)


def _draw_simplex(row: Array, values: Array, corners: Array, ax: Axes) -> None:
    ax.add_patch(Polygon(CORNERS, closed=True, fill=False, ec=style.BLACK, lw=1.2))
    ax.add_patch(Polygon(corners @ CORNERS, fc="#00000022", ec=style.BLACK, lw=1.2))
    for each, ink in zip(values, INKS, strict=False):
        ends = allowed(row, each, 1.0, 0.0) @ CORNERS
        ax.plot(*ends.T, color=ink, lw=1.8)
    x, y = row @ CORNERS
    ax.plot(x, y, "o", ms=8, color=style.BLACK, zorder=5)
    ax.text(x + 0.03, y + 0.03, "world", va="bottom")
    for number, (x, y), shift in zip(
        "123", CORNERS, [(-0.06, -0.03), (0.06, -0.03), (0, 0.07)], strict=True
    ):
        place = x + shift[0], y + shift[1]
        ax.text(*place, f"state {number}", ha="center", va="center")
    ax.set(xlim=(-0.18, 1.18), ylim=(-0.08, 0.98), aspect="equal")
    ax.axis("off")


def residuals_picture(
    world: GridWorld,
    policy: Array,
    models: Mapping[str, MDP],
    *,
    start: int,
    goal: int,
    steps: int = 100,
    step: int = 24,
) -> Live:
    """A walker in a model whose residuals add up to the error of a value.

    Args:
      world: cells around a window, in which the sum is drawn.
      policy: ``[S, A]``.
      models: by name; the first is shown at first.
      start: the state where the walk begins.
      goal: the state marked G.
      steps: how many are walked.
      step: how many at first.
    """
    value = policy_value(world.mdp, policy)
    given = {name: _walk_in(model, policy, value) for name, model in models.items()}
    epsilon = max(np.abs(each["residual"]).max() for each in given.values())
    discount = float(world.mdp.discount)
    figure, ax = style.new_figure(figsize=(5.4, 3.8))
    _draw_track(world, next(iter(given.values()))["residual"] / epsilon, start, goal, ax)
    inner = ax.inset_axes((0.22, 0.29, 0.63, 0.54))
    for (name, model), dashes in zip(models.items(), ("-", "--", ":", "-."), strict=False):
        met = sums(model, policy, value, steps)[:, start]
        inner.plot(met, dashes, color=style.BLACK, label=name)
    inner.set(xlabel="steps walked", ylabel="sum of residuals")
    inner.legend(fontsize=8)
    return Live(
        "residuals",
        {
            "cells": (world.xy - world.xy.min(0)).tolist(),
            "goal": goal,
            "models": {
                name: {key: part if key == "chain" else part.tolist()
                       for key, part in each.items()}
                for name, each in given.items()
            },
            "discount": discount,
            "epsilon": float(epsilon),
            "steps": steps,
            "step": step,
            "start": start,
            "shown": next(iter(models)),
        },
        figure,
        "A track of cells, each with the sign of its residual, and inside it the "
        "discounted sum of the residuals that a walker meets, against time, for each model",
    )  # fmt: skip


def sums(model: MDP, policy: Array, value: Array, steps: int) -> np.ndarray:
    """The discounted residuals that a walk meets, summed up to each step.

    After t steps that is the error of t steps in the model followed by the true value.

    Args:
      model: the model walked in.
      policy: ``[S, A]``.
      value: ``[S]``, the policy's true value.
      steps: T.

    Returns:
      ``[T + 1, S]``, by the state where the walk begins.
    """
    reached = [np.asarray(value, np.float64)]
    for _ in range(steps):
        reached.append(np.asarray(bellman(model, policy, reached[-1])))
    return np.array(reached) - value


def _walk_in(model: MDP, policy: Array, value: Array) -> dict[str, Any]:
    """What a walk needs: where each cell leads, its residual, the error of its value."""
    chain = np.einsum("sa,sat->st", policy, np.asarray(model.transition, np.float64))
    return {
        "chain": [
            [[int(to), float(row[to])] for to in np.flatnonzero(row)] for row in chain
        ],
        "residual": np.asarray(bellman(model, policy, value)) - value,
        "error": policy_value(model, policy) - value,
    }


def _draw_track(world: GridWorld, size: Array, start: int, goal: int, ax: Axes) -> None:
    for each, (x, y) in zip(size, world.xy, strict=True):
        ink = INKS[1] if each > 0 else INKS[0]
        ax.add_patch(
            Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fc=ink, alpha=0.1 + 0.3 * abs(each))
        )
        ax.text(x, y - 0.1, "+" if each > 0 else "−", ha="center", va="center")
    x, y = world.xy[start]
    ax.add_patch(Rectangle((x - 0.46, y - 0.46), 0.92, 0.92, fill=False, lw=1.8))
    x, y = world.xy[goal]
    ax.text(x, y + 0.32, "goal", ha="center", va="center", fontsize=8)
    (left, top), (right, bottom) = world.xy.min(0), world.xy.max(0)
    ax.set(xlim=(left - 0.6, right + 0.6), ylim=(bottom + 0.6, top - 0.6), aspect="equal")
    ax.axis("off")


def bowl_picture(
    bowls: Mapping[str, Array],
    ways: tuple[str, str],
    *,
    start: tuple[float, float] = (0.5, 0.4),
    rate: float = 0.01,
    steps: int = 1000,
) -> Live:
    """Losses over mixtures of the world with two wrong models, and who finds the bottom.

    Args:
      bowls: by name ``[2, 2]``, Q of the loss w·Q w; two are drawn side by side.
      ways: the names of the two models that w mixes into the world.
      start: w at first; both positive, their sum below one.
      rate: of Adam on the mixture's three logits.
      steps: of Adam.
    """
    given = {name: np.asarray(bowl, np.float64) for name, bowl in bowls.items()}
    figure, axes = style.new_figure(1, len(given), figsize=(6.8, 3.6), sharey=True)
    for ax, (name, bowl) in zip(np.ravel(axes), given.items(), strict=True):
        _draw_bowl(bowl, adam_path(bowl, start, rate, steps), ways, ax)
        ax.set_title(name)
    return Live(
        "bowl",
        {
            "bowls": {name: bowl.tolist() for name, bowl in given.items()},
            "ways": list(ways),
            "start": list(start),
            "rate": rate,
            "steps": steps,
            "step": steps,
            "every": steps // 10,
        },
        figure,
        "Contours of losses over mixtures of the world with two wrong models, each with "
        "the path of Adam and the straight step of Newton to the world: "
        + ", ".join(given),
    )


def adam_path(bowl: Array, start: Array, rate: float, steps: int) -> np.ndarray:
    """Adam on the logits of a mixture (1 − w₁ − w₂, w₁, w₂) with the loss w·Q w.

    Args:
      bowl: ``[2, 2]``, Q.
      start: ``[2]``, w at first.
      rate: the learning rate.
      steps: how many.

    Returns:
      ``[steps + 1, 2]``, w on the way.
    """
    logits = np.log(np.append(1 - np.sum(start), start))
    mean, square = np.zeros((2, 3))
    path = []
    for t in range(1, steps + 2):
        w = np.exp(logits - logits.max())
        w /= w.sum()
        path.append(w[1:])
        slope = np.append(0, 2 * np.asarray(bowl) @ w[1:])
        gradient = w * (slope - w @ slope)
        mean = 0.9 * mean + 0.1 * gradient
        square = 0.999 * square + 0.001 * gradient**2
        step = mean / (1 - 0.9**t) / (np.sqrt(square / (1 - 0.999**t)) + 1e-8)
        logits = logits - rate * step
    return np.array(path)


def _draw_bowl(bowl: np.ndarray, path: Array, ways: tuple[str, str], ax: Axes) -> None:
    x, y = np.meshgrid(*2 * [np.linspace(0, 1, 201)])
    loss = bowl[0, 0] * x**2 + 2 * bowl[0, 1] * x * y + bowl[1, 1] * y**2
    loss = np.where(x + y <= 1.0001, np.maximum(loss, 1e-12), np.nan)
    ax.contour(
        x, y, loss, 10.0 ** np.arange(-7, 1.1, 0.5), colors=style.GREY, linewidths=0.6
    )
    ax.add_patch(Polygon([(0, 0), (1, 0), (0, 1)], fill=False, ec=style.BLACK, lw=1.2))
    ax.plot([path[0, 0], 0], [path[0, 1], 0], "--", color=INKS[0], label="Newton")
    ax.plot(*path.T, color=INKS[1], label="Adam")
    ax.plot(*path[-1], "o", color=INKS[1])
    ax.plot(0, 0, "o", color=INKS[0], clip_on=False)
    ax.plot(*path[0], "o", color=style.BLACK)
    ax.set(xlabel=f"share of {ways[0]}", ylabel=f"share of {ways[1]}", aspect="equal")
    ax.legend(loc="upper right")
