"""Figures drawn a second time for a narrow page."""

import matplotlib.pyplot as plt
import numpy as np
import pytest
from conftest import ROOT

from pve.figures import narrow, style

SOURCE = "seed 0; four panels, each drawn by hand for this test and no other, in one row"


@pytest.fixture
def wide():
    """Two panels side by side that share an axis; a title and a source along both."""
    figure, axes = style.new_figure(1, 2, figsize=(8, 3), sharey=True)
    for ax in axes:
        ax.plot([0, 1], [0, 2])
        ax.set_title("what is seen in this panel, in more words than fit")
    axes[0].set_ylabel("height")
    figure.legend(*axes[0].get_legend_handles_labels(), loc="outside upper center")
    figure.supxlabel(SOURCE, fontsize=7, x=0.01, ha="left")
    yield figure
    plt.close(figure)


def inches(figure, artist):
    """Where an artist lies."""
    return artist.get_window_extent().transformed(figure.dpi_scale_trans.inverted())


def test_panels_stand_below_each_other(wide):
    sizes = [text.get_fontsize() for text in wide.findobj(plt.Text)]
    before = wide.axes[0].get_position().height * wide.get_figheight()
    assert narrow.stack(wide) == 2
    assert wide.get_figwidth() == narrow.WIDTH
    wide.draw_without_rendering()
    above, below = (inches(wide, ax) for ax in wide.axes)
    assert above.y0 > below.y1
    assert above.x0 == pytest.approx(below.x0)
    assert above.height == pytest.approx(before, rel=0.25)
    assert [text.get_fontsize() for text in wide.findobj(plt.Text)][:5] == sizes[:5]


def test_all_that_is_written_fits(wide):
    narrow.stack(wide)
    wide.draw_without_rendering()
    for text in (*(ax.title for ax in wide.axes), wide._supxlabel):
        box = inches(wide, text)
        assert -0.05 <= box.x0 < box.x1 <= narrow.WIDTH + 0.05, text
    assert wide._supxlabel.get_text().split() == SOURCE.split()


def test_a_legend_that_is_too_wide_loses_columns():
    figure, ax = style.new_figure(figsize=(8, 3))
    for i in range(6):
        ax.plot([0, i], label=f"the {i}-th line of six")
    figure.legend(loc="outside upper center", ncols=3)
    narrow.stack(figure)
    figure.draw_without_rendering()
    (legend,) = figure.legends
    assert legend.get_window_extent().y0 > figure.axes[0].get_window_extent().y1
    drawn = [text for text in figure.findobj(plt.Text) if "-th line" in text.get_text()]
    assert len(drawn) == 6
    assert inches(figure, legend).width <= narrow.WIDTH
    assert len(legend.get_texts()) == 6
    plt.close(figure)


def test_a_panel_keeps_the_label_of_its_row(wide):
    narrow.stack(wide)
    assert [ax.get_ylabel() for ax in wide.axes] == ["height", "height"]
    wide.draw_without_rendering()
    for ax in wide.axes:
        assert any(label.get_visible() for label in ax.get_yticklabels())


def test_maps_keep_their_shape():
    figure, axes = style.new_figure(2, 2, figsize=(8, 6))
    for ax in axes.flat:
        ax.imshow(np.zeros((4, 6)))
    assert narrow.stack(figure) == 4
    figure.draw_without_rendering()
    for ax in axes.flat:
        box = inches(figure, ax)
        assert box.width > 0.75 * narrow.WIDTH
        assert box.height / box.width == pytest.approx(4 / 6)
    tops = [inches(figure, ax).y0 for ax in axes.flat]
    assert tops == sorted(tops, reverse=True)
    plt.close(figure)


@pytest.mark.parametrize("make", ["narrow already", "by hand", "subfigures", "as drawn"])
def test_what_cannot_be_stacked_stays(make):
    figure = style.new_figure(figsize=(3 if make == "narrow already" else 7, 3))[0]
    if make != "narrow already":
        figure.clear()
    if make == "by hand":
        figure.add_axes((0.1, 0.1, 0.4, 0.8))
    if make == "subfigures":
        figure.subfigures(1, 2)[0].add_subplot()
    if make == "as drawn":
        figure.add_subplot()
        figure.set_gid(narrow.AS_DRAWN)
    before = figure.get_size_inches().tolist()
    assert not narrow.stack(figure)
    assert figure.get_size_inches().tolist() == before
    plt.close(figure)


@pytest.fixture
def extension(monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    import narrow_figures

    return narrow_figures


def test_the_build_finds_both_drawings(extension, tmp_path):
    path = tmp_path / "one.svg"
    path.write_text(narrow.both("<svg>wide, ü</svg>\n", "<svg>narrow, ∞</svg>\n", 2))
    for _ in range(2):  # a second build finds what the first has left
        beside = extension.taken_apart(path)
        assert path.read_text() == "<svg>wide, ü</svg>\n"
        assert beside.read_text() == "<svg>narrow, ∞</svg>\n"
    plain = tmp_path / "two.svg"
    plain.write_text("<svg>one</svg>")
    assert extension.taken_apart(plain) is None
    assert narrow.DRAW_NARROW == extension.DRAW_NARROW
