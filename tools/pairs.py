"""Keep each chapter's notebook the twin of its Markdown.

The MyST Markdown file is the source; the notebook beside it is committed without
outputs, for Jupyter, papermill, Binder and Colab. Twins are compared by content.

    python tools/pairs.py            say what is out of step, exit with 1 if anything is
    python tools/pairs.py --write    write the notebooks from the Markdown
    python tools/pairs.py --format   format the Markdown's code with ruff, then write
"""

from __future__ import annotations

import argparse
import io
import re
import subprocess
import sys
from pathlib import Path

import jupytext
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


def chapters(book: Path = BOOK) -> list[Path]:
    """The Markdown files that are notebooks."""
    return [
        path
        for path in sorted(book.glob("*.md"))
        if "formats: md:myst,ipynb" in path.read_text(encoding="utf-8")
    ]


def problems(book: Path = BOOK) -> list[str]:
    """What is wrong with the pairs, a line each."""
    found = []
    sources = chapters(book)
    for path in sorted(book.glob("*.ipynb")):
        if path.with_suffix(".md") not in sources:
            found.append(f"{path.name} has no paired Markdown")
    for source in sources:
        twin = source.with_suffix(".ipynb")
        if not twin.exists():
            found.append(f"{twin.name} is missing")
            continue
        notebook = jupytext.read(twin)
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
    notebook = jupytext.read(twin)
    for cell in notebook.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
    stream = io.StringIO()
    jupytext.write(notebook, stream, fmt="ipynb")
    twin.write_text(stream.getvalue().rstrip("\n") + "\n", encoding="utf-8")


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
    arguments = parser.parse_args()
    if arguments.write or arguments.format:
        for source in chapters():
            if arguments.format:
                reformat(source)
            write(source)
    found = problems()
    for problem in found:
        print(problem, file=sys.stderr)
    if found:
        print("Put the pairs in step with: make sync", file=sys.stderr)
    return int(bool(found))


if __name__ == "__main__":
    sys.exit(main())
