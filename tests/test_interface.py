"""What a user sees on importing `pve`, and which room may use which."""

import ast
import doctest
import importlib
import inspect
import json
import os
import subprocess
import sys

import pytest
from conftest import ROOT

import pve

PACKAGE = ROOT / "pve"

# The names that users know the library by.
PUBLIC = {
    "MDP", "four_rooms", "from_gymnasium", "bellman", "bellman_power", "policy_value",
    "value_iteration", "policy_iteration", "random_policies", "improvement_policies",
    "SoftmaxModel", "LowRankModel", "ve_loss", "pve_loss", "train", "performance",
    "diameter", "spread", "load", "load_model",
}  # fmt: skip

# Every module stands on a floor and imports from lower floors alone. Names of packages
# stand for their `__init__`.
FLOORS = [
    {"pve.store", "pve.plots", "pve.slides", "pve.mdp"},
    {
        "pve.provenance",
        "pve.bellman",
        "pve.banded",
        "pve.models",
        "pve.gridworld",
        "pve.gym",
    },
    {"pve.losses", "pve.planning", "pve.plain"},
    {"pve.policies", "pve.measures"},
    {"pve.training", "pve.environments", "pve.geometry"},
    {"pve.newton"},
    {"pve.experiments.configs", "pve.experiments.job", "pve.baselines"},
    {"pve.muzero.agent"},
    {"pve.muzero.predictions"},
    {"pve.muzero.study"},
    {"pve.muzero", "pve.muzero.__main__"},
    {"pve.experiments.capacity", "pve.experiments.diameter"},
    {"pve.experiments", "pve.folders"},
    {"pve.resumable", "pve.results"},
    {"pve.audit", "pve.cluster"},
    {"pve.runner", "pve.summary"},
    {"pve.figures.words", "pve.chapters"},
    {"pve.figures.classes", "pve.figures.worlds", "pve.bench"},
    {"pve.figures.ranks"},
    {"pve.figures.files"},
    {"pve.figures"},
    {"pve"},
    {"pve.__main__"},
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names}


def modules():
    """Every module of the package: its name and its file."""
    found = {}
    for path in sorted(PACKAGE.rglob("*.py")):
        parts = path.relative_to(ROOT).with_suffix("").parts
        parts = parts[:-1] if parts[-1] == "__init__" else parts
        found[".".join(parts)] = path
    return found


def imports(path):
    """The modules of the package that a file imports, at its top or in a function."""
    known, found = modules(), set()
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        if isinstance(node, ast.Import):
            found |= {name.name for name in node.names}
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path}: a relative import"
            for name in node.names:
                full = f"{node.module}.{name.name}"
                found.add(full if full in known else node.module)
    return {name for name in found if name.split(".")[0] == "pve"}


def fresh(code):
    """Run code in a new interpreter and return the JSON that it prints."""
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", code],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout)


def test_import_shows_the_names_and_changes_nothing():
    found = fresh(
        "import json, sys, jax\n"
        "def settings(): return {k: repr(v) for k, v in jax.config.values.items()}\n"
        "before = settings()\n"
        "import pve\n"
        "from jax._src import xla_bridge\n"
        "star = {}\n"
        "exec('from pve import *', star)\n"
        "del star['__builtins__']\n"
        "heavy = {'gymnasium', 'ray', 'matplotlib.pyplot', 'sklearn'} & set(sys.modules)\n"
        "print(json.dumps({'all': pve.__all__, 'star': sorted(star),\n"
        "  'missing': [n for n in pve.__all__ if not hasattr(pve, n)],\n"
        "  'unchanged': settings() == before, 'x64': jax.config.jax_enable_x64,\n"
        "  'backends': list(xla_bridge._backends), 'heavy': sorted(heavy),\n"
        "  'version': pve.__version__}))"
    )
    assert set(found["all"]) >= PUBLIC
    assert found["missing"] == []
    assert found["star"] == sorted(found["all"])
    assert found["unchanged"]
    assert found["x64"] is False
    assert found["backends"] == []  # no device is taken before something is computed
    assert found["heavy"] == []
    assert found["version"] == pve.__version__


def test_public_names_are_listed_once_and_are_the_packages_own():
    assert len(set(pve.__all__)) == len(pve.__all__)
    for name in pve.__all__:
        thing = getattr(pve, name)
        assert not inspect.ismodule(thing), name
        assert thing.__module__.startswith("pve."), name
        assert thing.__name__ == name
    loose = {
        name
        for name, thing in vars(pve).items()
        if not (name.startswith("_") or inspect.ismodule(thing))
    }
    assert loose == set(pve.__all__)


def test_public_names_are_documented():
    for name in pve.__all__:
        documented = inspect.getdoc(getattr(pve, name))
        assert documented, name
        assert not documented.startswith(f"{name}("), f"{name}: an automatic docstring"


def test_every_module_has_its_floor():
    assert set(modules()) == set(FLOOR)


def test_imports_run_downwards():
    upward = {
        f"{name} imports {other}"
        for name, path in modules().items()
        for other in imports(path)
        if FLOOR[other] >= FLOOR[name]
    }
    assert upward == set()


def test_the_test_of_directions_sees_every_kind_of_import(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import pve.store\nfrom pve import plots\nfrom pve.mdp import MDP\n"
        "def late():\n    from pve.runner import run_experiment\n"
        "import numpy\nfrom os import path\n"
    )
    assert imports(path) == {"pve.store", "pve.plots", "pve.mdp", "pve.runner"}


def test_low_rooms_know_no_experiment():
    for name in ("pve.store", "pve.plots", "pve.mdp"):
        assert imports(modules()[name]) == set()


@pytest.mark.parametrize("name", sorted(set(modules()) - {"pve.__main__"}))
def test_examples_in_docstrings_hold(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_some_docstring_has_an_example():
    examples = sum(
        doctest.testmod(importlib.import_module(name)).attempted
        for name in ("pve.gridworld", "pve.policies")
    )
    assert examples > 3
