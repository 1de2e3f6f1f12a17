"""What the book's chapters share: its words, its pages, its results."""

import dataclasses
import math
import re

import jax.numpy as jnp
import myst_nb
import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from markdown_it import MarkdownIt
from tiny import SEED, TINY

import pve
from pve.book import models, page, text
from pve.experiments.settings import CAPACITY


@pytest.fixture
def told(monkeypatch):
    """What the prose was told, by name."""
    found = {}
    monkeypatch.setattr(
        myst_nb, "glue", lambda name, value, display: found.update({name: value})
    )
    return found


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array(2.5), 2.5),
        (jnp.asarray(0.25), 0.25),
        (7, 7),
        (0.1, 0.1),
        ("half as far", "half as far"),
    ],
)
def test_the_prose_is_told_pythons_own_numbers(monkeypatch, value, expected):
    calls = []
    monkeypatch.setattr(myst_nb, "glue", lambda *args, **kw: calls.append((args, kw)))
    text.tell("dia-rms", value)
    assert calls == [(("dia-rms", expected), {"display": False})]
    assert type(calls[0][0][1]) is type(expected)


def test_the_prose_is_told_several_facts(told):
    text.tell_facts("dia", {"one": np.float64(0.5), "two": "half"})
    assert told == {"dia-one": 0.5, "dia-two": "half"}


def test_the_prose_is_told_the_size_of_an_experiment(told, finished):
    results = pve.load(finished, "diameter")
    results.attrs["seconds"] = 5400.0
    results.attrs["steps"] = 20_000
    text.tell_size("dia-large", results)
    assert told == {
        "dia-large-seed": SEED,
        "dia-large-runs": TINY["diameter"].runs,
        "dia-large-steps": "20,000",
        "dia-large-hours": "1.5",
    }


@pytest.mark.parametrize(
    ("number", "written"),
    [
        (1.0, "1 · 10⁰"),
        (3.4e-13, "3 · 10⁻¹³"),
        (9.7e-5, "1 · 10⁻⁴"),
        (-2e10, "-2 · 10¹⁰"),
        (np.float32(4567.0), "5 · 10³"),
    ],
)
def test_powers_of_ten(number, written):
    assert text.power_of_ten(number) == written


def test_a_table_letter_by_letter():
    rows = [["$\\ell_\\infty$", 0.5, "yes"], ["", 12, "**no**"]]
    assert text.table(["", "loss", "still *moving*"], rows) == (
        "| | loss | still *moving* |\n"
        "|---|---|---|\n"
        "| $\\ell_\\infty$ | 0.5 | yes |\n"
        "| | 12 | **no** |"
    )
    assert text.table(["a", "b"], (["`x`", n] for n in range(2)), align="lr") == (
        "| a | b |\n|---|--:|\n| `x` | 0 |\n| `x` | 1 |"
    )
    assert text.table(["a"], []) == "| a |\n|---|"


def test_a_table_is_read_as_one():
    html = (
        MarkdownIt()
        .enable("table")
        .render(text.table(["", "b"], [["x", 1], ["", 2]], align="lr"))
    )
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall("<t[hd].*?</t[hd]>", html)]
    assert cells == ["", "b", "x", "1", "", "2"]
    assert html.count("text-align:right") == 3


@pytest.mark.parametrize(
    ("rows", "align", "message"),
    [
        ([["x"]], "", "a row is .* expected 2 cells"),
        ([["x", "y", "z"]], "", "a row is .* expected 2 cells"),
        ([], "l", "align is 'l'; expected 2 letters"),
        ([], "lx", "align is 'lx'; expected 2 letters"),
    ],
)
def test_an_uneven_table_is_refused(rows, align, message):
    with pytest.raises(ValueError, match=message):
        text.table(["a", "b"], rows, align)


def test_settings_side_by_side():
    ours = dataclasses.replace(CAPACITY["paper"], ranks=(2, 20), runs=3)
    lines = text.settings(ours, CAPACITY["paper"]).splitlines()
    assert lines[:2] == ["| | the paper | this page |", "|---|---|---|"]
    papers = ", ".join(map(str, CAPACITY["paper"].ranks))
    assert f"| ranks d | {papers} | **2, 20** |" in lines
    assert f"| batch | {ours.batch} | {ours.batch} |" in lines
    assert sum("**" in line for line in lines) == 2


def test_trained_models_by_order(finished):
    orders, runs = TINY["diameter"].orders, range(TINY["diameter"].runs)
    found = models.trained(finished, orders, runs)
    assert list(found) == list(orders)
    results = pve.load(finished, "diameter")
    for order in orders:
        assert len(found[order]) == len(runs)
        # The results were measured while training, on the models themselves.
        vectors = np.stack([pve.flatten(model) for model in found[order]])
        last = results.sel(order=order).isel(step=-1)
        assert pve.spread(vectors) == pytest.approx(float(last.spread), rel=1e-4)
        for run, model in zip(runs, found[order], strict=True):
            plan = pve.performance(model, pve.four_rooms().mdp)
            assert plan == pytest.approx(float(last.performance.sel(run=run)), rel=1e-4)
    # An iterator of runs serves every order.
    again = models.trained(finished, orders, iter(runs))
    assert [len(each) for each in again.values()] == [len(runs)] * len(orders)


def test_models_of_a_run_that_is_not_there(finished):
    with pytest.raises(ValueError, match="is not finished; expected"):
        models.trained(finished, [math.inf], [99])


def test_impossible_moves_by_hand():
    # Action 0 stays, action 1 goes on around a ring of three: no action goes back.
    stay, onward = np.eye(3), np.roll(np.eye(3), 1, 1)
    env = pve.MDP(np.zeros((3, 2)), np.stack([stay, onward], 1), 0.9)
    assert models.impossible_moves(env, env) == 0
    # The model plans action 1 everywhere; from state 0 it goes back in 3 of 10 cases.
    back = stay[2]
    moves = np.stack([stay, onward], 1)
    moves[0, 1] = 0.7 * onward[0] + 0.3 * back
    model = pve.MDP([[0, 1]] * 3, moves, 0.9)
    assert models.impossible_moves(model, env) == pytest.approx(0.3 / 3)
    # What it imagines of an action that it does not plan does not count.
    moves = np.stack([np.roll(onward, 1, 1), onward], 1)
    assert models.impossible_moves(pve.MDP([[0, 1]] * 3, moves, 0.9), env) == 0


def test_impossible_moves_counted(finished):
    env = pve.four_rooms().mdp
    model = pve.load_model(finished, "diameter", order=math.inf, run=0)
    plan = pve.policy_iteration(model)[1].argmax(-1)
    lost = [
        sum(
            model.transition[s, plan[s], t]
            for t in range(env.num_states)
            if all(env.transition[s, a, t] == 0 for a in range(env.num_actions))
        )
        for s in range(env.num_states)
    ]
    assert models.impossible_moves(model, env) == pytest.approx(np.mean(lost))


def test_what_is_shipped_is_found():
    assert page.shipped_file("bench.md") == ROOT / "book" / "data" / "bench.md"
    large = page.shipped("diameter")
    assert isinstance(large, xr.Dataset)
    assert large.attrs["preset"] == "standard (shipped)"
    with pytest.raises(
        FileNotFoundError, match="'other' is not shipped; expected one of bench"
    ):
        page.shipped("diameter", "other")


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """The package as installed elsewhere: the book does not stand beside it."""
    monkeypatch.setattr(page, "SHIPPED", tmp_path / "book" / "data")
    monkeypatch.delenv("PVE_RESULTS", raising=False)


@pytest.mark.usefixtures("installed")
@pytest.mark.parametrize(
    ("ask", "error"),
    [
        (lambda: page.shipped("diameter"), FileNotFoundError),
        (lambda: page.shipped_file("bench.md"), FileNotFoundError),
        (lambda: page.data_folder(0, "smoke"), ValueError),
        (lambda: page.experiment("diameter", 0, "smoke"), ValueError),
    ],
)
def test_an_installed_package_has_no_data_of_the_book(ask, error):
    with pytest.raises(error) as caught:
        ask()
    message = str(caught.value)
    assert "not part of an installed package" in message
    assert "a clone of the repository has them" in message
    assert "\n" not in message
    if error is ValueError:
        assert "PVE_RESULTS names no folder" in message


@pytest.mark.usefixtures("installed")
def test_results_of_an_installed_package_go_where_they_are_told(monkeypatch, tmp_path):
    monkeypatch.setenv("PVE_RESULTS", str(tmp_path / "mine"))
    folder = page.data_folder(3, "smoke")
    assert folder.parent.parent == tmp_path / "mine"
    assert folder.name == "smoke-3"


def test_a_number_that_is_none_is_a_dash():
    assert text.or_dash(1.26) == "1.3"
    assert text.or_dash(2, 2) == "2.00"
    assert text.or_dash(float("nan"), 2) == "—"
