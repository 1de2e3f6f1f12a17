"""What several chapters say in the same way: numbers in prose, and tables."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import xarray as xr

from pve.experiments.settings import Config

SETTINGS = {
    "orders": "orders k",
    "ranks": "ranks d",
    "modes": "policy sets",
    "runs": "runs of each kind",
    "policies": "policies with their functions, each run",
    "perturbations": "of these, perturbed from one base policy",
    "published_paths": "improvement paths as in the published code",
    "batch": "batch",
    "steps": "steps",
    "learning_rate": "learning rate (Adam)",
    "decay": "its schedule",
    "every": "steps between two snapshots or evaluations",
}


def tell(name: str, value: Any) -> None:
    """Give the prose of a page a value, which its role ``glue:text`` shows.

    Args:
      name: what the prose calls it; begins with the chapter's short name.
      value: a number or a text. Numbers of NumPy and JAX become Python's, which all
        formats know.
    """
    from myst_nb import glue  # only a page needs it

    glue(name, value.item() if hasattr(value, "item") else value, display=False)


def tell_facts(prefix: str, facts: Mapping[str, Any]) -> None:
    """Give the prose several values.

    Args:
      prefix: what all names begin with; a dash and the name of the fact follow.
      facts: values by name.
    """
    for name, value in facts.items():
        tell(f"{prefix}-{name}", value)


def tell_size(prefix: str, results: xr.Dataset) -> None:
    """Give the prose how large an experiment was.

    Args:
      prefix: what the names begin with; ``-seed``, ``-runs`` (of each kind), ``-steps``
        and ``-hours`` (of all runs together) follow.
      results: of the experiment.
    """
    facts = results.attrs
    tell(f"{prefix}-seed", facts["seed"])
    tell(f"{prefix}-runs", results.sizes["run"])
    tell(f"{prefix}-steps", f"{facts['steps']:,}")
    tell(f"{prefix}-hours", f"{facts['seconds'] / 3600:.1f}")


def power_of_ten(number: float) -> str:
    """A number to one digit, as a multiple of a power of ten.

    >>> power_of_ten(0.00032)
    '3 · 10⁻⁴'
    """
    raised = str.maketrans("-0123456789", "⁻⁰¹²³⁴⁵⁶⁷⁸⁹")
    mantissa, exponent = f"{number:.0e}".split("e")
    return f"{mantissa} · 10{str(int(exponent)).translate(raised)}"


_RULES = {"l": "---", "r": "--:"}


def or_dash(number: float, digits: int = 1) -> str:
    """A number in a table's cell, with so many digits after the point; NaN is a dash.

    >>> or_dash(1.26), or_dash(2, 2), or_dash(float("nan"))
    ('1.3', '2.00', '—')
    """
    return "—" if math.isnan(number) else f"{number:.{digits}f}"


def with_error(mean: float, error: float, digits: int | None = 1) -> str:
    """A mean and its standard error; a dash for no mean, the mean alone for no error.

    Args:
      mean: a number or NaN.
      error: a number or NaN.
      digits: after the point; None for those that the numbers have.

    >>> with_error(2.21, 0.22, 2), with_error(29, 8, None), with_error(3, float("nan"))
    ('2.21 ± 0.22', '29 ± 8', '3.0')
    """
    if math.isnan(mean):
        return or_dash(mean)
    form = "g" if digits is None else f".{digits}f"
    return f"{mean:{form}}" + ("" if math.isnan(error) else f" ± {error:{form}}")


def table(header: Sequence[str], rows: Iterable[Sequence[Any]], align: str = "") -> str:
    """A table in Markdown.

    Cells may hold Markdown and mathematics, but no vertical bar: nothing is escaped.

    Args:
      header: the columns' titles.
      rows: the cells of each row, as many as there are titles.
      align: a letter for each column, ``l`` for left and ``r`` for right; if empty, all
        are ``l``.

    Raises:
      ValueError: a row or the alignment has another number of columns than the header.

    >>> print(table(["", "states"], [["Taxi", 500], ["Four Rooms", 104]], align="lr"))
    | | states |
    |---|--:|
    | Taxi | 500 |
    | Four Rooms | 104 |
    """
    align = align or "l" * len(header)
    if len(align) != len(header) or not set(align) <= set(_RULES):
        raise ValueError(f"align is {align!r}; expected {len(header)} letters, l or r")
    lines = [_line(header), "|" + "".join(f"{_RULES[letter]}|" for letter in align)]
    for row in rows:
        if len(row) != len(header):
            raise ValueError(f"a row is {row}; expected {len(header)} cells")
        lines.append(_line(row))
    return "\n".join(lines)


def _line(cells: Sequence[Any]) -> str:
    return "|" + "".join(f" {text} |" if text else " |" for text in map(str, cells))


def settings(ours: Config, papers: Config) -> str:
    """Two settings of an experiment side by side, a table in Markdown.

    Args:
      ours: the setting of a page.
      papers: the setting to compare it with.
    """
    rows = []
    for field, meaning in SETTINGS.items():
        if hasattr(ours, field):
            texts = [_setting(getattr(config, field)) for config in (papers, ours)]
            mark = "" if texts[0] == texts[1] else "**"
            rows.append([meaning, texts[0], f"{mark}{texts[1]}{mark}"])
    return table(["", "the paper", "this page"], rows)


def _setting(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_setting, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == math.inf:
        return "∞"
    return f"{value:,}" if isinstance(value, int) else f"{value}"
