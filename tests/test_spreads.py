"""What the pages say of diameters and spreads follows from the numbers."""

import math

import numpy as np
import pytest
import xarray as xr

from pve import figures
from pve.book import spreads
from pve.equivalence.distances import published_diameter
from pve.experiments.diameter import PUBLISHED


@pytest.fixture
def results():
    """Orders 1, 30 and ∞ by hand: one collapses, one hardly moves, one halves."""
    spread = [[10.0, 1.0, 0.5, 0.5, 0.5], [10, 9, 9, 9, 9], [10, 8, 7, 6, 5]]
    plans = np.array([[0, 1, 1, 1, 1], [0, 0.1, 0.2, 0.3, 0.4], [0, 0.9, 1, 1, 1.0]])
    losses = np.ones((3, 2, 40))
    losses[2, :, 20:] = 0.25
    return xr.Dataset(
        {
            "spread": (("order", "step"), np.array(spread)),
            "diameter": (("order",), np.array([0.4, 8.0, 4.0])),
            "normalised_performance": (
                ("order", "run", "step"), np.repeat(plans[:, None], 2, 1),
            ),
            "loss": (("order", "run", "logged_step"), losses),
        },
        {
            "order": [1.0, 30.0, math.inf], "run": [0, 1],
            "step": [0, 1000, 2000, 3000, 4000], "logged_step": np.arange(100, 4001, 100),
        },
        {"seed": 5, "steps": 4000, "batch": 4, "learning_rate": 1e-3, "decay": "constant",
         "preset": "own", "policies": 10},
    )  # fmt: skip


def test_ends_table_has_the_last_numbers_of_each_order(results):
    lines = spreads.ends_table(results).splitlines()
    assert len(lines) == 2 + 3
    assert lines[2].startswith("| 1 | 1.00 | 10.00 | 0.50 | 0.40 | 1.000 | no")
    assert lines[3].startswith("| 30 | 1.00 | 10.00 | 9.00 | 8.00 | 0.400 | no")
    assert lines[4].startswith("| ∞ | 0.250 | 10.00 | 5.00 | 4.00 | 1.000 | yes")


def test_second_half_table_tells_falling_from_standing(results):
    lines = spreads.second_half_table(results).splitlines()
    assert "| stands still | × 1.00 |" in lines[2]
    assert "| 10.00 | 7.00 | 5.00 | falls on | × 0.25 | 1.000 |" in lines[4]
    assert spreads.falling_on(results) == [math.inf]


def test_shares_are_percentages_of_the_start(results):
    said = spreads.shares(results)
    assert (said["one"], said["inf"], said["inf-plans"]) == (5, 50, 100)
    assert said["wider"] == spreads.listed([30.0])
    assert said["still"] == spreads.listed([math.inf])
    ends = spreads.shares(results.sel(order=[1.0, math.inf]))
    assert ends["wider"] == "none"


def test_the_published_diameter_of_a_cloud_on_a_line():
    # All points lie on a line: the first component is their place on it.
    places = np.random.default_rng(0).permutation(np.arange(120.0))
    cloud = places[:, None] * np.array([0.6, 0.8])
    groups, _ = published_diameter(places - places.mean())
    apart = [(x - y) ** 2 for i, x in enumerate(places) for y in places[:i]]
    wanted = groups / np.sqrt(np.mean(apart))
    assert spreads.group_ratio(cloud) == pytest.approx(wanted)
    assert spreads.group_ratio(7 * cloud + 3) == pytest.approx(wanted)


def test_published_diameters_are_drawn_as_points(results, drawn):
    figure = figures.published_diameters(results)
    drawn(figure)
    left, right = figure.axes
    points, ours = (bars.lines[0].get_ydata() for bars in left.containers)
    assert list(points) == [mean for mean, _ in PUBLISHED.values()]
    assert np.isnan(ours).all()  # two runs are no group of 20
    missing = [text for text in right.texts if text.get_text() == "not computed"]
    assert len(missing) == len(PUBLISHED) - 3
