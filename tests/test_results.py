"""Finished experiments as labelled data, recomputed from the models themselves."""

import dataclasses
import json
import math
import shutil

import h5netcdf
import h5py
import jax
import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from oracles import long_run_value
from sklearn.decomposition import PCA
from tiny import SEED, TINY, files

import pve
from pve.book import rivals
from pve.engines.dispatch import run_experiment
from pve.experiments import find_experiment
from pve.results.endings import final_losses, movement
from pve.results.load import present, status
from pve.results.moments import write_moments
from pve.results.summary import write_summary
from pve.runs.meanings import MEANINGS

ORDERS, STEPS = [1, math.inf], [0, 20, 40]


@pytest.fixture(scope="module")
def diameter(finished):
    return pve.load(finished, "diameter")


@pytest.fixture(scope="module")
def capacity(finished):
    return pve.load(finished, "capacity")


def models_of(finished, order, step):
    return np.stack(
        [
            pve.flatten(
                pve.load_model(finished, "diameter", order=order, run=run, step=step)
            )
            for run in (0, 1)
        ]
    )


# Shapes -----------------------------------------------------------------------------


def test_dimensions_of_the_diameter(diameter):
    sizes = {"order": 2, "run": 2, "step": 3, "logged_step": 4, "component": 2}
    assert dict(diameter.sizes) == sizes
    assert diameter.loss.dims == ("order", "run", "logged_step")
    assert diameter.performance.dims == ("order", "run", "step")
    assert diameter.score.dims == ("order", "run", "step", "component")
    assert diameter.spread.dims == ("order", "step")
    assert diameter.diameter.dims == ("order",)
    assert diameter.explained.dims == ("order", "component")
    assert diameter.order.values.tolist() == ORDERS
    assert diameter.step.values.tolist() == STEPS
    assert diameter.logged_step.values.tolist() == [10, 20, 30, 40]
    for name in diameter.data_vars:
        assert np.isfinite(diameter[name]).all(), name


def test_dimensions_of_the_capacity(capacity):
    assert dict(capacity.sizes) == {
        "mode": 2, "rank": 2, "run": 2, "step": 3, "logged_step": 4
    }  # fmt: skip
    assert capacity.loss.dims == ("mode", "rank", "run", "logged_step")
    assert capacity.performance.dims == ("mode", "rank", "run", "step")
    assert capacity.mode.values.tolist() == ["deterministic", "stochastic"]
    assert capacity["rank"].values.tolist() == [2, 20]
    for name in capacity.data_vars:
        assert np.isfinite(capacity[name]).all(), name


def test_attributes_hold_the_configuration(diameter, rooms):
    assert diameter.attrs["seed"] == SEED
    assert diameter.attrs["batch"] == 4
    assert diameter.attrs["env"] == "four-rooms"
    assert diameter.attrs["optimal_performance"] == pytest.approx(72.89057, abs=5e-6)
    uniform = long_run_value(rooms.mdp, pve.uniform_policy(rooms.mdp)).mean()
    assert diameter.attrs["uniform_performance"] == pytest.approx(uniform)


# Numbers ----------------------------------------------------------------------------


@pytest.mark.parametrize("order", ORDERS)
def test_geometry_from_the_models(diameter, finished, order):
    chosen = diameter.sel(order=order)
    last = models_of(finished, order, 40)
    basis = PCA(1, svd_solver="full").fit(last)
    for step in STEPS:
        models = models_of(finished, order, step)
        distance = np.linalg.norm(models[0] - models[1])
        assert float(chosen.spread.sel(step=step)) == pytest.approx(distance, rel=1e-5)
        expected = basis.transform(models)[:, 0]
        got = chosen.score.sel(step=step, component=1).values
        sign = np.sign((got * expected).sum())
        np.testing.assert_allclose(got, sign * expected, rtol=0, atol=1e-4)
    distance = np.linalg.norm(last[0] - last[1])
    assert float(chosen.diameter) == pytest.approx(distance, rel=1e-5)
    np.testing.assert_allclose(chosen.explained, [1, 0], rtol=0, atol=1e-6)


def test_performance_from_the_models(diameter, capacity, finished, rooms):
    low, high = (diameter.attrs[f"{name}_performance"] for name in ("uniform", "optimal"))
    for order in ORDERS:
        for step in STEPS:
            model = pve.load_model(finished, "diameter", order=order, run=1, step=step)
            expected = pve.performance(model, rooms.mdp)
            chosen = diameter.sel(order=order, run=1, step=step)
            assert float(chosen.performance) == pytest.approx(expected, rel=1e-6)
            normalised = (expected - low) / (high - low)
            got = float(chosen.normalised_performance)
            assert got == pytest.approx(normalised, abs=1e-6)
    where = {"mode": "stochastic", "rank": 20, "run": 0}
    model = pve.load_model(finished, "capacity", **where)
    got = float(capacity.performance.sel(**where, step=40))
    assert got == pytest.approx(pve.performance(model, rooms.mdp), rel=1e-6)


def test_training_has_begun(diameter, capacity):
    for results in (diameter, capacity):
        early, late = (results.loss.isel(logged_step=i).mean() for i in (0, -1))
        assert late < early


def test_low_rank_model_has_its_rank(finished):
    for rank in (2, 20):
        model = pve.load_model(finished, "capacity", mode="stochastic", rank=rank, run=1)
        assert model.transition.dtype == np.float64
        np.testing.assert_allclose(model.transition.sum(-1), 1, rtol=0, atol=1e-14)
        for action in range(4):
            matrix = model.transition[:, action]
            assert np.linalg.matrix_rank(matrix, tol=1e-6) == rank


def test_models_of_equal_index_share_their_data_alone(capacity):
    # Equal data, other parameters: the first losses differ between ranks.
    first = capacity.loss.isel(logged_step=0)
    assert not np.isclose(first.sel(rank=2), first.sel(rank=20)).any()


def test_loading_twice_reads_what_was_derived(finished, diameter):
    before = files(finished)
    xr.testing.assert_identical(pve.load(finished, "diameter"), diameter)
    assert files(finished) == before


def test_damaged_derived_file_is_made_again(finished, tmp_path, diameter):
    folder = shutil.copytree(finished, tmp_path / "copy")
    derived = list((folder / "diameter").rglob("geometry-*.nc"))
    assert len(derived) == 2
    for path in derived:
        path.write_bytes(path.read_bytes()[:500])
    xr.testing.assert_identical(pve.load(folder, "diameter"), diameter)


def test_forged_derived_file_is_made_again(finished, tmp_path, diameter):
    folder = shutil.copytree(finished, tmp_path / "copy")
    for path in (folder / "diameter").rglob("geometry-*.nc"):
        with xr.open_dataset(path, engine="h5netcdf") as derived:
            forged = derived.load()
        path.write_bytes(
            forged.assign(spread=3 * forged.spread).to_netcdf(engine="h5netcdf")
        )
    xr.testing.assert_identical(pve.load(folder, "diameter"), diameter)


def test_swapped_runs_are_not_loaded(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy") / "diameter" / "order=1"
    for before, after in (("run=0", "x"), ("run=1", "run=0"), ("x", "run=1")):
        (folder / before).rename(folder / after)
    with pytest.raises(
        pve.runs.store.CorruptFile, match=r"belongs to run order=1/run=[01]"
    ):
        pve.load(folder.parent.parent, "diameter")


def test_damaged_results_are_not_loaded(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    path = folder / "diameter" / "order=1" / "run=0" / "curves.nc"
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(pve.runs.store.CorruptFile, match=r"order=1/run=0/curves\.nc"):
        pve.load(folder, "diameter")


def test_orders_may_have_unequal_numbers_of_runs(finished, tmp_path, diameter):
    folder = shutil.copytree(finished, tmp_path / "copy")
    config = dataclasses.replace(TINY["diameter"], orders=(math.inf,), runs=3)
    run_experiment("diameter", config, SEED, folder, progress=False)
    more = pve.load(folder, "diameter")
    assert more.sizes["run"] == 3
    assert np.isnan(more.loss.sel(order=1, run=2)).all()
    assert np.isnan(more.score.sel(order=1, run=2)).all()
    assert np.isfinite(more.loss.sel(order=math.inf)).all()
    xr.testing.assert_allclose(
        more[["loss", "performance", "spread"]].sel(order=1, run=[0, 1]),
        diameter[["loss", "performance", "spread"]].sel(order=1),
    )
    models = [
        pve.flatten(pve.load_model(folder, "diameter", order=math.inf, run=run))
        for run in range(3)
    ]
    spread = float(more.spread.sel(order=math.inf).isel(step=-1))
    assert spread == pytest.approx(pve.spread(models), rel=1e-5)
    diameter = float(more.diameter.sel(order=math.inf))
    assert diameter == pytest.approx(pve.diameter(models), rel=1e-5)


def test_single_runs_have_no_geometry(finished, tmp_path):
    folder = shutil.copytree(finished, tmp_path / "copy")
    for order in ("1", "inf"):
        shutil.rmtree(folder / "diameter" / f"order={order}" / "run=1")
    alone = pve.load(folder, "diameter")
    assert alone.sizes["run"] == 1
    assert "spread" not in alone
    assert np.isfinite(alone.performance).all()


def test_a_single_run_beside_others_has_no_geometry(finished, tmp_path, diameter):
    folder = shutil.copytree(finished, tmp_path / "copy")
    shutil.rmtree(folder / "diameter" / "order=1" / "run=1")
    mixed = pve.load(folder, "diameter")
    assert np.isnan(mixed.spread.sel(order=1)).all()
    xr.testing.assert_allclose(
        mixed.spread.sel(order=math.inf), diameter.spread.sel(order=math.inf)
    )


# What is not there ------------------------------------------------------------------


@pytest.mark.parametrize(
    ("coordinates", "message"),
    [
        (
            {"order": 2, "run": 0},
            r"not finished; expected one of order=1/run=0, order=1/run=1",
        ),
        ({"order": 1, "run": 7}, r"not finished; expected one of order=1/run=0"),
        ({"order": 1}, r"coordinates are \['order'\]; expected \['order', 'run'\]"),
        ({"order": 1, "run": 0, "step": 30}, r"step is 30; expected one of 0, 20, 40"),
    ],
)
def test_models_that_are_not_there(finished, coordinates, message):
    with pytest.raises(ValueError, match=message):
        pve.load_model(finished, "diameter", **coordinates)


def test_folders_without_results(tmp_path):
    for call in (
        lambda: pve.load(tmp_path, "diameter"),
        lambda: pve.load_model(tmp_path, "diameter", order=1, run=0),
        lambda: status(tmp_path),
        lambda: present(tmp_path),
    ):
        with pytest.raises(ValueError, match="holds no results; expected a folder that"):
            call()
    assert list(tmp_path.iterdir()) == []


def test_unknown_experiment(finished):
    with pytest.raises(ValueError, match="'size'; expected one of 'diameter', 'capacity'"):
        pve.load(finished, "size")


def test_status_and_present(finished):
    assert present(finished) == ["diameter", "capacity"]
    states = status(finished)
    assert len(states["diameter"]) == 4
    assert len(states["capacity"]) == 8
    assert {s for runs in states.values() for s in runs.values()} == {"finished"}
    assert list(states["diameter"])[:2] == ["order=1/run=0", "order=1/run=1"]


def test_unconverged_orders_still_move_at_the_end():
    spread = xr.DataArray(
        [[20.0, 1, 0.9, 0.8, 0.8], [20.0, 18, 16, 14, 12], [20.0, 18, 16, 17, 16.5]],
        dims=("order", "step"),
        coords={"order": [1, 60, 90], "step": [0, 25, 50, 75, 100]},
    )
    assert movement(spread).values.tolist() == [0, -1, 1]
    assert movement(spread, share=0.1).values.tolist() == [0, -1, 0]


def test_the_loss_at_the_end_is_the_mean_of_the_last_five():
    losses = xr.DataArray([[9.0, 9, 1, 2, 3, 4, 5]], dims=("run", "logged_step"))
    assert final_losses(losses).values.tolist() == [3]


def said_of_itself(path):
    """A file's attributes and its configuration; all variables have their meaning."""
    with xr.open_dataset(path, engine="h5netcdf") as found:
        for name, variable in found.variables.items():
            assert variable.attrs["long_name"], (path, name)
            assert variable.attrs["units"] == "1", (path, name)
        assert found.attrs["title"], path
        return found.attrs, json.loads(found.attrs["configuration"])


def test_every_file_says_what_it_is_of_and_what_its_variables_mean(finished, tmp_path):
    pve.load(finished, "diameter")  # keeps what is derived from all runs
    write_summary(finished, tmp_path)
    write_moments(finished, tmp_path, [])
    paths = [*finished.rglob("*.nc"), *tmp_path.glob("*.nc")]
    assert len(paths) > 20
    for path in paths:
        attributes, configuration = said_of_itself(path)
        assert configuration["seed"] == SEED
        assert configuration["jax"] == jax.__version__
        assert attributes["source"] == f"pve {pve.__version__}"


def test_files_are_read_by_who_knows_nothing_of_xarray(finished):
    path = finished / "diameter" / "order=inf" / "run=0" / "curves.nc"
    expected = pve.load(finished, "diameter").sel(order=math.inf, run=0)
    with h5py.File(path) as plain, h5netcdf.File(path) as netcdf:
        for found in (plain, netcdf):
            for name, along in (("loss", "logged_step"), ("performance", "step")):
                np.testing.assert_array_equal(found[name][:], expected[name].values)
                np.testing.assert_array_equal(found[along][:], expected[along].values)
        assert netcdf.variables["loss"].dimensions == ("logged_step",)
        assert netcdf.variables["loss"].attrs["units"] == "1"
        (axis,) = plain["loss"].dims
        assert axis[0].name == "/logged_step"


def test_shipped_results_say_it_of_themselves_as_well():
    paths = list((ROOT / "book" / "data").rglob("*.nc"))
    assert len(paths) > 7
    for path in paths:
        attributes, configuration = said_of_itself(path)
        assert configuration["code"], path
        assert configuration["jax"], path
        assert attributes["source"].startswith("pve "), path


def test_every_variable_of_the_shipped_results_has_a_meaning():
    for path in (ROOT / "book" / "data").rglob("*.nc"):
        with xr.open_dataset(path, engine="h5netcdf") as found:
            of_capacity = path.stem.startswith(("models", "losses"))
            name = "capacity" if of_capacity else path.stem
            known = {*MEANINGS, *find_experiment(name).MEANINGS, *rivals.MEANINGS}
            assert set(found.variables) <= known, path
            if path.stem == "losses":
                assert all(found[x].attrs["long_name"] for x in found.variables)
