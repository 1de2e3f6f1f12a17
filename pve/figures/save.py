"""All figures that a data folder allows, into files."""

from __future__ import annotations

import importlib
import io
from pathlib import Path

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from pve.experiments import find_experiment
from pve.figures import style
from pve.figures.themes import for_both_themes
from pve.results.load import load, present
from pve.runs.store import make_folder


@style.in_style()
def save_figures(data_dir: str | Path, out: str | Path) -> list[Path]:
    """Draw every figure that the data allow, as PNG and PDF.

    Args:
      data_dir: the data folder.
      out: the folder to write to; it is made.

    Returns:
      The files.

    Raises:
      ValueError: the data folder holds no finished runs, or ``out`` cannot be written.
    """
    drawn: dict[str, Figure] = {}
    for experiment in present(data_dir):
        module = importlib.import_module(find_experiment(experiment).FIGURES)
        drawn |= module.draw(load(data_dir, experiment), data_dir)
    folder = make_folder(Path(out))
    paths = []
    for name, figure in drawn.items():
        for kind in ("png", "pdf"):
            paths.append(folder / f"{name}.{kind}")
            figure.savefig(paths[-1])
        plt.close(figure)
    return paths


@style.in_style()
def encoded(figure: Figure, kind: str) -> bytes:
    """A figure as the content of a file; the same figure gives the same bytes.

    Args:
      figure: what to write; it stays open.
      kind: ``"svg"`` or ``"png"``.
    """
    content = io.BytesIO()
    dated = {"Date": None} if kind == "svg" else None
    figure.savefig(content, format=kind, dpi=150, metadata=dated)
    found = content.getvalue()
    return for_both_themes(found.decode()).encode() if kind == "svg" else found
