"""What several test files share."""

import json
import os
import shutil
import subprocess
import sys
from dataclasses import asdict, dataclass
from pathlib import Path

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
import threadpoolctl
from filelock import FileLock
from hypothesis import settings
from tiny import SEED, TINY

import pve
from pve.cli import main
from pve.engines.dispatch import run_experiment

ROOT = Path(__file__).resolve().parents[1]
QUICKLY = "JAX_DISABLE_MOST_OPTIMIZATIONS"

# The same examples every time, and no examples kept between runs.
settings.register_profile(
    "pve", derandomize=True, deadline=None, max_examples=25, database=None
)
settings.load_profile("pve")


# Files of tests in the order in which they start; the others follow. The book is built
# first, in one process while the other goes on; what reads it comes when it is there; and
# the long ones come early, so that both processes end at about the same time.
FIRST = (
    "test_book",
    "test_runner",
    "test_cluster",
    "test_quick",
    "test_command_line",
    "test_muzero",
    "test_agents",
    "test_pages",
    "test_papermill",
    "test_baselines",
    "test_bellman",
)


def pytest_collection_modifyitems(items):
    """Put the tests into the order in which two processes are done with them soonest."""
    places = {name: place for place, name in enumerate(FIRST)}
    items.sort(key=lambda item: places.get(item.path.stem, len(FIRST)))


@pytest.fixture(scope="session")
def shared(tmp_path_factory) -> Path:
    """A folder of this run of the tests that all its processes see."""
    folder = tmp_path_factory.getbasetemp()
    return folder.parent if "PYTEST_XDIST_WORKER" in os.environ else folder


@pytest.fixture(scope="session", autouse=True)
def _one_thread_of_linear_algebra():
    """The matrices here are small: more threads would only wait for each other."""
    with threadpoolctl.threadpool_limits(1):
        yield


@pytest.fixture(scope="session", autouse=True)
def _compile_once(shared):
    """Compiled programs are shared between all processes of this run of the tests.

    Compiling is most of what they do, so it is done without XLA's optimisations: that takes
    a third of the time and rounds sums differently. As users compile, with all of them:
    ``JAX_DISABLE_MOST_OPTIMIZATIONS=0 make test``.
    """
    settings = {
        "jax_disable_most_optimizations": os.environ.get(QUICKLY, "1") != "0",
        "jax_compilation_cache_dir": str(shared / "compiled"),
        "jax_persistent_cache_min_compile_time_secs": 0.1,
        # Unless its size is limited JAX does not lock the folder, and a process might read
        # what another one is writing.
        "jax_compilation_cache_max_size": 2**30,
    }
    for name, value in settings.items():
        jax.config.update(name, value)
        os.environ[name.upper()] = str(value)


@pytest.fixture(scope="session")
def rooms() -> pve.GridWorld:
    """Four Rooms."""
    return pve.four_rooms()


@pytest.fixture(scope="session")
def finished(shared, tmp_path_factory) -> Path:
    """A data folder in which both experiments ran, tiny and undisturbed.

    The first process that asks computes it. Each has its own copy, because reading results
    may leave files beside them while another process copies the folder.
    """
    folder = shared / "finished"
    with FileLock(shared / "finished.lock"):
        for name, config in TINY.items():
            report = run_experiment(name, config, SEED, folder, progress=False)
            assert report.failed == {}
    return shutil.copytree(folder, tmp_path_factory.mktemp("own") / "finished")


@pytest.fixture
def call(capsys, monkeypatch):
    """Run a command in this process: its exit status and what it printed."""
    monkeypatch.setenv("COLUMNS", "200")
    mpl.use("agg")

    def run(*arguments):
        capsys.readouterr()
        try:
            status = main([str(argument) for argument in arguments])
        except SystemExit as end:
            status = end.code
        out, err = capsys.readouterr()
        return status, out, err

    return run


@pytest.fixture
def drawn():
    """Takes in figures, and closes them when the test has ended."""
    made = []
    yield made.append
    for figure in made:
        plt.close(figure)


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

    @property
    def kinds(self) -> list[Path]:
        """The pages that were written, and one of those made from source code."""
        listings = [page for page in self.pages if "_modules" in page.parts]
        return [page for page in self.pages if page not in listings] + listings[:1]


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
def builds(shared) -> list[Build]:
    """The whole book, built cold and then once more, before any test reads it.

    The first process that asks builds it; another one waits for it. A build rewrites style
    sheets for a moment, so there must be no other while pages are looked at.
    """
    done = shared / "book.json"
    with FileLock(shared / "book.lock"):
        if not done.exists():
            made = [build_book(shared / "book") for _ in range(2)]
            records = [asdict(build) | {"html": str(build.html)} for build in made]
            done.write_text(json.dumps(records))
    return [
        Build(Path(found["html"]), found["returncode"], found["log"])
        for found in json.loads(done.read_text())
    ]


@pytest.fixture(scope="session")
def book(builds) -> Build:
    """The whole book, built cold once for all tests that read it."""
    assert builds[0].returncode == 0, builds[0].log
    return builds[0]
