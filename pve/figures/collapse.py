"""Why a plan falls while a loss does: claims against worth, mirages, errors of actions."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from matplotlib.figure import Figure

from pve.equivalence.overrating import Overrating
from pve.figures import drawing, style, themes
from pve.figures.captions import sign
from pve.worlds.gridworld import GridWorld

# A model of a figure: its policy set, run and training step.
Key = tuple[str, int, int]
LOWEST = -5.0  # errors below are counted, not shown: the line to pass is what matters
UNEVEN = 18.0  # where the colours end, for overrating above or below the mean


@style.in_style()
def claims(found: Mapping[Key, Overrating], source: str) -> Figure:
    """What every model claims its plan to be worth, beside what it is worth.

    Args:
      found: models of two training steps or more, a panel each.
      source: what the figure says of the models.
    """
    steps = sorted({step for *_, step in found})
    top = max(max(model.own.mean(), model.best.mean()) for model in found.values())
    figure, axes = style.new_figure(
        1, len(steps), figsize=(7.2, 3.6), sharey=True, squeeze=False
    )
    for ax, step in zip(axes[0], steps, strict=True):
        keys = sorted(key for key in found if key[2] == step)
        for place, (mode, run, _) in enumerate(keys):
            model, color = found[mode, run, step], style.MODE_COLORS[mode]
            claim, worth = model.own.mean(), model.worth.mean()
            ax.plot([place] * 2, [claim, worth], color=color, lw=1.2, alpha=0.6)
            ax.plot(place, claim, "^", ms=7, mfc="white", mec=color, mew=1.5)
            ax.plot(place, worth, "o", ms=7, color=color)
        best = next(iter(found.values())).best.mean()
        ax.axhline(best, ls="--", color=style.GREY, lw=1)
        ax.set_xticks(range(len(keys)), [f"{run}" for _, run, _ in keys])
        ax.set(title=f"after {step:,} steps", ylim=(0, 1.08 * top), xlabel="run")
    ax = axes[0, 0]
    ax.set_ylabel("mean value")
    marks = [
        ax.plot([], [], "^", ms=7, mfc="white", mec=style.BLACK, label="the model's claim")[
            0
        ],
        ax.plot([], [], "o", ms=7, color=style.BLACK, label="what the plan is worth")[0],
    ]
    for mode, color in style.MODE_COLORS.items():
        marks += ax.plot([], [], color=color, lw=3, label=mode)
    figure.legend(handles=marks, loc="outside upper center", ncols=2, frameon=False)
    return sign(figure, f"{source}; dashed: the mean of v*")


@style.in_style()
def mirages(
    world: GridWorld, found: Mapping[Key, Overrating], chosen: Sequence[Key], source: str
) -> Figure:
    """Where models overrate the map more or less than on average, and where they walk.

    Args:
      world: the grid world.
      found: the models.
      chosen: which to draw, four of them, row by row.
      source: what the figure says of the models.
    """
    figure, axes = style.new_figure(2, 2, figsize=(6.4, 6.6))
    for ax, key in zip(axes.flat, chosen, strict=True):
        model = found[key]
        uneven = model.excess - model.excess.mean()
        drawing.draw_map(
            world.image(uneven), world.walls, ax, cmap="PuOr_r", limits=(-UNEVEN, UNEVEN)
        )
        plan = np.eye(world.mdp.num_actions)[model.action]
        drawing.draw_arrows(plan, world.xy, ax, color=themes.COAL)
        where = int(model.visits.argmax())
        ax.plot(*world.xy[where], "o", ms=15, mfc="none", mec="#D5007F", mew=2.2)
        goal = world.xy[int(model.best.argmax())]
        ax.plot(*goal, "*", ms=12, mfc=themes.CHALK, mec=themes.COAL, mew=1)
        mode, _, step = key
        ax.set_title(
            f"{mode}, {step:,} steps\nclaims {model.own.mean():.0f}, "
            f"is worth {model.worth.mean():.0f}"
        )
    figure.colorbar(
        axes[0, 0].images[0], ax=list(axes.flat), location="bottom", shrink=0.7, aspect=40,
        label="overrated by more (+) or less (−) than the model's average",
    )  # fmt: skip
    return sign(figure, source)


@style.in_style()
def errors_of_actions(found: Mapping[Key, Overrating], source: str) -> Figure:
    """Errors of wrong actions against the gaps they must pass, a panel for each policy set.

    Args:
      found: models of one step.
      source: what the figure says of the models.
    """
    modes = sorted({mode for mode, *_ in found})
    figure, axes = style.new_figure(
        1, len(modes), figsize=(7.2, 3.9), sharex=True, sharey=True, squeeze=False
    )
    for ax, mode in zip(axes[0], modes, strict=True):
        models = [model for key, model in found.items() if key[0] == mode]
        gap = np.concatenate([model.gap[model.wrong] for model in models])
        error = np.concatenate([model.error[model.wrong] for model in models])
        over, color = error > gap, style.MODE_COLORS[mode]
        drawn: dict[str, Any] = {"ms": 3, "mew": 0, "rasterized": True}
        ax.plot(gap[~over], error[~over], "o", color=color, alpha=0.25, **drawn)
        ax.plot(gap[over], error[over], "o", color=style.BLACK, alpha=0.8, **drawn)
        ax.plot([0, gap.max()], [0, gap.max()], color=style.BLACK, lw=1)
        ax.axhline(error.mean(), color=color, lw=1.6, ls="--")
        ax.set_title(f"{mode}: {over.mean():.0%} above the line")
        ax.set_xlabel("gap of the action, $g$")
    axes[0, 0].set_ylabel("error of the action, $\\delta$")
    low = max(min(ax.dataLim.y0 for ax in axes[0]), LOWEST)
    axes[0, 0].set_ylim(bottom=low - 0.2)
    below = sum(int((model.error[model.wrong] < low).sum()) for model in found.values())
    hidden = f"; {below} points lie lower" if below else ""
    return sign(figure, f"{source}; dashed: mean error{hidden}")
