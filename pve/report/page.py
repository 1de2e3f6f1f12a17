"""A report's page: one HTML file that needs nothing else, and its numbers as CSV."""

from __future__ import annotations

import base64
import html
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.figure import Figure

from pve.atomic import write_whole
from pve.figures import plan_on_map
from pve.figures.report import by_order, by_rank, by_state
from pve.figures.save import encoded
from pve.report.analysis import EPSILON, Analysis
from pve.results.endings import AT_REST
from pve.runs.provenance import machine, versions
from pve.runs.store import make_folder

LISTED = 12  # rows of a table on the page; the CSV has all
GOOD = 0.9  # the performance of a plan that covers most of the way
DRAWN = 40  # states whose values are drawn one by one

STYLE = """
:root { color-scheme: light dark; --ink: #1c1c1c; --paper: #fff; --line: #c9c9c9; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e6e6e6; --paper: #16181c; --line: #4a4d52; }
}
body { color: var(--ink); background: var(--paper); margin: 0 auto; max-width: 64rem;
  padding: 1.5rem 1rem 4rem; font: 1rem/1.55 system-ui, sans-serif; }
h1, h2 { line-height: 1.25; } h2 { margin-top: 2.5rem; }
h1 { overflow-wrap: anywhere; } p, figcaption { max-width: 52rem; }
code { overflow-wrap: anywhere; }
.wide { overflow-x: auto; } figure { margin: 1rem 0; }
figure > div { overflow-x: auto; }
figure img { max-width: 100%; height: auto; background: #fff; border-radius: 4px; }
figcaption, footer { font-size: .92rem; }
table { border-collapse: collapse; font-variant-numeric: tabular-nums; }
th, td { padding: .25rem .6rem; text-align: right; white-space: nowrap;
  border-bottom: 1px solid var(--line); }
th:first-child, td:first-child { text-align: left; white-space: normal; min-width: 7rem; }
th { white-space: normal; vertical-align: bottom; }
@media (min-width: 60rem) { td:first-child { min-width: 10.5rem; } }
.pair img { min-width: 34rem; }
.answer { border-left: 4px solid #0072b2; padding: .3rem 1rem; }
footer { margin-top: 3rem; border-top: 1px solid var(--line); }
"""


def write_report(analysis: Analysis, out: str | Path, command: str) -> list[Path]:
    """Write the page and its numbers.

    Args:
      analysis: what to report.
      out: the folder to write to; it is made.
      command: what made it, as it would be typed.

    Returns:
      The page ``index.html`` and a CSV for each table.

    Raises:
      ValueError: ``out`` cannot be written.
    """
    folder, paths = make_folder(Path(out)), []
    for name in ("states", "plans", "pairs", "orders", "ranks"):
        table: pd.DataFrame = getattr(analysis, name)
        paths.append(folder / f"{name}.csv")
        write_whole(paths[-1], table.to_csv(index=False).encode())
    world = pd.Series(analysis.world, name="value").rename_axis("fact").reset_index()
    paths.append(folder / "world.csv")
    write_whole(paths[-1], world.to_csv(index=False).encode())
    page = folder / "index.html"
    write_whole(page, compose(analysis, command).encode())
    return [page, *paths]


def compose(analysis: Analysis, command: str) -> str:
    """The page's HTML."""
    name = html.escape(analysis.place.name)
    parts = [
        f"<h1>{name}</h1>",
        f"<p>What value equivalence says of this world. {_effort(analysis)}</p>",
        *("<h2>How large is it?</h2>", _size(analysis)),
        *("<h2>What is the best plan, and what is it worth?</h2>", _optimum(analysis)),
        *("<h2>Which models have exactly its values?</h2>", _class(analysis)),
        *("<h2>Where do trained models end?</h2>", _trained(analysis)),
        *("<h2>How well do small models plan?</h2>", _small(analysis)),
        _footer(analysis, command),
    ]
    return (
        '<!DOCTYPE html>\n<html lang="en"><head><meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>{name}: value equivalence</title>\n<style>{STYLE}</style></head>\n"
        "<body><main>" + "\n".join(parts) + "</main></body></html>\n"
    )


def _effort(analysis: Analysis) -> str:
    effort = analysis.effort
    return (
        f"Seed {analysis.seed}; {effort.runs} runs of each training, {effort.steps:,} "
        f"steps and a quarter of that, on {effort.policies:,} policies. What changes "
        "between the two lengths has not come to rest, and would go on changing."
    )


def _size(analysis: Analysis) -> str:
    facts = analysis.world | {"discount": repr(analysis.world["discount"])}  # all digits
    return _table(pd.DataFrame(facts.items(), columns=["", "value"]))


def _optimum(analysis: Analysis) -> str:
    starts = analysis.place.mdp.start is not None
    parts = [_answer(plan_sentence(analysis.plans, starts=starts))]
    if analysis.place.xy is not None:
        parts.append(
            _figure(
                plan_on_map(analysis.place, analysis.value, analysis.plan),
                "The optimal value of each cell in colour, an optimal action as an arrow; "
                "a star marks a goal, a cross another end.",
                "A map coloured by optimal value with an arrow in each cell that goes on",
            )
        )
    best = analysis.states.sort_values("value", ascending=False, kind="stable")
    if analysis.place.xy is None and len(best) <= DRAWN:
        parts.append(
            _figure(
                by_state(best),
                "The optimal value of each state, and beside it an optimal action.",
                "Bars, one for each state, the highest value at the top",
            )
        )
    shown = best.drop(columns=_unnamed(analysis))
    parts += [
        _table(shown.rename(columns={"name": "state", "action name": "action"}), "states"),
        _table(analysis.plans, "plans"),
        "<p>A plan is a policy. Values from the start weigh the starts as the world says, "
        "all states alike where it does not.</p>",
    ]
    return "\n".join(parts)


def _unnamed(analysis: Analysis) -> list[str]:
    """Columns that say nothing: numbers beside names, names where there are none."""
    mdp = analysis.place.mdp
    states = "state" if mdp.state_names else "name"
    return [states, "action" if mdp.action_names else "action name"]


def _class(analysis: Analysis) -> str:
    note = (
        "<p><em>Dimension</em>: of the solutions (r̃, p̃)(s, a) of the equations of proper "
        "value equivalence over the policies counted, the sign of p̃ left aside; 0 is the "
        "world alone. <em>Flattest</em> and <em>staying</em>: curvatures of the proper "
        "loss along the flattest change of p̃ and towards staying in place, as shares of "
        "the largest. The last columns: how far r̃ and the probability of staying may lie "
        f"from the world's where no residual exceeds {EPSILON:.0%} of the values' "
        "deviation (outer bounds, of some pairs).</p>"
    )
    table = _table(analysis.pairs, "pairs")
    return "\n".join([_answer(class_sentence(analysis.pairs)), table, note])


def _trained(analysis: Analysis) -> str:
    figure = _figure(
        by_order(analysis.orders),
        "What is left of the models' spread (left) and how well they plan (right), by the "
        "order of the loss, after a quarter of the training (grey) and all of it. Bars: "
        "lowest to highest run.",
        "Two panels, spread and performance against the order of the loss",
        panels=2,
    )
    answer = _answer(spread_sentence(analysis.orders))
    return "\n".join([answer, figure, _table(analysis.orders, "orders")])


def _small(analysis: Analysis) -> str:
    figure = _figure(
        by_rank(analysis.ranks),
        "The proper loss (left) and the performance of the models' plans (right) by rank, "
        "trained on policies along improvement paths, disturbed by deterministic or by "
        "stochastic choices. Dashed: after a quarter of the training.",
        "Two panels, loss and performance against the rank of the model",
        panels=2,
    )
    note = (
        "<p>Performance is the mean value of a model's optimal plan in the world, on the "
        "scale where the uniform policy has 0 and an optimal one 1. Losses are in the unit "
        "in which values of random policies have deviation 1, summed over states.</p>"
    )
    answer = _answer(rank_sentence(analysis.ranks))
    return "\n".join([answer, figure, _table(analysis.ranks, "ranks"), note])


def plan_sentence(plans: pd.DataFrame, *, starts: bool) -> str:
    """What the optimal plan is worth, beside acting at random.

    Args:
      plans: see `pve.report.analysis.Analysis`.
      starts: whether the world says where it starts.
    """
    optimal, uniform = (
        plans.set_index("plan").loc[name] for name in ("optimal", "uniform")
    )
    text = (
        f"{'From the start' if starts else 'On the mean over all states'} the optimal plan "
        f"is worth {optimal['value from the start']:.4g}, "
        f"acting at random {uniform['value from the start']:.4g}."
    )
    if not math.isnan(optimal["reaches a goal"]):
        text += f" It reaches a goal with probability {optimal['reaches a goal']:.1%}."
    return text


def class_sentence(pairs: pd.DataFrame) -> str:
    """Whether the exact class is the world alone, as far as was examined."""
    number, points = len(pairs), int((pairs["dimension"] == 0).sum())
    if points == number:
        text = (
            f"Only the world itself: in all {number} pairs of a state and an action that "
            "were looked at, the equations have one solution."
        )
    else:
        text = (
            f"More than the world: in {number - points} of {number} pairs that were looked "
            f"at, the solutions have up to {pairs['dimension'].max()} dimensions."
        )
    stay = pairs["staying"].dropna()
    if len(stay):
        text += (
            " Towards staying in place the proper loss is curved by "
            f"{stay.median():.2g} of the largest curvature (median)."
        )
    return text


def spread_sentence(orders: pd.DataFrame) -> str:
    """How far apart models of each order end, and whether they have come to rest."""
    said = []
    for order, found in orders.groupby("order", sort=True):
        before, last = found.sort_values("steps")["spread kept"]
        moves = abs(last - before) > AT_REST
        name = "∞" if order == math.inf else f"{order:g}"
        said.append(f"{last:.0%} at order {name}{' (still moving)' if moves else ''}")
    return (
        "Of their spread, the distance between models of different runs, models keep: "
        f"{', '.join(said)}."
    )


def rank_sentence(ranks: pd.DataFrame) -> str:
    """From which rank on the median plan is good, by policy set."""
    if ranks["performance"].isna().any():
        return "All policies are worth the same here: there is nothing to plan."
    said = []
    longest = ranks[ranks["steps"] == ranks["steps"].max()]
    for kind, found in longest.groupby("policies", sort=True):
        good = found[found["performance"] >= GOOD]["rank"]
        least = f"rank {good.min()}" if len(good) else "none of these ranks"
        behind = (found["rank"] > good.min()) & (found["performance"] < GOOD)
        not_all = " (not all larger ones do)" if behind.any() else ""
        said.append(f"{least}{not_all} with {kind} policies")
    worse = int(_fell(ranks))
    return (
        f"The smallest rank whose median plan covers 90 % of the way to the optimum: "
        f"{', '.join(said)}. In {worse} of {len(longest)} cases more training made the "
        "median plan worse."
    )


def _fell(ranks: pd.DataFrame) -> int:
    table = ranks.pivot(index=["policies", "rank"], columns="steps", values="performance")
    short, whole = sorted(table.columns)
    return int((table[whole] < table[short]).sum())


def _answer(sentence: str) -> str:
    return f'<p class="answer">{html.escape(sentence)}</p>'


def _figure(figure: Figure, caption: str, alternative: str, *, panels: int = 1) -> str:
    """A picture with its caption; one of two panels scrolls on a narrow screen."""
    data = base64.b64encode(encoded(figure, "svg")).decode()
    plt.close(figure)
    name = html.escape(alternative)
    image = f'<img src="data:image/svg+xml;base64,{data}" alt="{name}">'
    if panels > 1:
        region = f'tabindex="0" role="region" aria-label="{name}"'
        image = f'<div class="pair" {region}>{image}</div>'
    return f"<figure>{image}<figcaption>{html.escape(caption)}</figcaption></figure>"


def _table(table: pd.DataFrame, name: str = "") -> str:
    """The first rows of a table as HTML."""
    rows = [
        "<tr>" + "".join(f"<td>{html.escape(_cell(x))}</td>" for x in row) + "</tr>"
        for row in table.head(LISTED).itertuples(index=False)
    ]
    head = "".join(f'<th scope="col">{html.escape(str(c))}</th>' for c in table.columns)
    left = len(table) - LISTED
    more = f"{left} more rows, and all digits, are in" if left > 0 else "All digits are in"
    note = f"<p>{more} <code>{name}.csv</code>.</p>" if name else ""
    return (
        f'<div class="wide" tabindex="0" role="region" aria-label="{name or "facts"}">'
        f"<table><thead><tr>{head}</tr></thead><tbody>{''.join(rows)}</tbody></table></div>"
        f"{note}"
    )


def _cell(value: Any) -> str:
    if isinstance(value, float | np.floating):
        if math.isnan(value):
            return "—"
        return "∞" if value == math.inf else f"{value + 0.0:.4g}"
    return str(value)


def _footer(analysis: Analysis, command: str) -> str:
    facts: Mapping[str, Any] = versions() | {"cores": machine().get("cores", "")}
    told = ", ".join(f"{name} {value}" for name, value in facts.items() if value != "")
    return (
        f"<footer><p>Made by <code>{html.escape(command)}</code></p>"
        f"<p>{html.escape(told)}</p></footer>"
    )
