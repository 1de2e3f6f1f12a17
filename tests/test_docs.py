"""What the documents tell a reader to type exists, and their links lead somewhere."""

import importlib
import itertools
import re
import shlex
import shutil
import subprocess
import tomllib

import papermill
import pytest
from conftest import ROOT

from pve.cli import _parser, main
from pve.engines.local import Local
from pve.experiments import EXPERIMENTS
from pve.runs.folders import ExperimentFolder

DOCUMENTS = sorted([*ROOT.glob("*.md"), *(ROOT / "book").glob("*.md")])
FENCE = re.compile(
    r"^(?P<mark>`{3,})(?P<head>[^\n]*)\n(?P<body>.*?)^(?P=mark)`*\s*$", re.M | re.S
)
INLINE = re.compile(r"(?<!`)`([^`\n]+)`(?!`)")
LINK = re.compile(r"(?<!!)\[[^\]\n]+\]\(([^)\s]+)\)")
HEADING = re.compile(r"^#+ +(.+?)\s*$", re.M)
SHELL = {"shell", "bash", "sh", "console"}


def commands(text):
    """What stands in shell blocks and in inline code, line by line."""
    for fence in FENCE.finditer(text):
        if fence["head"].strip() in SHELL:
            yield from (
                line.removeprefix("$ ").strip() for line in fence["body"].splitlines()
            )
    yield from INLINE.findall(FENCE.sub("", text))


def words(command):
    """A command's words, without a comment and without variables before it."""
    parts = shlex.split(command.replace(r"\|", "|"), comments=True)
    while parts and re.fullmatch(r"[A-Z_]+=\S*", parts[0]):
        parts = parts[1:]
    return parts


def found(program):
    """Arguments of every call of a program in the documents, with where it stands."""
    calls = []
    for document in DOCUMENTS:
        for command in commands(document.read_text(encoding="utf-8")):
            try:
                parts = words(command)
            except ValueError:  # inline code that is no command: an open quote
                continue
            if parts[:3] == ["python", "-m", "pve"]:
                parts = parts[2:]
            if parts[:1] == [program] and len(parts) > 1:
                where = f"{document.relative_to(ROOT).as_posix()}: {command}"
                calls.append(pytest.param(parts[1:], id=where))
    return calls


@pytest.mark.parametrize("arguments", found("pve"))
def test_command_is_accepted_by_the_parser(arguments):
    if arguments == ["--help"] or arguments[1:] == ["--help"]:
        with pytest.raises(SystemExit) as end:
            _parser().parse_args(arguments)
        assert end.value.code == 0
        return
    parsed = _parser().parse_args(arguments)
    assert parsed.command == arguments[0]


@pytest.mark.parametrize("arguments", found("make"))
def test_target_is_in_the_makefile(arguments):
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    targets = set(re.findall(r"^([a-z-]+):", makefile, re.M))
    named = {word for word in arguments if re.fullmatch(r"[a-z-]+", word)}
    assert named <= targets


@pytest.mark.parametrize("arguments", found("pip"))
def test_the_library_is_installed_from_the_clone_and_stays_there(arguments):
    """A copy of it in the environment would look for the book's data beside itself."""
    extras = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    for before, word in itertools.pairwise(arguments):
        if word.startswith("."):
            assert before in ("-e", "--editable")
            (extra,) = re.findall(r"\.\[(\w+)\]", word)
            assert extra in extras["project"]["optional-dependencies"]


@pytest.mark.parametrize("arguments", found("papermill"))
def test_papermill_is_given_a_chapter_and_its_parameters(arguments):
    (notebook, *_) = [word for word in arguments if word.startswith("book/")]
    assert (ROOT / notebook).exists()
    given = {arguments[i + 1] for i, word in enumerate(arguments) if word in ("-p", "-r")}
    assert given <= set(papermill.inspect_notebook(str(ROOT / notebook)))


def made(parts):
    """What a command of the documents writes, beside its data folder."""
    if parts[0] == "papermill":
        return [word for word in parts[1:] if re.fullmatch(r"[^/-][^/]*\.ipynb", word)][-1:]
    return [f"{parts[i + 1]}/" for i, word in enumerate(parts) if word == "--out"]


def test_commands_run_in_order_as_they_stand(tmp_path, monkeypatch):
    """All but the training itself, which the tests of the command line do."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(Local, "compute", lambda *_: None)
    # The published size asks for 63 GB, which the disk of a test need not have.
    usage = shutil.disk_usage(tmp_path)._replace(free=10**12)
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage)
    lines = [
        words(line)
        for name in ("README.md", "book/running.md")
        for fence in FENCE.finditer((ROOT / name).read_text(encoding="utf-8"))
        if fence["head"].strip() in SHELL
        for line in fence["body"].splitlines()
    ]
    written, ran = set(), 0
    for parts in filter(None, lines):
        if parts[:3] == ["python", "-m", "pve"]:
            parts = parts[2:]
        written.update(made(parts))
        if parts[0] != "pve":
            continue
        ran += 1
        command, folder = parts[1], parts[2]
        if command in EXPERIMENTS:
            assert main(parts[1:]) == 0, parts
            written.add(folder)
            continue
        assert folder in written, f"{parts}: {folder} is not there yet"
        for run in parts[4:] if "--retrain" in parts else []:
            experiment, _, name = run.partition("/")
            assert name in ExperimentFolder(folder, experiment).asked()
    assert ran > 8
    assert len(written) > 5
    command = ["git", "check-ignore", "--no-index", *written]
    ignored = subprocess.run(command, cwd=ROOT, capture_output=True, text=True)
    if ignored.returncode != 128:  # not a clone: sources without their history
        assert set(ignored.stdout.split()) == written


def test_the_documents_hold_commands():
    # The patterns above find what there is: an empty list would pass unseen.
    assert len(found("pve")) > 10
    assert len(found("make")) > 4
    assert len(found("pip")) > 3
    assert len(found("papermill")) > 2


def anchors(text):
    """The anchors that GitHub gives to a document's headings."""
    headings = HEADING.findall(FENCE.sub("", text))
    return {re.sub(r"[^\w\- ]", "", name.lower()).replace(" ", "-") for name in headings}


@pytest.mark.parametrize(
    "document", DOCUMENTS, ids=lambda path: path.relative_to(ROOT).as_posix()
)
def test_links_lead_somewhere(document):
    text = FENCE.sub("", document.read_text(encoding="utf-8"))
    dead = []
    for target in LINK.findall(text):
        if re.match(r"[a-z]+:", target):  # another site
            continue
        path, _, anchor = target.partition("#")
        file = document.parent / path if path else document
        if not file.exists() or (
            anchor and anchor not in anchors(file.read_text(encoding="utf-8"))
        ):
            dead.append(target)
    assert dead == []


def test_the_reference_lists_what_there_is():
    text = (ROOT / "book" / "api.md").read_text(encoding="utf-8")
    listed = re.findall(r"automodule:: (\S+)(?:\n   :members:([^\n]*))?", text)
    assert len(listed) > 40
    assert len({module for module, _ in listed}) == len(listed)
    for module, members in listed:
        found = importlib.import_module(module)
        for member in filter(None, map(str.strip, members.split(","))):
            assert getattr(found, member).__module__ == module, f"{module}.{member}"
