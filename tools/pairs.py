"""Keep each chapter's notebook the twin of its Markdown.

The MyST Markdown file is the source; the notebook beside it is committed without
outputs, for Jupyter, papermill, Binder and Colab. Twins are compared by content.

    python tools/pairs.py            say what is out of step, exit with 1 if anything is
    python tools/pairs.py --write    write the notebooks from the Markdown
    python tools/pairs.py --format   format the Markdown's code with ruff, then write
    python tools/pairs.py --take X.ipynb   write the Markdown from a notebook edited in
                                     Jupyter or VS Code, then the notebook from it

Saved there, a notebook names the kernel of whoever saved it, and jupytext writes captions
and other options of cells anew in a style of its own. `--take` leaves all that as it was,
and the check refuses what jupytext alone has written.
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
from pathlib import Path

import jupytext
import yaml
from colab import first_cell, split
from jupytext.compare import NotebookDifference, compare_notebooks

COLUMNS = 80  # of code that a page's column shows without scrolling
BOOK = Path(__file__).resolve().parents[1] / "book"
# A code cell of MyST Markdown: the fence with the options, the code, the fence.
CODE_CELL = re.compile(
    r"(?P<head>^(?P<fence>`{3,})\{code-cell\}[^\n]*\n"
    r"(?:---\n.*?^---\n|(?::[^\n]*\n)*)\n*)"
    r"(?P<code>.*?)"
    r"(?P<tail>^(?P=fence)[ ]*$)",
    re.MULTILINE | re.DOTALL,
)


KERNEL = {
    "display_name": "Python 3 (ipykernel)",
    "language": "python",
    "name": "python3",
}
# The options of a cell that have lines of their own, and a caption as jupytext writes it.
OPTIONS = re.compile(r"(?<=\n)---\n.*?\n---\n", re.DOTALL)
QUOTED = re.compile(r"^ +caption: ['\"].*[^'\"]$", re.MULTILINE)
TAKE = "take edits over with: python tools/pairs.py --take"


def chapters(book: Path = BOOK) -> list[Path]:
    """The Markdown files that are notebooks."""
    return [
        path
        for path in sorted(book.glob("*.md"))
        if "formats: md:myst,ipynb" in path.read_text(encoding="utf-8")
    ]


def _config(book: Path) -> Path:
    return book.parent / "_config.yml"


def problems(book: Path = BOOK) -> list[str]:
    """What is wrong with the pairs, a line each."""
    found = []
    sources = chapters(book)
    for path in sorted(book.glob("*.ipynb")):
        if path.with_suffix(".md") not in sources:
            found.append(f"{path.name} has no paired Markdown")
    for source in sources:
        twin = source.with_suffix(".ipynb")
        kernel = jupytext.read(source).metadata.get("kernelspec")
        if kernel != KERNEL:
            found.append(
                f"{source.name} names the kernel {dict(kernel or {})}; expected {KERNEL}; "
                f"{TAKE} {twin.name}"
            )
        if quoted := QUOTED.search(source.read_text(encoding="utf-8")):
            found.append(
                f"{source.name} has a caption in quotes, {quoted[0].strip()[:40]} …; "
                f"expected a block after 'caption: |'; {TAKE} {twin.name}"
            )
        if not twin.exists():
            found.append(f"{twin.name} is missing")
            continue
        notebook = jupytext.read(twin)
        there, wanted = split(notebook), first_cell(_config(book))
        if (there and there.source) != (wanted and wanted.source):
            found.append(f"{twin.name} begins with another cell for Colab than it should")
        try:
            compare_notebooks(jupytext.read(source), notebook, fmt="md:myst")
        except NotebookDifference as difference:
            first = str(difference).strip().splitlines()[0]
            found.append(f"{twin.name} differs from {source.name}: {first}")
        cells = [cell for cell in notebook.cells if cell.cell_type == "code"]
        if any(cell.outputs or cell.execution_count for cell in cells):
            found.append(f"{twin.name} holds outputs")
    return found


def write(source: Path) -> None:
    """Write a chapter's notebook, keeping the cell ids of the present one."""
    command = [sys.executable, "-m", "jupytext", "--quiet", "--to", "ipynb"]
    subprocess.run([*command, "--update", source], check=True)
    twin = source.with_suffix(".ipynb")
    notebook, said = jupytext.read(twin), jupytext.read(source)
    split(notebook)
    # What an editor has noted about itself and the machine stays out.
    notebook.metadata = said.metadata
    for cell, there in zip(notebook.cells, said.cells, strict=True):
        cell.metadata = there.metadata
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    if cell := first_cell(_config(source.parent)):
        notebook.cells.insert(0, cell)
    stream = io.StringIO()
    jupytext.write(notebook, stream, fmt="ipynb")
    twin.write_text(stream.getvalue().rstrip("\n") + "\n", encoding="utf-8")


def edits_of(source: Path) -> Path | None:
    """The notebook of a chapter if its cells were edited and the Markdown was not."""
    twin = source.with_suffix(".ipynb")
    if not twin.exists() or _committed(source) != source.read_bytes():
        return None  # edits of the Markdown are what is written
    before = _committed(twin)
    if before is None:
        return None
    return None if _cells(before.decode()) == _cells(twin.read_text("utf-8")) else twin


def _cells(notebook: str) -> list[tuple[str, str]]:
    """The cells of a notebook's file, without that for Colab."""
    read = jupytext.reads(notebook, "ipynb")
    split(read)
    return [(cell.cell_type, cell.source) for cell in read.cells]


def lost(twin: Path) -> str:
    """What to do where a notebook was edited and its Markdown was not."""
    return (
        f"{twin.name} was edited, its Markdown was not; {TAKE} {twin.name}\n"
        f"or undo them with: git checkout book/{twin.name}"
    )


def _committed(path: Path) -> bytes | None:
    """A file's content in the last commit; None outside of a repository."""
    show = ["git", "-C", str(path.parent), "show", f"HEAD:./{path.name}"]
    try:
        done = subprocess.run(show, capture_output=True)
    except OSError:  # no git
        return None
    return done.stdout if done.returncode == 0 else None


class _Blocks(yaml.SafeDumper):
    """Writes text of several lines as a block, as the chapters do."""


def _text(dumper: yaml.SafeDumper, text: str) -> yaml.Node:
    style = "|" if "\n" in text else None
    return dumper.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Blocks.add_representer(str, _text)


def take(twin: Path) -> None:
    """Write a chapter's Markdown from its notebook; what is the same stays as it is."""
    source = twin.with_suffix(".md")
    before = source.read_text(encoding="utf-8")
    notebook = jupytext.read(twin)
    split(notebook)
    notebook.metadata["kernelspec"] = KERNEL
    notebook.metadata.pop("language_info", None)
    for cell in notebook.cells:
        cell.metadata.pop("vscode", None)
    end = "\n---\n"  # of the front matter, which stays
    head, _, body = before.partition(end)
    known = [(_options(found[0]), found[0]) for found in OPTIONS.finditer(body)]

    def as_before(found: re.Match[str]) -> str:
        options = _options(found[0])
        same = (text for there, text in known if there == options)
        style = {"sort_keys": False, "allow_unicode": True, "width": 80}
        new = yaml.dump(options, Dumper=_Blocks, **style)
        return next(same, f"---\n{new}---\n")

    _, _, body = jupytext.writes(notebook, fmt="md:myst").partition(end)
    source.write_text(head + end + OPTIONS.sub(as_before, body), encoding="utf-8")


def _options(block: str) -> object:
    return yaml.safe_load(block.removeprefix("---\n").removesuffix("---\n"))


def reformat(source: Path) -> None:
    """Format the code cells of a chapter, touching nothing else of its text."""

    def formatted(cell: re.Match[str]) -> str:
        ruff = [sys.executable, "-m", "ruff", "format", "--quiet"]
        command = [*ruff, "--line-length", str(COLUMNS), "-"]
        done = subprocess.run(
            command, input=cell["code"], capture_output=True, text=True, check=True
        )
        return cell["head"] + done.stdout + cell["tail"]

    text = source.read_text(encoding="utf-8")
    source.write_text(CODE_CELL.sub(formatted, text), encoding="utf-8")


def main() -> int:
    """Check, write or format all pairs."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--write", action="store_true", help="write the notebooks")
    parser.add_argument("--format", action="store_true", help="format, then write")
    parser.add_argument("--take", metavar="X.ipynb", help="write X.md from the notebook")
    arguments = parser.parse_args()
    if arguments.take:
        take(BOOK / Path(arguments.take).name)
        write(BOOK / Path(arguments.take).with_suffix(".md").name)
    if arguments.write or arguments.format:
        if edited := [path for path in map(edits_of, chapters()) if path]:
            for twin in edited:
                print(lost(twin), file=sys.stderr)
            return 1
        for source in chapters():
            if arguments.format:
                reformat(source)
            write(source)
    found = problems()
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        edited = [path for path in map(edits_of, chapters()) if path]
        for twin in edited:
            print(lost(twin), file=sys.stderr)
        if not edited:
            print("Put the pairs in step with: make sync", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
