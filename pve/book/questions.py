"""The same questions put to several worlds: spread, plans, and how low a rank suffices."""

from __future__ import annotations

import itertools
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np

from pve.book import own_world
from pve.book.text import table as markdown
from pve.equivalence.models import SoftmaxModel
from pve.figures.captions import digits
from pve.keys import stream
from pve.mdp.core import MDP

# Runs and steps by preset; the second pair is that of large worlds, whose models have more
# than a million numbers.
SIZES = {
    "smoke": ((2, 200), (2, 20)),
    "quick": ((4, 2_400), (2, 200)),
    "standard": ((10, 20_000), (4, 2_000)),
    "paper": ((20, 100_000), (10, 20_000)),
}
LARGE = 10**6
RANKS = {"smoke": (1,), "quick": (1, 4)}
MORE_RANKS = (1, 2, 3, 5, 8, 12)
NEAR = 0.05  # how near a low rank is to come to the full model's performance
SHARE = 20  # the last of this many parts of a training counts as its end


def is_large(mdp: MDP) -> bool:
    """Whether a world gets the smaller number of runs and steps."""
    return mdp.transition.size > LARGE


def amount(preset: str, mdp: MDP) -> tuple[int, int]:
    """How many models are trained for a world, and for how many steps."""
    return SIZES[preset][is_large(mdp)]


def ranks(preset: str, worlds: Mapping[str, MDP]) -> list[int]:
    """The ranks that are tried, none larger than the smallest world.

    Args:
      preset: of the page.
      worlds: by name.
    """
    smallest = min(mdp.num_states for mdp in worlds.values())
    return [rank for rank in RANKS.get(preset, MORE_RANKS) if rank <= smallest]


def drawn(mdp: MDP, count: int, seed: int, name: str) -> list[MDP]:
    """Models as training starts from them: independent draws of the same kind.

    Args:
      mdp: the world.
      count: how many.
      seed: of the page.
      name: of the world.
    """
    family, shape = SoftmaxModel(), mdp.reward.shape
    keys = [stream(seed, "your-mdp", name, "drawn", str(i)) for i in range(count)]
    return [family.mdp(family.init(key, *shape), mdp.discount) for key in keys]


class Ended(NamedTuple):
    """Where the trainings of one world ended.

    Attributes:
      before: the spread of models as they are drawn.
      after: that of the trained ones of full rank.
      losses: ``[N, L]``, recorded while training, by rank; None is the full one.
      plans: ``[N]``, normalised performances, by rank; NaN where all policies are alike.
    """

    before: float
    after: float
    losses: Mapping[int | None, np.ndarray]
    plans: Mapping[int | None, np.ndarray]

    @property
    def kept(self) -> float:
        """The share of the spread that is left."""
        return self.after / self.before

    @property
    def middle(self) -> float:
        """The median performance at full rank."""
        return float(np.median(self.plans[None]))

    @property
    def first(self) -> float:
        """The median loss at the beginning, at full rank."""
        return float(np.median(self.losses[None][:, 0]))

    def last(self, rank: int | None = None) -> float:
        """The median loss at the end."""
        losses = self.losses[rank]
        return float(np.median(losses[:, -max(1, losses.shape[1] // SHARE) :]))

    @property
    def left(self) -> float:
        """The share of the loss that is left, at full rank."""
        return self.last() / self.first

    @property
    def falls(self) -> int:
        """In how many steps to the next larger rank the loss falls."""
        order = [*sorted(rank for rank in self.losses if rank is not None), None]
        return sum(self.last(b) < self.last(a) for a, b in itertools.pairwise(order))

    @property
    def enough(self) -> int | None:
        """The smallest rank whose median plan comes near the full model's, if any does."""
        tried = sorted(rank for rank in self.plans if rank is not None)
        good = (r for r in tried if np.median(self.plans[r]) > self.middle - NEAR)
        return next(good, None)


def facts(ended: Mapping[str, Ended]) -> dict[str, Any]:
    """What the prose says of all worlds together, by name.

    Args:
      ended: by world.

    Returns:
      Whose plans are worst and how good they are; whose training has got least far and how
      much of its loss is left, in per cent; in how many steps to a larger rank the loss
      falls, of how many; and for how many worlds, of how many, rank 1 is enough.
    """
    worst = min(ended, key=lambda name: ended[name].middle)
    slow = max(ended, key=lambda name: ended[name].left)
    return {
        "worst": worst,
        "plans-worst": ended[worst].middle,
        "slow": slow,
        "slow-left": 100 * ended[slow].left,
        "falls": sum(x.falls for x in ended.values()),
        "steps": sum(len(x.losses) - 1 for x in ended.values()),
        "rank-one": sum(x.enough == 1 for x in ended.values()),
        "asked": len(ended),
    }


def hardest(ended: Mapping[str, Ended], among: Sequence[str]) -> str:
    """The world whose median plan is worst.

    Args:
      ended: by world.
      among: the worlds to choose from; if there are none, all.
    """
    return min(among or ended, key=lambda name: ended[name].middle)


def source(preset: str, seed: int, asked: Mapping[str, MDP], of: str) -> str:
    """What tables and figures say of the trainings.

    Args:
      preset: of the page.
      seed: of the page.
      asked: the worlds.
      of: the one whose size is told.
    """
    runs, steps = amount(preset, asked[of])
    said = f"Preset {preset}, seed {seed}; {runs} runs of {steps:,} steps of batch 20"
    few, short = SIZES[preset][True]
    return said + (f", Taxi {few} of {short:,}" if "Taxi" in asked else "")


def table(ended: Mapping[str, Ended]) -> str:
    """Losses, spreads and plans of all worlds, a table in Markdown.

    Args:
      ended: by world.
    """
    header = [
        "world", "loss, first → last", "spread, drawn → trained", "kept",
        "plans, median (lowest to highest)",
    ]  # fmt: skip
    rows = []
    for name, x in ended.items():
        plans = x.plans[None]
        told = f"{x.middle:.3f} ({plans.min():.3f} to {plans.max():.3f})"
        rows.append(
            [
                name,
                f"{digits(x.first)} → {digits(x.last(), 2)}",
                f"{x.before:.1f} → {x.after:.1f}",
                f"{x.kept:.0%}",
                "none is better" if np.isnan(plans).any() else told,
            ]
        )
    return markdown(header, rows)


def answers(one: Ended, plain: Ended, taught: np.ndarray) -> str:
    """The questions asked of a single world, and what they came to, in Markdown.

    Args:
      one: where its trainings ended.
      plain: likewise, with unscaled rewards.
      taught: performances of models trained on improvement paths.
    """
    return own_world.answers(
        kept=one.kept,
        plans=one.plans[None],
        taught=taught,
        loss_left=one.left,
        crude_kept=plain.kept,
        crude_plan=plain.middle,
        rank=one.enough,
    )
