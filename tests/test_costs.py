"""What the page says of costs follows from the times of steps, by hand."""

import dataclasses
import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from markdown_it import MarkdownIt
from oracles import random_mdp

from pve.book import costs
from pve.checks import PRESETS
from pve.engines import cost
from pve.experiments.settings import CAPACITY, DIAMETER
from pve.figures import costs as pictures
from pve.figures import style

# A step of order 1 or ∞ takes 2 ms, of order 61 122 ms; the rank counts in tenths of a ms.
TIMES = costs.Times(
    {1: 0.002, 61: 0.122, math.inf: 0.002}, {20: 0.002, 104: 0.0104}, cores=4
)


def cells(markdown):
    """The rows of a table, as a reader of Markdown sees them."""
    rows, tokens = [], MarkdownIt().enable("table").parse(markdown)
    for before, token in itertools.pairwise(tokens):
        if before.type == "tr_open":
            rows.append([])
        if before.type in ("td_open", "th_open"):
            rows[-1].append(token.content)
    return rows


@pytest.mark.parametrize(
    ("place", "expected"),
    [(1, 0.002), (31, 0.062), (46, 0.092), (61, 0.122), (90, 0.122), (math.inf, 0.002)],
)
def test_between_measured_orders_lies_a_straight_line(place, expected):
    assert costs.interpolated(TIMES.orders, place) == pytest.approx(expected)


def test_a_step_is_of_an_order_or_of_a_rank():
    assert TIMES.step({"order": 31, "run": 0}) == pytest.approx(0.062)
    assert TIMES.step({"rank": 62, "mode": "stochastic"}) == pytest.approx(0.0062)
    assert TIMES.step({"rank": 2}) == 0.002
    assert TIMES.ratio == pytest.approx(61)


def test_training_is_a_sum_over_runs():
    config = dataclasses.replace(
        DIAMETER["smoke"],
        orders=(1, 31, math.inf),
        runs=3,
        steps=1_000,
        every=100,
        batch=25,
    )
    # 3 · (2 + 62 + 2) ms · 1,000 steps · half the batch, on 4 cores
    assert TIMES.training("diameter", config) == pytest.approx(3 * 66 / 2 / 4)
    config = dataclasses.replace(
        CAPACITY["smoke"], ranks=(20, 104), runs=5, steps=1_000, every=100, batch=50
    )
    assert TIMES.training("capacity", config) == pytest.approx(5 * 2 * 12.4 / 4)
    estimates = TIMES.estimates()
    assert list(estimates) == ["diameter", "capacity"]
    assert estimates["diameter"] == [
        TIMES.training("diameter", DIAMETER[name]) for name in PRESETS
    ]


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (0, "1 second"),
        (1, "1 second"),
        (1.44, "1.4 seconds"),
        (12.3, "12 seconds"),
        (89, "89 seconds"),
        (90, "1.5 minutes"),
        (120, "2 minutes"),
        (5_399, "90 minutes"),
        (5_400, "1.5 hours"),
        (36 * 3_600, "1.5 days"),
        (1e7, "116 days"),
    ],
)
def test_times_in_words(seconds, words):
    assert costs.in_words(seconds) == words


def test_the_table_of_orders():
    header, *rows = cells(costs.table("diameter", TIMES))
    assert header == ["", *(f"`{name}`" for name in PRESETS)]
    told = {name: row for name, *row in rows}
    assert told["orders"][-1] == "1, 30, 40, 50, 60, ∞"
    assert told["runs in all"] == ["9", "18", "120", "720"]
    assert told["steps"][-1] == "500,000"
    assert told["evaluations, each run"][-1] == "501"
    assert told["Adam"] == ["0.02, cosine"] * 3 + ["0.001, constant"]
    assert told["disk"][-1] == cost.in_bytes(
        cost.total_cost("diameter", DIAMETER["paper"]).bytes
    )
    # 120 · (2 + 60 + 80 + 100 + 120 + 2) ms · 500,000 steps on 4 cores: 5.46e6 s
    assert told["training, estimated"][-1] == "63 days"
    assert not {"ranks", "policy sets"} & set(told)


def test_the_table_of_ranks():
    told = {name: row for name, *row in cells(costs.table("capacity", TIMES))}
    assert told["ranks"][0] == "2, 20, 104"
    assert told["policy sets"] == ["deterministic, stochastic"] * 4
    assert told["runs in all"][0] == "12"
    assert "orders" not in told


def test_facts_by_hand():
    told = costs.facts(TIMES, {"processor": "Abacus"})
    assert told["machine"] == "Abacus, 4 cores"
    assert told["step-ratio"] == pytest.approx(61)
    both = sum(
        TIMES.training(name, presets["paper"])
        for name, presets in (("diameter", DIAMETER), ("capacity", CAPACITY))
    )
    assert told["paper-time"] == f"{both / 86_400:.0f} days"
    # Snapshots: 720 runs, 501 models of [104, 4] rewards and [104, 4, 104] moves, float32
    size, unit = told["paper-disk"].split()
    assert unit == "GB"
    assert float(size) == pytest.approx(720 * 501 * 4 * 416 * 105 / 1e9, rel=0.05)


def test_how_long_results_took():
    losses = np.ones((2, 3, 4))
    losses[1, 2, -1] = np.nan  # a run that is not finished
    results = xr.Dataset(
        {"loss": (("order", "run", "logged_step"), losses)},
        attrs={"preset": "smoke", "seed": 7, "seconds": 4_200.0},
    )
    assert costs.took("diameter", results, 4) == (
        "diameter, preset smoke, seed 7: 5 runs, 4,200 s in all, 1,050 s on 4 cores"
    )


def test_more_memory_has_more_lanes():
    papers = {"diameter": DIAMETER["paper"], "capacity": CAPACITY["paper"]}
    header, *rows = cells(costs.lanes_table(papers, (1, 16, 10**6)))
    assert header == ["memory of the device", "lanes, diameter", "lanes, capacity"]
    assert [row[0] for row in rows] == ["1 GB", "16 GB", "1000000 GB"]
    least, some, most = (list(map(int, row[1:])) for row in rows)
    # Of a rank both policy sets are trained by one program.
    assert most == [DIAMETER["paper"].runs, 2 * CAPACITY["paper"].runs]
    assert least[0] < some[0] < most[0]
    assert least[1] <= some[1] <= most[1]


@pytest.fixture(scope="module")
def timed():
    """The steps of a small world, and how many turns each took."""
    turns = []

    class Counted(costs.Step):
        def take(self):
            turns.append((self.work.objective, self.work.model, self.length))
            super().take()

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(costs, "Step", Counted)
        kinds = [(3, None), (math.inf, None), (math.inf, 2)]
        return costs.measured(random_mdp(0, 4, 2), kinds, cores=2), turns


def test_each_kind_is_timed_on_all_cores(timed):
    times, turns = timed
    assert list(times.orders) == [1, 3, math.inf]
    assert times.orders[1] == times.orders[math.inf]
    assert list(times.ranks) == [2]
    assert times.cores == 2
    assert all(0 < x < 1 for x in (*times.orders.values(), *times.ranks.values()))
    # Compiled once, then three turns on each of two cores.
    assert {kind: turns.count(kind) for kind in turns} == dict.fromkeys(turns, 7)
    assert sorted(length for _, _, length in set(turns)) == [10, 200, 200]


def test_a_turn_is_shared_by_its_steps(monkeypatch):
    clock = iter([0.0, 8.0, 10.0, 14.0, 20.0, 26.0])  # turns of 8, 4 and 6 seconds
    monkeypatch.setattr(costs.time, "perf_counter", lambda: next(clock))
    monkeypatch.setattr(costs.Step, "take", lambda self: None)
    assert costs.Step(None, None, 16).seconds(2) == 0.25


def test_the_figure_shows_steps_and_presets(drawn):
    estimates = {"diameter": [1, 60, 3_600, 1e6], "capacity": [2, 30, 600, 1e5]}
    figure = pictures.steps_and_presets(TIMES.orders, TIMES.ranks, estimates)
    drawn(figure)
    left, right = figure.axes
    assert [label.get_text() for label in left.get_yticklabels()] == [
        "k = 1 or ∞", "k = 61", "∞, rank 20", "∞, rank 104"
    ]  # fmt: skip
    assert [bar.get_width() for bar in left.patches] == pytest.approx([2, 122, 2, 10.4])
    assert plt.matplotlib.colors.to_hex(left.patches[0].get_facecolor()) == (
        style.order_color(math.inf).lower()
    )
    lines = {line.get_label(): list(line.get_ydata()) for line in right.lines}
    assert {name: lines[name] for name in estimates} == estimates
    heights = {text.get_text(): text.xy[1] for text in right.texts}
    assert heights["a week"] == 7 * heights["a day"] == 7 * 24 * heights["an hour"]
    assert right.get_yscale() == "log"
