"""A page's shell: commands in its own process, with what they print and how they end."""

import sys
from pathlib import Path

import matplotlib.pyplot as plt
import pytest

from pve.book.commands import Shell


def command(words):
    """Says where it runs and what it was given; refuses, fails or draws when told to."""
    print(Path.cwd().name, *words)
    if words[0] == "refuse":
        print("usage: there is more to say", file=sys.stderr)
        print("error: 3 is not legal", file=sys.stderr)
        sys.exit(2)
    if words[0] == "draw":
        plt.switch_backend("svg")
    if words[0] == "leave":
        sys.exit()
    if words[0] == "die":
        sys.exit("words in place of a number")
    return 0


@pytest.fixture
def shell(tmp_path):
    folder = tmp_path / "shop"
    folder.mkdir()
    return Shell(command, folder)


def test_it_prints_what_commands_print(shell, capsys):
    here = Path.cwd()
    shell("pve say 'two words' x", "pve refuse", "pve say again")
    out, err = capsys.readouterr()
    assert out == (
        "$ pve say 'two words' x\n"
        "shop say two words x\n"
        "\n"
        "$ pve refuse\n"
        "shop refuse\n"
        "error: 3 is not legal\n"
        "[exit status 2]\n"
        "\n"
        "$ pve say again\n"
        "shop say again\n"
        "\n"
    )
    assert err == ""
    assert Path.cwd() == here


def test_words_are_taken_apart_as_a_shell_does(shell):
    said, complaints, status = shell.called("pve say 'two words'")
    assert (said, complaints, status) == ("shop say two words\n", "", 0)


@pytest.mark.parametrize(
    ("word", "status"), [("say", 0), ("leave", 0), ("refuse", 2), ("die", 1)]
)
def test_how_commands_end(shell, word, status):
    assert shell.called(f"pve {word}").status == status


def test_the_page_keeps_its_way_of_drawing(shell):
    before = plt.get_backend()
    shell("pve draw")
    assert plt.get_backend() == before
