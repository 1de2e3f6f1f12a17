"""Every link inside the built book leads somewhere."""

import functools
from html.parser import HTMLParser
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest

pytestmark = pytest.mark.book


class Page(HTMLParser):
    """What a page's tags name and lead to; no tree, whose making takes most of a minute."""

    def __init__(self, text):
        super().__init__()
        self.ids, self.anchors, self.links = [], set(), set()
        self.feed(text)
        self.close()

    def handle_starttag(self, tag, attrs):
        found = dict(attrs)
        if "id" in found:
            self.ids.append(found["id"])
        if tag == "a" and "name" in found:
            self.anchors.add(found["name"])
        if "href" in found or "src" in found:
            self.links.add(found.get("href") or found.get("src") or "")


@functools.cache
def parsed(path):
    return Page(path.read_text("utf-8"))


def broken_links(html):
    """Links, images, scripts and styles of the pages that lead to nothing."""
    paths = [path for path in sorted(html.rglob("*.html")) if "_static" not in path.parts]
    pages = {path.resolve(): parsed(path) for path in paths}
    names = {path: {*page.ids} | page.anchors for path, page in pages.items()}
    broken = []
    for path, page in pages.items():
        for link in page.links:
            target = urlsplit(link)
            if target.scheme or target.netloc:
                continue
            where = path
            if target.path:
                where = (path.parent / unquote(target.path)).resolve()
            anchor = unquote(target.fragment)
            known = names.get(where, {anchor})
            if not where.exists() or (anchor and anchor not in known):
                broken.append(f"{path.name}: {link}")
    return sorted(broken)


def test_links_lead_somewhere(book):
    assert broken_links(book.html) == []


def test_no_name_stands_twice_on_a_page(book):
    for path in book.pages:
        ids = parsed(path).ids
        assert len(ids) == len(set(ids)), [i for i in ids if ids.count(i) > 1]


def test_broken_links_are_found(tmp_path: Path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">1</a><a href="b.html#gone">2</a><a href="c.html">3</a>'
        '<a href="#here" id="here">4</a><a href="https://example.org/x">5</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    assert broken_links(tmp_path) == ["a.html: b.html#gone", "a.html: c.html"]
