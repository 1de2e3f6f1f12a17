"""The hash of the numerical code: what changes it and what must not."""

import shutil

import pytest
from conftest import ROOT

from pve import provenance


@pytest.fixture
def package(tmp_path, monkeypatch):
    """A copy of the package to edit, which the hash is taken from."""
    copy = tmp_path / "pve"
    shutil.copytree(ROOT / "pve", copy, ignore=shutil.ignore_patterns("__pycache__"))
    monkeypatch.setattr(provenance, "PACKAGE", copy)
    return copy


def rehash():
    return provenance.code_hash.__wrapped__()


def replace(path, old, new):
    text = path.read_text(encoding="utf-8")
    assert old in text
    path.write_text(text.replace(old, new), encoding="utf-8")


def test_what_decides_a_run():
    # Written down by hand, by what a run does: draw data, bind a model, take steps of the
    # loss, evaluate policies and plan.
    assert set(provenance.numerical_modules()) == {
        "pve.resumable", "pve.experiments", "pve.experiments.diameter",
        "pve.experiments.capacity", "pve.experiments.job", "pve.training", "pve.policies",
        "pve.losses", "pve.planning", "pve.banded", "pve.bellman", "pve.models", "pve.mdp",
    }  # fmt: skip


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("bellman.py", "GROUP = 10", "GROUP = 20"),
        ("models.py", "LOGIT_SCALE = 5.0", "LOGIT_SCALE = 4.0"),
        ("experiments/diameter.py", 'NAME = "diameter"', 'NAME = "d"'),
    ],
)
def test_numbers_change_the_hash(package, module, old, new):
    before = rehash()
    replace(package / module, old, new)
    assert rehash() != before


@pytest.mark.parametrize(
    ("module", "old", "new"),
    [
        ("bellman.py", '"""Return the order', '"""Give the order'),  # a docstring
        ("models.py", "# initial rewards", "# rewards at first"),  # a comment
        ("plots.py", "import", "import os\nimport"),  # a drawing
    ],
)
def test_words_and_pictures_do_not(package, module, old, new):
    before = rehash()
    replace(package / module, old, new)
    assert rehash() == before
