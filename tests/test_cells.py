"""A chapter's page holds the lines that are the idea; the library's wing holds the rest."""

import ast
import collections
import re
from pathlib import Path

import pairs
import pytest

HIDING = re.compile(r"\b(hide-input|remove-input|remove-cell)\b")
LONGEST = 15  # lines of a hidden cell
CHAPTERS = pairs.chapters()


def cells(text):
    """The code cells of a chapter: whether its code is hidden, and the code."""
    found = pairs.CODE_CELL.finditer(text)
    return [(bool(HIDING.search(cell["head"])), cell["code"].strip("\n")) for cell in found]


def only_opens(code):
    """Whether a cell imports and begins the page, and does nothing else."""
    statements = ast.parse(code).body
    rest = [s for s in statements if not isinstance(s, ast.Import | ast.ImportFrom)]
    return all("page.begin(" in ast.unparse(statement) for statement in rest)


def too_long(text):
    """The lengths of the hidden cells that are too long."""
    hidden = [code for hides, code in cells(text) if hides and not only_opens(code)]
    lengths = [len(code.split("\n")) for code in hidden]
    return [length for length in lengths if length > LONGEST]


def lines(text):
    return sum(bool(line.strip()) for line in text.split("\n"))


def lines_of_code_and_prose(text):
    """Lines that are not empty, front matter and options of cells aside."""
    prose = pairs.CODE_CELL.sub("", text.split("\n---\n", 1)[1])
    return sum(lines(code) for _, code in cells(text)), lines(prose)


def helpers(text):
    """The functions that a chapter defines, without their names, as syntax trees."""
    trees = [ast.parse(code) for _, code in cells(text)]
    nodes = [node for tree in trees for node in ast.walk(tree)]
    return {
        ast.dump(ast.Module(node.body, [])): node.name
        for node in nodes
        if isinstance(node, ast.FunctionDef)
    }


CHAPTER = """---
kernelspec: none
---

# Title

Words.

```{code-cell} ipython3
:tags: [hide-input]

import math

x = math.pi


def area(r):
    return x * r**2
```
"""


def test_cells_are_counted_by_hand():
    (cell,) = cells(CHAPTER)
    assert cell[0]
    assert len(cell[1].split("\n")) == 7
    assert not only_opens(cell[1])
    assert only_opens("import math\n\nseed, preset = page.begin(globals())")
    assert lines_of_code_and_prose(CHAPTER) == (4, 2)
    assert too_long(CHAPTER) == []
    assert too_long(CHAPTER.replace("x = ", "\n" * 9 + "x = ")) == [16]
    assert too_long(CHAPTER.replace("x = ", "\n" * 9 + "x = ").replace("hide-", "")) == []
    assert list(helpers(CHAPTER).values()) == ["area"]


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: Path(path).stem)
def test_hidden_cells_are_short(chapter):
    found = too_long(chapter.read_text(encoding="utf-8"))
    assert found == [], chapter.stem


@pytest.mark.parametrize("chapter", CHAPTERS, ids=lambda path: Path(path).stem)
def test_a_chapter_is_more_prose_than_code(chapter):
    code, prose = lines_of_code_and_prose(chapter.read_text(encoding="utf-8"))
    assert code < prose


def test_no_helper_stands_in_two_chapters():
    found = collections.defaultdict(set)
    for chapter in CHAPTERS:
        for body, name in helpers(chapter.read_text(encoding="utf-8")).items():
            found[body].add(f"{chapter.stem}: {name}")
    twice = [sorted(places) for places in found.values() if len(places) > 1]
    assert twice == []
