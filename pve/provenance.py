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
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path

from pve.store import sha256

PACKAGE = Path(__file__).parent
ROOT = "pve.resumable"  # computes a run, with all that it imports
# What stores a run cannot change its numbers; settings and environment are compared by
# their own values.
NOT_NUMERICAL = {
    "pve.store",
    "pve.provenance",
    "pve.folders",
    "pve.experiments.configs",
}
VERSIONED = ("jax", "jaxlib", "numpy")


@functools.cache
def code_hash(root: str = ROOT) -> str:
    """A short hash of the code that decides the numbers of a module, as it is imported."""
    parts = [f"{name}\n{_meaning(_tree(name))}" for name in numerical_modules(root)]
    return sha256("\n".join(parts).encode())[:16]


def numerical_modules(root: str = ROOT) -> list[str]:
    """The modules that decide numbers: what computes them and all it imports."""
    found: set[str] = set()
    waiting = [root]
    while waiting:
        name = waiting.pop()
        if name not in found | NOT_NUMERICAL:
            found.add(name)
            waiting.extend(_imports(_tree(name)))
    return sorted(found)


def _file(name: str) -> Path:
    path = PACKAGE.joinpath(*name.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _tree(name: str) -> ast.Module:
    return ast.parse(_file(name).read_text(encoding="utf-8"))


def _imports(tree: ast.Module) -> Iterator[str]:
    """Modules of this package that a module imports: always ``from pve… import …``."""
    for node in ast.walk(tree):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pve"):
            inner = [f"{node.module}.{alias.name}" for alias in node.names]
            modules = [name for name in inner if _file(name).exists()]
            yield from modules or [str(node.module)]


def _meaning(tree: ast.Module) -> str:
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


def settle_threads() -> None:
    """Have XLA split its work alike, however few cores a process may use.

    XLA divides large operations among as many threads as the process has cores at its
    disposal, and whether there is one or there are more changes last bits. It asks the
    environment variable NPROC first, once, so this must come before JAX computes anything.
    """
    os.environ.setdefault("NPROC", str(max(2, os.cpu_count() or 1)))


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
