"""Settings: what they refuse, what is their identity, and the published numbers."""

import dataclasses
import math

import pytest

from pve.checks import PRESETS
from pve.experiments import EXPERIMENTS, find_experiment
from pve.experiments.settings import CAPACITY, DIAMETER

SMOKE = {"diameter": DIAMETER["smoke"], "capacity": CAPACITY["smoke"]}


def test_paper_presets_are_the_published_experiments():
    diameter = DIAMETER["paper"]
    assert dataclasses.asdict(diameter) == {
        "runs": 120, "steps": 500_000, "batch": 50, "policies": 100_000,
        "learning_rate": 1e-3, "decay": "constant", "every": 1000, "log_every": 100,
        "env": "four-rooms", "orders": (1, 30, 40, 50, 60, math.inf),
    }  # fmt: skip
    capacity = CAPACITY["paper"]
    assert capacity.ranks == (20, 30, 40, 50, 60, 70, 80, 90, 100, 104)
    assert set(capacity.modes) == {"deterministic", "stochastic"}
    assert (capacity.runs, capacity.steps, capacity.batch) == (10, 1_000_000, 50)
    assert (capacity.policies, capacity.perturbations) == (100_000, 100)
    assert (capacity.learning_rate, capacity.decay) == (5e-4, "constant")
    assert capacity.every == 10_000
    assert capacity.published_paths
    assert len(EXPERIMENTS["diameter"].tasks(diameter)) == 720
    assert len(EXPERIMENTS["capacity"].tasks(capacity)) == 200


def test_other_presets_ask_the_same_question():
    for name in PRESETS:
        assert {1, 30, math.inf} <= set(DIAMETER[name].orders)
        assert not CAPACITY[name].published_paths or name == "paper"
        assert set(CAPACITY[name].modes) == {"deterministic", "stochastic"}
        assert DIAMETER[name].env == CAPACITY[name].env == "four-rooms"
    assert DIAMETER["quick"].orders == (1, 30, math.inf)
    assert DIAMETER["standard"].orders == (1, 30, 40, 50, 60, math.inf)


@pytest.mark.parametrize("experiment", SMOKE)
def test_identity_is_what_decides_the_numbers(experiment):
    config = SMOKE[experiment]
    growing = {"runs": 99} | (
        {"orders": (2,)}
        if experiment == "diameter"
        else {"ranks": (3,), "modes": ("stochastic",)}
    )
    assert dataclasses.replace(config, **growing).identity() == config.identity()
    deciding = {
        "steps": 2 * config.steps, "batch": 99, "policies": 1000, "learning_rate": 0.5,
        "decay": "constant", "every": config.every // 5, "log_every": 5, "env": "map:x",
    }  # fmt: skip
    if experiment == "capacity":
        deciding |= {"perturbations": 5, "published_paths": True}
    fields = {field.name for field in dataclasses.fields(config)}
    assert fields == set(growing) | set(deciding)
    for name, value in deciding.items():
        changed = dataclasses.replace(config, **{name: value})
        assert changed.identity() != config.identity(), name


def test_tasks_are_every_run_once():
    for name, config in SMOKE.items():
        tasks = EXPERIMENTS[name].tasks(config)
        names = [task.name for task in tasks]
        assert len(set(names)) == len(names)
    assert len(EXPERIMENTS["diameter"].tasks(DIAMETER["smoke"])) == 9
    assert "order=inf/run=2" in {
        task.name for task in EXPERIMENTS["diameter"].tasks(DIAMETER["smoke"])
    }
    assert len(EXPERIMENTS["capacity"].tasks(CAPACITY["smoke"])) == 3 * 2 * 2


@pytest.mark.parametrize(
    ("experiment", "change", "error", "message"),
    [
        ("diameter", {"orders": ()}, ValueError, "orders is empty; expected at least one"),
        ("diameter", {"orders": (0,)}, ValueError, "order is 0; expected"),
        ("diameter", {"orders": "30"}, TypeError, "orders is '30'; expected a sequence"),
        ("diameter", {"orders": (1, 1.0)}, ValueError, "distinct"),
        ("diameter", {"runs": 0}, ValueError, "runs is 0; expected"),
        ("diameter", {"steps": 55}, ValueError, "steps is 55; expected a multiple of"),
        ("diameter", {"log_every": 7}, ValueError, "multiple of log_every, 7"),
        ("diameter", {"batch": 0}, ValueError, "batch is 0; expected"),
        ("diameter", {"decay": "linear"}, ValueError, "decay is 'linear'; expected"),
        ("capacity", {"ranks": (0,)}, ValueError, "rank is 0; expected"),
        ("capacity", {"modes": ("mixed",)}, ValueError, "mode is 'mixed'; expected"),
        ("capacity", {"modes": ("det", "deterministic")}, ValueError, "distinct"),
        ("capacity", {"perturbations": 7}, ValueError, "policies is 200; .* multiple of"),
    ],
)
def test_illegal_settings(experiment, change, error, message):
    with pytest.raises(error, match=message):
        dataclasses.replace(SMOKE[experiment], **change)


def test_unknown_presets_and_experiments():
    for module in EXPERIMENTS.values():
        with pytest.raises(ValueError, match="'fast'; expected one of 'smoke', 'quick', "):
            module.preset("fast")
    with pytest.raises(
        ValueError, match="'size'; expected one of 'diameter', 'capacity', 'muzero'"
    ):
        find_experiment("size")


def test_settings_cannot_be_changed():
    with pytest.raises(dataclasses.FrozenInstanceError):
        DIAMETER["smoke"].runs = 4
