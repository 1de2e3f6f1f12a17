"""Seeds side by side: against means and deviations taken by hand, run by run."""

import csv
import math
import shutil
import statistics

import pytest
import toy
import xarray as xr

import pve
from pve.experiments import EXPERIMENTS
from pve.figures.seeds import over_seeds
from pve.results.load import load
from pve.results.seeds import endings, load_seeds, spread_over_seeds

SEEDS = (3, 5, 8)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    """Walks of two strides under three seeds, which take no time."""
    from pve.engines.dispatch import run_experiment

    home = tmp_path_factory.mktemp("seeds")
    with pytest.MonkeyPatch.context() as patch:
        patch.setitem(EXPERIMENTS, toy.NAME, toy)
        for seed in (*SEEDS[::-1], 9):
            settings = toy.Walks(runs=2 if seed != 9 else 3)
            run_experiment("toy", settings, seed, home / f"seed-{seed}", progress=False)
        yield home


@pytest.fixture
def three(folders):
    return [folders / f"seed-{seed}" for seed in SEEDS]


def rows(path):
    with open(path, newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def test_tables_hold_what_is_found_by_hand_run_by_run(three, call, tmp_path):
    status, out, err = call("seeds", *three[::-1], "--out", tmp_path / "out")
    assert (status, err) == (0, "")
    names = ("toy.png", "toy.pdf", "toy.csv", "toy-spread.csv")
    assert out.split() == [str(tmp_path / "out" / name) for name in names]
    assert all((tmp_path / "out" / name).stat().st_size > 100 for name in names)
    expected = {}
    for seed, folder in zip(SEEDS, three, strict=True):
        for stride in (1, 3):
            ends = []
            for run in (0, 1):
                path = folder / "toy" / f"stride={stride}" / f"run={run}" / "curves.nc"
                with xr.open_dataset(path, engine="h5netcdf") as curves:
                    ends.append(float(curves.place[-1]))
            expected[seed, stride] = statistics.fmean(ends)
    found = rows(tmp_path / "out" / "toy.csv")
    assert {
        (int(row["seed"]), int(row["stride"])): float(row["place"]) for row in found
    } == pytest.approx(expected)
    for row in rows(tmp_path / "out" / "toy-spread.csv"):
        values = [expected[seed, int(row["stride"])] for seed in SEEDS]
        assert (row["measure"], row["seeds"]) == ("place", "3")
        by_hand = {
            "mean": statistics.fmean(values),
            "standard_deviation": statistics.stdev(values),
            "standard_error": statistics.stdev(values) / math.sqrt(3),
            "lowest": min(values),
            "highest": max(values),
        }
        assert {name: float(row[name]) for name in by_hand} == pytest.approx(by_hand)


def test_the_figure_shows_every_seed_and_their_mean(three, drawn):
    compared = load_seeds(three)["toy"]
    drawn(figure := over_seeds(compared))
    (ax,) = figure.axes
    place = compared.place.transpose("seed", "stride").values
    seeds = [line.get_ydata() for line in ax.lines if line.get_alpha()]
    assert sorted(map(tuple, seeds)) == sorted(map(tuple, place))
    (bars,) = ax.containers
    assert bars.lines[0].get_ydata() == pytest.approx(place.mean(0))
    lengths = [top - bottom for (_, bottom), (_, top) in bars.lines[2][0].get_segments()]
    assert lengths == pytest.approx(2 * place.std(0, ddof=1))
    assert [text.get_text() for text in ax.get_xticklabels()] == ["1", "3"]
    assert "seeds 3, 5, 8; of each the mean of 2 runs" in figure.get_supxlabel()


@pytest.mark.parametrize(
    ("names", "message"),
    [
        (["seed-3"], r"^1 data folder is given; expected two or more$"),
        (["seed-3", "seed-3"], r"are both of seed 3; expected distinct seeds$"),
        (["seed-3", "seed-9"], r"3 of stride=1, 3 of stride=3 finished runs, .*2 of str"),
        (["seed-3", "other"], r"steps is 15 there, 20 here; expected folders that differ"),
        (["seed-3", "nothing"], r"holds no results; expected a folder"),
        (
            ["seed-3", "diameter"],
            r"'.*seed-3' holds toy; '.*diameter' holds diameter; expected",
        ),
    ],
    ids=["one", "twice", "runs", "settings", "nothing", "another"],
)
def test_what_cannot_be_compared_is_named(
    folders, finished, tmp_path, call, names, message
):
    from pve.engines.dispatch import run_experiment

    run_experiment("toy", toy.Walks(steps=15), 4, tmp_path / "other", progress=False)
    shutil.copytree(finished / "diameter", tmp_path / "diameter" / "diameter")
    paths = [folders / name if (folders / name).exists() else tmp_path / name
             for name in names]  # fmt: skip
    with pytest.raises(ValueError, match=message):
        load_seeds(paths)
    status, out, err = call("seeds", *paths, "--out", tmp_path / "out")
    assert (status, out, err.count("\n")) == (2, "", 1)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("experiment", ["diameter", "capacity"])
def test_ends_are_those_of_the_experiments(finished, experiment):
    results = load(finished, experiment)
    dimensions = EXPERIMENTS[experiment].DIMENSIONS
    ends = endings(results, dimensions)
    kinds = [name for name in dimensions if name != "run"]
    assert set(map(frozenset, (found.dims for found in ends.values()))) == {
        frozenset(kinds)
    }
    last = pve.load(finished, experiment).performance.isel(step=-1)
    assert ends.performance.values == pytest.approx(last.mean("run").values)
    recorded = results.loss.transpose(..., "run", "logged_step").values
    assert ends.loss.values == pytest.approx(recorded[..., -5:].mean((-1, -2)))
    if experiment == "diameter":
        assert ends.spread.values == pytest.approx(results.spread.values[:, -1])
        assert ends.diameter.equals(results.diameter)
    else:
        assert set(ends) == {"loss", "performance", "normalised_performance"}


def test_what_one_seed_lacks_is_counted():
    compared = xr.Dataset(
        {"loss": (("seed", "order"), [[1.0, math.nan], [4.0, 2.0]])},
        {"seed": [0, 1], "order": [1.0, math.inf]},
        {"experiment": "diameter", "runs": 1},
    )
    table = spread_over_seeds(compared).set_index("order")
    assert table.seeds.tolist() == [2, 1]
    assert table["mean"].tolist() == [2.5, 2.0]
    assert table.standard_deviation[1.0] == pytest.approx(statistics.stdev([1, 4]))
    assert math.isnan(table.standard_deviation[math.inf])
    assert math.isnan(table.standard_error[math.inf])
