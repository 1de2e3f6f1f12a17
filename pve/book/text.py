"""What several chapters say in the same words: tables of settings."""

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
