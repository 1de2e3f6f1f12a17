"""Pictures under sliders: every choice has its frame, in the sliders' order."""

import base64
import io
import re

import matplotlib.pyplot as plt
import numpy as np
import pytest

from pve.book.slides import Slides, spaced


def draw(axes, row, column):
    for ax in axes:
        ax.figure.set_size_inches(1 + row, 1 + column)
        ax.set_axis_off()
    return f"{row} < {column}"


def slides(**options):
    return Slides(
        draw,
        {"row": ["a", "b"], "column": ["x", "<y>", "z"]},
        alt=lambda row, column: f"{row} & {column}",
        **options,
    )


def frames(made):
    """Of every frame: its images with their words, the line under it, and if it shows."""
    html = made._repr_mimebundle_()["text/html"]
    image = r'<img src="data:image/([^;]*);base64,([^"]*)" alt="([^"]*)">'
    return [
        (
            [
                (kind, base64.b64decode(data), alt)
                for kind, data, alt in re.findall(image, x)
            ],
            re.search("<p>(.*)</p>", x)[1],
            not x.startswith(" hidden"),
        )
        for x in html.split('<div class="pve-frame"')[1:]
    ]


def test_every_choice_has_its_frame():
    before = plt.get_fignums()
    got = frames(slides())
    assert [images[0][2] for images, _, _ in got] == [
        f"{row} &amp; {column}" for row in "ab" for column in ("x", "&lt;y&gt;", "z")
    ]
    # The frame of (row, column) is the one that was drawn so wide and so high.
    for index, (((kind, data, _),), line, _) in enumerate(got):
        assert kind == "svg+xml"
        row, column = divmod(index, 3)
        assert line == f"{row} &lt; {column}"
        width, height = re.search(rb'width="([\d.]+)pt" height="([\d.]+)pt"', data).groups()
        assert (float(width), float(height)) == (72 * (1 + row), 72 * (1 + column))
    assert plt.get_fignums() == before  # none is left open


@pytest.mark.parametrize(("start", "first"), [(None, 5), ((0, 1), 1), ((1, 0), 3)])
def test_one_frame_shows_before_any_script_runs(start, first):
    got = frames(slides(start=start))
    assert [i for i, (*_, shown) in enumerate(got) if shown] == [first]


def test_a_frame_of_two_panels_is_described_once():
    for images, _, _ in frames(slides(panels=2)):
        assert " &amp; " in images[0][2]
        assert images[1][2] == "panel 2 of 2"


def test_print_has_the_panels_of_the_start_in_one_bitmap():
    def shades(axes, place):
        for i, ax in enumerate(axes):
            ax.set_facecolor((i, place / 2, 0))
        return "a line under them"

    made = Slides(shades, {"place": "abc"}, alt=str, start=[1], panels=2, pixels=True)
    still = base64.b64decode(made._repr_mimebundle_()["image/png"])
    picture = plt.imread(io.BytesIO(still))[:, :, :3]
    left, right = picture[picture.shape[0] // 2, [picture.shape[1] // 4, -30]]
    np.testing.assert_allclose([left, right], [(0, 0.5, 0), (1, 0.5, 0)], atol=0.01)
    # The line is written below: there is ink in the lowest tenth.
    assert picture[-picture.shape[0] // 10 :, : picture.shape[1] // 3].min() < 0.7


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
