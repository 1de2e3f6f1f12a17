"""Models of limited rank under four losses: the trainings, and what is shipped of them."""

import dataclasses
import itertools
import math

import numpy as np
import pytest
import xarray as xr
from conftest import ROOT
from oracles import damage, deterministic_policies, random_mdp
from tiny import SEED, TINY

import pve
from pve.book import absorbed, rivals
from pve.equivalence.losses import likelihood_loss
from pve.experiments import capacity
from pve.experiments.base import Task
from pve.figures import rivals as pictures
from pve.runs import provenance, store
from pve.training.objective import Likelihood, OrderK, Proper

SHIPPED = ROOT / "book" / "data" / "losses"
CONFIG = TINY["capacity"]
WORLD = random_mdp(0, 4, 2)


def job_of(env, rank=2, run=1):
    task = Task((("mode", rivals.MODE), ("rank", rank), ("run", run)), 1)
    return capacity.prepare(CONFIG, SEED, env, task)


# Trainings ----------------------------------------------------------------------------


def test_only_the_loss_differs(rooms):
    env = rooms.mdp
    job = job_of(env)
    posed = {loss: rivals.problem(loss, job, SEED, 1, env) for loss in rivals.LOSSES}
    for problem in posed.values():
        assert problem.key is job.problem.key
        assert problem.recipe == job.problem.recipe
        np.testing.assert_array_equal(problem.data.policies, job.problem.data.policies)
    kinds = [Likelihood(), OrderK(1), OrderK(1), Proper()]
    assert [problem.objective for problem in posed.values()] == kinds
    own, others = (np.asarray(posed[x].data.values) for x in ("own values", "values"))
    assert (own != others).any()
    order = np.lexsort(own.T), np.lexsort(others.T)  # the same values, given to others
    np.testing.assert_array_equal(own[order[0]], others[order[1]])
    functions = np.asarray(posed["random functions"].data.values)
    assert np.abs(functions).max() <= 1
    assert functions.std() == pytest.approx(3**-0.5, rel=0.05)
    policies = np.asarray(job.problem.data.policies)
    targets = pve.bellman(env, policies[:3], functions[:3])
    np.testing.assert_allclose(
        posed["random functions"].data.targets[:3], targets, rtol=1e-4, atol=1e-5
    )
    with pytest.raises(ValueError, match="likelihood"):
        rivals.problem("hearsay", job, SEED, 1, env)


def test_own_values_are_the_capacity_experiment(finished, rooms):
    found = rivals.train("own values", CONFIG, SEED, rooms.mdp, rank=2, run=1)
    at = {"mode": rivals.MODE, "rank": 2, "run": 1}
    stored = pve.load_model(finished, "capacity", **at)
    np.testing.assert_allclose(found.model.transition, stored.transition, atol=1e-6)
    np.testing.assert_allclose(found.model.reward, stored.reward, atol=1e-6)
    assert found.losses.shape == (CONFIG.steps,)


def test_the_study_is_these_trainings(monkeypatch):
    """Every number stands where its training belongs, and the trainings are `train`'s.

    One cell of each loss is trained; the others get a loss that names them, because each
    loss at each rank and length is a program to compile.
    """
    at, original = {"length": 40, "rank": 2, "run": 1}, rivals.train

    def named(loss, config, seed, env, *, rank, run):
        if (config.steps, rank, run) == tuple(at.values()):
            return original(loss, config, seed, env, rank=rank, run=run)
        number = 1000 * rivals.LOSSES.index(loss) + 100 * rank + config.steps + run
        return rivals.Trained(env, np.full(config.steps, float(number)))

    with monkeypatch.context() as patch:
        patch.setattr(rivals, "train", named)
        found = rivals.study(SEED, lengths=[10, 40], ranks=(2, 5), runs=[0, 1], base=CONFIG)
    sizes = {"length": 2, "loss_name": 4, "rank": 2, "run": 2}
    assert dict(found.performance.sizes) == sizes
    env = pve.four_rooms().mdp
    best = pve.performance(env, env)
    for place, loss in enumerate(rivals.LOSSES):
        for length, rank, run in itertools.product((10, 40), (2, 5), (0, 1)):
            cell = {"length": length, "loss_name": loss, "rank": rank, "run": run}
            loss_found = float(found.loss.sel(cell))
            worth = float(found.performance.sel(cell))
            if (length, rank, run) == tuple(at.values()):
                one = original(loss, CONFIG, SEED, env, rank=rank, run=run)
                assert worth == pytest.approx(pve.performance(one.model, env))
                assert worth < best
                assert loss_found == pytest.approx(one.losses.mean(), rel=1e-5)
            else:
                assert loss_found == 1000 * place + 100 * rank + length + run
                assert worth == pytest.approx(best)


def test_what_is_written_is_read_and_damage_is_found(monkeypatch, tmp_path):
    def study(seed, runs):
        numbers = np.full((1, 1), float(seed + runs[0]))
        return xr.Dataset({"loss": (("rank", "run"), numbers)}, {"run": runs, "rank": [2]})

    monkeypatch.setattr(rivals, "study", study)
    rivals.write(tmp_path, 5, runs=2)
    found = rivals.load(tmp_path)
    assert found.loss.values.tolist() == [[5, 6]]
    assert found.attrs["seed"] == 5
    assert found.attrs["machine"]["cores"] >= 1
    assert found.attrs["lengths"] == list(rivals.LENGTHS)
    for name in (rivals.FILE, rivals.MANIFEST):
        content = (tmp_path / name).read_bytes()
        damage(tmp_path / name, "truncated")
        with pytest.raises(store.CorruptFile, match=name):
            rivals.load(tmp_path)
        (tmp_path / name).write_bytes(content)


# What is shipped ----------------------------------------------------------------------


@pytest.fixture(scope="module")
def shipped():
    return rivals.load(SHIPPED)


def test_the_shipped_study_says_what_made_it(shipped):
    assert shipped.sizes["run"] == 3
    assert tuple(shipped["rank"].values) == rivals.RANKS
    assert tuple(shipped.length.values) == rivals.LENGTHS
    assert all(np.isfinite(shipped[name]).all() for name in shipped)
    assert provenance.same_numbers(rivals.numerical_code(), shipped.attrs["code"])
    quick = capacity.preset("quick").identity()
    for name in ("batch", "learning_rate", "decay", "policies", "perturbations"):
        assert shipped.attrs[name] == quick[name]


def test_a_shipped_training_comes_out_again(shipped):
    at = {"length": 3_000, "loss_name": "likelihood", "rank": 20, "run": 1}
    env, seed = pve.four_rooms().mdp, shipped.attrs["seed"]
    again = rivals.train("likelihood", rivals.setting(3_000), seed, env, rank=20, run=1)
    # Another machine rounds otherwise, and three thousand steps carry that on; the other
    # runs' losses differ by more.
    loss = again.losses[-rivals.LAST :].mean()
    assert loss == pytest.approx(float(shipped.loss.sel(at)), rel=2e-3)
    worth = pve.performance(again.model, env)
    assert worth == pytest.approx(float(shipped.performance.sel(at)), abs=3)


def made_up(ml, random):
    """A study of two lengths, three ranks and two runs; values plan at 70."""
    worth = np.full((2, 4, 3, 2), 70.0)
    worth[:, 0], worth[:, 1] = np.array(ml)[:, None], np.array(random)[:, None]
    losses = np.ones((2, 4, 3, 2))
    losses[1, 1] = np.array([0.95, 0.8, 0.99])[:, None]
    axes = ("length", "loss_name", "rank", "run")
    coordinates = {
        "length": [10, 20], "loss_name": list(rivals.LOSSES), "rank": [5, 6, 7],
        "run": [0, 1],
    }  # fmt: skip
    data = {"performance": (axes, worth), "loss": (axes, losses)}
    return xr.Dataset(data, coordinates, {"seconds": 120})


def test_what_is_said_of_the_study():
    told = absorbed.study_facts(made_up([20, 20, 20], [20, 50, 71]))
    assert (told["ml-settled"], told["random-settled"]) == (7, 5)  # 7: all ranks
    assert (told["random-best"], told["random-others"]) == (20, 70)
    assert told["ml-best"] == 20
    assert (told["runs"], told["times"]) == (2, 2)
    falling = made_up([70] * 3, [70] * 3)
    falling.loss[1] = 0.5
    assert absorbed.study_facts(falling)["ml-settled"] == 0


def test_the_table_of_plans_by_hand():
    study = made_up([20, 20, 20], [20, 50, 69])
    study.performance[1, 0, 0, 1] = 40
    lines = absorbed.plans_table(study.performance.isel(length=-1)).splitlines()
    assert lines[0] == "| trained by | rank 5 | rank 6 | rank 7 |"
    assert lines[2].startswith("| likelihood | 30.0 (20.0–40.0) | 20.0 (20.0–20.0) |")
    assert len(lines) == 6


# Taken apart --------------------------------------------------------------------------


def test_models_are_measured_on_policies_of_their_own(rooms):
    env = rooms.mdp
    asked = absorbed.fresh(env, 3, 10, "deterministic")
    assert asked.policies.shape == (10, 104, 4)
    np.testing.assert_allclose(asked.values, pve.policy_value(env, asked.policies))
    assert sorted(asked.others.sum(-1)) == pytest.approx(sorted(asked.values.sum(-1)))
    slow = pve.MDP(env.reward, 0.9 * env.transition + 0.1 / 104, 0.99)
    models = {(loss, 2, 0): env if loss == "values" else slow for loss in rivals.LOSSES}
    found = absorbed.measured(models, env, asked).sel(rank=2, run=0)
    right = found.sel(loss_name="values")
    assert np.abs(right.values[:4]).max() < 1e-4
    assert right.values[4] == pytest.approx(pve.policy_iteration(env)[0].mean())
    wrong = found.sel(loss_name="likelihood")
    best = float(likelihood_loss(env, env))
    assert wrong.values[0] == pytest.approx(float(likelihood_loss(slow, env)) - best)
    for index, functions in enumerate((asked.functions, asked.others, asked.values), 1):
        gap = pve.bellman(slow, asked.policies, functions)
        gap = gap - pve.bellman(env, asked.policies, functions)
        assert wrong.values[index] == pytest.approx((gap**2).sum(-1).mean(), rel=1e-3)


def test_leaks_counted(rooms):
    env = rooms.mdp
    assert absorbed.leak(env, env) == 0
    uniform = pve.MDP(env.reward, np.full((104, 4, 104), 1 / 104), 0.99)
    reached = (env.transition.max(1) > 0).sum(-1).mean()
    assert absorbed.leak(uniform, env) == pytest.approx(1 - reached / 104)


def test_the_floor_is_attained_by_the_truncated_decomposition():
    weights = np.full((4, 2), 0.5)
    total = 0.0
    for a in (0, 1):
        u, sigma, v = np.linalg.svd(WORLD.transition[:, a])
        low = (u[:, :2] * sigma[:2]) @ v[:2]
        total += 0.5 * ((low - WORLD.transition[:, a]) ** 2).sum()
    found = absorbed.floor(WORLD, weights, 2, 1 / 3)
    assert found == pytest.approx(WORLD.discount**2 / 3 * total)
    assert absorbed.floor(WORLD, weights, 4, 1 / 3) == pytest.approx(0)


def test_what_a_reward_absorbs():
    other, mean = random_mdp(1, 4, 2), np.arange(4.0)
    best, there = absorbed.absorbed(other, WORLD, mean)
    np.testing.assert_allclose(there, other.reward - WORLD.reward)
    s, a = 2, 1
    moved = (other.transition[s, a] - WORLD.transition[s, a]) @ mean
    assert best[s, a] == pytest.approx(-WORLD.discount * moved)
    fitted = pve.MDP(WORLD.reward + best, other.transition, WORLD.discount)
    np.testing.assert_allclose(*absorbed.absorbed(fitted, WORLD, mean), atol=1e-6)


def value_of_best(model, env):
    policies = deterministic_policies(*env.reward.shape)
    return max(policies, key=lambda p: pve.policy_value(model, p).sum())


def test_halves_by_enumeration():
    other = random_mdp(1, 4, 2)
    cut = absorbed.halves(other, WORLD)
    for found, (r, p) in zip(
        cut[:3],
        ((other.reward, other.transition), (WORLD.reward, other.transition),
         (other.reward, WORLD.transition)), strict=True,
    ):  # fmt: skip
        plan = value_of_best(pve.MDP(r, p, WORLD.discount), WORLD)
        assert found == pytest.approx(pve.policy_value(WORLD, plan).mean())
    best = pve.policy_value(WORLD, value_of_best(WORLD, WORLD)).mean()
    assert cut.informed == pytest.approx(best)  # whatever the transitions


def test_medians_of_halves_and_their_table():
    seeds = {"a": 1, "b": 2, "c": 3}
    models = {
        (loss, rank, run): random_mdp(10 * i + seed, 4, 2)
        for i, loss in enumerate(rivals.LOSSES)
        for rank, run, seed in ((2, 0, seeds["a"]), (2, 1, seeds["b"]), (4, 0, seeds["c"]))
    }
    found = absorbed.median_halves(models, WORLD, [2])
    two = [absorbed.halves(models["values", 2, run], WORLD) for run in (0, 1)]
    np.testing.assert_allclose(found["values"], np.mean(two, 0))  # the median of two
    lines = absorbed.halves_table(found).splitlines()
    assert len(lines) == 6
    assert lines[4].startswith(f"| values | {found['values'].whole:.2f} |")


def test_errors_at_the_optimum():
    shifted = dataclasses.replace(WORLD, reward=WORLD.reward + 0.5)
    assert absorbed.error_at_optimum([WORLD], WORLD) == pytest.approx(0, abs=1e-9)
    found = absorbed.error_at_optimum([WORLD, shifted, shifted], WORLD)
    assert found == pytest.approx(0.5)


# Pictures -----------------------------------------------------------------------------


def test_the_picture_of_plans(drawn):
    study = made_up([20, 20, 20], [20, 50, 69])
    panels = {"short": study.performance[0], "long": study.performance[1]}
    figure = pictures.plans(panels, 72.9, 1.0, "by hand")
    drawn(figure)
    for ax, title in zip(figure.axes, panels, strict=True):
        assert ax.get_title() == title
        thick = {line.get_label(): line for line in ax.get_lines()}
        assert list(thick["random functions"].get_ydata()) == [20, 50, 69]
        assert list(thick["own values"].get_xdata()) == [5, 6, 7]


def test_the_picture_of_everybodys_losses(drawn):
    shape = {"loss_name": list(rivals.LOSSES), "rank": [2, 4], "run": [0]}
    shape["measure"] = list(absorbed.MEASURES)
    numbers = 1 + np.arange(40.0).reshape(4, 2, 1, 5)
    figure = pictures.everybodys_losses(xr.DataArray(numbers, shape), "by hand")
    drawn(figure)
    ax = figure.axes[3]
    thick = {line.get_label(): line for line in ax.get_lines()}
    assert list(thick["likelihood"].get_ydata()) == [4, 9]  # the fourth measure
    assert ax.get_title() == pictures.TITLES["own values"]


def test_the_picture_of_variance(drawn):
    figure = pictures.variance_left({"values": np.array([1, 0.1, 0.0])}, "by hand")
    drawn(figure)
    assert figure.axes[0].get_lines()[0].get_ydata() == pytest.approx([1, 0.1, 1e-7])


def test_the_picture_of_absorbed_errors_shows_what_is_taken(drawn):
    weights = np.array([[0.5, 0.0], [1.0, 0.25]])
    pair = np.arange(4.0).reshape(2, 2), -np.arange(4.0).reshape(2, 2)
    figure = pictures.absorbed(dict.fromkeys(rivals.LOSSES, pair), weights, "by hand")
    drawn(figure)
    points = figure.axes[0].collections[0]
    assert points.get_offsets().tolist() == [[0, 0], [2, -2], [3, -3]]
    assert list(points.get_sizes()) == [8, 16, 4]
    assert math.isclose(figure.axes[0].get_xlim()[0], figure.axes[0].get_ylim()[0])
