"""What the records say: which experiments ran, on what, and with which versions."""

from __future__ import annotations

import os
import platform
from importlib import metadata
from pathlib import Path

from pve.book.text import table
from pve.experiments import EXPERIMENTS
from pve.runs import folders, plan, provenance

PACKAGES = ("pve", "jax", "jaxlib", "numpy", "scipy", "optax", "xarray", "matplotlib")
NOTHING = "Nothing yet: no chapter that trains has been executed."


def experiments(store: Path, preset: str) -> str:
    """The experiments of a data folder, and the processors that computed them, in Markdown.

    Args:
      store: the data folder.
      preset: that its experiments have.
    """
    rows, processors = [], set()
    for name in EXPERIMENTS:
        folder = folders.ExperimentFolder(store, name)
        if not folder.manifest.exists():
            continue
        made = folder.identity()
        records = [run.record() for run in folder.runs() if run.finished]
        minutes = sum(record["seconds"] for record in records) / 60
        processors |= {record["machine"]["processor"] for record in records}
        steps = f"{plan.settings_of(made).run_steps:,}"
        spent = f"{minutes:.1f} minutes"
        rows.append(
            [name, f"`{preset}`", made["seed"], len(records), steps, made["batch"], spent]
        )
    if not processors:
        return NOTHING
    header = ["experiment", "preset", "seed", "runs", "steps", "batch", "time of all runs"]
    found = table(header, rows, align="llrrrrr")
    return f"{found}\n\nComputed on: {', '.join(sorted(processors))}."


def surroundings(preset: str) -> str:
    """Versions, numerical codes and the machine of this process, a table in Markdown.

    Args:
      preset: of the page.
    """
    machine = provenance.machine()
    codes = {f"numerical code, {x}": f"`{folders.numerical_code(x)}`" for x in EXPERIMENTS}
    facts = {
        **{package: metadata.version(package) for package in PACKAGES},
        "Python": platform.python_version(),
        **codes,
        "processor": machine["processor"],
        "cores": os.cpu_count(),
        "system": machine["system"],
        "preset": f"`{preset}`",
    }
    return table(["", ""], facts.items())
