"""Figures under a slider."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence

import numpy as np
import xarray as xr
from matplotlib.axes import Axes

from pve.book.slides import Slides, spaced
from pve.equivalence.lazy import LazyLine
from pve.figures import drawing, style
from pve.figures.captions import source_line
from pve.figures.model_on_map import TRAJECTORY_LENGTH, corner
from pve.keys import stream
from pve.mdp.core import MDP
from pve.mdp.planning import policy_iteration
from pve.mdp.simulation import trajectories
from pve.worlds.gridworld import GridWorld


def cloud_slides(results: xr.Dataset, moments: int = 21) -> Slides:
    """The models of each order in their principal plane, moving with training time.

    Args:
      results: of the diameter experiment.
      moments: the most steps to stop at.
    """
    orders = results.order.values
    steps = results.step.values[spaced(results.sizes["step"], moments)]
    limit = 1.08 * float(abs(results.score).max())
    width = results.sizes["run"]

    def draw(axes: Sequence[Axes], which: int, moment: int) -> str:
        order = orders[which]
        chosen = results.sel(order=order)
        path = chosen.score.sel(step=slice(None, steps[moment]))
        plans = float(chosen.normalised_performance.sel(step=steps[moment]).median())
        spread = float(chosen.spread.sel(step=steps[moment]))
        (ax,), color = axes, style.order_color(order)
        for run in results.run.values:
            ax.plot(*path.sel(run=run).transpose("component", "step").values,
                    color=color, lw=0.8, alpha=0.5)  # fmt: skip
            ax.plot(*path.sel(run=run).isel(step=-1).values, "o", ms=6, color=color)
        ax.set(xlim=(-limit, limit), ylim=(-limit, limit), box_aspect=1,
               xlabel="1st component", ylabel="2nd component")  # fmt: skip
        ax.set_title(
            f"{style.order_label(order)}, step {steps[moment]:,}: spread {spread:.1f}, "
            f"plans {plans:.2f}"
        )
        return source_line(results)

    return Slides(
        draw,
        {
            "order": [style.order_label(order) for order in orders],
            "training step": [f"{step:,}" for step in steps],
        },
        alt=lambda order, step: (
            f"{width} models of {order} in their principal plane after {step} steps, "
            "each with its way there"
        ),
        # On the way: some of the training is done, and more is to come.
        start=[len(orders) - 1, (len(steps) - 1) // 3],
        size=(4.2, 4.2),
    )


def rank_slides(
    world: GridWorld, model: Callable[[str, int], MDP], results: xr.Dataset
) -> Slides:
    """What models of each rank imagine: trajectories of their own optimal policies.

    Args:
      world: the grid world.
      model: gives the model of a policy set and a rank.
      results: of the capacity experiment.
    """
    modes, ranks = results.mode.values, results["rank"].values
    start, env = corner(world), world.mdp

    def draw(axes: Sequence[Axes], which: int, place: int) -> str:
        mode, rank = modes[which], ranks[place]
        imagining = model(mode, rank)
        _, policy = policy_iteration(imagining)
        for ax, mdp, name in zip(
            axes, (imagining, env), ("in the model", "the same plan in the world"),
            strict=True,
        ):  # fmt: skip
            states = trajectories(
                stream(results.attrs["seed"], "figures", "ranks", name),
                mdp, policy, start, 600, TRAJECTORY_LENGTH,
            )  # fmt: skip
            drawing.draw_trajectories(world.xy[states], world.walls, ax)
            ax.set_title(name)
            ax.plot(*world.xy[start], "o", color="#D55E00", ms=5, zorder=5)
        run = results.run.values[0]
        at = {"mode": mode, "rank": rank, "run": run}
        plan = float(results.normalised_performance.isel(step=-1).sel(at))
        reached = float(results.loss.isel(logged_step=-1).sel(at))
        return (
            f"Rank {rank}, {mode} policies: loss {reached:.3g}, the plan covers {plan:.0%} "
            f"of the way. Run {run}; 600 trajectories of {TRAJECTORY_LENGTH} moves; "
            f"{source_line(results)}"
        )

    return Slides(
        draw,
        {"policy set": list(map(str, modes)), "rank": [str(rank) for rank in ranks]},
        alt=lambda mode, rank: (
            f"Trajectories of the optimal policy of a model of rank {rank}, {mode} "
            "policies: imagined by the model, and in the environment"
        ),
        start=[len(modes) - 1, 0],
        panels=2,
        size=(3.3, 3.3),
        pixels=True,
    )


def lazy_slides(
    world: GridWorld, model: Callable[[float], MDP], line: LazyLine, source: str
) -> Slides:
    """Lazy models along their share c: where their plan leads, and what the loss sees.

    Args:
      world: the grid world.
      model: gives the lazy model of a share.
      line: the measures along the shares.
      source: what the figure says of the policies measured on.
    """
    start = corner(world)
    optimum = float(policy_iteration(world.mdp)[0].mean())

    def draw(axes: Sequence[Axes], place: int) -> str:
        lazy = model(float(line.share[place]))
        _, plan = policy_iteration(lazy)
        chain = np.einsum("sa,sat->st", plan, lazy.transition)
        where = np.linalg.matrix_power(chain, TRAJECTORY_LENGTH)[start]
        drawing.draw_map(
            world.image(where), world.walls, axes[0], limits=(1e-4, 1), cmap="Blues",
            label="probability", logarithmic=True,
        )  # fmt: skip
        axes[0].plot(*world.xy[start], "o", color="#D55E00", ms=5)
        axes[0].set_title(f"after {TRAJECTORY_LENGTH} moves of its own plan")
        for values, dashes, name in (
            (line.loss, "-", "proper loss"),
            (line.value_error_mean, "--", "squared error of values"),
        ):
            color = style.order_color(math.inf)
            axes[1].semilogy(line.share, values, dashes, color=color, label=name)
            axes[1].plot(line.share[place], values[place], "o", color=color)
        axes[1].set(xlabel="probability of staying, $c$", ylim=(1e-6, None))
        axes[1].legend(loc="lower right")
        worth = line.performance[place] / optimum
        axes[1].set_title(f"the plan is worth {worth:.1%} of the best")
        return source

    return Slides(
        draw,
        {"probability of staying, c": [f"{share:g}" for share in line.share]},
        alt=lambda share: (
            f"A lazy model that stays with probability {share}: a map of where its plan "
            "leads, and its loss and the error of its values on curves over c"
        ),
        start=[int(np.abs(line.share - 0.5).argmin())],  # half as fast as the world
        panels=2,
    )
