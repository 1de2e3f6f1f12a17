"""Every link inside the built book leads somewhere."""

import functools
from pathlib import Path
from urllib.parse import unquote, urlsplit

import bs4
import pytest

pytestmark = pytest.mark.book


@functools.cache
def parsed(path):
    return bs4.BeautifulSoup(path.read_text("utf-8"), "html.parser")


def broken_links(html):
    """Links, images, scripts and styles of the pages that lead to nothing."""
    paths = [path for path in sorted(html.rglob("*.html")) if "_static" not in path.parts]
    pages = {path.resolve(): parsed(path) for path in paths}
    names = {
        path: {tag["id"] for tag in page.find_all(id=True)}
        | {tag["name"] for tag in page.find_all("a", attrs={"name": True})}
        for path, page in pages.items()
    }
    broken = []
    for path, page in pages.items():
        tags = page.find_all(href=True) + page.find_all(src=True)
        for link in {tag.get("href") or tag.get("src") for tag in tags}:
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
        page = parsed(path)
        ids = [tag["id"] for tag in page.find_all(id=True)]
        assert len(ids) == len(set(ids)), [i for i in ids if ids.count(i) > 1]


def test_broken_links_are_found(tmp_path: Path):
    (tmp_path / "a.html").write_text(
        '<a href="b.html#there">1</a><a href="b.html#gone">2</a><a href="c.html">3</a>'
        '<a href="#here" id="here">4</a><a href="https://example.org/x">5</a>'
    )
    (tmp_path / "b.html").write_text('<p id="there"></p>')
    assert broken_links(tmp_path) == ["a.html: b.html#gone", "a.html: c.html"]
