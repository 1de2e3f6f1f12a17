"""The plain way does the same work as the library: else their ratio means nothing."""

import dataclasses
import math
import re

import jax
import numpy as np
import pytest
from conftest import ROOT
from oracles import varied_mdp

import pve
from pve.benchmark import lanes, others, reference, table


@pytest.fixture(scope="module")
def rooms():
    return pve.four_rooms().mdp


def arrays(mdp):
    return np.asarray(mdp.reward), np.asarray(mdp.transition), float(mdp.discount)


@pytest.mark.parametrize("order", [1, 3, math.inf])
@pytest.mark.parametrize("rank", [None, 5])
def test_losses_agree(rooms, order, rank):
    policies = pve.random_policies(jax.random.key(0), 7, 104, 4)
    values = pve.policy_value(rooms, policies).astype(np.float32)
    if order != math.inf:
        values = np.asarray(jax.random.uniform(jax.random.key(1), values.shape))
    params = reference.initial_parameters(np.random.default_rng(0), 104, 4, rank)
    form = reference.softmax_model if rank is None else reference.low_rank_model
    model = pve.MDP(*map(np.asarray, form(params)), 0.99)
    step, init = reference.make_step(arrays(rooms), order, rank, 1e-3)
    got = step(params, init(params), np.asarray(policies), values)[2]
    if order == math.inf:
        expected = pve.pve_loss(model, policies, values)
    else:
        expected = pve.ve_loss(model, rooms, policies, values, order)
    assert float(got) == pytest.approx(float(expected), rel=1e-4)


def test_exact_values_agree(rooms):
    policies = np.asarray(pve.random_policies(jax.random.key(0), 5, 104, 4), float)
    policies /= policies.sum(-1, keepdims=True)
    np.testing.assert_allclose(
        reference.exact_values(arrays(rooms), policies),
        pve.policy_value(rooms, policies),
        rtol=1e-9,
    )


@pytest.mark.parametrize("compiled", [False, True])
def test_performances_agree(rooms, compiled):
    got = reference.performance_by_value_iteration(
        arrays(rooms), arrays(rooms), compiled=compiled
    )
    # Backups stop at changes of 1e-4, so values are within 1e-4 γ / (1 − γ), and float32.
    assert got == pytest.approx(pve.performance(rooms, rooms), abs=0.02)


def test_newton_steps_end_below_the_plain_ways_loss(rooms):
    # The plain way ends at 0.02 (`book/data/bench.md`); a run that stopped short of it
    # would make the ratio of whole runs mean nothing.
    model = table._by_newton(rooms, jax.random.key(3))
    fresh = pve.random_policies(jax.random.key(4), 200, 104, 4)
    assert pve.pve_loss(model, fresh, pve.policy_value(rooms, fresh)) < 0.02


def test_lanes_are_measured_beside_one_run_a_core(rooms, capsys):
    trainings = (
        table.Training("k = 2", 2, None, 2),
        table.Training("k = ∞", math.inf, None, 2),
        table.Training("r", math.inf, 5, 2),
    )
    rows = list(lanes.measure(rooms, trainings, lanes=2, repeats=1, policies=60))
    assert tuple(row.training for row in rows) == trainings
    for row in rows:
        assert all(0 < number < math.inf for number in row[1:])
    lanes.print_lanes(iter(rows), 2)
    out = capsys.readouterr().out
    assert out.count("\n| k = 2 | ") == 1
    assert "cpu: 2 runs in a program" in out
    assert re.search(r"preset `paper` takes at most [1-9]\d*\.\d hours", out)


def test_hours_of_the_published_size():
    """Steps that cost k and the rank in microseconds, as lines do between two of them."""
    rows = [
        lanes.LaneRow(training, cost * 1e-6, 1, 1, 1)
        for training, cost in (
            (table.Training("", math.inf, None, 1), 7),
            (table.Training("", 1, None, 1), 1),
            (table.Training("", 60, None, 1), 60),
            (table.Training("", math.inf, 20, 1), 20),
            (table.Training("", math.inf, 104, 1), 104),
        )
    ]
    # Orders 1, 30, 40, 50, 60 and ∞, half a million steps; the ranks, a million.
    ranks = (20, 30, 40, 50, 60, 70, 80, 90, 100, 104)
    expected = 0.5 * (1 + 30 + 40 + 50 + 60 + 7) + sum(ranks)
    assert lanes.paper_seconds(rows) == pytest.approx(expected)


def test_the_step_that_is_measured_in_lanes_is_the_loops(rooms):
    """What is timed is what is trained: the same losses, to rounding."""
    training = table.Training("k = 3", 3, None, 4)
    state, problem = lanes._posed(rooms, training, 60)
    states, problems = lanes._in_lanes(state, problem, 2)
    found = lanes.advance_lanes(states, problems, 4)[1]
    key = jax.random.fold_in(problem.key, 1)
    alone = lanes.advance(state, dataclasses.replace(problem, key=key), 4)[1]
    np.testing.assert_allclose(found[1], alone, rtol=1e-4)


# Beside other libraries ---------------------------------------------------------------


def test_memory_and_time_of_a_process_of_its_own():
    value, _ = pve.policy_iteration(others.world(60).dense())
    found = others.spend("pve", 60)
    assert found.value == pytest.approx(value.mean())
    assert 0 < found.seconds < 60
    assert 0 <= found.bytes < 1e9


def test_a_library_that_does_not_answer_is_stopped(monkeypatch):
    monkeypatch.setattr(others, "SECONDS", 0.0)
    found = others.spend("pve", 60)
    assert math.isinf(found.seconds)
    assert others._compared(others.Spent(1, 1, 1), found) == "no answer in 0 s"


def test_ratios_are_of_equal_work(monkeypatch, capsys):
    spent = {
        "pve": others.Spent(0.5, 1e6, 2.0),
        "QuantEcon": others.Spent(2.0, 8e6, 2.0 + 1e-9),
        "mdptoolbox": others.Spent(0.1, 1e6, 3.0),
    }
    monkeypatch.setattr(others, "spend", lambda name, size: spent[name])
    monkeypatch.setattr(others, "installed", lambda: list(others.OTHERS))
    others.print_others((1000,))
    row = capsys.readouterr().out.splitlines()[-1]
    assert row == ("| 1,000 | 0.500 s, 1 MB | 4.00 (8 MB) | another value: 3, not 2 |")


def test_what_is_missing_is_named(monkeypatch, capsys):
    monkeypatch.setattr(others, "installed", list)
    monkeypatch.setattr(others, "spend", lambda name, size: others.Spent(1, 0, 0))
    others.print_others((10,))
    out = capsys.readouterr().out
    assert out.endswith(
        "QuantEcon and mdptoolbox: not installed; pip install 'pve[bench]' does it\n"
    )


def test_the_shipped_table_is_of_these_libraries_and_sizes():
    text = (ROOT / "book" / "data" / "bench.md").read_text(encoding="utf-8")
    head = next(others.lines(list(others.OTHERS), ()))
    rows = text.partition(head)[2].split("\n\n")[0].strip().splitlines()[1:]
    cells = [row.replace(",", "").split("|")[1:-1] for row in rows]
    assert tuple(int(row[0]) for row in cells) == others.SIZES
    ratios = {int(row[0]): float(row[2].split()[0]) for row in cells}
    assert ratios[2000] > 1  # where policy iteration is to be no slower than QuantEcon's
    assert all(float(row[3].split()[0]) > 0 for row in cells)


@pytest.mark.parametrize("name", others.installed() or [None])
def test_all_libraries_find_the_same_optimum(name):
    """Where they are installed; `tests/test_planning.py` has oracles that always are."""
    names = [name] if name else ["pve"]
    for each in names:
        found = others.SOLVERS[each](others.world(50))
        expected, _ = pve.policy_iteration(others.world(50).dense())
        np.testing.assert_allclose(found, expected, rtol=1e-9)


def test_quantecon_agrees_on_two_hundred_worlds():
    """Penalties, masks and discounts up to 1 − 1e-9, where QuantEcon is installed.

    `tests/test_planning.py` asks the same of rational numbers, which say who is right where
    two actions are closer than rounding.
    """
    markov = pytest.importorskip("quantecon.markov", reason="QuantEcon is not installed")
    plans = 0
    for seed in range(200):
        mdp = varied_mdp(seed)
        legal = np.ones(mdp.reward.shape, bool) if mdp.legal is None else mdp.legal
        reward = np.where(legal, mdp.reward, -np.inf)
        theirs = markov.DiscreteDP(reward, mdp.transition, mdp.discount)
        theirs = theirs.solve(method="policy_iteration")
        value, policy = pve.policy_iteration(mdp)
        # Probabilities are rounded, which values feel 1 / (1 − γ) times.
        slack = 1e-14 / (1 - mdp.discount) * np.abs(value).max()
        np.testing.assert_allclose(theirs.v, value, rtol=0, atol=slack, err_msg=str(seed))
        plans += (theirs.sigma == policy.argmax(-1)).all()
    assert plans >= 199  # in one world two actions are closer than its rounding
