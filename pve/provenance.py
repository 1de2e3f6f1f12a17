"""Where numbers come from: the numerical code, the versions and the machine.

Results are tied to the code that computed them. The hash of the numerical code is taken
from its syntax trees without docstrings, so that a comment or a better explanation does
not orphan a data folder, and any change that could change a number does.
"""

from __future__ import annotations

import ast
import functools
import os
import platform
from importlib import metadata
from pathlib import Path

from pve.store import sha256

PACKAGE = Path(__file__).parent
# What prints, draws, stores or schedules cannot change a stored number, nor can what no
# experiment uses; all else may.
NOT_NUMERICAL = {
    "__init__.py",
    "__main__.py",
    "audit.py",
    "baselines.py",
    "bench.py",
    "chapters.py",
    "cluster.py",
    "figures.py",
    "folders.py",
    "plain.py",
    "plots.py",
    "provenance.py",
    "results.py",
    "runner.py",
    "store.py",
}
VERSIONED = ("jax", "jaxlib", "numpy")


@functools.cache
def code_hash() -> str:
    """A short hash of the numerical code of the package."""
    parts = []
    for path in sorted(PACKAGE.rglob("*.py")):
        if path.name not in NOT_NUMERICAL:
            parts.append(f"{path.relative_to(PACKAGE).as_posix()}\n{_meaning(path)}")
    return sha256("\n".join(parts).encode())[:16]


def _meaning(path: Path) -> str:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list) and body and isinstance(body[0], ast.Expr):
            value = body[0].value
            if isinstance(value, ast.Constant) and isinstance(value.value, str):
                body[0] = ast.Pass()
    return ast.dump(tree)


def versions() -> dict[str, str]:
    """The versions that can change a number's last bits."""
    return {name: metadata.version(name) for name in VERSIONED}


def machine() -> dict[str, str | int]:
    """The machine, as far as its results and its speed depend on it."""
    return {
        "processor": _processor(),
        "cores": os.cpu_count() or 1,
        "system": platform.platform(),
        "python": platform.python_version(),
    }


def _processor() -> str:
    try:
        for line in Path("/proc/cpuinfo").read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    except OSError:
        pass
    return platform.processor() or platform.machine()
