"""What several test files share."""

import os
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True)
class Build:
    """A build of the book: where the pages are and what was printed."""

    html: Path
    returncode: int
    log: str

    @property
    def pages(self) -> list[Path]:
        """Every HTML page but the redirect and those without a text of ours."""
        return sorted(
            page
            for page in self.html.rglob("*.html")
            if page.name not in {"index.html", "search.html"}
            and "_static" not in page.parts
        )


def build_book(output: Path, *options: str, root: Path = ROOT) -> Build:
    """Build the book of `root` strictly, under the preset `smoke`, into `output`."""
    program = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "build", "book", "-W", "-n"]
    command += ["--keep-going", "--path-output", str(output), *options]
    environment = os.environ | {"PVE_PRESET": "smoke", "NO_COLOR": "1"}
    done = subprocess.run(
        command,
        cwd=root,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    return Build(output / "_build" / "html", done.returncode, done.stdout)


@pytest.fixture(scope="session")
def book(tmp_path_factory) -> Build:
    """The whole book, built cold once for all tests that read it."""
    build = build_book(tmp_path_factory.mktemp("book"))
    assert build.returncode == 0, build.log
    return build
