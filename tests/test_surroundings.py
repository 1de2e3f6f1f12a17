"""What the user has set or left lying about changes nothing, or is named in one line."""

import io
import os
import shutil
import socket
import subprocess
import sys
from pathlib import Path

import jax
import matplotlib as mpl
import matplotlib.pyplot as plt
import nbformat
import numpy as np
import pytest
from conftest import ROOT
from nbclient import NotebookClient
from tiny import SEED, TINY, data_files

import pve
from pve import defaults, figures
from pve.book import page
from pve.cli import main
from pve.engines import dispatch
from pve.engines.cost import in_bytes
from pve.engines.dispatch import find_engine, run_experiment
from pve.experiments.base import Task
from pve.figures import style
from pve.runs import folders
from pve.runs.attempt import End

# A notebook ---------------------------------------------------------------------------

PARAMETERS = 'seed: int = 0\npreset: str = "smoke"'
INJECTED = '# Parameters\nseed = 7\nPAPERMILL_OUTPUT_PATH = "out.ipynb"\n'
BEGIN = "import pve\nfrom pve.book import page\nseed, preset = page.begin(globals())"
SHOWN = """
import jax, json
import jax.numpy as jnp
import matplotlib.pyplot as plt
rng = [seed, str(jnp.ones(1).dtype), plt.rcParams["text.usetex"], started]
print(json.dumps(rng))
plt.plot([0, 1], label=r"$x$");
"""


@pytest.fixture(scope="module")
def notebook(tmp_path_factory):
    """The first cells of a chapter, run twice in one kernel, in a user's surroundings."""
    home = tmp_path_factory.mktemp("home")
    start = home / ".ipython" / "profile_default" / "startup"
    start.mkdir(parents=True)
    (start / "00-mine.py").write_text("import numpy as np\nstarted = 'mine'\nx = 3\n")
    (home / "matplotlibrc").write_text("text.usetex: True\nfigure.facecolor: red\n")
    cells = [PARAMETERS, INJECTED, BEGIN, SHOWN] * 2
    found = nbformat.v4.new_notebook(cells=[nbformat.v4.new_code_cell(c) for c in cells])
    environment = os.environ | {
        "HOME": str(home),
        "IPYTHONDIR": str(home / ".ipython"),
        "JAX_ENABLE_X64": "1",
        "JUPYTER_PREFER_ENV_PATH": "1",
        "MATPLOTLIBRC": str(home),
        "MPLBACKEND": "agg",
        "PYTHONPATH": str(ROOT),
    }
    client = NotebookClient(found, timeout=300, resources={"metadata": {"path": home}})
    client.execute(env=environment)
    return [cell.outputs for cell in found.cells if cell.source == SHOWN]


def test_first_cells_of_a_chapter_run_twice_in_one_kernel(notebook):
    first, again = ([o.get("text") for o in outputs] for outputs in notebook)
    assert first == again
    assert first[0] == '[7, "float32", false, "mine"]\n'


def test_a_notebook_shows_its_figures_whatever_mplbackend_says(notebook):
    for outputs in notebook:
        pictures = [o.data["image/svg+xml"] for o in outputs if "data" in o]
        assert len(pictures) == 1
        assert "#ff0000" not in pictures[0]


@pytest.mark.parametrize(
    "cell", ["# Parameters\nsead = 7\n", "# Parameters\nseed = 7\npve = None\n"]
)
def test_what_papermill_injects_is_checked(cell):
    with pytest.raises(ValueError, match=r"is unknown; expected one of 'seed', 'preset'"):
        page.begin({"seed": 0, "preset": "smoke", "In": ["", "sead = 1", cell]})


# Figures ------------------------------------------------------------------------------


def test_figures_start_from_the_defaults_and_leave_a_script_its_own(rooms):
    mine = {"text.usetex": True, "axes.facecolor": "red", "lines.linewidth": 9.0}
    with mpl.rc_context(mine):
        before = dict(mpl.rcParams)
        figure = figures.next_states(rooms, rooms.mdp, 0, 0, "a test")
        assert dict(mpl.rcParams) == before
        blank, ax = style.new_figure()
        assert dict(mpl.rcParams) == before
    assert ax.get_facecolor() == (1, 1, 1, 1)
    assert not ax.get_xaxis().label.get_usetex()
    assert not any(text.get_usetex() for text in figure.findobj(mpl.text.Text))
    plt.close(figure)
    plt.close(blank)


def test_the_command_draws_the_same_whatever_a_style_says(finished, tmp_path, call):
    """As a program, which reads the user's style; where no TeX is its use would fail."""
    data = tmp_path / "data" / "capacity"
    shutil.copytree(finished / "capacity", data)
    assert call("figures", data.parent, "--out", tmp_path / "usual")[0] == 0
    style = "text.usetex: True\nfigure.facecolor: red\naxes.titlesize: 40\nbackend: tkagg\n"
    (tmp_path / "matplotlibrc").write_text(style)
    command = [sys.executable, "-m", "pve", "figures", data.parent, "--out", "mine"]
    environment = os.environ | {"MATPLOTLIBRC": str(tmp_path), "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        command, cwd=tmp_path, env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    usual = sorted((tmp_path / "usual").glob("*.png"))
    assert usual
    for picture in usual:
        assert (tmp_path / "mine" / picture.name).read_bytes() == picture.read_bytes()


# Settings of JAX ----------------------------------------------------------------------

UNUSUAL = {
    "jax_enable_x64": True,
    "jax_threefry_partitionable": False,
    "jax_numpy_rank_promotion": "raise",
    "jax_default_prng_impl": "rbg",
}


@pytest.fixture
def unusual():
    """JAX as a user may have set it, in all threads."""
    before = {name: getattr(jax.config, name) for name in UNUSUAL}
    for name, value in UNUSUAL.items():
        jax.config.update(name, value)
    yield
    for name, value in before.items():
        jax.config.update(name, value)


@pytest.mark.usefixtures("unusual")
@pytest.mark.parametrize("engine", ["local", "device"])
def test_runs_have_the_same_bits_whatever_jax_is_set_to(finished, tmp_path, engine):
    report = run_experiment(
        "diameter", TINY["diameter"], SEED, tmp_path, engine=engine, progress=False
    )
    assert report.failed == {}
    assert jax.config.jax_enable_x64
    if engine == "local":
        assert data_files(tmp_path, "diameter") == data_files(finished, "diameter")
    else:
        found, expected = pve.load(tmp_path, "diameter"), pve.load(finished, "diameter")
        np.testing.assert_allclose(found.loss, expected.loss, rtol=1e-3)


def test_training_has_the_same_bits_whatever_jax_is_set_to(request):
    env = pve.MDP([[1.0, 0.0], [0.0, 2.0]], [[[0, 1], [1, 0]], [[1, 0], [0, 1]]], 0.9)
    key = jax.random.key(0, impl="threefry2x32")

    def train():
        recipe = pve.Recipe(steps=20, batch=4)
        return pve.train(key, env, order=5, recipe=recipe, num_policies=20)

    expected = train()
    request.getfixturevalue("unusual")
    found = train()
    assert found.losses.dtype == np.float32
    np.testing.assert_array_equal(found.losses, expected.losses)


@pytest.mark.usefixtures("unusual")
def test_a_program_of_ours_is_settled():
    defaults.settle_jax()
    for name, value in defaults.DEFAULTS.items():
        assert getattr(jax.config, f"jax_{name}") == value


def test_settings_that_stay_and_change_numbers_belong_to_the_identity(monkeypatch):
    def identity():
        return folders.identity("diameter", TINY["diameter"], 0, "rooms")

    usual = identity()
    monkeypatch.setenv("XLA_FLAGS", "--xla_dump_to=/tmp/there")
    assert identity() == usual
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    (difference,) = folders.differences(usual, identity())
    assert difference == ("XLA_FLAGS is None there, '--xla_cpu_enable_fast_math=true' here")
    monkeypatch.delenv("XLA_FLAGS")
    monkeypatch.setitem(defaults.RECORDED, "random_seed_offset", 1)  # as if 0 were set
    (difference,) = folders.differences(usual, identity())
    assert difference == "JAX_RANDOM_SEED_OFFSET is None there, 0 here"


# Where results go ---------------------------------------------------------------------


def test_results_lie_out_of_reach_of_what_cleans_the_book(monkeypatch):
    monkeypatch.delenv("PVE_RESULTS", raising=False)
    folder = page.data_folder(0, "smoke")
    assert folder.parents[1] == ROOT / "results"
    ignored = (ROOT / ".gitignore").read_text().splitlines()
    assert "/results/" in ignored
    makefile = (ROOT / "Makefile").read_text()
    recipe = makefile.partition("\nclean:")[2].partition("\n\t")[2].split("\n\n")[0]
    assert recipe.split() == ["rm", "-rf", "_build"]


def test_what_cleans_the_book_leaves_what_was_trained(tmp_path, monkeypatch):
    monkeypatch.setattr(page, "REPOSITORY", tmp_path)
    monkeypatch.setattr(page, "RESULTS", tmp_path / page.RESULTS.name)
    monkeypatch.delenv("PVE_RESULTS", raising=False)
    (trained := page.data_folder(0, "smoke")).mkdir(parents=True)
    (built := tmp_path / "_build" / "html").mkdir(parents=True)
    (tmp_path / "_config.yml").touch()
    program = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    command = [sys.executable, "-c", program, "clean", "--all", str(tmp_path)]
    subprocess.run(command, check=True, capture_output=True)
    assert not built.exists()
    assert trained.exists()


@pytest.mark.parametrize("name", ["mine", "~/mine", "/mine"])
def test_a_name_of_results_means_the_same_from_everywhere(monkeypatch, tmp_path, name):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("PVE_RESULTS", name)
    found = []
    for folder in (tmp_path, ROOT / "book"):
        monkeypatch.chdir(folder)
        found.append(page.data_folder(0, "smoke").parents[1])
    expected = {"mine": ROOT / "mine", "~/mine": tmp_path / "mine", "/mine": Path("/mine")}
    assert found == [expected[name]] * 2


def test_an_installed_package_refuses_a_relative_name(monkeypatch, tmp_path):
    monkeypatch.setattr(page, "SHIPPED", tmp_path / "nowhere")
    monkeypatch.setenv("PVE_RESULTS", "mine")
    with pytest.raises(ValueError, match=r"PVE_RESULTS is 'mine', .* begins with /"):
        page.data_folder(0, "smoke")


def test_results_that_cannot_be_written_name_the_variable(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.setenv("PVE_RESULTS", str(tmp_path / "file"))
    with pytest.raises(ValueError, match=r"cannot be written: .*as PVE_RESULTS can name"):
        page.experiment("diameter", 0, "smoke")


def test_a_checkout_that_cannot_be_written_names_the_variable(monkeypatch, tmp_path):
    (tmp_path / "file").touch()
    monkeypatch.delenv("PVE_RESULTS", raising=False)
    monkeypatch.setattr(page, "RESULTS", tmp_path / "file" / "results")
    with pytest.raises(ValueError, match=r"cannot be written: .*as PVE_RESULTS can name"):
        page.experiment("diameter", 0, "smoke")
    monkeypatch.setenv("PVE_RESULTS", str(tmp_path / "mine"))
    assert page.data_folder(0, "smoke").is_relative_to(tmp_path / "mine")


# Machines and terminals ---------------------------------------------------------------


@pytest.mark.parametrize("command", [["diameter", "DATA", "0"], ["figures", "DATA"]])
def test_a_platform_that_is_not_there_is_named(monkeypatch, capsys, tmp_path, command):
    def nowhere(**_):
        raise AssertionError  # as JAX does, without a word

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(jax, "local_devices", nowhere)
    jax.config.update("jax_platforms", "cuda")
    try:
        assert main(command) == 2
    finally:
        jax.config.update("jax_platforms", None)
    err = capsys.readouterr().err
    assert "JAX_PLATFORMS is 'cuda'" in err
    assert err.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


def test_a_platform_that_jax_does_not_find_ends_the_program_in_one_line(tmp_path):
    done = subprocess.run(
        [sys.executable, "-m", "pve", "diameter", "data", "0", "--preset", "smoke"],
        cwd=tmp_path,
        env=os.environ | {"JAX_PLATFORMS": "cuda", "PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
    )
    assert (done.returncode, done.stdout) == (2, "")
    assert "JAX_PLATFORMS is 'cuda'" in done.stderr
    assert done.stderr.count("\n") == 1
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("given", [None, "127.0.0.1:{port}"])
def test_a_cluster_that_does_not_answer_is_named_soon(monkeypatch, tmp_path, given):
    with socket.socket() as held:
        held.bind(("127.0.0.1", 0))  # and does not listen
        port = held.getsockname()[1]
        monkeypatch.setenv("RAY_ADDRESS", f"127.0.0.1:{port}")
        engine = find_engine("ray", address=given and given.format(port=port))
        name = "address" if given else "RAY_ADDRESS"
        with pytest.raises(ValueError, match=rf"^{name} is '127.0.0.1:{port}'; expected"):
            run_experiment(
                "diameter", TINY["diameter"], SEED, tmp_path, engine=engine, progress=False
            )


def test_help_prints_where_a_terminal_has_few_letters(monkeypatch):
    written = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(written, encoding="latin-1"))
    with pytest.raises(SystemExit) as end:
        main(["diameter", "--help"])
    sys.stdout.flush()
    assert end.value.code == 0
    assert b"1, 2, ?, inf" in written.getvalue()


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (0, "0 bytes"),
        (1050, "1.05 kB"),
        (2.5e7, "25 MB"),
        (6.4e10, "64 GB"),
        (3e12, "3 TB"),
    ],
)
def test_bytes_are_said_in_a_unit_that_says_something(number, words):
    assert in_bytes(number) == words


def test_progress_that_no_terminal_shows_is_a_line_now_and_then(capsys, monkeypatch):
    task = Task((("order", 1), ("run", 0)), 1)

    def shown(between):
        monkeypatch.setattr(dispatch, "SECONDS_BETWEEN_LINES", between)
        with dispatch._Progress("diameter", 1000, [task], shown=True) as progress:
            for _ in range(1000):
                progress.advanced(task, 1)
            progress.ended(task, End("computed"))
        return capsys.readouterr().err.splitlines()

    first, last = shown(30.0)
    assert first.startswith("diameter:   0% ")
    assert last.startswith("diameter: 100% ")
    assert last.endswith("1/1 runs")
    assert len(shown(0.0)) > 900
