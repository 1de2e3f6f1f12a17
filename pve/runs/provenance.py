"""Where numbers come from: the numerical code, the versions and the machine.

Results are tied to the code that computed them. The hash of the numerical code is taken
over the definitions that a run reaches, wherever they are: functions, classes and
constants, as syntax trees without what cannot change a number (docstrings, comments,
annotations, imports, the names of modules, error messages, and fields that only some
versions of Python have). So a better explanation or a move to another module does not
orphan a data folder, and any change that could change a number does.
"""

from __future__ import annotations

import ast
import functools
import os
import platform
import sys
from collections.abc import Iterator
from importlib import metadata
from pathlib import Path
from typing import Any, NamedTuple

from pve.runs.store import sha256

PACKAGE = Path(__file__).parents[1]
# What stores a run cannot change its numbers; settings and environment are compared by
# their own values.
NOT_NUMERICAL = frozenset(
    {
        "pve.checks",
        "pve.mdp.files",
        "pve.runs.store",
        "pve.runs.meanings",
        "pve.runs.provenance",
        "pve.runs.folders",
        "pve.experiments.settings",
    }
)
VERSIONED = ("jax", "jaxlib", "numpy", "optax", "scipy")
# Which earlier codes gave the numbers that a code gives, bit for bit. Each entry was
# proved by retraining runs that the earlier code had stored. Until format 3 a code had a
# hash for each version of Python (3.11, 3.12, 3.13), and experiments shared it.
_MODULES = ("8a17c93904bf8792", "e2aaa2c8f65fb1c9", "e6880d30e89cf1ab")
_MODULES_MUZERO = ("53e4daa161408fad", "743b94ea6da7c409", "23dc831bb8b1e886")
LINEAGE: dict[str, tuple[str, ...]] = {
    # diameter
    "7b3a3181213708b1": ("847eac8a50b0726a",),
    "847eac8a50b0726a": ("5e230e0f102707db",),
    "5e230e0f102707db": ("0698f656eb60860c",),
    "0698f656eb60860c": _MODULES,
    # capacity
    "b86d5cdf352fd797": ("1b2fc36f80ffcb20",),
    "1b2fc36f80ffcb20": ("f30f22d5ce2e3a84",),
    "f30f22d5ce2e3a84": ("f06fe6851eef3df8",),
    "f06fe6851eef3df8": _MODULES,
    # muzero; the exact measures with one thread of linear algebra, as all engines have it
    "3ecfda8cc525b680": ("dff981ea35e35ffc",),
    "dff981ea35e35ffc": ("9fb6b2af0a3786d7",),
    "9fb6b2af0a3786d7": ("dea8c310de459059",),
    "dea8c310de459059": _MODULES_MUZERO,
    # models of limited rank under four losses (`pve.book.rivals`)
    "2fd0ddd537a99cab": ("332d6ba09f43bd28",),
    "332d6ba09f43bd28": ("a55e4ba387339a93",),
}


def same_numbers(code: str, earlier: str) -> bool:
    """Whether a code gives the numbers of an earlier one, by `LINEAGE`."""
    older = LINEAGE.get(code, ())
    return code == earlier or any(same_numbers(found, earlier) for found in older)


@functools.cache
def code_hash(*roots: str) -> str:
    """A short hash of the code that decides numbers.

    Args:
      roots: full names of definitions, or of modules for all that they define. What they
        reach is found by name; what they only receive as arguments is not.

    Returns:
      16 hexadecimal digits, the same under every supported version of Python.

    Raises:
      ValueError: a root names no definition of this package.
    """
    meanings = sorted(numerical_definitions(*roots).values())
    return sha256("\n".join(meanings).encode())[:16]


def numerical_definitions(*roots: str) -> dict[str, str]:
    """Full names of all definitions that the roots reach, and what each one says."""
    waiting = [name for root in roots for name in _named(root)]
    found: dict[str, str] = {}
    while waiting:
        name = waiting.pop()
        module, _, definition = name.rpartition(".")
        if name in found or module in NOT_NUMERICAL:
            continue
        nodes = _source(module).definitions[definition]
        reached: list[str] = []
        found[name] = "\n".join(_meaning(node, module, reached) for node in nodes)
        waiting.extend(reached)
    return found


def _named(root: str) -> list[str]:
    if _file(root).exists():
        return [f"{root}.{name}" for name in _source(root).definitions]
    module, _, name = root.rpartition(".")
    found = _find(module, name)
    if found is None:
        raise ValueError(f"{root!r} names no definition of this package")
    return [found]


class _Source(NamedTuple):
    """What a module defines, and which names it imports from this package."""

    definitions: dict[str, list[ast.stmt]]
    imports: dict[str, str]


def _source(module: str) -> _Source:
    return _parsed(_file(module))


@functools.cache
def _parsed(path: Path) -> _Source:
    tree = ast.parse(path.read_text(encoding="utf-8"))
    definitions: dict[str, list[ast.stmt]] = {}
    for statement in tree.body:
        for name in _defined(statement):
            definitions.setdefault(name, []).append(statement)
    imports = {
        alias.asname or alias.name: f"{node.module}.{alias.name}"
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("pve")
        for alias in node.names
    }
    return _Source(definitions, imports)


def _defined(statement: ast.stmt) -> Iterator[str]:
    """The names that a statement at a module's top defines or completes."""
    if isinstance(statement, ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef):
        yield statement.name
    elif isinstance(statement, ast.Assign | ast.AnnAssign | ast.AugAssign):
        targets = (
            statement.targets if isinstance(statement, ast.Assign) else [statement.target]
        )
        for target in targets:
            for node in ast.walk(target):
                if isinstance(node, ast.Name):
                    yield node.id
    elif isinstance(statement, ast.Expr) and isinstance(statement.value, ast.Call):
        # Such as `function.defvjp(forward, backward)`.
        called = statement.value.func
        while isinstance(called, ast.Attribute):
            called = called.value
        if isinstance(called, ast.Name):
            yield called.id


def _file(module: str) -> Path:
    if module.partition(".")[0] != "pve":  # an experiment of one's own
        return Path(getattr(sys.modules.get(module), "__file__", None) or module)
    path = PACKAGE.joinpath(*module.split(".")[1:])
    return path / "__init__.py" if path.is_dir() else path.with_suffix(".py")


def _find(module: str, name: str) -> str | None:
    """The full name of the definition that a module knows by a name, if it is ours."""
    source = _source(module)
    if name in source.definitions:
        return f"{module}.{name}"
    imported = source.imports.get(name)
    if imported is None or _file(imported).exists():
        return None
    return _find(*imported.rsplit(".", 1))


def _meaning(node: Any, module: str, reached: list[str]) -> str:
    """What a syntax tree says, and which definitions of this package it names."""
    if isinstance(node, list):
        return f"[{','.join(_meaning(item, module, reached) for item in node)}]"
    if not isinstance(node, ast.AST):
        return repr(node)
    if isinstance(node, ast.Import | ast.ImportFrom):
        return ""
    if isinstance(node, ast.Raise):
        return "raise"
    if isinstance(node, ast.Name):
        found = _find(module, node.id)
        reached.extend([found] if found else [])
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name):
        # `losses.pve_loss` says what `pve_loss` says, wherever that stands.
        imported = _source(module).imports.get(node.value.id)
        if imported is not None and _file(imported).exists():
            found = _find(imported, node.attr)
            if found:
                reached.append(found)
                return _meaning(ast.Name(node.attr), module, [])
    parts = []
    for name, value in ast.iter_fields(node):
        if name == "decorator_list":
            value = [item for item in value if getattr(item, "id", None) != OPENING]
        if name in UNSAID or value is None or value == []:
            continue
        if name == "body" and isinstance(value, list) and _is_docstring(value[0]):
            value = value[1:]
        parts.append(f"{name}={_meaning(value, module, reached)}")
    return f"{type(node).__name__}({','.join(parts)})"


# Fields of a syntax tree that cannot change a number, or that not every Python has.
UNSAID = {"annotation", "returns", "ctx", "kind", "type_comment", "type_params", "msg"}
# A decorator that lets worlds of other types answer; every run's world is a `pve.MDP`, for
# which it changes nothing.
OPENING = "by_type"


def _is_docstring(node: ast.stmt) -> bool:
    return (
        isinstance(node, ast.Expr)
        and isinstance(node.value, ast.Constant)
        and isinstance(node.value.value, str)
    )


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
