"""`make` installs when it must, and says so; nothing is installed here."""

import os
import shutil
import subprocess

import pytest
from conftest import ROOT


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


def test_jupyter_book_2_is_refused_in_one_line(clone):
    (first,) = clone.glob(".venv/lib/python*/site-packages/jupyter_book-*")
    first.rename(first.with_name("jupyter_book-2.0.0.dist-info"))
    done = make(clone, "book")
    assert done.returncode != 0
    assert done.stdout == ""
    ours = [line for line in done.stderr.splitlines() if not line.startswith("make:")]
    assert len(ours) == 1
    assert "jupyter-book is not version 1" in ours[0]
