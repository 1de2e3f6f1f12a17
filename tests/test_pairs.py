"""Each chapter's notebook is the twin of its Markdown, without outputs."""

import shutil

import pytest
from conftest import ROOT
from pairs import chapters, problems


def test_pairs_are_in_step():
    assert chapters()
    assert problems() == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace("import os", "import sys"), "differs from"),
        (lambda text: text.replace("# Status", "# State"), "differs from"),
        (
            lambda text: text.replace('"execution_count": null', '"execution_count": 1', 1),
            "holds outputs",
        ),
        (None, "is missing"),
    ],
    ids=["code", "text", "outputs", "missing"],
)
def test_broken_pair_is_found(tmp_path, change, complaint):
    for suffix in (".md", ".ipynb"):
        shutil.copy(ROOT / "book" / f"status{suffix}", tmp_path)
    twin = tmp_path / "status.ipynb"
    assert problems(tmp_path) == []
    if change is None:
        twin.unlink()
    else:
        twin.write_text(change(twin.read_text(encoding="utf-8")), encoding="utf-8")
    (problem,) = problems(tmp_path)
    assert complaint in problem
