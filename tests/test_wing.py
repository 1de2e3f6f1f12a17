"""What the book's chapters share: its words, its pages, its results."""

import dataclasses
import re

import jax.numpy as jnp
import myst_nb
import numpy as np
import pytest
from markdown_it import MarkdownIt

from pve.book import text
from pve.experiments.settings import CAPACITY


@pytest.mark.parametrize(
    ("value", "told"),
    [
        (np.float64(0.1), 0.1),
        (np.float32(0.5), 0.5),
        (np.int64(3), 3),
        (np.array(2.5), 2.5),
        (jnp.asarray(0.25), 0.25),
        (7, 7),
        (0.1, 0.1),
        ("half as far", "half as far"),
    ],
)
def test_the_prose_is_told_pythons_own_numbers(monkeypatch, value, told):
    calls = []
    monkeypatch.setattr(myst_nb, "glue", lambda *args, **kw: calls.append((args, kw)))
    text.tell("dia-rms", value)
    assert calls == [(("dia-rms", told), {"display": False})]
    assert type(calls[0][0][1]) is type(told)


def test_a_table_letter_by_letter():
    rows = [["$\\ell_\\infty$", 0.5, "yes"], ["", 12, "**no**"]]
    assert text.table(["", "loss", "still *moving*"], rows) == (
        "| | loss | still *moving* |\n"
        "|---|---|---|\n"
        "| $\\ell_\\infty$ | 0.5 | yes |\n"
        "| | 12 | **no** |"
    )
    assert text.table(["a", "b"], (["`x`", n] for n in range(2)), align="lr") == (
        "| a | b |\n|---|--:|\n| `x` | 0 |\n| `x` | 1 |"
    )
    assert text.table(["a"], []) == "| a |\n|---|"


def test_a_table_is_read_as_one():
    html = (
        MarkdownIt()
        .enable("table")
        .render(text.table(["", "b"], [["x", 1], ["", 2]], align="lr"))
    )
    cells = [re.sub("<[^>]*>", "", cell) for cell in re.findall("<t[hd].*?</t[hd]>", html)]
    assert cells == ["", "b", "x", "1", "", "2"]
    assert html.count("text-align:right") == 3


@pytest.mark.parametrize(
    ("rows", "align", "message"),
    [
        ([["x"]], "", "a row is .* legal are 2 cells"),
        ([["x", "y", "z"]], "", "a row is .* legal are 2 cells"),
        ([], "l", "align is 'l'; legal are 2 letters"),
        ([], "lx", "align is 'lx'; legal are 2 letters"),
    ],
)
def test_an_uneven_table_is_refused(rows, align, message):
    with pytest.raises(ValueError, match=message):
        text.table(["a", "b"], rows, align)


def test_settings_side_by_side():
    ours = dataclasses.replace(CAPACITY["paper"], ranks=(2, 20), runs=3)
    lines = text.settings(ours, CAPACITY["paper"]).splitlines()
    assert lines[:2] == ["| | the paper | this page |", "|---|---|---|"]
    papers = ", ".join(map(str, CAPACITY["paper"].ranks))
    assert f"| ranks d | {papers} | **2, 20** |" in lines
    assert f"| batch | {ours.batch} | {ours.batch} |" in lines
    assert sum("**" in line for line in lines) == 2
