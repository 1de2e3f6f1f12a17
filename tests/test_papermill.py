"""Chapters run under papermill with any seed, from anywhere, and refuse bad parameters."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import jupytext
import papermill
import pytest
import yaml
from conftest import ROOT

CHAPTER = ROOT / "book" / "diameter.ipynb"


def numbered_chapters():
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    return [
        chapter["file"]
        for part in toc["parts"]
        if part.get("numbered")
        for chapter in part["chapters"]
    ]


def run(folder, output, *parameters, preset="smoke", chapter=CHAPTER):
    """Papermill on a chapter as a user calls it, from `folder`."""
    environment = os.environ | {
        "JUPYTER_PREFER_ENV_PATH": "1",
        "PVE_RESULTS": str(folder / "results"),
        "PYTHONPATH": str(ROOT),
    }
    environment.pop("PVE_PRESET", None)
    if preset:
        environment["PVE_PRESET"] = preset
    command = [sys.executable, "-m", "papermill", "--no-progress-bar"]
    return subprocess.run(
        [*command, str(chapter), str(output), *parameters],
        cwd=folder,
        env=environment,
        capture_output=True,
        text=True,
        timeout=600,
    )


@pytest.fixture(scope="module")
def two_seeds(tmp_path_factory):
    """The chapter under seed 0 and, the preset as a parameter, under seed 7."""
    folder = tmp_path_factory.mktemp("papermill")
    calls = {
        "seed-0.ipynb": ([], "smoke"),
        "seed-7.ipynb": (["-p", "seed", "7", "-p", "preset", "smoke"], None),
    }
    with ThreadPoolExecutor() as pool:
        pending = {
            name: pool.submit(run, folder, name, *parameters, preset=preset)
            for name, (parameters, preset) in calls.items()
        }
    return folder, {name: call.result() for name, call in pending.items()}


def outputs(path):
    """What a notebook's cells put out, of which the seed decides the numbers."""
    cells = jupytext.read(path).cells
    return [output.get("data") for cell in cells for output in cell.get("outputs", [])]


def test_another_seed_runs_from_elsewhere_and_gives_another_result(two_seeds):
    folder, calls = two_seeds
    for call in calls.values():
        assert call.returncode == 0, call.stderr
    first, other = (outputs(folder / name) for name in calls)
    assert len(first) == len(other) > 5
    assert first != other
    # Nothing is written beside the notebooks but the results that were asked for.
    assert {path.name for path in folder.iterdir()} == {*calls, "results"}


def test_notebook_in_the_repository_stays_without_outputs(two_seeds):
    assert outputs(CHAPTER) == []


BAD = {
    "mistyped": (
        ["-p", "sead", "7"],
        "'sead' is unknown; expected one of 'seed', 'preset'",
    ),
    "negative": (
        ["-p", "seed", "-1"],
        "seed is -1; expected an integer from 0 to 4294967295",
    ),
    "fraction": (["-p", "seed", "2.5"], "seed is 2.5; expected an integer"),
    "text": (["-r", "seed", "seven"], "seed is 'seven'; expected an integer"),
    "preset": (
        ["-p", "preset", "tiny"],
        "preset is 'tiny'; expected one of 'smoke', 'quick', 'standard', 'paper'",
    ),
}


@pytest.fixture(scope="module")
def refusals(tmp_path_factory):
    folder = tmp_path_factory.mktemp("refused")
    with ThreadPoolExecutor(2) as pool:
        pending = {
            name: pool.submit(
                run,
                folder,
                f"{name}.ipynb",
                *parameters,
                preset=None if name == "preset" else "smoke",
            )
            for name, (parameters, _) in BAD.items()
        }
    return folder, {name: call.result() for name, call in pending.items()}


@pytest.mark.parametrize("name", BAD)
def test_bad_parameter_stops_the_chapter_and_names_the_legal_ones(refusals, name):
    folder, calls = refusals
    assert calls[name].returncode != 0
    assert BAD[name][1] in calls[name].stderr
    assert not (folder / "results").exists()  # nothing was trained


@pytest.mark.parametrize("name", numbered_chapters())
def test_every_chapter_takes_seed_and_preset(name):
    parameters = papermill.inspect_notebook(str(ROOT / "book" / f"{name}.ipynb"))
    own = {"env", "discount"} if name == "your-mdp" else set()
    assert set(parameters) == {"seed", "preset"} | own
    assert parameters["seed"]["inferred_type_name"] == "int"
    assert parameters["seed"]["default"] == "0"
    assert parameters["preset"]["inferred_type_name"] == "str"
    assert parameters["preset"]["default"] == '"quick"'
    assert all(parameter["help"] for parameter in parameters.values())
