"""One model on the map: what it imagines, and how far from the world that is."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pve.figures import drawing, style, themes
from pve.figures.captions import sign
from pve.keys import stream
from pve.mdp.core import MDP
from pve.mdp.planning import policy_iteration
from pve.mdp.simulation import optimal_action_share, trajectories
from pve.worlds.gridworld import ACTION_NAMES, GridWorld
from pve.worlds.places import Place

NUM_TRAJECTORIES, TRAJECTORY_LENGTH = 5_000, 30
VALUE_COLORS = (*style.MODE_COLORS.values(), "#009E73", style.BLACK)


@style.in_style()
def imagined(world: GridWorld, model: MDP, seed: int, source: str) -> Figure:
    """Trajectories of each one's optimal policy, in the environment and in a model.

    Args:
      world: the grid world.
      model: a model of it.
      seed: of the sampling.
      source: what the figure says of the model.
    """
    figure, axes = style.new_figure(1, 2, figsize=(7.2, 3.6))
    start = corner(world)
    for ax, mdp, name in zip(
        axes, (world.mdp, model), ("in the environment", "in the model"), strict=True
    ):
        _, policy = policy_iteration(mdp)
        states = trajectories(
            stream(seed, "figures", "trajectories", name),
            mdp, policy, start, NUM_TRAJECTORIES, TRAJECTORY_LENGTH,
        )  # fmt: skip
        lines = drawing.draw_trajectories(world.xy[states], world.walls, ax)
        ax.set_title(f"{name}")
        ax.plot(*world.xy[start], "o", color="#D55E00", ms=6, zorder=5)
    figure.colorbar(lines, ax=list(axes), label="moves made", shrink=0.85, pad=0.01)
    share = optimal_action_share(model, world.mdp)
    return sign(
        figure,
        f"{NUM_TRAJECTORIES:,} trajectories of {TRAJECTORY_LENGTH} moves from the dot; "
        f"the model's greedy action is optimal in {share:.0%} of states\n{source}",
    )


def corner(world: GridWorld) -> int:
    """The state at the bottom left, where the trajectories start."""
    low = world.xy[:, 1] == world.xy[:, 1].max()
    return int(np.flatnonzero(low)[0])


@style.in_style()
def transitions(world: GridWorld, model: MDP, source: str) -> Figure:
    """How far a model's transitions are from the environment's, and how far they lead.

    Args:
      world: the grid world.
      model: a model of it.
      source: what the figure says of the model.
    """
    figure, axes = style.new_figure(
        1, 2, figsize=(7.2, 3.4), gridspec_kw={"width_ratios": (1, 1.15)}
    )
    apart = total_variation(model, world.mdp)
    axes[0].set_title("total variation, mean over actions")
    drawing.draw_map(
        world.image(apart.mean(-1)), world.walls, axes[0], label="", cmap="magma",
        limits=(0, 1),
    )  # fmt: skip
    moved = np.abs(world.xy[:, None] - world.xy).sum(-1)
    lengths = np.arange(moved.max() + 1)
    for mdp, name, color in (
        (world.mdp, "environment", style.BLACK),
        (model, "model", style.order_color(math.inf)),
    ):
        mass = np.asarray(mdp.transition).mean(1)
        shares = np.array([(mass * (moved == n)).sum(-1).mean() for n in lengths])
        # Only the lengths that occur, so that the logarithm has something to draw.
        axes[1].plot(
            lengths[shares > 0], shares[shares > 0], "o-", ms=4, color=color, label=name
        )
    axes[1].set(
        xlabel="cells moved (columns + rows)", ylabel="share of transitions", yscale="log"
    )
    axes[1].set_ylim(1e-4, 1.5)
    axes[1].legend()
    return sign(figure, source)


@style.in_style()
def plan_on_map(place: Place, value: np.ndarray, plan: np.ndarray) -> Figure:
    """A value in colour and a plan in arrows; stars are goals, crosses other ends.

    Args:
      place: a world with a map.
      value: ``[S]``.
      plan: ``[S, A]``, a policy.
    """
    assert place.xy is not None
    assert place.walls is not None
    picture, cells = np.full(place.walls.shape, np.nan), len(place.xy)
    picture[place.xy[:, 1], place.xy[:, 0]] = value[:cells]
    figure, ax = style.new_figure(1, 1, figsize=(5.2, 4))
    drawing.draw_map(picture, place.walls, ax, label="$v_*$")
    stay = place.mdp.transition[range(cells), :, range(cells)]
    moving = (stay < 1).any(-1)
    goal = np.isin(np.arange(cells), place.goals)
    look = {"mfc": themes.CHALK, "mec": themes.COAL, "mew": 0.8}
    ax.plot(*place.xy[goal].T, "*", ms=13, **look)
    ax.plot(*place.xy[~goal & ~moving].T, "X", ms=9, **look)
    moving &= ~goal
    actions = plan[:cells, list(place.moves)]
    if moving.any():
        drawing.draw_arrows(actions[moving], place.xy[moving], ax)
    return figure


def total_variation(model: MDP, env: MDP) -> np.ndarray:
    """Total variation distance of two MDPs' next states, ``[S, A]``, in [0, 1]."""
    return np.abs(np.asarray(model.transition) - np.asarray(env.transition)).sum(-1) / 2


@style.in_style()
def next_states(
    world: GridWorld, model: MDP, state: int, action: int, source: str
) -> Figure:
    """Where one action leads from one state, in the environment and in a model.

    Args:
      world: the grid world.
      model: a model of it.
      state: the state.
      action: the action.
      source: what the figure says of the model.
    """
    figure, axes = style.new_figure(1, 2, figsize=(7.2, 3.5))
    for ax, mdp, name in zip(
        axes, (world.mdp, model), ("in the environment", "in the model"), strict=True
    ):
        image = world.image(np.asarray(mdp.transition)[state, action])
        drawing.draw_map(
            image, world.walls, ax, cmap="Blues", limits=(1e-4, 1), logarithmic=True
        )
        ax.plot(*world.xy[state], "o", mfc="none", mec=style.order_color(math.inf), mew=2)
        ax.set_title(f"{ACTION_NAMES[action]} from the circle, {name}")
    figure.colorbar(
        axes[0].images[0], ax=list(axes), label="probability of the next state",
        shrink=0.85, pad=0.01,
    )  # fmt: skip
    return sign(figure, source)


@style.in_style()
def values_compared(groups: list[dict[str, tuple[Any, Any]]], source: str) -> Figure:
    """Values of policies in a model against those in the environment.

    Args:
      groups: for each panel its sets of policies by name: their true values and those
        in the model, ``[policies, S]`` each.
      source: what the figure says of the model.
    """
    figure, axes = style.new_figure(1, len(groups), figsize=(7.2, 4.1), squeeze=False)
    colors = list(VALUE_COLORS)
    for ax, group in zip(axes[0], groups, strict=True):
        for name, (true, model) in group.items():
            color = colors.pop(0)
            drawing.draw_agreement(true, model, ax, color=color, label=name)
        drawing.draw_diagonal(ax)
        ax.set(xlabel="value in the environment", ylabel="value in the model")
        ax.legend(
            loc="lower center", bbox_to_anchor=(0.5, 1), markerscale=4, handletextpad=0.1
        )
    return sign(figure, source)
