"""The live pictures of the chapters: the numbers they start from, and how they stand still.

Each is a function that asks the library for the numbers and gives a `pve.book.live.Live`.
"""

from __future__ import annotations

import numpy as np
from matplotlib.axes import Axes
from matplotlib.patches import Polygon

from pve.book.live import Live
from pve.checks import Array
from pve.equivalence.simplex import CORNERS, allowed, share
from pve.figures import style
from pve.mdp.core import MDP
from pve.mdp.planning import policy_value

# Of the policies, in the order in which they come; as in book/_static/custom.css.
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
      shown: how many of the policies are asked at first.
      epsilon: the residual allowed at first.
      most: the largest ε of the slider.

    Raises:
      ValueError: the world has not three states, or a policy takes another action, or
        there are too many.
    """
    policies = np.asarray(policies, np.float64)
    if world.num_states != 3 or len(policies) > len(INKS):
        raise ValueError(
            f"there are {world.num_states} states and {len(policies)} policies; legal are "
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
