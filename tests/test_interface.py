"""What a user sees on importing `pve`, and which room may use which."""

import ast
import doctest
import importlib
import inspect
import json
import os
import subprocess
import sys
import tomllib
from graphlib import TopologicalSorter

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

# Each room imports from rooms that stand before it; the order stands in pyproject.toml.
with open(ROOT / "pyproject.toml", "rb") as file:
    ROOMS = tomllib.load(file)["tool"]["pve"]["rooms"]
# What shows the public names and starts the command line stands above all rooms.
ROOF = {"pve": len(ROOMS), "pve.__main__": len(ROOMS) + 1}


def floor(name):
    """How high a module stands."""
    return ROOF[name] if name in ROOF else ROOMS.index(name.split(".")[1])


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


def test_every_module_has_its_room():
    rooms = {name.split(".")[1] for name in modules() if name not in ROOF}
    assert rooms == set(ROOMS)
    assert len(set(ROOMS)) == len(ROOMS)


def test_imports_run_downwards():
    upward = {
        f"{name} imports {other}"
        for name, path in modules().items()
        for other in imports(path)
        if floor(other) > floor(name)
    }
    assert upward == set()


def test_imports_run_in_no_circle():
    graph = {name: imports(path) for name, path in modules().items()}
    TopologicalSorter(graph).prepare()  # raises where there is a circle


def test_nothing_but_the_roof_knows_the_book():
    assert not {
        name
        for name, path in modules().items()
        for other in imports(path)
        if other.split(".")[1:2] == ["book"] and name.split(".")[1:2] != ["book"]
    }


def test_the_test_of_directions_sees_every_kind_of_import(tmp_path):
    path = tmp_path / "module.py"
    path.write_text(
        "import pve.runs.store\nfrom pve.figures import drawing\n"
        "from pve.mdp.core import MDP\n"
        "def late():\n    from pve.engines.dispatch import run_experiment\n"
        "import numpy\nfrom os import path\n"
    )
    assert imports(path) == {
        "pve.runs.store",
        "pve.figures.drawing",
        "pve.mdp.core",
        "pve.engines.dispatch",
    }


def test_low_rooms_know_no_experiment():
    low = [name for name in modules() if floor(name) <= ROOMS.index("training")]
    assert len(low) > 15
    assert {
        name: imports(modules()[name])
        for name in low
        if any("experiments" in other for other in imports(modules()[name]))
    } == {}


@pytest.mark.parametrize("name", sorted(set(modules()) - {"pve.cli"}))
def test_examples_in_docstrings_hold(name):
    results = doctest.testmod(importlib.import_module(name))
    assert results.failed == 0


def test_some_docstring_has_an_example():
    examples = sum(
        doctest.testmod(importlib.import_module(name)).attempted
        for name in ("pve.worlds.gridworld", "pve.equivalence.policies")
    )
    assert examples > 3
