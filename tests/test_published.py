"""Results at the published size: what is shipped, and what the pages say of it."""

import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr
from conftest import ROOT

from pve import figures
from pve.book import published
from pve.experiments import capacity, diameter
from pve.figures.capacity import over_training, plans_by_rank
from pve.results.endings import group_diameters
from pve.results.summary import first_losses, load_summary
from pve.runs import provenance
from pve.runs.folders import numerical_code

PAPER = ROOT / "book" / "data" / "paper"


@pytest.fixture
def results():
    """Three runs of each set by hand: one stochastic plan falls while its loss falls."""
    values = np.zeros((2, 1, 3, 3))
    values[0, 0] = [[0, 70, 72], [1, 71, 70], [2, 72, 71]]
    values[1, 0] = [[0, 60, 50], [1, 66, 5], [2, 69, 68]]
    losses = np.ones((2, 1, 3, 20))
    losses[1, 0, 1, 10:] = 0.25
    return xr.Dataset(
        {
            "performance": (("mode", "rank", "run", "step"), values),
            "loss": (("mode", "rank", "run", "logged_step"), losses),
        },
        {
            "mode": ["deterministic", "stochastic"], "rank": [20], "run": [0, 1, 2],
            "step": [0, 1000, 2000], "logged_step": np.arange(100, 2001, 100),
        },
        {
            "optimal_performance": 73.0, "seed": 5, "steps": 2000, "batch": 4,
            "learning_rate": 1e-3, "decay": "constant",
        },
    )  # fmt: skip


def test_what_the_page_says_of_plans(results):
    facts = published.plans(results, 20)
    assert facts["finished"] == 3
    assert facts["own-deterministic"] == "71.0 ± 0.6"  # σ = 1, by √3
    assert facts["published-stochastic"] == "29 ± 8"
    assert (facts["early-worst"], facts["early-gap"]) == (60, 71 - 65)
    assert facts["gap"] == pytest.approx(71 - 41)
    error = math.sqrt((81 + 36**2 + 27**2) / 2 / 3)
    assert facts["apart-stochastic"] == pytest.approx(12 / math.hypot(error, 8))
    assert facts["contrast"] == pytest.approx(30 / math.hypot(math.sqrt(1 / 3), error))
    assert (facts["worst-early"], facts["worst-end"]) == (66, 5)
    assert facts["worst-loss"] == pytest.approx(4)
    assert facts["worst-run"] == 1
    assert (facts["swing-low"], facts["swing-high"]) == (70, 72)


def test_the_plan_that_gained_most_in_the_last_tenth(results):
    ends = results.assign_coords(step=[0, 1900, 2000])
    facts = published.plans(ends, 20)
    # All lose: by 10, 61 and 1. What the deterministic ones gain does not count.
    assert (facts["rise-from"], facts["rise-to"]) == (69, 68)
    ends["performance"][1, 0, 1, 2] = 70
    facts = published.plans(ends, 20)
    assert (facts["rise-from"], facts["rise-to"]) == (66, 70)


def test_all_ranks_beside_what_was_published(results):
    better = results.assign_coords(rank=[60]).copy(deep=True)
    better["performance"][1, 0, :, 2] = [72.0, 72.0, 72.3]
    both = xr.concat([results, better], "rank").assign_coords(step=[0, 1900, 2000])
    facts = published.beside_published(both)
    assert facts["high"] == 60
    # The mean of 72, 72 and 72.3 is 72.1, with an error of 0.1; published are 71.5 ± 0.5.
    assert facts["apart-high"] == pytest.approx(0.6 / math.hypot(0.1, 0.5))
    at_20 = published.plans(both, 20)
    larger = max(at_20["apart-stochastic"], at_20["apart-deterministic"])
    assert facts["apart"] == pytest.approx(larger)
    assert (facts["moving"], facts["rise-from"], facts["rise-to"]) == (60, 60, 72)


def test_plans_beside_what_was_published(results):
    lines = published.plans_table(results).splitlines()
    assert len(lines) == 2 + 2 * results.sizes["rank"]
    assert "ours, after 1,000 steps" in lines[0]
    assert lines[2].startswith("| 20 | deterministic | 69.5 ± 1.2 | 71.0 ± 0.6 | ")
    assert (
        " | 71.0 ± 0.6 | 70.0, " in lines[2]
    )  # after 1,000 steps, then the worst at the end
    assert lines[3].endswith(" | 65.0 ± 2.6 | 5.0, 50.0, 68.0 |")  # σ = √21, by √3


def test_a_rank_without_a_published_value_has_a_dash(results):
    lines = published.plans_table(results.assign_coords(rank=[40])).splitlines()
    assert lines[2].startswith("| 40 | deterministic | — | 71.0 ± 0.6 | — | ")
    assert "| 40 | stochastic | 48 ± 7 | " in lines[3]


def test_runs_that_are_not_finished_are_left_out(results):
    results["performance"][1, 0, 2] = np.nan
    assert published.plans(results, 20)["finished"] == 2


def test_over_training_draws_every_run_and_what_was_published(results):
    figure = over_training(results, 20)
    try:
        above, below = figure.axes[:2], figure.axes[2:]
        for ax, lower, mode in zip(above, below, results.mode.values, strict=True):
            drawn = [line.get_ydata() for line in ax.get_lines()]
            of_mode = results.performance.sel(mode=mode, rank=20)
            for run in of_mode.values:
                assert any(np.array_equal(run, line) for line in drawn)
            assert any(np.array_equal(of_mode.mean("run"), line) for line in drawn)
            assert any(list(line) == [capacity.PUBLISHED[mode][20][0]] for line in drawn)
            losses = results.loss.sel(mode=mode, rank=20).values.reshape(3, 2, 10).mean(-1)
            for line, expected in zip(lower.get_lines(), losses, strict=True):
                np.testing.assert_allclose(line.get_ydata(), expected)
                assert list(line.get_xdata()) == [1000, 2000]
    finally:
        plt.close(figure)


def test_dips_of_the_mean_plan(results):
    results["performance"][1, 0, :, 1] = [60, 5, 10]
    results["performance"][1, 0, :, 2] = [70, 50, 60]
    assert published.dips(results, "stochastic") == {
        20: {"step": 1000, "lowest": 25, "end": 60}
    }


def test_every_run_of_every_rank_is_drawn(results):
    figure = plans_by_rank(results, "stochastic")
    try:
        (ax,) = figure.axes
        assert ax.get_title() == "rank 20, 3 runs"
        drawn = [list(line.get_ydata()) for line in ax.get_lines()]
        assert [60, 50] in drawn
        assert [66, 5] in drawn
        assert [65, 41] in drawn  # their mean
    finally:
        plt.close(figure)


@pytest.fixture
def apart():
    """Two orders whose spreads are known; of one, 20 runs are finished."""
    spread = np.array([[17.5, 3.0, 0.5, 0.1], [17.5, 12.0, 5.0, 2.0]])
    plans = np.array([[[0.0, 0.5, 1.0, 1.0]] * 20, [[0.0, 0.2, 0.9, 0.75]] * 20])
    plans[0, 3:] = np.nan
    return xr.Dataset(
        {
            "spread": (("order", "step"), spread),
            "normalised_performance": (("order", "run", "step"), plans),
            "diameter": ("order", [0.2, 2.4]),
        },
        {"order": [1.0, math.inf], "run": np.arange(20), "step": [0, 1000, 2000, 4000]},
    )


def test_spreads_stand_beside_published_diameters(apart):
    lines = published.diameters(apart, 1000).splitlines()
    assert lines[0].endswith("| after 1,000 steps | after 4,000 |")
    assert "| 1 | 0.00 ± 0.00 | — | 17.50 | 3.00 | 0.10 |" in lines
    assert "| ∞ | 2.21 ± 0.22 | 2.40 | 17.50 | 12.00 | 2.00 |" in lines
    assert "| 30 | 0.25 ± 0.03 | not yet | | | |" in lines
    assert len(lines) == 2 + 6


def test_diameters_are_those_of_groups_of_20(apart):
    ours = group_diameters(apart)
    assert float(ours["mean"].sel(order=math.inf)) == 2.4
    assert np.isnan(ours["mean"].sel(order=1))
    assert np.isnan(ours["error"]).all()
    many = apart.assign(
        published_diameter=("order", [np.nan, 2.2]),
        published_diameter_error=("order", [np.nan, 0.1]),
    )
    assert float(group_diameters(many)["mean"].sel(order=math.inf)) == 2.2
    assert "| ∞ | 2.21 ± 0.22 | 2.20 ± 0.10 | " in published.diameters(many, 1000)
    # One group of 20 varies by √6 times the error of a mean of six.
    assert published.apart(apart, math.inf) == pytest.approx(0.19 / (0.22 * math.sqrt(7)))
    assert published.apart(many, math.inf) == pytest.approx(0.01 / math.hypot(0.22, 0.1))


def orders(*ends):
    """Spreads of orders 1, 30, 40 and ∞, or of 1 and ∞, from 10 to these."""
    return xr.Dataset(
        {"spread": (("order", "step"), [[10.0, end] for end in ends])},
        {"order": [1.0, *(30.0, 40.0)[: len(ends) - 2], math.inf], "step": [0, 1]},
    )


def ranks(**ends):
    """Plans of two runs at each rank, by policy set: ``stochastic={20: (0.1, 1.0)}``."""
    values = [[[[0.0, run] for run in runs] for runs in x.values()] for x in ends.values()]
    return xr.Dataset(
        {"normalised_performance": (("mode", "rank", "run", "step"), values)},
        {
            "mode": list(ends),
            "rank": list(ends["stochastic"]),
            "run": [0, 1],
            "step": [0, 1],
        },
    )


def test_a_verdict_follows_from_the_numbers():
    lines = published.verdicts(
        orders(0.01, 2.0),
        orders(1.0, 9.0, 12.0, 3.0),
        ranks(stochastic={20: (0.1, 1.0)}, deterministic={20: (0.95, 1.0)}),
        ranks(
            stochastic={20: (0.95, 1.0), 70: (0.99, 1.0)},
            deterministic={20: (0.2, 0.5), 70: (0.3, 0.4)},
        ),
    ).splitlines()[2:]
    cells = [[cell.strip() for cell in line.split("|")[2:4]] for line in lines]
    assert cells == [
        [
            "**stands**: 0.1 % of the spread is left",
            "**not seen**: 10.0 % of the spread is left",
        ],
        ["**stands**: spreads 2.00 and 0.01", "**stands**: spreads 3.00 and 1.00"],
        ["not computed", "**stands**: spreads 9.0, 12.0 at 30, 40"],
        ["not computed", "**not seen**: spread 3.0, of the finite orders up to 12.0"],
        [
            "**stands**: at rank 20, 1 of 2 plans cover 90% of the way",
            "**not seen**: at rank 20, 2 of 2 plans cover 90% of the way",
        ],
        [
            "**stands**: at rank 20, 2 of 2 plans cover 90% of the way",
            "**not seen**: at rank 20, 0 of 2 plans cover 90% of the way",
        ],
        [
            "not computed",
            "**not seen**: the median plan covers 98% at 20, 100% at 70, hardly more",
        ],
    ]


def test_a_claim_is_open_while_its_last_rank_is_missing():
    three = ranks(
        stochastic={20: (0.1, 0.5), 40: (0.2, 0.2), 60: (1.0, 1.0)},
        deterministic={20: (1.0, 1.0), 40: (1.0, 1.0), 60: (1.0, 1.0)},
    )
    spreads = orders(0.01, 2.0)
    *_, last = published.verdicts(spreads, spreads, three, three).splitlines()
    assert "**open**: median plans cover 30%, 20%, 100% at 20, 40, 60" in last


def test_published_values_rise_with_order_and_rank():
    """As the paper's text has it: ∞ is widest, and rank helps the stochastic set."""
    means = [mean for mean, _ in diameter.PUBLISHED.values()]
    assert list(diameter.PUBLISHED) == [1, 30, 40, 50, 60, math.inf]
    assert max(means) == means[-1]
    for of_mode in capacity.PUBLISHED.values():
        values = [mean for mean, _ in of_mode.values()]
        assert values == sorted(values)


# Shipped -------------------------------------------------------------------------------


def shipped():
    """The experiments of which some part is shipped."""
    return [name for name in ("capacity", "diameter") if (PAPER / f"{name}.nc").exists()]


def test_capacity_is_shipped():
    assert "capacity" in shipped()


@pytest.mark.parametrize("experiment", shipped())
def test_shipped_results_are_of_the_published_settings(experiment):
    kept = load_summary(PAPER, experiment)  # checks the checksum
    module = {"capacity": capacity, "diameter": diameter}[experiment]
    for name, value in module.preset("paper").identity().items():
        assert kept.attrs[name] == value, name
    assert provenance.same_numbers(numerical_code(experiment), kept.attrs["code"])
    assert kept.performance.isel(step=-1).notnull().any()
    readme = (PAPER / "README.md").read_text(encoding="utf-8")
    rows = [x for x in readme.splitlines() if x.startswith(f"| {experiment}, ")]
    kind = "rank" if experiment == "capacity" else "order"
    for value in kept[kind].values:
        named = f" {value:g}" if value < math.inf else "∞"
        (row,) = [x for x in rows if named in x.split("|")[1]]
        final = kept.performance.isel(step=-1).sel({kind: value})
        others = [name for name in final.dims if name != "run"]
        finished = final.notnull().all(others)
        assert f"| {int(finished.sum())} of " in row
        assert f"| {kept.attrs['seed']} |" in row
        assert any(machine["processor"] in row for machine in kept.attrs["machines"])


@pytest.mark.parametrize(
    ("experiment", "run"),
    [
        ("capacity", {"mode": "stochastic", "rank": 20, "run": 0}),
        ("diameter", {"order": math.inf, "run": 1}),
    ],
)
def test_shipped_runs_come_out_again(experiment, run):
    if experiment not in shipped():
        pytest.fail(f"{experiment} is not shipped")
    kept = load_summary(PAPER, experiment)
    again = first_losses(kept, 1000, **run)
    expected = kept.loss.sel(run).isel(logged_step=slice(10)).values
    assert len(expected) == len(again) == 10
    np.testing.assert_allclose(again, expected, rtol=5e-3)  # see test_summary
    other = kept.loss.sel({**run, "run": 1 - run["run"]}).isel(logged_step=slice(10))
    assert not np.allclose(other, again, rtol=5e-3)


def test_the_first_page_draws_what_was_published_and_every_run():
    wide, plan = (load_summary(PAPER, name) for name in ("diameter", "capacity"))
    figure = figures.findings(wide, plan)
    try:
        left, right = figure.axes
        drawn = {
            tuple(map(float, xy)) for line in left.get_lines() for xy in line.get_xydata()
        }
        for place, (mean, _) in enumerate(diameter.PUBLISHED.values()):
            assert (place, mean) in drawn
        assert (5, float(wide.diameter.sel(order=math.inf))) in drawn
        points = np.concatenate([line.get_xydata() for line in right.get_lines()])
        values = plan.performance.isel(step=-1).values
        for value in values[np.isfinite(values)]:
            assert np.isclose(points[:, 1], value).any()
        assert (20, 29) in {tuple(point) for point in points}
    finally:
        plt.close(figure)
