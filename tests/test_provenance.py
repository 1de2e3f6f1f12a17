"""The hash of the numerical code: what changes it and what must not."""

import importlib
import os
import shutil
import subprocess
import sys

import pytest
from conftest import ROOT

import pve
from pve.engines.dispatch import run_experiment
from pve.experiments import EXPERIMENTS
from pve.results.load import status
from pve.runs import provenance, store
from pve.runs.folders import FORMAT, differences, numerical_code

ROOTS = ("pve.experiments.diameter.prepare", "pve.runs.attempt.compute")


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package to edit, which the hash is taken from."""
    copy = tmp_path / "pve"
    shutil.copytree(ROOT / "pve", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", copy)
    return copy


def rehash():
    provenance._parsed.cache_clear()
    return provenance.code_hash.__wrapped__(*ROOTS)


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_what_decides_a_run():
    # Written down by hand, by what a run does: draw data, bind a model, take steps of the
    # loss, evaluate policies and plan.
    found = {name.rpartition(".")[2] for name in provenance.numerical_definitions(*ROOTS)}
    assert found >= {
        "stream", "random_policies", "random_functions", "SoftmaxModel", "LOGIT_SCALE",
        "make_data", "advance", "target_loss", "bellman_power", "GROUP",
        "policy_value", "banded_values", "performance", "policy_iteration", "TIE", "MDP",
    }  # fmt: skip
    assert not found & {"LowRankModel", "improvement_path", "ExperimentFolder", "load"}


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("pve.mdp.power.GROUP", "GROUP = 10", "GROUP = 20"),
        ("pve.equivalence.models.LOGIT_SCALE", "LOGIT_SCALE = 5.0", "LOGIT_SCALE = 4.0"),
        ("pve.experiments.diameter.NAME", 'NAME = "diameter"', 'NAME = "d"'),
        # A statement that completes a definition belongs to it.
        (
            "pve.mdp.power._chains",
            "_chains.defvjp(_chains_forward",
            "_chains.defvjp(_split",
        ),
    ],
)
def test_numbers_change_the_hash(package, name, old, new):
    before = rehash()
    replace(provenance._file(name.rpartition(".")[0]), old, new)
    assert rehash() != before


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        ("pve.mdp.bellman", '"""Apply the Bellman', '"""Use the Bellman'),  # a docstring
        ("pve.equivalence.models", "# initial rewards", "# rewards at first"),  # a comment
        ("pve.figures.drawing", "import", "import os\nimport"),  # a drawing
        ("pve.training.loop", "the loss is {", "the loss became {"),  # a message
        ("pve.training.loop", ") -> tuple[State, Array]:", "):"),  # an annotation
        ("pve.mdp.bellman", "def bellman_optimality(", "def optimality("),  # not reached
        ("pve.mdp.core", "@by_type\ndef exact", "def exact"),  # for worlds of other types
    ],
)
def test_words_and_pictures_do_not(package, name, old, new):
    before = rehash()
    replace(provenance._file(name), old, new)
    assert rehash() == before


def test_a_move_does_not(package):
    """A definition that moves to another module keeps its meaning, and so does the hash."""
    before = rehash()
    source = package / "equivalence" / "models.py"
    text = source.read_text(encoding="utf-8")
    line = "LOGIT_SCALE = 5.0"
    assert line in text
    (package / "scales.py").write_text(f'"""Scales."""\n\n{line}\n', encoding="utf-8")
    source.write_text(
        text.replace(line, "").replace(
            "from __future__ import annotations\n",
            "from __future__ import annotations\nfrom pve import scales\n",
        ).replace("LOGIT_SCALE", "scales.LOGIT_SCALE"),
        encoding="utf-8",
    )  # fmt: skip
    assert rehash() == before


def test_an_unknown_root_is_refused():
    with pytest.raises(ValueError, match="names no definition"):
        provenance.code_hash("pve.equivalence.models.Nothing")


def _pythons():
    """The interpreters of other versions that are found: here, and where tools put them."""
    names = [f"python3.{minor}" for minor in range(11, 15)]
    homes = [ROOT.home() / ".pyenv" / "versions", ROOT.home() / ".local" / "share" / "uv"]
    found = [path for name in names if (path := shutil.which(name))]
    for home in homes:
        for name in names:
            found += map(str, sorted(home.glob(f"**/bin/{name}")))
    works = [python for python in dict.fromkeys(found) if _runs(python)]
    return [*works, sys.executable]


def _runs(python):
    """Whether it is an interpreter, not the stand-in of one that is not installed."""
    return subprocess.run([python, "-S", "-c", ""], capture_output=True).returncode == 0


def test_every_python_gives_the_same_hash():
    # Without installed packages: what is hashed needs the standard library alone.
    code = (
        "import importlib.util, sys, types\n"
        "pve = sys.modules['pve'] = types.ModuleType('pve')\n"
        "pve.__path__ = []\n"
        "store = sys.modules['pve.runs.store'] = types.ModuleType('pve.runs.store')\n"
        "import hashlib\n"
        "store.sha256 = lambda content: hashlib.sha256(content).hexdigest()\n"
        f"spec = importlib.util.spec_from_file_location('p', {provenance.__file__!r})\n"
        "p = importlib.util.module_from_spec(spec)\n"
        "spec.loader.exec_module(p)\n"
        f"print(p.code_hash(*{ROOTS!r}))\n"
    )
    hashes = {}
    for python in _pythons():
        done = subprocess.run(
            [python, "-S", "-c", code], capture_output=True, text=True, env=dict(os.environ)
        )
        assert done.returncode == 0, done.stderr
        hashes[python] = done.stdout.strip()
    assert set(hashes.values()) == {provenance.code_hash(*ROOTS)}, hashes


# Earlier codes and formats --------------------------------------------------------------


def test_shipped_results_are_of_code_that_gives_the_same_numbers():
    # Each was proved by training stored runs again; see `provenance.LINEAGE`.
    seen = set()
    for folder in ("standard", "muzero-standard"):
        manifest = store.read_record(ROOT / "book" / "data" / folder / "manifest.json")
        for name, facts in manifest["experiments"].items():
            assert provenance.same_numbers(numerical_code(name), facts["identity"]["code"])
            seen.add(name)
    assert seen == set(EXPERIMENTS)


def test_code_whose_last_bits_differ_is_no_ancestor():
    # The runs of `constant` are older: trained again, orders 1 and ∞ differ in last bits.
    manifest = store.read_record(ROOT / "book" / "data" / "constant" / "manifest.json")
    code = manifest["experiments"]["diameter"]["identity"]["code"]
    assert not provenance.same_numbers(numerical_code("diameter"), code)


def test_lineage_is_followed_but_never_backwards(monkeypatch):
    monkeypatch.setattr(provenance, "LINEAGE", {"c": ("b",), "b": ("a",)})
    assert provenance.same_numbers("c", "a")
    assert provenance.same_numbers("a", "a")
    assert not provenance.same_numbers("a", "c")
    assert not provenance.same_numbers("c", "d")


def test_a_folder_of_the_earlier_format_is_continued(tmp_path):
    """As it was begun by the code before format 3; its runs stay what they were."""
    from tiny import SEED, TINY

    config = TINY["diameter"]
    run_experiment("diameter", config, SEED, tmp_path, progress=False)
    manifest = tmp_path / "diameter" / "manifest.json"
    identity = store.read_record(manifest)["identity"]
    assert identity["format"] == FORMAT
    earlier = {k: v for k, v in identity.items() if k not in ("optax", "scipy")}
    earlier |= {"format": 2, "code": "8a17c93904bf8792"}
    store.write_record(manifest, {"identity": earlier})
    report = run_experiment("diameter", config, SEED, tmp_path, progress=False)
    assert report.computed == []
    assert len(report.finished) == len(status(tmp_path)["diameter"])
    assert pve.load(tmp_path, "diameter").attrs["format"] == 2
    # What differs is still refused, and a present folder must record all versions.
    assert differences({**earlier, "numpy": "1"}, identity)
    assert differences({k: v for k, v in identity.items() if k != "optax"}, identity)
    assert differences({**identity, "format": 1}, identity)
    assert differences({**earlier, "code": "unknown"}, identity)


def test_the_versions_of_all_that_computes_are_recorded():
    for name in ("jax", "jaxlib", "numpy", "optax", "scipy"):
        expected = importlib.import_module(name).__version__
        assert provenance.versions()[name] == expected
