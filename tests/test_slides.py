"""Pictures under sliders: every choice has its frame, in the sliders' order."""

import base64
import re

import matplotlib.pyplot as plt
import pytest

from pve.book.slides import Slides, spaced


def draw(row, column):
    figure, ax = plt.subplots(figsize=(1 + row, 1 + column))
    ax.set_axis_off()
    return figure


def slides(**options):
    return Slides(
        draw,
        {"row": ["a", "b"], "column": ["x", "<y>", "z"]},
        alt=lambda row, column: f"{row} & {column}",
        **options,
    )


def frames(made):
    html = made._repr_mimebundle_()["text/html"]
    found = re.findall(
        r'<img src="data:image/([^;]*);base64,([^"]*)" alt="([^"]*)"( hidden)?>', html
    )
    return [
        (kind, base64.b64decode(data), alt, not hidden) for kind, data, alt, hidden in found
    ]


def test_every_choice_has_its_frame():
    got = frames(slides())
    assert [alt for _, _, alt, _ in got] == [
        f"{row} &amp; {column}" for row in "ab" for column in ("x", "&lt;y&gt;", "z")
    ]
    # The frame of (row, column) is the one that was drawn so wide and so high.
    for index, (kind, data, _, _) in enumerate(got):
        assert kind == "svg+xml"
        row, column = divmod(index, 3)
        width, height = re.search(rb'width="([\d.]+)pt" height="([\d.]+)pt"', data).groups()
        assert (float(width), float(height)) == (72 * (1 + row), 72 * (1 + column))
    assert not plt.get_fignums()


@pytest.mark.parametrize(("start", "first"), [(None, 5), ((0, 1), 1), ((1, 0), 3)])
def test_one_frame_shows_before_any_script_runs(start, first):
    got = frames(slides(start=start))
    assert [i for i, (*_, shown) in enumerate(got) if shown] == [first]


def test_print_has_a_bitmap():
    bundle = slides(start=(1, 1), pixels=True)._repr_mimebundle_()
    still = base64.b64decode(bundle["image/png"])
    assert still.startswith(b"\x89PNG")
    assert still == frames(slides(start=(1, 1), pixels=True))[4][1]


@pytest.mark.parametrize("start", [(2, 0), (0, 3), (0,), (-1, 0)])
def test_illegal_start(start):
    with pytest.raises(ValueError, match=r"expected positions below \[2, 3\]"):
        slides(start=start)


def test_no_labels():
    with pytest.raises(ValueError, match="a label or more"):
        Slides(draw, {"row": []}, alt=str)


def test_spaced():
    assert spaced(5, 9) == [0, 1, 2, 3, 4]
    assert spaced(9, 5) == [0, 2, 4, 6, 8]
    assert spaced(100, 2) == [0, 99]
