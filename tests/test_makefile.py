"""`make` installs when it must, and says so; nothing is installed here."""

import json
import os
import re
import shutil
import subprocess
from importlib import metadata
from types import SimpleNamespace

import pytest
from conftest import ROOT
from sphinx.errors import ExtensionError

from pve.book import extensions


@pytest.fixture
def clone(tmp_path):
    """A clone in which everything has been installed, as far as make can see."""
    folder = tmp_path / "mine"
    packages = folder / ".venv" / "lib" / "python3.11" / "site-packages"
    (packages / "jupyter_book-1.0.4.post1.dist-info").mkdir(parents=True)
    for name in ("Makefile", "requirements.txt", "constraints.txt", "pyproject.toml"):
        shutil.copy(ROOT / name, folder)
        os.utime(folder / name, (0, 0))
    command = f"command = /usr/bin/python3 -m venv --clear {folder}/.venv\n"
    (folder / ".venv" / "pyvenv.cfg").write_text(command)
    (folder / ".venv" / ".installed").touch()
    return folder


def make(folder, *arguments):
    environment = {k: v for k, v in os.environ.items() if not k.startswith("MAKE")}
    return subprocess.run(
        ["make", *arguments], cwd=folder, env=environment, capture_output=True, text=True
    )


def installs(folder):
    done = make(folder, "-n", "book", "PYTHON=python3")
    assert done.returncode == 0, done.stderr
    return "pip install" in done.stdout.replace("or pip install", "")


def test_what_is_installed_stays(clone):
    assert not installs(clone)


def test_a_moved_clone_is_installed_anew(clone):
    assert installs(clone.rename(clone.parent / "elsewhere"))


def test_a_copy_of_the_library_is_replaced(clone):
    (packages,) = clone.glob(".venv/lib/python*/site-packages")
    (packages / "pve").mkdir()
    (packages / "pve" / "__init__.py").touch()
    assert installs(clone)


def test_a_new_requirement_is_installed(clone):
    os.utime(clone / "requirements.txt")
    os.utime(clone / ".venv" / ".installed", (1, 1))
    assert installs(clone)


PYTHON = """#!/bin/sh
# Stands for Python: makes environments, and notes what else is asked of it.
if [ "$1 $2" = "-m venv" ]; then mkdir -p "$4/bin" && cp "$0" "$4/bin/python"; exit; fi
echo "$@" >> "$NOTES"
case "$*" in *uv==*) exit $UV_FAILS;; esac
"""


@pytest.mark.parametrize("fails", [False, True])
def test_pip_installs_where_uv_cannot(clone, tmp_path, monkeypatch, fails):
    python, notes = tmp_path / "python", tmp_path / "notes"
    python.write_text(PYTHON)
    python.chmod(0o755)
    shutil.rmtree(clone / ".venv")
    (clone / ".venv" / "bin").mkdir(parents=True)
    uv = clone / ".venv" / "bin" / "uv"
    uv.write_text('#!/bin/sh\necho "uv $@" >> "$NOTES"\n')
    uv.chmod(0o755)
    monkeypatch.setenv("NOTES", str(notes))
    monkeypatch.setenv("UV_FAILS", str(int(fails)))
    done = make(clone, "install", f"PYTHON={python}")
    assert done.returncode == 0, done.stderr
    first, second = notes.read_text().splitlines()
    assert re.search(r"-m pip install .*uv==[\d.]+$", first)
    assert second.startswith("-m pip install" if fails else "uv pip install")
    assert second.endswith("-r requirements.txt")


def test_jupyter_book_2_is_refused_in_one_line(clone):
    (first,) = clone.glob(".venv/lib/python*/site-packages/jupyter_book-*")
    first.rename(first.with_name("jupyter_book-2.0.0.dist-info"))
    done = make(clone, "book")
    assert done.returncode != 0
    assert done.stdout == ""
    ours = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    assert len(ours) == 1
    assert "jupyter-book is not version 1" in ours[0]


def test_jupyter_book_2_is_refused_by_sphinx_in_one_line(monkeypatch):
    monkeypatch.setattr(metadata, "version", lambda name: "2.1.6")
    with pytest.raises(ExtensionError) as refused:
        extensions.setup(SimpleNamespace())
    assert str(refused.value).startswith("jupyter-book is 2.1.6; expected 1, ")
    assert "\n" not in str(refused.value)
    config = (ROOT / "_config.yml").read_text(encoding="utf-8")
    first = re.search(r"extensions:\n      - (\S+)", config)[1]
    assert first == "pve.book.extensions"


NOBODY = 65534


def read_only(folder, *command):
    """Run a command in a folder that cannot be written, not as root, who always can."""
    folder.chmod(0o555)
    user = None if os.geteuid() else NOBODY
    return subprocess.run(command, cwd=folder, user=user, capture_output=True, text=True)


def test_a_checkout_that_cannot_be_written_names_what_builds_elsewhere(clone):
    done = read_only(clone, "make", "book")
    assert done.returncode != 0
    ours = [line for line in done.stderr.splitlines() if not line.startswith("make")]
    assert len(ours) == 1
    assert "PVE_RESULTS=FOLDER jupyter-book build book --path-output FOLDER" in ours[0]


def test_the_devcontainer_installs_as_make_does():
    found = json.loads((ROOT / ".devcontainer" / "devcontainer.json").read_text())
    command, target = found["postCreateCommand"].split()
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    assert command == "make"
    assert re.search(rf"^{target}:", makefile, re.MULTILINE)
    binder = (ROOT / ".binder" / "runtime.txt").read_text().strip()
    assert binder.replace("-", ":") in found["image"]
    docs = (ROOT / ".readthedocs.yaml").read_text(encoding="utf-8")
    assert f'python: "{binder.removeprefix("python-")}"' in docs
    for used in re.findall(r"- make (\S+)", docs):
        assert re.search(rf"^{used}:", makefile, re.MULTILINE)
