"""Any folder, home, file mode and option of the interpreter: the same numbers."""

import os
import shutil
import stat
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import nbformat
import pytest
from conftest import ROOT
from papermill.cli import _resolve_type
from tiny import SEED, data_files

from pve.book import page
from pve.cli import main

PLACE = "Bücher & Räume"
SMALL = ("--preset", "smoke", "--orders", "1", "inf", "--runs", "2", "--steps", "40",
         "--every", "20", "--policies", "50", "--batch", "4")  # fmt: skip
CELLS = (
    'seed: int = 0\npreset: str = "smoke"',
    "import pve\nfrom pve.book import page\nseed, preset = page.begin(globals())",
    "import jax\nimport matplotlib.pyplot as plt\n"
    "world = pve.MDP([[1.0, 0.0], [0.0, 2.0]],\n"
    "                [[[0, 1], [1, 0]], [[1, 0], [0, 1]]], 0.9)\n"
    "recipe = pve.Recipe(steps=20, batch=4)\n"
    "found = pve.train(jax.random.key(seed), world, recipe=recipe, num_policies=20)\n"
    "plt.plot(found.losses.T)\n"
    "print(seed, preset, *found.losses.ravel().tolist())",
)
# What may be odd about a process, all at once: no home, or one that cannot be, files nobody
# else may read, no assertions and docstrings, another order of sets, a time zone and a
# locale of its own.
ODD = {"PYTHONOPTIMIZE": "2", "PYTHONHASHSEED": "3", "TZ": "Asia/Kathmandu", "LC_ALL": "C"}


def start(command, folder, *, odd):
    environment = os.environ | {
        "JUPYTER_PREFER_ENV_PATH": "1",
        "PYTHONPATH": str(ROOT),
        "PVE_RESULTS": str(folder / "results"),
    }
    if odd:
        environment |= ODD | {"HOME": str(folder / "chapter.ipynb" / "no folder")}
        if command[0] == "papermill":
            del environment["HOME"]
    return subprocess.run(
        [sys.executable, "-m", *map(str, command)],
        cwd=folder,
        env=environment,
        umask=0o077 if odd else -1,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def places(tmp_path_factory):
    """A plain folder and one with an odd name; in both a small chapter."""
    plain = tmp_path_factory.mktemp("plain")
    odd = tmp_path_factory.mktemp("odd") / PLACE
    odd.mkdir()
    chapter = nbformat.v4.new_notebook(cells=list(map(nbformat.v4.new_code_cell, CELLS)))
    chapter.cells[0].metadata["tags"] = ["parameters"]
    chapter.metadata["kernelspec"] = {
        "name": "python3",
        "display_name": "Python 3",
        "language": "python",
    }
    for folder in (plain, odd):
        nbformat.write(chapter, folder / "chapter.ipynb")
    (odd / "werte über.yaml").write_text("seed: 7\npreset: smoke\n", encoding="utf-8")
    return plain, odd


@pytest.fixture(scope="module")
def ran(places):
    """A chapter in both places and a command in the odd one, side by side."""
    plain, odd = places
    mill = ["papermill", "--no-progress-bar", "chapter.ipynb", "out.ipynb"]
    calls = [
        ([*mill, "-p", "seed", "007"], plain),
        ([*mill, "-f", "werte über.yaml", "--cwd", odd.parent, "--inject-paths"], odd),
        (["pve", "diameter", "Da ten", f"0{SEED}", *SMALL], odd),
    ]
    with ThreadPoolExecutor(2) as pool:
        done = pool.map(lambda each: start(*each, odd=each[1] == odd), calls)
        for each in done:
            assert each.returncode == 0, each.stderr
    return plain, odd


def outputs(path):
    cells = nbformat.read(path, 4).cells
    return [output for cell in cells for output in cell.get("outputs", [])]


def test_a_chapter_has_the_same_numbers(ran):
    plain, odd = (outputs(folder / "out.ipynb") for folder in ran)
    said = [[output.text for output in found if "text" in output] for found in (plain, odd)]
    assert said[0] == said[1]
    (line,) = said[0]
    assert line.startswith("7 smoke ")
    assert len(line.split()) > 4
    for found in (plain, odd):
        assert sum("image/svg+xml" in output.get("data", {}) for output in found) == 1


def test_runs_have_the_same_bits(ran, finished):
    expected = data_files(finished, "diameter")
    assert data_files(ran[1] / "Da ten", "diameter") == expected
    assert len(expected) == 8


def test_files_are_readable_by_whom_the_umask_lets_read(ran):
    kept = [path for path in (ran[1] / "Da ten").rglob("*") if path.is_file()]
    assert len(kept) > 8
    assert {stat.S_IMODE(path.stat().st_mode) & 0o077 for path in kept} == {0}


def test_what_reads_takes_any_name(ran, capsys, tmp_path):
    folder = shutil.copytree(ran[1] / "Da ten", tmp_path / PLACE / "Da ten")
    out = str(tmp_path / PLACE / "Büld")
    for name, *rest in (["status"], ["verify"], ["summary", "--out", out]):
        assert main([name, str(folder), *rest]) == 0, capsys.readouterr().err
    assert {path.name for path in Path(out).iterdir()} == {"diameter.nc", "manifest.json"}


@pytest.mark.parametrize(
    ("word", "seed"),
    [("007", 7), ("7", 7), ("4294967295", 4294967295), ("0", 0)],
)
def test_odd_words_for_a_seed_mean_what_they_say(word, seed):
    begun = page.begin({"seed": _resolve_type(word), "preset": "smoke"})
    assert begun == (seed, "smoke")


@pytest.mark.parametrize("word", ["1e3", "7.0", "True", "None", "", " ", "٧x", "[7]"])
def test_other_words_for_a_seed_are_refused(word, capsys, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with pytest.raises((ValueError, TypeError), match=r"^seed is .*expected an integer"):
        page.begin({"seed": _resolve_type(word), "preset": "smoke"})
    assert main(["diameter", "data", word]) == 2
    err = capsys.readouterr().err
    assert (
        err == f"pve diameter: seed is {word!r}; expected an integer from 0 to 4294967295\n"
    )
    assert list(tmp_path.iterdir()) == []
