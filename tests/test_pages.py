"""The built pages in a real browser, without a network."""

import os
import shutil
from pathlib import Path

import pytest

pytestmark = [pytest.mark.book, pytest.mark.browser]

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser"))), None)
FLAGS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
NARROW = {"width": 390, "height": 844}
WIDE = {"width": 1280, "height": 900}
# Elements that reach beyond the screen though no ancestor of theirs scrolls.
SPILLING = """() => {
  const width = document.documentElement.clientWidth;
  const contained = (element) => {
    for (let node = element; node; node = node.parentElement) {
      const style = getComputedStyle(node);
      if (style.position === 'fixed' || style.overflowX !== 'visible') return true;
    }
    return false;
  };
  return [...document.querySelectorAll('.bd-article *')]
    .filter((element) => element.getBoundingClientRect().right > width + 1)
    .filter((element) => !contained(element))
    .map((element) => element.outerHTML.slice(0, 120));
}"""

AXE = Path(__file__).parent / "vendor" / "axe.min.js"
# WCAG 2.0 and 2.1, levels A and AA; every violation with the element and the reason.
VIOLATIONS = """async (only) => {
  const runOnly = only.length
    ? { type: 'rule', values: only }
    : { type: 'tag', values: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa'] };
  const found = await axe.run(document, { runOnly, resultTypes: ['violations'] });
  return found.violations.flatMap((violation) => violation.nodes.map((node) =>
    `${violation.id}: ${node.html.slice(0, 160)} (${node.failureSummary})`));
}"""


@pytest.fixture(scope="module")
def browser(tmp_path_factory):
    if CHROMIUM is None:
        reason = "the browser tests need Chromium (Debian: apt-get install chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(reason)
    from playwright.sync_api import sync_playwright

    with sync_playwright() as playwright:
        context = playwright.chromium.launch_persistent_context(
            tmp_path_factory.mktemp("chromium"),
            executable_path=CHROMIUM,
            headless=True,
            offline=True,
            args=FLAGS,
            viewport=WIDE,
        )
        yield context
        context.close()


@pytest.fixture
def page(browser):
    page = browser.new_page()
    page.set_viewport_size(WIDE)
    yield page
    page.close()


def open_page(page, path):
    """Open a built page and wait until its mathematics stands."""
    page.goto(path.as_uri(), wait_until="load")
    page.evaluate("() => window.MathJax?.startup?.promise")


def test_pages_open_offline_without_error(page, book):
    errors, foreign = [], []
    page.on("pageerror", lambda error: errors.append(f"{page.url}: {error}"))
    page.on("requestfailed", lambda request: errors.append(request.url))
    page.on(
        "request",
        lambda request: (
            request.url.startswith(("file:", "data:", "blob:"))
            or foreign.append(request.url)
        ),
    )
    for path in book.pages:
        open_page(page, path)
    assert errors == []
    assert foreign == []


def test_mathematics_is_typeset(page, book):
    typeset = 0
    for path in book.pages:
        open_page(page, path)
        formulas = page.locator(".bd-article .math").count()
        if not formulas:
            continue
        assert page.locator(".bd-article .math mjx-container").count() >= formulas, path
        assert page.locator("mjx-merror, [data-mml-node=merror]").count() == 0, path
        assert page.evaluate("() => document.fonts.ready.then(() => true)")
        typeset += formulas
    with_mathematics = any('class="math' in path.read_text() for path in book.pages)
    assert bool(typeset) == with_mathematics


def test_figures_have_their_text(page, book):
    for path in book.pages:
        open_page(page, path)
        for image in page.locator(".bd-article img").all():
            text = (image.get_attribute("alt") or "").strip()
            where = f"{path.name}: {image.get_attribute('src')}"
            # Sphinx and myst-nb fall back to the file's name, or to its content.
            assert len(text) > 10, f"no alternative text in {where}"
            assert not text.startswith(("_images", "../", "<Figure")), where


def test_nothing_is_wider_than_a_narrow_screen(page, book):
    page.set_viewport_size(NARROW)
    for path in book.pages:
        open_page(page, path)
        width = page.evaluate("() => document.documentElement.scrollWidth")
        assert width <= NARROW["width"], path.name
        assert page.evaluate(SPILLING) == [], path.name


def test_panels_stay_readable_on_a_narrow_screen(page, book):
    page.set_viewport_size(NARROW)
    scales = []
    for path in book.pages:
        open_page(page, path)
        images = page.locator(".bd-article figure > img, .bd-article figure > .drawn img")
        scales += images.evaluate_all(
            "images => images.map((x) => [x.clientWidth / x.naturalWidth, x.outerHTML])"
        )
        for frame in page.locator(".bd-article .drawn").all():
            assert frame.evaluate("element => element.scrollWidth > element.clientWidth")
            assert frame.get_attribute("tabindex") == "0", path.name
    assert scales
    assert [html[:120] for scale, html in scales if scale < 0.5] == []


def test_visible_code_fits_its_column(page, book):
    wide = []
    for path in book.pages:
        open_page(page, path)
        wide += page.locator(".bd-article .cell_input pre:visible").evaluate_all(
            "cells => cells.filter((cell) => cell.scrollWidth > cell.clientWidth + 1)"
            ".map((cell) => cell.textContent)"
        )
    assert wide == []


def luminance(page, selector, attribute):
    """Mean of the RGB channels of a computed colour, in [0, 255]."""
    colour = page.locator(selector).first.evaluate(
        f"element => getComputedStyle(element).{attribute}"
    )
    channels = colour[colour.index("(") + 1 : -1].replace(",", " ").split()[:3]
    return sum(map(float, channels)) / 3


def test_dark_mode(page, book):
    for path in book.pages:
        page.emulate_media(color_scheme="dark")
        page.goto(path.as_uri(), wait_until="load")
        page.evaluate(
            "() => { document.documentElement.dataset.mode = 'dark';"
            " document.documentElement.dataset.theme = 'dark'; }"
        )
        assert luminance(page, "body", "backgroundColor") < 80, path.name
        assert luminance(page, ".bd-article", "color") > 150, path.name
        for image in page.locator(".bd-article .cell_output img").all():
            style = image.evaluate(
                "element => [getComputedStyle(element).filter,"
                " getComputedStyle(element).backgroundColor]"
            )
            assert style == ["none", "rgb(255, 255, 255)"], path.name


def test_search_finds_a_word_offline(page, book):
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.on("requestfailed", lambda request: problems.append(request.url))
    page.on(
        "console",
        lambda message: message.type == "error" and problems.append(message.text),
    )
    page.on(
        "request",
        lambda request: (
            request.url.startswith(("file:", "data:", "blob:"))
            or problems.append(request.url)
        ),
    )
    open_page(page, book.html / "search.html")
    page.locator("input[name=q]:visible").first.fill("contraction")
    page.keyboard.press("Enter")
    results = page.locator("ul.search a")
    results.first.wait_for()
    page.wait_for_function(
        "() => document.querySelector('#search-results .search-summary')"
        "?.textContent.match(/\\d/)"
    )
    names = [href.partition("#")[0] for href in hrefs(results)]
    assert "four-rooms.html" in [name.rpartition("/")[-1] for name in names]
    results.first.click()
    page.wait_for_load_state("load")
    assert "search.html" not in page.url
    assert "contraction" in page.locator(".bd-article").inner_text().lower()
    assert problems == []


def hrefs(links):
    return [link.get_attribute("href") or "" for link in links.all()]


def audit(page, theme, only=()):
    """What axe finds on the page that is open, in a theme; ``only`` some rules."""
    page.evaluate(
        "(theme) => { document.documentElement.dataset.mode = theme;"
        " document.documentElement.dataset.theme = theme; }",
        theme,
    )
    page.wait_for_timeout(300)  # colours fade over, and what scrolls is marked anew
    return page.evaluate(VIOLATIONS, only)


def test_pages_are_accessible(page, book):
    """In both themes; and what scrolls sideways on a narrow screen can be focused."""
    page.emulate_media(reduced_motion="reduce")
    found = []
    for path in [*book.kinds, book.html / "search.html"]:
        page.set_viewport_size(WIDE)
        open_page(page, path)
        page.add_script_tag(path=AXE)
        on_page = audit(page, "light")
        on_page += audit(page, "dark", ["color-contrast", "link-in-text-block"])
        page.set_viewport_size(NARROW)
        on_page += audit(page, "light", ["scrollable-region-focusable"])
        found += [f"{path.name}: {violation}" for violation in on_page]
    assert found == [], "\n".join(found)


def test_a_picture_under_a_slider_moves(page, book):
    open_page(page, book.html / "diameter.html")
    slides = page.locator(".pve-slides").first
    shown = slides.locator("img:visible")
    assert shown.count() == 1
    before, words = shown.get_attribute("src"), shown.get_attribute("alt")
    for slider in slides.locator("input").all():
        slider.focus()
        page.keyboard.press("Home")
    assert shown.count() == 1
    assert shown.get_attribute("src") != before
    assert shown.get_attribute("alt") != words
    step = slides.locator("output").last.text_content()
    assert step == "0"
    page.keyboard.press("ArrowRight")
    assert slides.locator("output").last.text_content() != step


def test_sliders_leave_a_still_picture_in_print(page, book):
    open_page(page, book.html / "diameter.html")
    page.emulate_media(media="print")
    slides = page.locator(".pve-slides").first
    assert slides.locator("img:visible").count() == 1
    assert not slides.locator("input").first.is_visible()
