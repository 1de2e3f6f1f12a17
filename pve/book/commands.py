"""Commands as a shell runs them, but in the page's process, which has loaded everything."""

from __future__ import annotations

import contextlib
import io
import shlex
from collections.abc import Callable
from pathlib import Path
from typing import NamedTuple

import matplotlib.pyplot as plt


class Outcome(NamedTuple):
    """What became of a command.

    Attributes:
      said: what it printed.
      complaints: what it printed to the standard error.
      status: its exit status.
    """

    said: str
    complaints: str
    status: int


class Shell:
    """Runs lines of commands in a folder and prints what they print."""

    def __init__(self, main: Callable[[list[str]], int], folder: Path) -> None:
        """Make it.

        Args:
          main: what a command's first word stands for: takes the words that follow,
            returns the exit status or exits with it.
          folder: where the commands run.
        """
        self.main = main
        self.folder = folder

    def called(self, line: str) -> Outcome:
        """Run one line, and capture what it prints."""
        said, complaints = io.StringIO(), io.StringIO()
        with (
            contextlib.chdir(self.folder),
            contextlib.redirect_stdout(said),
            contextlib.redirect_stderr(complaints),
        ):
            try:
                status = self.main(shlex.split(line)[1:])
            except SystemExit as end:
                status = (
                    end.code if isinstance(end.code, int) else int(end.code is not None)
                )
        return Outcome(said.getvalue(), complaints.getvalue(), status)

    def __call__(self, *lines: str) -> None:
        """Run lines one after the other; a failure shows its last line and its status."""
        backend = plt.get_backend()
        for line in lines:
            said, complaints, status = self.called(line)
            print(f"$ {line}\n{said}", end="")
            if status:
                print(complaints.splitlines()[-1])
                print(f"[exit status {status}]")
            print()
        plt.switch_backend(backend)  # commands that write figures switch it
