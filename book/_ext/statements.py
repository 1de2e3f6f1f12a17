"""An index of the book's definitions, propositions and the like.

The directive ``{statements}`` lists every labelled statement of sphinx-proof, chapter
by chapter in the order of the book, with its number, its title and a link.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment
from sphinx.util.docutils import SphinxDirective
from sphinx.util.nodes import make_refnode

Titles = dict[str, dict[str, str]]  # page -> label -> title, in the order of the page


class statements_index(nodes.General, nodes.Element):
    """Where the index will stand, once every page is read."""


class Statements(SphinxDirective):
    """The directive: it leaves a mark, since other pages are not read yet."""

    def run(self) -> list[nodes.Node]:
        """Return the mark."""
        return [statements_index()]


def _titles(env: BuildEnvironment) -> Titles:
    if not hasattr(env, "statement_titles"):
        env.statement_titles = {}  # type: ignore[attr-defined]
    return env.statement_titles  # type: ignore[attr-defined]


def collect(app: Sphinx, doctree: nodes.document) -> None:
    """Remember a page's statements in their order."""
    found = {
        node["label"]: node["title"].strip().removeprefix("(").removesuffix(")")
        for node in doctree.findall(nodes.Element)
        if node.get("realtype") and node.get("label")
    }
    _titles(app.env)[app.env.docname] = found


def forget(app: Sphinx, env: BuildEnvironment, docname: str) -> None:
    """Drop a page that is read again or gone."""
    _titles(env).pop(docname, None)


def merge(
    app: Sphinx, env: BuildEnvironment, docnames: list[str], other: BuildEnvironment
) -> None:
    """Take over what a parallel reader found."""
    theirs = _titles(other)
    _titles(env).update({name: theirs[name] for name in docnames if name in theirs})


def pages_with_index(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages to write again when any page has changed."""
    return [
        name
        for name in env.found_docs
        if next(env.get_doctree(name).findall(statements_index), None) is not None
    ]


def _in_book_order(env: BuildEnvironment, page: str) -> Iterator[str]:
    yield page
    for below in env.toctree_includes.get(page, []):
        yield from _in_book_order(env, below)


def _entry(app: Sphinx, fromdoc: str, page: str, label: str, title: str) -> nodes.Node:
    entry = app.env.proof_list[label]  # type: ignore[attr-defined]
    name = entry["realtype"].title()
    if not entry["nonumber"]:
        numbers = app.env.toc_fignumbers[page][entry["countertype"]][label]
        name = f"{name} {'.'.join(map(str, numbers))}"
    link = make_refnode(app.builder, fromdoc, page, label, nodes.Text(name))
    paragraph = nodes.paragraph("", "", link)
    if title:
        paragraph += nodes.Text(f"  {title}")
    return nodes.list_item("", paragraph)


def fill(app: Sphinx, doctree: nodes.document, fromdoc: str) -> None:
    """Put the index where its mark stands."""
    for mark in list(doctree.findall(statements_index)):
        content: list[Any] = []
        for page in _in_book_order(app.env, app.config.root_doc):
            titles = _titles(app.env).get(page)
            if not titles:
                continue
            name = app.env.titles[page].astext()
            heading = make_refnode(app.builder, fromdoc, page, "", nodes.Text(name))
            content.append(nodes.rubric("", "", heading))
            entries = [_entry(app, fromdoc, page, *item) for item in titles.items()]
            content.append(nodes.bullet_list("", *entries, classes=["simple"]))
        mark.replace_self(content)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.add_node(statements_index)
    app.add_directive("statements", Statements)
    app.connect("doctree-read", collect)
    app.connect("env-purge-doc", forget)
    app.connect("env-merge-info", merge)
    app.connect("env-updated", pages_with_index)
    app.connect("doctree-resolved", fill)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
