"""The first cell of a notebook that is opened on Colab: it brings what the chapter needs.

Colab opens the committed notebook and nothing beside it. Once `repository.url` in
`_config.yml` names a repository on GitHub, each notebook therefore begins with a cell that
clones it, installs the library from the clone, where the shipped results lie, and does
nothing anywhere else. It is in the notebooks alone: `tools/pairs.py` puts it there and
leaves it out when it compares them or takes edits over.
"""

from __future__ import annotations

import re
from pathlib import Path

import yaml
from nbformat import NotebookNode
from nbformat.v4 import new_code_cell

TAG = "colab"
GITHUB = re.compile(r"https://github\.com/[^/]+/(?P<name>[^/]+?)(\.git)?/?")
# Besides the library, a chapter needs what hands its numbers to its prose.
CELL = """\
# @title Only on Colab: install what this chapter needs
import sys

if "google.colab" in sys.modules:
    %cd -q /content
    !test -d {name} || git clone -q --depth 1 -b {branch} {url}
    %pip install -q -e {name} myst-nb
    sys.path.insert(0, "/content/{name}")"""


def first_cell(config: Path) -> NotebookNode | None:
    """The cell, or None where no repository on GitHub is named.

    Args:
      config: the book's ``_config.yml``.
    """
    if not config.exists():
        return None
    repository = yaml.safe_load(config.read_text(encoding="utf-8")).get("repository", {})
    found = GITHUB.fullmatch(url := repository.get("url") or "")
    if not found:
        return None
    code = CELL.format(name=found["name"], url=url, branch=repository["branch"])
    metadata = {"cellView": "form", "tags": [TAG, "remove-cell"]}
    return new_code_cell(code, id=TAG, metadata=metadata)


def split(notebook: NotebookNode) -> NotebookNode | None:
    """Take the cell out of a notebook and return it, None if there is none."""
    cells = notebook.cells
    found = [cell for cell in cells if TAG in cell.metadata.get("tags", [])]
    notebook.cells = [cell for cell in cells if cell not in found]
    return found[0] if found else None
