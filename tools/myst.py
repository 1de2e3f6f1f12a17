"""Have the current `mystmd`, on which Jupyter Book 2 is built, read the chapters.

    python tools/myst.py     list what it does not understand, line by line; exit with 1
                             if that is not the list of CONTRIBUTING.md

It needs `npx` (Node.js) and the network. A test checks without either what a chapter uses:
`used` finds directives, their options and roles, `ROLES` and `DIRECTIVES` hold those that
`mystmd` understood when it was last run.
"""

from __future__ import annotations

import re
import shutil
import subprocess
import sys
import tempfile
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
BOOK = ROOT / "book"
CONTRIBUTING = ROOT / "CONTRIBUTING.md"
READER = ["npx", "--yes", "mystmd@1", "build", "--site", "--ci"]
PROJECT = "version: 1\nproject:\n  title: The book\n"

# A line about a page: a sign, the page and the place, the complaint.
COMPLAINT = re.compile(r"^(?:⛔️|⚠️)\s+[\w-]+\.md(?::\d+)*\s+(?P<what>.+?)\s*$")
KEPT = re.compile(r"^- `(?P<what>[^`]+)`", re.MULTILINE)
HEADING = "### What it does not understand yet"

# What `mystmd` 1.8.3 took without a word.
ROLES = {"cite:p", "cite:t", "doc", "eq", "math", "numref", "prf:ref", "ref", "sub", "sup"}
STATEMENTS = (
    "algorithm", "assumption", "axiom", "conjecture", "corollary", "criterion",
    "definition", "example", "lemma", "observation", "proof", "property", "proposition",
    "remark", "theorem",
)  # fmt: skip
WITH_LABEL = {  # and with a class
    *(f"prf:{name}" for name in STATEMENTS),
    "admonition", "aside", "code-block", "code-cell", "dropdown", "exercise", "figure",
    "image", "important", "list-table", "margin", "math", "note", "solution", "table",
    "tab-item", "tab-set", "tip", "warning",
}  # fmt: skip
DIRECTIVES = {
    **{name: {"label", "class"} for name in WITH_LABEL},
    "bibliography": set(),
    "card": {"link"},
    "grid": set(),
    "grid-item-card": {"link"},
}

TAGS = ("code-cell", "tags")  # understood, except beside `mystnb`

FENCE = re.compile(r"^\s*(?P<mark>`{3,}|:{3,})(?P<info>.*)$")
DIRECTIVE = re.compile(r"^\{(?P<name>[\w:-]+)\}")
OPTION = re.compile(r"^\s*:(?P<name>[\w-]+):(?:\s|$)")
ROLE = re.compile(r"(?<!`)\{(?P<name>[a-z][\w:-]*)\}`[^`]")
# What these contain is not MyST.
VERBATIM = ("code-cell", "code-block", "eval-rst", "math")


def used(text: str) -> tuple[set[str], set[tuple[str, str]]]:
    """What MyST a page uses.

    Args:
      text: of the page, as Markdown.

    Returns:
      The names of its roles, and directives with each of their options; a directive itself
      has the option ``""``.
    """
    roles: set[str] = set()
    directives: set[tuple[str, str]] = set()
    open_fences: list[
        tuple[str, str]
    ] = []  # marks and names; what is no directive has none
    heading = block = False  # whether options of a directive may follow, `---` around them
    for line in text.splitlines():
        fence = FENCE.match(line)
        verbatim = bool(open_fences) and open_fences[-1][1] in ("", *VERBATIM)
        if (
            fence
            and open_fences
            and not fence["info"].strip()
            and fence["mark"].startswith(open_fences[-1][0])
        ):
            open_fences.pop()
            heading = block = False
            continue
        if fence and not verbatim:
            found = DIRECTIVE.match(fence["info"].strip())
            name = found["name"] if found else ""
            open_fences.append((fence["mark"], name))
            heading, block = bool(name), False
            if name:
                directives.add((name, ""))
            continue
        if heading:
            name = open_fences[-1][1]
            if line.strip() == "---":
                heading, block = not block, not block
                continue
            pattern = re.compile(r"^(?P<name>[\w-]+):") if block else OPTION
            if option := pattern.match(line):
                directives.add((name, option["name"]))
                continue
            heading = block
        if not verbatim:
            roles |= {found["name"] for found in ROLE.finditer(line)}
    return roles, directives


def not_understood(text: str) -> set[str]:
    """What `mystmd` will complain of in a page, as far as names tell.

    Args:
      text: of the page, as Markdown.
    """
    roles, directives = used(text)
    found = {f"unknown role: {name}" for name in roles - ROLES}
    for name, option in directives:
        if name not in DIRECTIVES:
            found.add(f"unknown directive: {name}")
        elif option not in {"", *DIRECTIVES[name]} and (name, option) != TAGS:
            found.add(f'unexpected option "{option}" provided (in {name})')
    return found


def kept(text: str) -> list[str]:
    """What `mystmd` does not understand, as CONTRIBUTING.md lists it."""
    section = text.partition(HEADING)[2].partition("\n#")[0]
    return [found["what"] for found in KEPT.finditer(section)]


def complaints(lines: Iterable[str]) -> Counter[str]:
    """The complaints that `mystmd` has printed, and how often each."""
    found = (COMPLAINT.match(line) for line in lines)
    return Counter(each["what"] for each in found if each)


def read(book: Path = BOOK) -> Counter[str]:
    """Have `mystmd` read all pages of the book; return its complaints.

    Raises:
      RuntimeError: `npx` is missing, or `mystmd` did not read them.
    """
    if shutil.which("npx") is None:
        raise RuntimeError("npx is not there; on Debian: apt-get install npm")
    with tempfile.TemporaryDirectory() as folder:
        for pattern in ("*.md", "*.bib", "_toc.yml"):
            for path in book.glob(pattern):
                shutil.copy(path, folder)
        for name in ("_static", "data"):
            if (book / name).is_dir():
                shutil.copytree(book / name, Path(folder) / name)
        (Path(folder) / "myst.yml").write_text(PROJECT, encoding="utf-8")
        done = subprocess.run(
            READER,
            cwd=folder,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            encoding="utf-8",
        )
    pages = len(list(book.glob("*.md")))
    if done.returncode or "site configuration" not in done.stdout:
        raise RuntimeError(f"mystmd did not read the {pages} pages:\n{done.stdout}")
    return complaints(done.stdout.splitlines())


def main() -> int:
    """List what is not understood, and compare with the list that is kept."""
    try:
        found = read()
    except RuntimeError as error:
        print(error, file=sys.stderr)
        return 2
    for what, times in found.most_common():
        print(f"{times:5} {what}")
    known = kept(CONTRIBUTING.read_text(encoding="utf-8"))
    new = [what for what in found if what not in known]
    gone = [what for what in known if what not in found]
    for what in new:
        print(f"not in the list of CONTRIBUTING.md: {what}", file=sys.stderr)
    for what in gone:
        print(f"no longer so, though CONTRIBUTING.md says it: {what}", file=sys.stderr)
    return int(bool(new or gone))


if __name__ == "__main__":
    sys.exit(main())
