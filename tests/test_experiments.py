"""An experiment is one module and one entry of a list: nothing else knows it."""

import ast
import re
import threading

import jax
import numpy as np
import pytest
import toy
from conftest import ROOT
from tiny import data_files

import pve
from pve.engines.dispatch import run_experiment
from pve.experiments import EXPERIMENTS
from pve.keys import stream
from pve.results.load import status
from pve.results.summary import load_summary
from pve.runs import provenance
from pve.runs.folders import numerical_code

HOLDS = (
    "NAME", "QUESTION", "DIMENSIONS", "COMPUTE", "ONE_PROGRAM", "COMPARED", "AXES",
    "MEANINGS", "OPTIONS", "FIGURES", "COLORS", "preset", "fitted", "check_world", "tasks",
    "prepare", "run_bytes", "model_of",
)  # fmt: skip


@pytest.fixture(autouse=True)
def entered(monkeypatch):
    """The one entry."""
    monkeypatch.setitem(EXPERIMENTS, toy.NAME, toy)


def test_every_experiment_says_all_that_is_asked_of_it():
    documented = re.findall(r"``([A-Za-z_]+)[`(]", pve.experiments.base.__doc__)
    assert set(HOLDS) <= set(documented)
    for module in EXPERIMENTS.values():
        assert all(hasattr(module, name) for name in HOLDS), module
        settings = module.preset("smoke")
        names = [option.name for option in module.OPTIONS]
        assert all(hasattr(settings, name) for name in names)
        assert module.ONE_PROGRAM is None or module.applications(settings) >= 1
        (first, *_) = module.tasks(settings)
        assert tuple(name for name, _ in first.coordinates) == module.DIMENSIONS
        assert set(module.AXES) | set(module.DIMENSIONS) - {"run"} <= set(module.MEANINGS)


def test_a_toy_goes_through_every_command(tmp_path, call):
    folder = tmp_path / "data"
    ended, out, err = call("toy", folder, 5, "--steps", 15, "--strides", 2, 1)
    assert ended == 0, err
    assert "toy: 4 runs due, 0 finished; 480 bytes to write" in out
    assert "toy: 4 of 4 runs finished" in out
    assert call("status", folder)[:2] == (0, "toy: 4 finished\n")
    assert call("verify", folder, "--retrain", "toy/stride=2/run=1")[0] == 0
    ended, out, _ = call("figures", folder, "--out", tmp_path / "visuals")
    assert sorted(path.name for path in (tmp_path / "visuals").iterdir()) == [
        "walks.pdf", "walks.png",
    ]  # fmt: skip
    assert call("summary", folder, "--out", tmp_path / "summary")[0] == 0
    found = pve.load(folder, "toy")
    assert load_summary(tmp_path / "summary", "toy").place.identical(found.place)
    assert found.attrs["steps"] == 15
    assert found.place.attrs["long_name"] == "where the walk stands"
    # The walk by hand, from the key alone.
    key = stream(5, "toy", "run=1")
    drawn = [jax.random.normal(jax.random.fold_in(key, i), (5,)).sum() for i in (0, 5, 10)]
    np.testing.assert_allclose(
        found.place.sel(stride=2, run=1), 2 * np.cumsum(drawn), rtol=1e-6
    )
    model = pve.load_model(folder, "toy", stride=2, run=1)
    assert model.reward[0, 0] == pytest.approx(np.tanh(found.place.sel(stride=2)[1, -1]))
    assert call("toy", folder, 5, "--steps", 15)[1].startswith("toy: 2 runs due, 2 fin")


def test_a_toy_is_stopped_and_continued(tmp_path, monkeypatch):
    stop, original = threading.Event(), toy.prepare

    def prepare(*arguments):
        job = original(*arguments)

        def advance(state):
            if int(state[1]) == 5:
                stop.set()
            return job.advance(state)

        return job._replace(advance=advance)

    settings = toy.Walks(runs=1, strides=(3,))
    with monkeypatch.context() as patch:
        patch.setattr(toy, "prepare", prepare)
        run_experiment("toy", settings, 5, tmp_path / "a", progress=False, stop=stop)
    assert status(tmp_path / "a")["toy"] == {"stride=3/run=0": "unfinished"}
    for name in ("a", "b"):
        run_experiment("toy", settings, 5, tmp_path / name, progress=False)
    first, second = (data_files(tmp_path / name, "toy") for name in ("a", "b"))
    assert first == second
    assert len(first) == 2


def test_a_toy_refuses_what_it_does_not_know(tmp_path, call):
    for options, message in (
        (("--strides", "105"), "stride is 105; expected an integer from 1 to 104"),
        (("--steps", "7"), "steps is 7; expected a multiple of 5"),
        (("--batch", "7"), "--batch"),
        (("--engine", "device"), "expected 'local' or 'ray' for toy"),
    ):
        ended, out, err = call("toy", tmp_path / "data", 5, *options)
        assert (ended, out) == (2, "")
        assert message in err
    ended, _, err = call("status", tmp_path)
    assert ended == 2
    assert "`python -m pve toy`" in err


@pytest.mark.parametrize(
    ("old", "new", "same"),
    [
        ("PIECE = 5", "PIECE = 10", False),
        ("jax.random.normal", "jax.random.uniform", False),
        ('QUESTION = "how far', 'QUESTION = "how soon', True),
        ("how far does a random walk", "how soon does a random walk", True),
    ],
)
def test_its_identity_is_the_code_that_computes_it(tmp_path, monkeypatch, old, new, same):
    before = numerical_code("toy")
    assert before not in {numerical_code(name) for name in EXPERIMENTS if name != "toy"}
    text = (ROOT / "tests" / "toy.py").read_text(encoding="utf-8")
    assert old in text
    (tmp_path / "toy.py").write_text(text.replace(old, new), encoding="utf-8")
    monkeypatch.setattr(toy, "__file__", str(tmp_path / "toy.py"))
    after = provenance.code_hash.__wrapped__("toy.prepare", toy.COMPUTE)
    assert (after == before) == same


def test_no_other_module_names_a_single_experiment_to_decide_by_it():
    """No comparison of a name with that of an experiment, outside the book's wing."""
    found = []
    for path in sorted((ROOT / "pve").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Compare | ast.Match):
                words = {
                    part.value
                    for part in ast.walk(node)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                }
                if words & (set(EXPERIMENTS) - {"toy"}):
                    found.append(f"{path}:{node.lineno}")
    assert found == []
