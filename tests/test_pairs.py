"""Each chapter's notebook is the twin of its Markdown, without outputs."""

import shutil
import subprocess
import sys
from types import ModuleType, SimpleNamespace

import jupytext
import nbformat
import pytest
from conftest import ROOT
from IPython.core.inputtransformer2 import TransformerManager
from pairs import chapters, edits_of, problems, take, write


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


def test_writing_does_not_undo_the_edits_of_a_notebook(tmp_path):
    git = ["git", "-C", str(tmp_path), "-c", "user.name=x", "-c", "user.email=x@x"]
    for suffix in (".md", ".ipynb"):
        shutil.copy(ROOT / "book" / f"diameter{suffix}", tmp_path)
    source = tmp_path / "diameter.md"
    for command in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "x"]):
        subprocess.run([*git, *command], check=True)
    assert edits_of(source) is None
    edited(tmp_path)
    assert edits_of(source) == source.with_suffix(".ipynb")
    source.write_text(source.read_text() + "\nMore.\n")  # what is written from
    assert edits_of(source) is None


def test_what_jupytext_alone_writes_is_refused(tmp_path):
    source, twin = edited(tmp_path)
    jupytext.write(jupytext.read(twin), source, fmt="md:myst")
    write(source)
    kernel, caption = problems(tmp_path)
    assert "diameter.md names the kernel" in kernel
    assert "diameter.md has a caption in quotes" in caption
    for problem in (kernel, caption):
        assert "tools/pairs.py --take diameter.ipynb" in problem


URL = "https://github.com/someone/the-book"


@pytest.fixture
def public(tmp_path):
    """A book whose public address has been set and whose notebooks were written anew."""
    book = tmp_path / "book"
    book.mkdir()
    for suffix in (".md", ".ipynb"):
        shutil.copy(ROOT / "book" / f"status{suffix}", book)
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    assert '  url: ""\n' in config
    (tmp_path / "_config.yml").write_text(config.replace('url: ""', f"url: {URL}"))
    (problem,) = problems(book)
    assert problem == "status.ipynb begins with another cell for Colab than it should"
    write(book / "status.md")
    assert problems(book) == []
    return book


def test_with_the_public_address_notebooks_begin_with_a_cell_for_colab(public):
    twin, there = public / "status.ipynb", ROOT / "book" / "status.ipynb"
    first, *others = nbformat.read(twin, 4).cells
    nbformat.validate(nbformat.read(twin, 4))
    assert [cell.id for cell in others] == [
        cell.id for cell in nbformat.read(there, 4).cells
    ]
    assert f"git clone -q --depth 1 -b main {URL}\n" in first.source
    before = twin.read_bytes()
    write(public / "status.md")
    assert twin.read_bytes() == before


def test_the_cell_for_colab_never_reaches_the_markdown(public):
    source = public / "status.md"
    before = source.read_bytes()
    take(public / "status.ipynb")
    assert source.read_bytes() == before


@pytest.mark.parametrize("on_colab", [True, False])
def test_the_cell_for_colab_works_there_and_does_nothing_elsewhere(
    public, monkeypatch, on_colab
):
    first = nbformat.read(public / "status.ipynb", 4).cells[0]
    asked = []
    shell = SimpleNamespace(
        run_line_magic=lambda name, line: asked.append(f"%{name} {line}"),
        system=lambda line: asked.append(line),
    )
    path: list[str] = []
    monkeypatch.setattr(sys, "path", path)
    if on_colab:
        monkeypatch.setitem(sys.modules, "google.colab", ModuleType("google.colab"))
    code = TransformerManager().transform_cell(first.source)
    exec(code, {"get_ipython": lambda: shell})
    if not on_colab:
        assert (asked, path) == ([], [])
        return
    assert path == ["/content/the-book"]
    assert asked == [
        "%cd -q /content",
        f"test -d the-book || git clone -q --depth 1 -b main {URL}",
        "%pip install -q -e the-book myst-nb",
    ]
