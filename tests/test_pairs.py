"""Each chapter's notebook is the twin of its Markdown, without outputs."""

import shutil

import jupytext
import nbformat
import pytest
from conftest import ROOT
from pairs import chapters, problems, take, write


def test_pairs_are_in_step():
    assert chapters()
    assert problems() == []


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        (lambda text: text.replace("import page, records", "import page"), "differs from"),
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


def edited(folder):
    """A chapter whose notebook was edited, run and saved in VS Code."""
    for suffix in (".md", ".ipynb"):
        shutil.copy(ROOT / "book" / f"diameter{suffix}", folder)
    twin = folder / "diameter.ipynb"
    notebook = nbformat.read(twin, 4)
    notebook.metadata["kernelspec"] = {"display_name": ".venv (3.13.0)", "name": "venv"}
    notebook.metadata["language_info"] = {"name": "python", "version": "3.13.0"}
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.metadata["vscode"] = {"languageId": "python"}
            cell.execution_count = 3
    cell = next(cell for cell in notebook.cells if "import itertools" in cell.source)
    cell.source = cell.source.replace("import itertools", "import itertools as it")
    nbformat.write(notebook, twin)
    return folder / "diameter.md", twin


def test_edits_are_taken_from_a_saved_notebook_and_nothing_else_changes(tmp_path):
    source, twin = edited(tmp_path)
    before = source.read_text(encoding="utf-8")
    take(twin)
    expected = before.replace("import itertools\n", "import itertools as it\n")
    assert source.read_text(encoding="utf-8") == expected
    write(source)
    assert problems(tmp_path) == []
    added = twin.read_text(encoding="utf-8").splitlines()
    there = (ROOT / "book" / "diameter.ipynb").read_text(encoding="utf-8").splitlines()
    assert len(set(added) - set(there)) == 1


def test_what_jupytext_alone_writes_is_refused(tmp_path):
    source, twin = edited(tmp_path)
    jupytext.write(jupytext.read(twin), source, fmt="md:myst")
    write(source)
    kernel, caption = problems(tmp_path)
    assert "diameter.md names the kernel" in kernel
    assert "diameter.md has a caption in quotes" in caption
    for problem in (kernel, caption):
        assert "tools/pairs.py --take diameter.ipynb" in problem
