"""What the page on MuZero says of its agents, on numbers made by hand."""

import itertools
import math

import matplotlib.pyplot as plt
import numpy as np
import pytest
import xarray as xr

from pve.book import agents
from pve.experiments import muzero as experiment
from pve.figures.muzero import agents_errors, agents_learning, unrolled_bound
from pve.muzero import KINDS, by_kind, compare

RUNS = 6
OF_KIND = ["current", "past", "past", "near", "optimal", "random", "random"]


@pytest.fixture
def results():
    """Six pairs: the addition halves errors along actions for past policies, always."""
    shape = (2, RUNS, len(OF_KIND))
    ones = np.ones(shape)
    along = np.tile(1.0 + np.arange(RUNS), (2, 1))[..., None] * ones
    along[..., 4] *= 3  # of the optimal policy
    along[1, :, 1:3] *= 0.5
    inside, endless = ones.copy(), 4 * ones
    inside[..., 0] = 0.5
    endless[1, :2, 0] = 5  # hurts in two of six pairs, helps in none: the others are equal
    measures = {
        "along_error": along, "k_error": inside, "error": endless,
        "correlation": 0.9 * ones, "true_size": 10 * ones,
    }  # fmt: skip
    settings = experiment.preset("smoke")
    return xr.Dataset(
        {
            **{name: (("arm", "run", "policy"), x) for name, x in measures.items()},
            "look_ahead": (("arm", "run"), [[1.0] * RUNS, [2.0] * RUNS]),
            "plan": (("arm", "run"), np.ones((2, RUNS))),
            "behaviour": (("arm", "run", "phase"), np.ones((2, RUNS, 3)) * [1, 2, 9]),
        },
        {"arm": ["plain", "past"], "run": range(RUNS), "kind": ("policy", OF_KIND)},
        {
            "experiment": "muzero", "seed": 7, "seconds": 12.4, "optimal_performance": 3.0,
            **settings.identity(),
        },
    )  # fmt: skip


def test_errors_of_a_kind_are_root_mean_squares(results):
    results["along_error"][0, 0, 5:] = [3, 4]
    found = by_kind(results, "along_error").sel(arm="plain", run=0)
    assert set(found.kind.values) == set(KINDS)
    assert float(found.sel(kind="random")) == pytest.approx(math.sqrt(12.5))
    results["correlation"][0, 0, 5:] = [0.2, 0.4]
    mean = by_kind(results, "correlation").sel(arm="plain", run=0, kind="random")
    assert float(mean) == pytest.approx(0.3)


def test_sign_test_counts_all_splits():
    """Against an enumeration of all signs of the pairs that are not equal."""
    plain = xr.DataArray([1.0, 1, 1, 1, 1, 1, 1], dims="run")
    added = xr.DataArray([0.0, 0, 0, 0, 0, 2, 1], dims="run")
    splits = [sum(signs) for signs in itertools.product((0, 1), repeat=6)]
    expected = np.mean([min(wins, 6 - wins) <= 1 for wins in splits])
    assert compare(plain, added) == (5, 7, pytest.approx(expected))
    assert compare(plain, added, larger=True) == (1, 7, pytest.approx(expected))
    assert compare(plain, plain) == (0, 7, 1.0)


def test_tables(results):
    lines = agents.errors_table(results).splitlines()
    assert len(lines) == 2 + len(KINDS)
    past = next(line for line in lines if line.startswith("| past, in the ring"))
    assert past.split(" | ")[1:3] == ["10.0", "3.50 → 1.75 (6 of 6)"]
    assert past.endswith("| 0.90 → 0.90 |")
    sizes = agents.agents_table({"one": results, "two": results.isel(run=[0, 1])})
    assert "| | one | two |" in sizes
    assert f"| agents, each with and without past policies | {RUNS} | 2 |" in sizes
    assert "| phases | 3 | 3 |" in sizes
    assert "| seconds of all agents | 12 | 12 |" in sizes


def test_facts(results):
    facts = agents.facts(results)
    assert facts["along_error-current"] == 3.5
    assert facts["along_error-optimal"] == 10.5
    assert facts["optimal-worse"] == facts["runs"] == RUNS
    assert facts["endless"] == 4  # of the current policy 8 times
    assert facts["significant"] == 1  # along actions, past policies
    assert facts["better"] == 0  # both arms act alike
    better = results.behaviour.sel(arm="past", run=[0, 1], phase=2)
    better += 1.0
    results.behaviour.loc[{"arm": "past", "run": [0, 1], "phase": 2}] = better
    assert agents.facts(results)["better"] == 2
    results["along_error"][1] = results["along_error"][0]
    assert agents.facts(results)["significant"] == "none"


def test_figures_show_every_agent(results):
    figure = agents_errors(results)
    along, *_ = figure.axes
    dots = [line for line in along.lines if len(line.get_xdata()) == RUNS]
    dots = [line for line in dots if line.get_marker() == "o"]
    assert len(dots) == 2 * len(KINDS)
    past = dots[2 * KINDS.index("past") : 2 * KINDS.index("past") + 2]
    plain, added = (np.sort(line.get_ydata()) for line in past)
    np.testing.assert_allclose(added, plain / 2)
    assert (
        "seed 7, 6 agents of each arm, 3 phases of 50 steps" in figure._supxlabel.get_text()
    )
    figure = agents_learning(results)
    for ax in figure.axes:  # the optimum
        assert [3.0, 3.0] in [list(line.get_ydata()) for line in ax.lines]
    looks = [line for line in figure.axes[1].lines if line.get_marker() == "o"]
    assert [set(line.get_ydata()) for line in looks] == [{1.0}, {2.0}, {1.0}, {1.0}]
    plt.close("all")


def test_figures_of_one_arm(results):
    for draw in (agents_errors, agents_learning):
        figure = draw(results.sel(arm=["plain"]))
        (legend,) = [ax.get_legend() for ax in figure.axes if ax.get_legend()]
        assert [text.get_text() for text in legend.get_texts()] == ["plain"]
    plt.close("all")


def test_the_picture_of_the_unrolled_bound(drawn):
    orders, rows = [1, 2], [[0.5, 0.6], [0.7, 0.2]]
    figure = unrolled_bound(orders, [1.5, 2.0], rows, [1.5, 1.9], [1.0, 1.2])
    drawn(figure)
    first, second, bound, attained, steady, one = figure.axes[0].get_lines()
    assert [list(line.get_ydata()) for line in (first, second)] == rows
    assert list(bound.get_ydata()) == [1.5, 2.0]
    assert list(attained.get_ydata()) == [1.5, 1.9]
    assert list(steady.get_ydata()) == [1.0, 1.2]
    assert set(one.get_ydata()) == {1}
