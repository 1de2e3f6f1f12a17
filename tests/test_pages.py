"""The built pages in a real browser, without a network."""

import base64
import dataclasses
import io
import os
import shutil
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pytest
from matplotlib.colors import to_hex, to_rgb
from PIL import Image

from pve.figures import save, style, themes

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

# Elements that scroll sideways and cannot be scrolled with a keyboard.
UNREACHABLE = """() => [...document.querySelectorAll('.bd-article *')]
  .filter((element) => element.scrollWidth > element.clientWidth + 1)
  .filter((element) =>
    ['auto', 'scroll'].includes(getComputedStyle(element).overflowX))
  .filter((element) => element.tabIndex < 0 && !element.querySelector('a[href], button'))
  .map((element) => element.outerHTML.slice(0, 120))"""

PAPER = 255 * np.array(to_rgb(themes.PAPER))

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
# What is made like its neighbours, hundreds of times on a page: the first few are looked
# at. (Asking axe to pass over them takes longer than looking at them.)
ALIKE = {".math": 20, "div.highlight": 8, "dl.py": 12, "table.indextable li": 20}
THIN = """(alike) => Object.entries(alike).forEach(([kind, first]) =>
  [...document.querySelectorAll(`.bd-article ${kind}`)].slice(first)
    .forEach((element) => element.remove()))"""


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
        context.set_default_timeout(120_000)  # ms; other tests may take the cores
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


def is_here(address):
    """Whether a request stays on this machine."""
    return address.startswith(("file:", "data:", "blob:"))


def luminance(page, selector, attribute):
    """Mean of the RGB channels of a computed colour, in [0, 255]."""
    colour = page.locator(selector).first.evaluate(
        f"element => getComputedStyle(element).{attribute}"
    )
    channels = colour[colour.index("(") + 1 : -1].replace(",", " ").split()[:3]
    return sum(map(float, channels)) / 3


def show(page, theme):
    """Put the page that is open into a theme."""
    page.evaluate(
        "(theme) => { document.documentElement.dataset.mode = theme;"
        " document.documentElement.dataset.theme = theme; }",
        theme,
    )
    page.wait_for_timeout(300)  # colours fade over, and what scrolls is marked anew


def audit(page, theme, only=()):
    """What axe finds on the page that is open, in a theme; ``only`` some rules."""
    show(page, theme)
    return page.evaluate(VIOLATIONS, only)


def violations(page):
    """What axe finds on a page that was opened on a wide screen."""
    page.emulate_media(reduced_motion="reduce")
    page.evaluate(THIN, ALIKE)
    page.add_script_tag(path=AXE)
    found = audit(page, "light")
    found += audit(page, "dark", ["color-contrast", "link-in-text-block"])
    page.set_viewport_size(NARROW)
    for _ in range(5):  # the page marks what scrolls when it has been laid out anew
        unmarked = audit(page, "light", ["scrollable-region-focusable"])
        if not unmarked:
            break
    found += unmarked
    page.emulate_media(reduced_motion="no-preference")
    return found


def look_wide(page):
    """What the checks ask of a page that was opened on a wide screen."""
    return {
        "formulas": page.locator(".bd-article .math").count(),
        "typeset": page.locator(".bd-article .math mjx-container").count(),
        "mistakes": page.locator("mjx-merror, [data-mml-node=merror]").count(),
        "fonts": page.evaluate("() => document.fonts.ready.then(() => true)"),
        "images": page.locator(".bd-article img").evaluate_all(
            "images => images.map((x) => [x.getAttribute('src'), x.getAttribute('alt')])"
        ),
        "wide code": page.locator(".bd-article .cell_input pre:visible").evaluate_all(
            "cells => cells.filter((cell) => cell.scrollWidth > cell.clientWidth + 1)"
            ".map((cell) => cell.textContent)"
        ),
    }


def look_dark(page):
    """What the checks ask of a page in the dark theme, whatever the browser prefers."""
    show(page, "dark")
    return {
        "background": luminance(page, "body", "backgroundColor"),
        "text": luminance(page, ".bd-article", "color"),
        "figures": page.locator(".bd-article .cell_output img").evaluate_all(
            "images => images.map((x) => [getComputedStyle(x)].map((style) => [x.src, "
            "style.filter, style.colorScheme, style.backgroundColor])[0])"
        ),
    }


def look_narrow(page):
    """What the checks ask of a page whose window is made narrow; it is left wide."""
    page.set_viewport_size(NARROW)
    for _ in range(5):  # the page marks what scrolls when it has been laid out anew
        page.wait_for_timeout(300)
        looks = measure_narrow(page)
        if not looks["unreachable"]:
            break
    page.set_viewport_size(WIDE)
    return looks


def measure_narrow(page):
    images = page.locator(
        ".bd-article figure > img, .bd-article figure > .drawn img, "
        ".bd-article figure > picture img"
    )
    return {
        "width": page.evaluate("() => document.documentElement.scrollWidth"),
        "spilling": page.evaluate(SPILLING),
        "scales": images.evaluate_all(
            "images => images.map((x) => [x.clientWidth / x.naturalWidth, x.outerHTML, "
            "x.parentElement.tagName, x.currentSrc])"
        ),
        "unreachable": page.evaluate(UNREACHABLE),
        "frames": page.locator(".bd-article .drawn").evaluate_all(
            "frames => frames.map((x) =>"
            " [x.scrollWidth > x.clientWidth, x.getAttribute('tabindex')])"
        ),
    }


@dataclasses.dataclass
class Seen:
    """What is seen of the pages, each opened once for all checks.

    Of the listings of source code, which look alike, one is opened.
    """

    errors: list = dataclasses.field(default_factory=list)
    foreign: list = dataclasses.field(default_factory=list)
    looks: dict = dataclasses.field(default_factory=dict)  # by the page's path
    narrow: dict = dataclasses.field(default_factory=dict)
    violations: dict = dataclasses.field(default_factory=dict)
    listening: bool = True

    def wrong(self, what):
        if self.listening:
            self.errors.append(what)

    def failed(self, request):
        # A figure still loading when the page turns narrow gives way to its other drawing.
        if request.failure != "net::ERR_ABORTED":
            self.wrong(f"{request.url}: {request.failure}")


@pytest.fixture(scope="module")
def seen(browser, book):
    seen, page = Seen(), browser.new_page()
    page.on("pageerror", lambda error: seen.wrong(f"{page.url}: {error}"))
    page.on("requestfailed", lambda request: seen.failed(request))
    page.on(
        "request",
        lambda request: is_here(request.url) or seen.foreign.append(request.url),
    )
    search = book.html / "search.html"
    for path in [*book.kinds, search]:
        page.set_viewport_size(WIDE)  # the audit leaves it narrow
        open_page(page, path)
        if path != search:
            seen.looks[path] = look_wide(page) | look_dark(page)
            seen.narrow[path] = look_narrow(page)
        # axe asks for the style sheets once more, which a browser refuses it on a disk.
        seen.listening = False
        seen.violations[path] = violations(page)
        seen.listening = True
    page.close()
    return seen


def test_pages_open_offline_without_error(seen):
    assert seen.errors == []
    assert seen.foreign == []


def test_mathematics_is_typeset(seen, book):
    typeset = 0
    for path, look in seen.looks.items():
        if not look["formulas"]:
            continue
        assert look["typeset"] >= look["formulas"], path
        assert look["mistakes"] == 0, path
        assert look["fonts"]
        typeset += look["formulas"]
    with_mathematics = any('class="math' in path.read_text() for path in book.pages)
    assert bool(typeset) == with_mathematics


def test_figures_have_their_text(seen):
    for path, look in seen.looks.items():
        for source, text in look["images"]:
            text = (text or "").strip()
            where = f"{path.name}: {source}"
            # Sphinx and myst-nb fall back to the file's name, or to its content.
            assert len(text) > 10, f"no alternative text in {where}"
            assert not text.startswith(("_images", "../", "<Figure")), where


def test_nothing_is_wider_than_a_narrow_screen(seen):
    for path, look in seen.narrow.items():
        assert look["width"] <= NARROW["width"], path.name
        assert look["spilling"] == [], path.name
        assert look["unreachable"] == [], path.name


def test_panels_stay_readable_on_a_narrow_screen(seen):
    scales = []
    for path, look in seen.narrow.items():
        scales += look["scales"]
        for scrolls, tabindex in look["frames"]:
            assert scrolls
            assert tabindex == "0", path.name
    assert scales
    assert [html[:120] for scale, html, *_ in scales if scale < 0.5] == []


def test_a_narrow_screen_shows_the_drawing_made_for_it(seen):
    """In type of nearly the size that it was drawn in; the smallest has 9.6 pixels."""
    drawn = [x for look in seen.narrow.values() for x in look["scales"]]
    pictures = [x for x in drawn if x[2] == "PICTURE"]
    assert len(pictures) > len(drawn) / 2
    for scale, html, _, source in pictures:
        assert "/narrow-" in source, html[:120]
        assert scale > 0.9, html[:120]
    for look in seen.looks.values():
        assert not any("/narrow-" in source for source, _ in look["images"])


def test_visible_code_fits_its_column(seen):
    assert [code for look in seen.looks.values() for code in look["wide code"]] == []


def test_dark_mode(seen):
    for path, look in seen.looks.items():
        assert look["background"] == pytest.approx(np.mean(PAPER), abs=0.1), path.name
        assert look["text"] > 150, path.name
        for source, *looks in look["figures"]:
            pixels = source.startswith("data:image/png") or source.endswith(".png")
            card = "rgb(255, 255, 255)" if pixels else "rgba(0, 0, 0, 0)"
            assert looks == ["none", "dark", card], f"{path.name}: {source[:80]}"


def contrast(one, other):
    """Of two colours, as WCAG 2 defines it."""
    linear = [
        np.where(c <= 0.04045, c / 12.92, ((c + 0.055) / 1.055) ** 2.4)
        for c in (np.array(to_rgb(one)), np.array(to_rgb(other)))
    ]
    dark, light = sorted(float(c @ (0.2126, 0.7152, 0.0722)) for c in linear)
    return (light + 0.05) / (dark + 0.05)


def test_small_text_of_figures_can_be_read_on_its_paper():
    assert contrast("#000000", "#ffffff") == pytest.approx(21)
    for ink in (style.BLACK, style.FAINT):
        assert contrast(ink, themes.WHITE) > 4.5
    for ink in (themes.INK, themes.PENCIL):
        assert contrast(ink, themes.PAPER) > 4.5


def colours(page, scheme, svg):
    """How often each colour is seen of a figure on a page of a scheme."""
    source = f"data:image/svg+xml;base64,{base64.b64encode(svg).decode()}"
    page.set_content(f'<img style="color-scheme: {scheme}" src="{source}">')
    shot = page.locator("img").screenshot()
    with Image.open(io.BytesIO(shot)) as image:
        pixels = image.convert("RGB")
        return {colour: count for count, colour in pixels.getcolors(pixels.size[0] ** 2)}


def test_a_figure_takes_the_ink_and_paper_of_its_page(page):
    """Whatever the browser prefers; and colours that mean something stay."""
    figure, ax = style.new_figure(figsize=(2, 2))
    ax.set(xlim=(0, 8), ylim=(0, 1), xticks=[], yticks=[])
    kept = ["#d55e00", "#0072b2", themes.CHALK, themes.COAL]
    turned = ["#000000", style.BLACK, "#ffffff", style.FAINT]
    ax.bar(np.arange(8) + 0.5, 1, color=kept + turned, width=1)
    svg = save.encoded(figure, "svg")
    plt.close(figure)

    def many(scheme):
        return {
            to_hex(np.array(colour) / 255)
            for colour, count in seen[scheme].items()
            if count > 1000
        }

    page.emulate_media(color_scheme="dark")
    seen = {scheme: colours(page, scheme, svg) for scheme in ("light", "dark")}
    page.emulate_media(color_scheme="light")
    assert seen["dark"] == colours(page, "dark", svg)
    assert many("light") == {*kept, *turned}
    assert many("dark") == {*kept, themes.INK, themes.PAPER, themes.PENCIL}


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
        lambda request: is_here(request.url) or problems.append(request.url),
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


def test_pages_are_accessible(seen):
    """In both themes; and what scrolls sideways on a narrow screen can be focused."""
    found = [
        f"{path.name}: {violation}"
        for path, violations in seen.violations.items()
        for violation in violations
    ]
    assert len(seen.violations) > 1
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
    step = slides.locator(".said").last.text_content()
    assert step == "0"
    page.keyboard.press("ArrowRight")
    assert slides.locator(".said").last.text_content() != step


def test_sliders_leave_a_still_picture_in_print(page, book):
    open_page(page, book.html / "diameter.html")
    page.emulate_media(media="print")
    slides = page.locator(".pve-slides").first
    assert slides.locator("img:visible").count() == 1
    assert not slides.locator("input").first.is_visible()
