"""What `make site` collects, served over HTTP as a static host serves it."""

import functools
import json
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import urljoin, urlsplit

import pytest
from conftest import ROOT
from static_site import collect
from test_links import broken_links
from test_pages import WIDE, browser

pytestmark = [pytest.mark.book, pytest.mark.browser]
__all__ = ["browser"]  # skips, or in CI fails, where there is no browser
PREFIX = "/some/project/"  # sites are served from below a host's root, too


class Quiet(SimpleHTTPRequestHandler):
    """Serves a folder below a prefix, as hosts of projects do."""

    def translate_path(self, path):
        below = path.removeprefix(PREFIX)
        return super().translate_path("/" + below if below != path else "/nowhere/at/all")

    def do_GET(self):
        # The host's own: browsers ask it for an icon while the redirect is shown.
        if self.path == "/favicon.ico":
            self.send_response(204)
            self.end_headers()
        else:
            super().do_GET()

    def log_message(self, *_):
        pass


@pytest.fixture(scope="module")
def site(book, tmp_path_factory):
    return collect(book.html, tmp_path_factory.mktemp("site") / "site")


@pytest.fixture(scope="module")
def address(site):
    handler = functools.partial(Quiet, directory=str(site))
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}{PREFIX}"
        server.shutdown()


def test_the_site_is_whole(site, book):
    assert (site / ".nojekyll").exists()
    assert not (site / ".buildinfo").exists()
    served = {path.relative_to(site) for path in site.rglob("*.html")}
    built = {path.relative_to(book.html) for path in book.html.rglob("*.html")}
    assert served == built | {Path("404.html")}
    assert [link for link in broken_links(site) if not link.startswith("404.html")] == []


def test_every_page_offers_its_markdown_and_its_executed_notebook(site):
    chapters = list((ROOT / "book").glob("*.ipynb"))
    assert len(chapters) > 10
    for path in chapters:
        page = (site / f"{path.stem}.html").read_text(encoding="utf-8")
        for name in (f"_sources/{path.stem}.ipynb", f"_sources/{path.stem}.md"):
            assert f'href="{name}"' in page, name
            assert (site / name).exists(), name
        notebook = json.loads((site / "_sources" / path.name).read_text(encoding="utf-8"))
        assert any(cell.get("outputs") for cell in notebook["cells"]), path.name


def test_a_missing_page_leads_home(tmp_path):
    built = tmp_path / "built"
    built.mkdir()
    (built / "index.html").touch()
    title = "<title>Front &#8212; The Book</title>"
    (built / "intro.html").write_text(title)
    page = (collect(built, tmp_path / "site") / "404.html").read_text()
    assert '<a href="/">The Book</a>' in page
    canonical = '<link rel="canonical" href="https://a.github.io/b/intro.html" />'
    (built / "intro.html").write_text(title + canonical)
    (tmp_path / "site" / "old.html").touch()
    page = (collect(built, tmp_path / "site") / "404.html").read_text()
    assert '<a href="https://a.github.io/b/">The Book</a>' in page
    assert not (tmp_path / "site" / "old.html").exists()


@pytest.mark.parametrize("place", [".", "built", "built/site"])
def test_nothing_else_is_deleted(tmp_path, place):
    (tmp_path / "built").mkdir()
    (tmp_path / "built" / "index.html").touch()
    with pytest.raises(ValueError, match=r"cannot hold the site of .* a folder beside it"):
        collect(tmp_path / "built", tmp_path / place)
    with pytest.raises(ValueError, match=r"holds no built book; make book builds it"):
        collect(tmp_path / "nowhere", tmp_path / "site")
    assert (tmp_path / "built" / "index.html").exists()


@pytest.fixture
def online(browser):
    """A page of a browser that may ask hosts, and what goes wrong there."""
    browser.set_offline(False)
    page, wrong = browser.new_page(), []
    page.set_viewport_size(WIDE)

    def note(what):
        wrong.append(f"{page.url}: {what}")

    page.on("pageerror", note)
    page.on("console", lambda said: said.type == "error" and note(said.text))
    # What was still asked for when the page was left is aborted: the redirect's icon, say.
    page.on(
        "requestfailed",
        lambda request: request.failure == "net::ERR_ABORTED" or note(request.url),
    )
    page.on("response", lambda answer: answer.status >= 400 and note(answer.url))
    yield page, wrong
    page.close()
    browser.set_offline(True)


def test_pages_and_live_pictures_work_over_http(site, address, online):
    page, wrong = online
    page.on("request", lambda asked: served(asked.url, address) or wrong.append(asked.url))
    live = [
        path.name
        for path in sorted(site.glob("*.html"))
        if "pve-live" in path.read_text(encoding="utf-8")
    ]
    drawn = 0
    page.goto(address)
    page.wait_for_url("**/intro.html")
    for name in ["intro.html", *live, "search.html?q=chapter"]:
        page.goto(urljoin(address, name), wait_until="load")
        page.evaluate("() => window.MathJax?.startup?.promise")
        for stage in page.locator(".pve-live-stage").all():
            stage.locator("svg[role=img]").first.wait_for()
            drawn += 1
    page.locator("ul.search a").first.wait_for()
    assert wrong == []
    assert drawn >= len(live) > 0


def test_what_goes_wrong_over_http_is_seen(address, online):
    page, wrong = online
    page.goto(f"{address}404.html", wait_until="load")
    assert wrong == []
    page.goto(f"{address}gone.html", wait_until="load")
    assert any("gone.html" in what for what in wrong)


def served(url, address):
    """Whether a request stays with the host."""
    return urlsplit(url).scheme in ("data", "blob") or url.startswith(address)
