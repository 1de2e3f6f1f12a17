"""No name stands twice on a page.

`sphinx_proof` and `sphinx_exercise` give the body of every statement, proof, exercise and
solution on a page the same `id`, which HTML forbids; nothing refers to them. A proof's
own, which its style asks for, becomes a class.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

REPEATED = re.compile(r' id="(?:proof|solution|exercise)(?:-content)?"')


def make_unique(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Take the repeated names out of the page."""
    if "body" in context:
        context["body"] = REPEATED.sub("", context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", make_unique)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
