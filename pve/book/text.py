"""What several chapters say in the same way: numbers in prose, tables of settings."""

from __future__ import annotations

import math
from typing import Any

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
    """Give the prose of a page a value: ``{glue:text}`name:.2f` `` shows it.

    Args:
      name: what the prose calls it; begins with the chapter's short name.
      value: a number or a text. Numbers of NumPy and JAX become Python's, which all
        formats know.
    """
    from myst_nb import glue  # only a page needs it

    glue(name, value.item() if hasattr(value, "item") else value, display=False)


def settings(ours: Config, papers: Config) -> str:
    """Two settings of an experiment side by side, a table in Markdown.

    Args:
      ours: the setting of a page.
      papers: the setting to compare it with.
    """
    rows = ["| | the paper | this page |", "|---|---|---|"]
    for field, meaning in SETTINGS.items():
        if hasattr(ours, field):
            texts = [_setting(getattr(config, field)) for config in (papers, ours)]
            mark = "" if texts[0] == texts[1] else "**"
            rows.append(f"| {meaning} | {texts[0]} | {mark}{texts[1]}{mark} |")
    return "\n".join(rows)


def _setting(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(map(_setting, value))
    if isinstance(value, bool):
        return "yes" if value else "no"
    if value == math.inf:
        return "∞"
    return f"{value:,}" if isinstance(value, int) else f"{value}"
