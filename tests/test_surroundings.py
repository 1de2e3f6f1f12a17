"""What the user has set or left lying about changes nothing, or is named in one line."""

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from tiny import SEED, TINY, data_files

import pve
from pve import defaults, figures
from pve.engines.dispatch import run_experiment
from pve.figures import style
from pve.runs import folders

# Figures ------------------------------------------------------------------------------


def test_figures_start_from_the_defaults_and_leave_a_script_its_own(rooms):
    mine = {"text.usetex": True, "axes.facecolor": "red", "lines.linewidth": 9.0}
    with mpl.rc_context(mine):
        before = dict(mpl.rcParams)
        figure = figures.next_states(rooms, rooms.mdp, 0, 0, "a test")
        assert dict(mpl.rcParams) == before
        blank, ax = style.new_figure()
        assert dict(mpl.rcParams) == before
    assert ax.get_facecolor() == (1, 1, 1, 1)
    assert not ax.get_xaxis().label.get_usetex()
    assert not any(text.get_usetex() for text in figure.findobj(mpl.text.Text))
    plt.close(figure)
    plt.close(blank)


# Settings of JAX ----------------------------------------------------------------------

UNUSUAL = {
    "jax_enable_x64": True,
    "jax_threefry_partitionable": False,
    "jax_numpy_rank_promotion": "raise",
    "jax_default_prng_impl": "rbg",
}


@pytest.fixture
def unusual():
    """JAX as a user may have set it, in all threads."""
    before = {name: getattr(jax.config, name) for name in UNUSUAL}
    for name, value in UNUSUAL.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.usefixtures("unusual")
@pytest.mark.parametrize("engine", ["local", "device"])
def test_runs_have_the_same_bits_whatever_jax_is_set_to(finished, tmp_path, engine):
    report = run_experiment(
        "diameter", TINY["diameter"], SEED, tmp_path, engine=engine, progress=False
    )
    assert report.failed == {}
    assert jax.config.jax_enable_x64
    if engine == "local":
        assert data_files(tmp_path, "diameter") == data_files(finished, "diameter")
    else:
        found, expected = pve.load(tmp_path, "diameter"), pve.load(finished, "diameter")
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-3)


def test_training_has_the_same_bits_whatever_jax_is_set_to(request):
    env = pve.MDP([[1.0, 0.0], [0.0, 2.0]], [[[0, 1], [1, 0]], [[1, 0], [0, 1]]], 0.9)
    key = jax.random.key(0, impl="threefry2x32")

    def train():
        recipe = pve.Recipe(steps=20, batch=4)
        return pve.train(key, env, order=5, recipe=recipe, num_policies=20)

    expected = train()
    request.getfixturevalue("unusual")
    found = train()
    assert found.losses.dtype == np.float32
    np.testing.assert_array_equal(found.losses, expected.losses)


@pytest.mark.usefixtures("unusual")
def test_a_program_of_ours_is_settled():
    defaults.settle_jax()
    for name, value in defaults.DEFAULTS.items():
        assert getattr(jax.config, f"jax_{name}") == value


def test_settings_that_stay_and_change_numbers_belong_to_the_identity(monkeypatch):
    def identity():
        return folders.identity("diameter", TINY["diameter"], 0, "rooms")

    usual = identity()
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/tmp/there")
    assert identity() == usual
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    (difference,) = folders.differences(usual, identity())
    assert difference == ("XLA_FLAGS is None there, '--xla_cpu_enable_fast_math=true' here")
