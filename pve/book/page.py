"""What every chapter of the book does first: check its parameters, find its results.

The book keeps its results in a folder named by the hash of the numerical code, so that
changed code never meets old results and unchanged code never trains twice. It lies in
``results`` in the repository, out of reach of what cleans the book, or in the folder that
the environment variable ``PVE_RESULTS`` names; a relative name is taken from the
repository.
"""

from __future__ import annotations

import ast
import os
import time
from pathlib import Path
from typing import Any

import xarray as xr
from matplotlib.figure import Figure

from pve import threads
from pve.checks import check_preset, check_seed
from pve.defaults import check_devices, flags, settle_jax
from pve.engines import dispatch
from pve.experiments import EXPERIMENTS, find_experiment
from pve.figures import narrow, style
from pve.figures.themes import for_both_themes
from pve.results import load, summary
from pve.runs import provenance, store
from pve.runs.folders import numerical_code

REPOSITORY = provenance.PACKAGE.parent
# Larger results than a build computes; `python -m pve summary` and `bench` write them.
SHIPPED = REPOSITORY / "book" / "data"
RESULTS = REPOSITORY / "results"
_NOT_INSTALLED = (
    "the book's data are not part of an installed package (a clone of the repository has "
    "them)"
)
# How the cell that papermill writes begins, and how the names it sets itself begin.
_INJECTED, _OF_PAPERMILL = "# Parameters\n", "PAPERMILL_"


def begin(namespace: dict[str, Any], *more: str) -> tuple[int, str]:
    """Check a chapter's parameters, set its figures' style, JAX and its threads.

    Papermill accepts any parameter's name, mistyped ones too; so this is called right
    after the parameters' cell. Whatever else the notebook, a tool or the reader has
    defined meanwhile is left alone.

    Args:
      namespace: the notebook's ``globals()``.
      more: the chapter's parameters beside the seed and the preset.

    Returns:
      The seed and the preset; the environment variable ``PVE_PRESET`` wins over the
      chapter's preset.

    Raises:
      ValueError: a parameter is unknown or out of range; the legal ones are listed.
      TypeError: the seed is not an integer.
    """
    legal = ("seed", "preset", *more)
    for name in _injected(namespace):
        if name not in legal:
            known = ", ".join(map(repr, legal))
            raise ValueError(f"parameter {name!r} is unknown; expected one of {known}")
    check_devices()
    settle_jax()
    threads.settle_threads()
    seed = check_seed(namespace["seed"])
    preset = check_preset(os.environ.get("PVE_PRESET") or namespace["preset"])
    # The matrices here are small: more threads would only wait for one another.
    threads.linear_algebra()
    style.use_style()
    _draw_in_the_page()
    return seed, preset


def _injected(namespace: dict[str, Any]) -> list[str]:
    """The names that papermill has given values in this notebook's history."""
    cells = [cell for cell in namespace.get("In", []) if cell.startswith(_INJECTED)]
    return [
        target.id
        for cell in cells
        for statement in ast.parse(cell).body
        if isinstance(statement, ast.Assign)
        for target in statement.targets
        if isinstance(target, ast.Name) and not target.id.startswith(_OF_PAPERMILL)
    ]


def _draw_in_the_page() -> None:
    """Have a notebook show its figures, as vectors, whatever MPLBACKEND says."""
    try:
        from IPython.core.getipython import get_ipython
        from IPython.core.pylabtools import print_figure
        from matplotlib_inline.backend_inline import set_matplotlib_formats
    except ImportError:  # a plain Python: there is no page to draw in
        return
    shell = get_ipython()
    if shell is not None and hasattr(shell, "kernel"):
        shell.enable_matplotlib("inline")
        set_matplotlib_formats("svg")

        def drawing(figure: Figure) -> str | None:
            found = print_figure(figure, "svg", metadata={"Date": None})
            if not found:  # a figure without axes
                return None
            found = for_both_themes(found)
            if os.environ.get(narrow.DRAW_NARROW) and (panels := narrow.stack(figure)):
                other = print_figure(figure, "svg", metadata={"Date": None})
                found = narrow.both(found, for_both_themes(other), panels)
            return found

        formatters: Any = shell.display_formatter.formatters  # type: ignore[union-attr]
        formatters["image/svg+xml"].for_type(Figure, drawing)


def data_folder(seed: int, preset: str) -> Path:
    """Where the book keeps the results of a seed and a preset.

    Raises:
      ValueError: a seed or preset is not legal, or the package is installed without the
        book and ``PVE_RESULTS`` names no folder, or a relative one.
    """
    codes = {name: numerical_code(name) for name in EXPERIMENTS}
    made_by = store.digest({**codes, **provenance.versions(), **flags()})
    return _results() / made_by[:16] / f"{check_preset(preset)}-{check_seed(seed)}"


def _results() -> Path:
    """Where the book keeps all results."""
    named = os.environ.get("PVE_RESULTS")
    folder = Path(named).expanduser() if named else RESULTS
    if SHIPPED.is_dir():
        return REPOSITORY / folder
    if not named:
        raise ValueError(
            f"PVE_RESULTS names no folder, and {_NOT_INSTALLED}; expected a folder's name"
        )
    if not folder.is_absolute():
        raise ValueError(
            f"PVE_RESULTS is {named!r}, which is relative to the repository, and "
            f"{_NOT_INSTALLED}; expected a name that begins with /"
        )
    return folder


def experiment(name: str, seed: int, preset: str) -> xr.Dataset:
    """The results of an experiment, computed if they are not there yet.

    Args:
      name: of the experiment.
      seed: the seed.
      preset: the preset.

    Returns:
      What `pve.load` gives, with the preset among its attributes.

    Raises:
      RuntimeError: a run failed.
      ValueError: the results cannot be written.
    """
    folder = data_folder(seed, preset)
    try:
        store.make_folder(folder)
    except ValueError as error:
        raise ValueError(f"{error}, as PVE_RESULTS can name one") from None
    config = find_experiment(name).preset(preset)
    while True:
        report = dispatch.run_experiment(name, config, seed, folder, progress=False)
        if report.failed:
            raise RuntimeError(f"runs failed: {report.failed}")
        if not report.elsewhere:
            break
        time.sleep(1)  # another process, such as a second build, is computing them
    loaded = load.load(folder, name)
    loaded.attrs["preset"] = preset
    return loaded


def shipped(name: str, folder: str = "standard") -> xr.Dataset:
    """Larger results of an experiment than a build computes, shipped with the book.

    Args:
      name: of the experiment.
      folder: which results, a folder of ``book/data``.

    Returns:
      What `pve.results.summary.load_summary` gives, marked as shipped.

    Raises:
      FileNotFoundError: there is no such folder, as in an installed package.
    """
    loaded = summary.load_summary(shipped_file(folder), name)
    loaded.attrs["preset"] = f"{folder} (shipped)"
    return loaded


def shipped_file(name: str) -> Path:
    """A file or folder of what is shipped with the book.

    Args:
      name: its name in ``book/data``.

    Raises:
      FileNotFoundError: it is not there, as in an installed package.
    """
    if not SHIPPED.is_dir():
        raise FileNotFoundError(f"there is no {name!r}: {_NOT_INSTALLED}")
    path = SHIPPED / name
    if not path.exists():
        names = ", ".join(sorted(each.name for each in SHIPPED.iterdir()))
        raise FileNotFoundError(f"{name!r} is not shipped; expected one of {names}")
    return path
