"""Value equivalent models: one of them, how many there are, and what they cannot do."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure
from mpl_toolkits.mplot3d.art3d import Poly3DCollection

from pve.equivalence import simplex
from pve.figures import drawing, style
from pve.mdp.core import MDP
from pve.mdp.planning import policy_iteration
from pve.worlds.gridworld import GridWorld

BLUE, RED = "#0072B2", "#D55E00"
SHADES = ("#56B4E9", "#009E73", "#E69F00", "#CC79A7")
FAINT = 0.02  # the probability that gets the darkest colour in a model that goes anywhere


@style.in_style()
def two_worlds(world: GridWorld, model: MDP, state: int, action: int) -> Figure:
    """Where an action leads in the world and in a model, and the plan of the model.

    Args:
      world: the grid world.
      model: a model of it that spreads the next state widely.
      state: the state, outlined.
      action: the action.
    """
    figure, axes = style.new_figure(1, 3, figsize=(7.6, 2.6))
    for ax, mdp, darkest in zip(axes, (world.mdp, model), (1, FAINT), strict=False):
        image = world.image(np.asarray(mdp.transition)[state, action])
        drawing.draw_map(image, world.walls, ax, cmap="Blues", limits=(0, darkest))
        drawing.outline_cell(world.xy[state], ax)
    value, policy = policy_iteration(model)
    drawing.draw_map(world.image(value), world.walls, axes[2])
    drawing.draw_arrows(policy, world.xy, axes[2])
    titles = ("the world's $p$", "the model's $\\tilde p$", "both plans")
    for ax, title in zip(axes, titles, strict=True):
        ax.set_title(title)
    return figure


@style.in_style()
def planes(transition: Any, functions: Any) -> Figure:
    """The planes of functions, and what they leave of the triangle of distributions.

    A panel for each number of functions: one, two, and so on.

    Args:
      transition: ``[3]``, the world's distribution of the next state.
      functions: ``[M, 3]``.
    """
    transition, functions = np.asarray(transition, float), np.asarray(functions, float)
    count = len(functions)
    figure, axes = style.new_figure(
        1, count, figsize=(3.8 * count, 3.4), subplot_kw={"projection": "3d"}, squeeze=False
    )
    for number, ax in enumerate(axes[0], 1):
        triangle = Poly3DCollection([np.eye(3)], fc="#00000018", ec=style.BLACK, lw=1.2)
        ax.add_collection3d(triangle)
        for function, color in zip(functions[:number], (BLUE, RED), strict=False):
            face = Poly3DCollection([plane(function, function @ transition)], lw=0.6)
            face.set(facecolor=f"{color}30", edgecolor=color)
            ax.add_collection3d(face)
            ends = simplex.allowed(transition, function, 1.0, 0.0)
            ax.plot(*ends.T, color=color, lw=2)
        ax.plot(*transition[:, None], "o", ms=6, color=style.BLACK, zorder=9)
        for place, corner in enumerate(1.14 * np.eye(3), 1):
            ax.text(*corner, f"state {place}", ha="center", va="center")
        ax.set(xlim=(0, 1), ylim=(0, 1), zlim=(0, 1))
        ax.set_box_aspect((1, 1, 1), zoom=0.85)
        ax.view_init(elev=22, azim=38)
        ax.set_axis_off()
    return figure


def plane(normal: Any, level: float) -> np.ndarray:
    """Where a plane meets the unit cube.

    Args:
      normal: ``[3]``, of the plane normal · x = level.
      level: as above.

    Returns:
      ``[corners, 3]``, a convex polygon, its corners in order around it.
    """
    normal, found = np.asarray(normal, float), []
    for axis in np.flatnonzero(normal):
        for edge in itertools.product((0.0, 1.0), repeat=2):  # parallel to the axis
            point = np.insert(edge, axis, 0.0)
            point[axis] = (level - normal @ point) / normal[axis]
            if 0 <= point[axis] <= 1:
                found.append(point)
    corners = np.unique(np.round(found, 12), axis=0)
    across = np.linalg.svd(normal[None])[2][1:]  # two directions in the plane
    x, y = across @ (corners - corners.mean(0)).T
    return corners[np.argsort(np.arctan2(y, x))]


@style.in_style()
def dimensions(
    functions: Sequence[int],
    by_functions: Mapping[int, Sequence[int]],
    policies: Sequence[int],
    by_policies: Mapping[tuple[str, int], Sequence[int]],
) -> Figure:
    """How many dimensions of models are left, by the numbers of functions and of policies.

    Args:
      functions: ``[M]``, numbers of functions.
      by_functions: by number of policies, the dimensions ``[M]``.
      policies: ``[N]``, numbers of policies.
      by_policies: by kind of policy and number of functions, the dimensions ``[N]``. The
        first number of a kind is dashed.
    """
    figure, (left, right) = style.new_figure(1, 2, figsize=(7.6, 3.2), sharey=True)
    for (number, found), color in zip(by_functions.items(), SHADES, strict=False):
        label = f"{number} {'policy' if number == 1 else 'policies'}"
        left.plot(functions, np.divide(found, 1000), color=color, label=label)
    dashes: dict[str, list[str]] = {}
    for (kind, number), found in by_policies.items():
        line = dashes.setdefault(kind, ["-", "--"]).pop()
        right.plot(
            policies, np.divide(found, 1000), line, marker=".",
            color=style.MODE_COLORS[kind], label=f"{kind}, {number} functions",
        )  # fmt: skip
    left.set(xlabel="functions", ylabel="dimension, thousands", ylim=(0, None))
    right.set(xlabel="policies", xticks=[1, 4, 8, 12, 16])
    left.legend(loc="lower left")
    right.legend(loc="upper right", fontsize=8.5)
    return figure


@style.in_style()
def impossible(functions: Any, mass: Mapping[str, Any]) -> Figure:
    """The most probability that a value equivalent model can put where the world puts none.

    Args:
      functions: ``[M]``, numbers of functions.
      mass: by kind of function, ``[pairs, M]``.
    """
    figure, ax = style.new_figure()
    for (name, found), color in zip(mass.items(), style.MODE_COLORS.values(), strict=True):
        drawing.draw_runs(functions, found, ax, color=color, label=name)
    ax.set(
        xlabel="functions", ylabel="probability of the impossible", xlim=(1, functions[-1])
    )
    ax.legend()
    return figure
