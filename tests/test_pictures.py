"""Live pictures in a real browser: what they show is what the library computes."""

import functools
from dataclasses import replace
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pydata_sphinx_theme
import pytest
import sphinx_book_theme
from conftest import ROOT
from oracles import deterministic_policies
from test_pages import NARROW, SPILLING, WIDE, browser, page, show, violations

import pve
from pve.book import pictures, sliders
from pve.book.live import Live
from pve.book.slides import Slides
from pve.equivalence import simplex
from pve.equivalence.lazy import lazy_line, lazy_model
from pve.figures import style
from pve.worlds.gridworld import grid_world

pytestmark = pytest.mark.browser
__all__ = ["browser", "page"]  # fixtures

STATIC = ROOT / "book" / "_static"
SHEETS = (
    [
        Path(theme.__file__).parent / "theme" / name / "static" / "styles" / sheet
        for theme, name, sheet in (
            (pydata_sphinx_theme, "pydata_sphinx_theme", "theme.css"),
            (pydata_sphinx_theme, "pydata_sphinx_theme", "pydata-sphinx-theme.css"),
            (sphinx_book_theme, "sphinx_book_theme", "sphinx-book-theme.css"),
        )
    ]
    + [STATIC / "custom.css"]
)  # fmt: skip

THREE = pve.MDP(
    [[1, 0], [0, 3], [2, 3]],
    [
        [[0.3, 0.3, 0.4], [0.1, 0.3, 0.6]],
        [[0.1, 0.5, 0.4], [0.5, 0.4, 0.1]],
        [[0.4, 0.3, 0.3], [0.2, 0.3, 0.5]],
    ],
    0.9,
)
FOUR = deterministic_policies(3, 2)[:4]  # those that take the first action in state 0
TRACK = grid_world("..G..\n.###.\n.###.\n.....", p_intended=1.0, discount=0.9)
X, Y = TRACK.xy.T
AROUND = np.eye(4)[
    np.select([(Y == 0) & (X < 4), (X == 4) & (Y < 3), (Y == 3) & (X > 0)], [1, 2, 0], 3)
]
MODELS = {
    "plus": replace(TRACK.mdp, reward=TRACK.mdp.reward + 0.1),
    "turns": replace(TRACK.mdp, reward=TRACK.mdp.reward + 0.1 * (-1.0) ** (X + Y)[:, None]),
    "lazy": lazy_model(TRACK.mdp, 0.3, 1.0),
}
BOWLS = {  # in which Adam stalls, and in which it does not
    "proper loss": np.array([[0.0028, 0.0388], [0.0388, 2.0685]]),
    "order 1": np.array([[0.418, 0.172], [0.172, 0.345]]),
}


@functools.cache
def made(name):
    """A picture as its chapter makes it."""
    return {
        "simplex": lambda: pictures.simplex_picture(THREE, FOUR, 0, 0),
        "residuals": lambda: pictures.residuals_picture(
            TRACK, AROUND, MODELS, start=TRACK.index(1, 3), goal=TRACK.index(2, 0)
        ),
        "bowl": lambda: pictures.bowl_picture(BOWLS, ("staying", "left for right")),
    }[name]()


PICTURES = ("simplex", "residuals", "bowl")


def put(page, tmp_path, picture, theme="light", size=WIDE, scripts=True):
    """Open a page of the book's looks that holds one picture; return its stage."""
    sheets = "".join(f'<link rel="stylesheet" href="{path.as_uri()}">' for path in SHEETS)
    code = [f'<script src="{path.as_uri()}"></script>' for path in STATIC.glob("*.js")]
    body = picture._repr_mimebundle_()["text/html"]
    path = tmp_path / "page.html"
    path.write_text(
        f'<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f"<title>A picture</title>{sheets}"
        f'{"".join(code) if scripts else ""}<meta name="viewport" '
        'content="width=device-width"></head><body><main class="bd-content">'
        '<article class="bd-article"><h1>A picture</h1>'
        f"<figure>{body}</figure></article></main></body></html>",
        encoding="utf-8",
    )
    problems = []
    page.on("pageerror", lambda error: problems.append(str(error)))
    page.set_viewport_size(size)
    page.goto(path.as_uri(), wait_until="load")
    show(page, theme)
    assert problems == []
    return page.locator(".pve-live-stage, .pve-slides")


def data(stage):
    """What the picture says of its state, for programs."""
    return stage.evaluate("(stage) => ({ ...stage.dataset })")


def turn(stage, label, value):
    """Put a slider to a value."""
    stage.get_by_role("slider", name=label).fill(str(value))


def numbers(text):
    return np.array([float(x) for x in text.split(",")])


@pytest.mark.parametrize("name", PICTURES)
def test_it_is_at_home_on_every_screen(page, tmp_path, name):
    stage = put(page, tmp_path, made(name))
    assert violations(page) == []
    for theme in ("light", "dark"):
        for size in (WIDE, NARROW):
            stage = put(page, tmp_path, made(name), theme, size)
            assert stage.is_visible()
            assert page.evaluate(SPILLING) == []
            assert page.evaluate("document.documentElement.scrollWidth") <= size["width"]
            sizes = stage.locator("svg text").evaluate_all(
                "texts => texts.map((text) => parseFloat(getComputedStyle(text).fontSize)"
                " * text.getScreenCTM().a)"
            )
            assert min(sizes) >= 9
            assert all(stage.locator("svg[role=img]").evaluate_all(
                "pictures => pictures.map((x) => x.getAttribute('aria-label').length > 20)"
            ))  # fmt: skip


@pytest.mark.parametrize("name", PICTURES)
def test_a_still_picture_stands_where_it_cannot_move(page, tmp_path, name):
    put(page, tmp_path, made(name), scripts=False)
    still = page.locator(".pve-live img")
    assert still.is_visible()
    assert still.evaluate("image => image.naturalWidth") > 100
    assert len(still.get_attribute("alt")) > 20
    assert "scripts" in page.locator(".pve-still").inner_text()
    stage = put(page, tmp_path, made(name))
    assert not still.is_visible()
    page.emulate_media(media="print")
    assert still.is_visible()
    assert not stage.is_visible()
    page.emulate_media(media="screen")


def test_a_notebook_has_a_bitmap_too():
    figure, _ = style.new_figure(figsize=(1, 1))
    bundle = Live("none", {"text": '"<&'}, figure, "a <picture>")._repr_mimebundle_()
    assert bundle["image/png"].startswith("iVBORw0KGgo")
    assert (
        'data-numbers="{&quot;text&quot;: &quot;\\&quot;&lt;&amp;&quot;}"'
        in (bundle["text/html"])
    )
    assert 'alt="a &lt;picture&gt;"' in bundle["text/html"]


@pytest.mark.parametrize("shown", range(5))
def test_the_triangle_shows_what_is_left(page, tmp_path, shown):
    stage = put(page, tmp_path, made("simplex"))
    row, values = THREE.transition[0, 0], pve.policy_value(THREE, FOUR)
    turn(stage, "policies asked", shown)
    for epsilon in (0, 0.01, 0.15, 0.6):
        turn(stage, "allowed residual", epsilon)
        corners = simplex.allowed(row, values[:shown], 0.9, epsilon)
        seen = data(stage)
        assert float(seen["area"]) == pytest.approx(simplex.share(corners), abs=1e-9)
        far = np.abs(corners - row).sum(-1).max() / 2
        assert float(seen["far"]) == pytest.approx(far, abs=1e-9)
        kinds = {1: "point", 2: "segment"}
        assert seen["kind"] == kinds.get(len(corners), "area")


def residuals(row):
    """One-step residuals of the model with this row, by the Bellman operator."""
    transition = THREE.transition.copy()
    transition[0, 0] = row
    model = pve.MDP(THREE.reward, transition, 0.9)
    values = pve.policy_value(THREE, FOUR)
    return (pve.bellman(model, FOUR, values) - values)[:, 0]


def test_the_model_of_the_triangle_is_dragged(page, tmp_path):
    stage = put(page, tmp_path, made("simplex"))
    knob = stage.locator(".pve-live-handle")
    first = numbers(data(stage)["model"])
    assert data(stage)["fits"] == "true"
    assert np.abs(first - THREE.transition[0, 0]).sum() / 2 > 0.3
    turn(stage, "policies asked", 4)
    box = knob.bounding_box()
    page.mouse.move(box["x"] + 14, box["y"] + 14)
    page.mouse.down()
    page.mouse.move(box["x"] + 14, box["y"] - 70, steps=4)
    page.mouse.up()
    moved = numbers(data(stage)["model"])
    assert moved[2] > first[2] + 0.1
    assert moved.sum() == pytest.approx(1)
    texts = stage.locator(".pve-live-row .said").all_inner_texts()
    found = [float(text.replace("−", "-")) for text in texts]
    np.testing.assert_allclose(found, residuals(moved), atol=0.0051)
    fits = np.abs(residuals(moved)).max() <= 0.15
    assert data(stage)["fits"] == str(fits).lower()
    # Far outside it stays a distribution.
    knob.focus()
    for _ in range(40):
        page.keyboard.press("Shift+ArrowRight")
    at_last = numbers(data(stage)["model"])
    assert at_last.min() >= 0
    assert at_last.sum() == pytest.approx(1)
    assert "0." in knob.get_attribute("aria-label")


def test_illegal_triangles():
    with pytest.raises(ValueError, match="expected 3 and at most 4"):
        pictures.simplex_picture(pve.four_rooms().mdp, FOUR, 0, 0)
    with pytest.raises(ValueError, match="does not take action 1"):
        pictures.simplex_picture(THREE, FOUR, 0, 1)


def error_by_linear_system(model):
    """The error of the values by the identity e = (I − γ P̃)⁻¹ ρ."""
    value = pve.policy_value(TRACK.mdp, AROUND)
    residual = pve.bellman(model, AROUND, value) - value
    chain = np.einsum("sa,sat->st", AROUND, model.transition)
    return np.linalg.solve(np.eye(len(value)) - 0.9 * chain, residual)


@pytest.mark.parametrize("name", MODELS)
def test_residuals_add_up_to_the_error_of_the_value(page, tmp_path, name):
    stage = put(page, tmp_path, made("residuals"))
    stage.get_by_role("radio", name=name).check()
    value, model = pve.policy_value(TRACK.mdp, AROUND), MODELS[name]
    for step in (0, 1, 7, 100):
        turn(stage, "steps walked", step)
        seen = data(stage)
        assert seen["model"] == name
        start = int(seen["start"])
        # What t steps in the model, followed by the true value, are wrong by.
        ahead = value if step == 0 else pve.bellman_power(model, AROUND, value, step)
        assert float(seen["sum"]) == pytest.approx((ahead - value)[start], abs=1e-9)
        error = error_by_linear_system(model)[start]
        assert float(seen["error"]) == pytest.approx(error, abs=1e-9)
    assert float(seen["sum"]) == pytest.approx(error, abs=1e-4)
    assert f"{error:.3f}".replace("-", "−") in stage.inner_text()


def test_sums_of_residuals():
    value = pve.policy_value(TRACK.mdp, AROUND)
    for model in MODELS.values():
        met = pictures.sums(model, AROUND, value, 400)
        assert met.shape == (401, TRACK.mdp.num_states)
        np.testing.assert_allclose(met[0], 0)
        np.testing.assert_allclose(met[-1], error_by_linear_system(model), atol=1e-12)
    plus = pictures.sums(MODELS["plus"], AROUND, value, 5)[:, 0]
    np.testing.assert_allclose(plus, 0.1 * (1 - 0.9 ** np.arange(6)) / 0.1)


def test_the_walk_plays_and_its_start_is_dragged(page, tmp_path):
    stage = put(page, tmp_path, made("residuals"))
    turn(stage, "steps walked", 98)
    stage.get_by_role("button", name="Play").click()
    page.wait_for_function(
        "document.querySelector('.pve-live-stage').dataset.step === '100'"
    )
    # There it stops, and begins anew.
    stage.get_by_role("button", name="Play").click()
    stage.get_by_role("button", name="Pause").click()
    assert int(data(stage)["step"]) < 20
    knob = stage.locator(".pve-live-handle")
    knob.focus()
    page.keyboard.press("ArrowRight")
    assert int(data(stage)["start"]) == TRACK.index(2, 3)
    page.keyboard.press("ArrowUp")  # a wall
    assert int(data(stage)["start"]) == TRACK.index(2, 3)
    box, goal = knob.bounding_box(), TRACK.xy[TRACK.index(2, 0)]
    page.mouse.move(box["x"] + 5, box["y"] + 5)
    page.mouse.down()
    page.mouse.move(box["x"] + 5, box["y"] + 5 - 3 * box["height"], steps=3)
    page.mouse.up()
    assert int(data(stage)["start"]) == TRACK.index(*goal)
    assert "3, 1" in knob.get_attribute("aria-label")


def adam_by_optax(bowl, start, rate, steps):
    """The mixture at each step, by autodiff and optax, in float64."""
    with jax.enable_x64(True):
        bowl = jnp.asarray(bowl)

        def loss(logits):
            w = jax.nn.softmax(logits)[1:]
            return w @ bowl @ w

        logits = jnp.log(jnp.array([1 - sum(start), *start]))
        optimiser = optax.adam(rate)

        def move(carry, _):
            logits, state = carry
            change, state = optimiser.update(jax.grad(loss)(logits), state)
            return (logits + change, state), jax.nn.softmax(logits)[1:]

        carry = logits, optimiser.init(logits)
        return np.asarray(jax.lax.scan(move, carry, length=steps + 1)[1])


@pytest.mark.parametrize("name", BOWLS)
def test_adam_in_a_bowl(name):
    start = (0.2, 0.6)
    ours = pictures.adam_path(BOWLS[name], start, 0.02, 300)
    assert ours.shape == (301, 2)
    np.testing.assert_allclose(ours[0], start)
    theirs = adam_by_optax(BOWLS[name], start, 0.02, 300)
    np.testing.assert_allclose(ours, theirs, atol=1e-9)


def test_the_bowls_are_walked_in(page, tmp_path):
    stage = put(page, tmp_path, made("bowl"))
    for keys in ((), ("Shift+ArrowUp", "ArrowLeft"), ("Shift+ArrowRight",) * 20):
        stage.locator(".pve-live-handle").focus()
        for key in keys:
            page.keyboard.press(key)
        start = numbers(data(stage)["start"])
        assert start.min() > 0
        assert start.sum() < 1
        for step in (0, 250, 1000):
            turn(stage, "steps of Adam", step)
            seen = data(stage)
            for i, bowl in enumerate(BOWLS.values()):
                path = pictures.adam_path(bowl, start, 0.01, 1000)
                np.testing.assert_allclose(numbers(seen[f"adam{i}"]), path[step], atol=1e-9)
                # Newton's end is the world.
                np.testing.assert_allclose(numbers(seen[f"newton{i}"]), 0, atol=1e-12)
    assert "staying" in stage.locator(".pve-live-said").first.inner_text()


def test_adam_stalls_where_the_bowl_is_flat(page, tmp_path):
    stage = put(page, tmp_path, made("bowl"))
    flat, round_ = (numbers(data(stage)[f"adam{i}"])[0] for i in range(2))
    assert flat > 0.5 > 0.1 > round_
    turn(stage, "steps of Adam", 990)
    stage.get_by_role("button", name="Play").click()
    page.wait_for_function(
        "document.querySelector('.pve-live-stage').dataset.step === '1000'"
    )
    assert stage.get_by_role("button", name="Play").is_visible()


def test_slides_play_to_their_end_and_anew(page, tmp_path):
    def draw(axes, row, column):
        return f"line {row} {column}"

    slides = Slides(
        draw,
        {"row": ["a", "b"], "column": ["x", "y", "z"]},
        alt=lambda row, column: f"the frame {row} {column}",
        start=[1, 0],
        size=(1, 1),
    )
    stage = put(page, tmp_path, slides)
    assert violations(page) == []
    shown, play = stage.locator("img:visible"), stage.locator(".pve-play")
    assert shown.get_attribute("alt") == "the frame b x"
    play.click()
    assert play.inner_text() == "Pause"
    page.wait_for_function("document.querySelector('.pve-play').textContent === 'Play'")
    assert shown.get_attribute("alt") == "the frame b z"
    column = stage.get_by_role("slider", name="column")
    assert column.get_attribute("aria-valuetext") == "z"
    play.click()
    assert shown.get_attribute("alt") == "the frame b x"
    stage.get_by_role("slider", name="row").fill("0")  # a hand on it stops it
    assert play.inner_text() == "Play"
    page.emulate_media(media="print")
    assert not play.is_visible()
    page.emulate_media(media="screen")


def test_sliders_start_on_the_way():
    line = lazy_line(TRACK.mdp, [0.1, 0.4, 0.9], AROUND[None])
    slides = sliders.lazy_slides(
        TRACK, lambda share: lazy_model(TRACK.mdp, share), line, "a source"
    )
    assert slides.start == [1]
