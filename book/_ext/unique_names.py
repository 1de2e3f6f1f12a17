"""Names and roles in the pages as HTML and screen readers expect them.

`sphinx_proof` and `sphinx_exercise` give the body of every statement, proof, exercise and
solution on a page the same `id`, which HTML forbids; nothing refers to them. A proof's
own, which its style asks for, goes too. A signature of several lines comes as a definition
list without terms, and citations come with roles that no longer exist.
"""

from __future__ import annotations

import re
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

REPEATED = re.compile(r' id="(?:proof|solution|exercise)(?:-content)?"')

ROLES = re.compile(r' role="(?:doc-biblioentry|list)"')
PARAMETERS = re.compile(
    r'<dl>\n((?:<dd><em class="sig-param">.*?</dd>\n)+)</dl>', re.DOTALL
)


def _lines(found: re.Match[str]) -> str:
    lines = found[1].replace("<dd>", '<span class="sig-line">').replace("</dd>", "</span>")
    return f'<span class="sig-lines">\n{lines}</span>'


def make_unique(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Correct the page."""
    if "body" in context:
        body = ROLES.sub("", REPEATED.sub("", context["body"]))
        context["body"] = PARAMETERS.sub(_lines, body)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("html-page-context", make_unique)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
