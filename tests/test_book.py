"""The book builds without a warning, and fails when it should."""

import os
import re
import shutil
import signal
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from html.parser import HTMLParser
from importlib import metadata

import nbformat
import pytest
import yaml
from conftest import ROOT, Build, build_book

pytestmark = pytest.mark.book

# The foreign resources a page would load when opened; links to follow are none.
LOADING = {
    "audio": "src",
    "embed": "src",
    "iframe": "src",
    "image": "href",
    "img": "src",
    "link": "href",
    "object": "data",
    "script": "src",
    "source": "src",
    "video": "src",
}
FOREIGN = re.compile(r"^\s*(https?:)?//")
FOREIGN_CSS = re.compile(r"(?:@import|url\()\s*[\"']?\s*(?:https?:)?//[^)\"']*")


class Resources(HTMLParser):
    """Collects what a page loads from elsewhere."""

    def __init__(self):
        super().__init__()
        self.foreign = []

    def handle_starttag(self, tag, attrs):
        attributes = dict(attrs)
        if tag == "link" and attributes.get("rel") in {"canonical", "author"}:
            return
        address = attributes.get(LOADING.get(tag, "")) or ""
        style = attributes.get("style") or ""
        if FOREIGN.match(address) or FOREIGN_CSS.search(style):
            self.foreign.append(f"{tag}: {address or style}")


def foreign_resources(page):
    parser = Resources()
    parser.feed(page.read_text(encoding="utf-8"))
    return parser.foreign


def warnings(log):
    return [line for line in log.splitlines() if re.search(r"WARNING:|ERROR:", line)]


def small_book(folder, chapter):
    """A copy of the project whose book is one chapter."""
    shutil.copytree(ROOT / "pve", folder / "pve")
    shutil.copy(ROOT / "_config.yml", folder)
    shutil.copytree(
        ROOT / "book",
        folder / "book",
        ignore=shutil.ignore_patterns("*.md", "*.ipynb", "_toc.yml"),
    )
    # What a checkout makes of a symbolic link where there are none.
    (folder / "_toc.yml").write_text("book/_toc.yml")
    (folder / "book" / "_toc.yml").write_text("format: jb-book\nroot: chapter\n")
    front = (ROOT / "book" / "status.md").read_text(encoding="utf-8").split("---\n")[1]
    text = f"---\n{front}---\n\n# Chapter\n\n```{{code-cell}} ipython3\n{chapter}\n```\n"
    (folder / "book" / "chapter.md").write_text(text, encoding="utf-8")
    return folder


def test_jupyter_book_is_the_first():
    # Version 2 is another program: the same command exits with 0, building nothing.
    assert metadata.version("jupyter-book").split(".")[0] == "1"


def test_the_table_of_contents_needs_no_symbolic_link():
    # Only the one that no command reads is a link, here to see and to edit.
    links = {path for path in ROOT.glob("[!.]*") if path.is_symlink()}
    assert links <= {ROOT / "_toc.yml"}
    assert not any(path.is_symlink() for path in (ROOT / "book").iterdir())


def test_cold_build_has_no_warning(book):
    assert warnings(book.log) == []
    assert (book.html / "index.html").exists()


def test_second_build_has_no_warning_and_executes_nothing(builds):
    _, again = builds
    assert again.returncode == 0, again.log
    assert warnings(again.log) == []
    assert "Executing notebook" not in again.log


def test_every_chapter_is_built(book):
    toc = yaml.safe_load((ROOT / "book" / "_toc.yml").read_text(encoding="utf-8"))
    files = [toc["root"]]
    files += [chapter["file"] for part in toc["parts"] for chapter in part["chapters"]]
    missing = [name for name in files if not (book.html / f"{name}.html").exists()]
    assert missing == []


def test_chapters_are_executed_side_by_side_unless_they_measure_time(book):
    config = yaml.safe_load((ROOT / "_config.yml").read_text(encoding="utf-8"))
    alone = set(config["sphinx"]["config"]["executed_alone"])
    beside = set(re.findall(r"Executing notebook (\S+)\.md beside others", book.log))
    assert len(beside) > 5
    assert alone >= {"running", "status"}
    assert not alone & beside


def test_pages_load_nothing_from_elsewhere(book):
    found = {page.name: foreign_resources(page) for page in book.html.rglob("*.html")}
    assert {name: urls for name, urls in found.items() if urls} == {}


def test_styles_load_nothing_from_elsewhere(book):
    found = {
        sheet.name: FOREIGN_CSS.findall(sheet.read_text(encoding="utf-8"))
        for sheet in book.html.rglob("*.css")
    }
    assert {name: urls for name, urls in found.items() if urls} == {}


def test_pages_say_what_made_them(book):
    for page in book.pages:
        text = page.read_text(encoding="utf-8")
        assert f"pve {metadata.version('pve')}" in text, page.name
        assert "preset smoke" in text, page.name


def test_raising_cell_fails_every_build(tmp_path):
    root = small_book(tmp_path, "raise RuntimeError('on purpose')")
    for _ in range(2):
        build = build_book(tmp_path, root=root)
        assert build.returncode != 0
        assert "on purpose" in build.log


FIGURE = """---
mystnb:
  figure:
    name: fig-one
    caption: One
---
print("no picture")"""


def test_a_missing_figure_fails_the_build_and_is_not_remembered(tmp_path):
    build = build_book(tmp_path, root=small_book(tmp_path, FIGURE))
    assert build.returncode != 0
    assert "chapter.md: no picture for fig-one; expected one from each cell" in build.log
    assert list(tmp_path.glob("_build/.jupyter_cache/*/executed/*")) == []


def page_says(build, words):
    """Whether a build ended well and its one page shows what the chapter printed."""
    assert build.returncode == 0, build.log
    assert warnings(build.log) == []
    return words in (build.html / "chapter.html").read_text(encoding="utf-8")


def start_build(root, log, **environment):
    """Start a build and go on beside it."""
    program = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    return subprocess.Popen(
        [sys.executable, "-c", program, "build", "book"],
        cwd=root,
        env=os.environ | environment,
        stdout=log,
        stderr=log,
    )


def test_a_build_is_stopped_and_two_at_once_go_on(tmp_path):
    home = tmp_path / "Bücher & Räume"
    home.mkdir()
    chapter = (
        "import os, pathlib, time\n"
        "mark = pathlib.Path(os.environ['PVE_TEST_MARK'])\n"
        "mark.write_text(str(os.getpid()))\n"
        "time.sleep(float(os.environ['PVE_TEST_WAITS']))\n"
        "print('at', 'the end')"
    )
    root = small_book(home, chapter)
    mark = tmp_path / "mark"
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PVE_TEST_MARK", str(mark))
        patch.setenv("PVE_TEST_WAITS", "300")
        stopped = start_build(root, subprocess.DEVNULL)
        until = time.monotonic() + 300
        while not (mark.exists() and mark.read_text()) and time.monotonic() < until:
            time.sleep(0.1)
        stopped.send_signal(signal.SIGINT)
        assert stopped.wait(timeout=120) != 0
        patch.setenv("PVE_TEST_WAITS", "1")
        with ThreadPoolExecutor() as pool:
            both = list(pool.map(lambda _: build_book(home, root=root), range(2)))
    assert all(page_says(build, "at the end") for build in both)


def test_a_build_waits_for_another_of_its_folder(tmp_path, monkeypatch):
    monkeypatch.syspath_prepend(ROOT / "book" / "_ext")
    from one_at_a_time import take_turn

    root = small_book(tmp_path, "print('at', 'the end')")
    said = tmp_path / "said"
    held = take_turn(tmp_path / "_build")
    with said.open("w") as log:
        build = start_build(root, log, PVE_PRESET="smoke", PYTHONUNBUFFERED="1")
    until = time.monotonic() + 300
    while "waits until it has ended" not in said.read_text() and time.monotonic() < until:
        time.sleep(0.1)
    assert "waits until it has ended" in said.read_text()
    assert build.poll() is None
    assert not list(tmp_path.glob("_build/html/*.html"))
    held.release()
    assert build.wait(timeout=300) == 0
    assert page_says(Build(tmp_path / "_build" / "html", 0, said.read_text()), "at the end")


def sphinx_build(root):
    """Build as Read the Docs and others do, who know Sphinx alone."""
    program = "import sys; from jupyter_book.cli.main import main; sys.exit(main())"
    steps = [
        ["-c", program, "config", "sphinx", "book"],
        ["-m", "sphinx", "-W", "-n", "--keep-going", "-c", ".", "book", "_build/html"],
    ]
    for step in steps if not (root / "conf.py").exists() else steps[1:]:
        done = subprocess.run(
            [sys.executable, *step],
            cwd=root,
            env=os.environ | {"PVE_PRESET": "smoke", "NO_COLOR": "1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        assert done.returncode == 0, done.stdout
    return root / "_build" / "html"


def test_sphinx_alone_builds_and_all_pages_know_of_a_new_name_and_title(tmp_path):
    root = small_book(tmp_path, "1 + 1")
    toc = "format: jb-book\nroot: chapter\nchapters:\n"
    book = root / "book"

    def write(name, title):
        (book / "_toc.yml").write_text(f"{toc}- file: {name}\n- file: other\n")
        (book / f"{name}.md").write_text(f"(sec-that)=\n# {title}\n\nText.\n")

    (book / "chapter.md").write_text("# Chapter\n")
    write("before", "Old title")
    (book / "other.md").write_text("# Other\n\nSee {ref}`sec-that`.\n")
    html = sphinx_build(root)
    assert "Old title" in (html / "other.html").read_text(encoding="utf-8")
    assert (html / "_static" / "logo.svg").exists()
    (book / "before.md").unlink()
    write("after", "New title")
    sphinx_build(root)
    assert not (html / "before.html").exists()
    for name in ("chapter", "other", "after"):
        page = (html / f"{name}.html").read_text(encoding="utf-8")
        assert "New title" in page
        assert "after.html" in page or name == "after"
        assert not re.search("Old title|before.html", page), name


def newest_cache(folder):
    """The name of the execution cache that was used last."""
    caches = (path for path in folder.glob("_build/.jupyter_cache/*") if path.is_dir())
    return max(caches, key=lambda path: path.stat().st_mtime).name


def test_edited_library_is_executed_again_and_a_revert_is_not(tmp_path, monkeypatch):
    startup = tmp_path / "ipython" / "profile_default" / "startup"
    startup.mkdir(parents=True)
    (startup / "00-mine.py").write_text("mine = 1\n")
    monkeypatch.setenv("IPYTHONDIR", str(tmp_path / "ipython"))
    monkeypatch.setenv("PYTHONSTARTUP", str(startup / "00-mine.py"))
    root = small_book(tmp_path, "assert 'mine' not in globals()")
    executed = "Executing notebook"
    build = build_book(tmp_path, root=root)
    assert executed in build.log
    assert build.returncode == 0, build.log
    assert executed not in build_book(tmp_path, root=root).log
    module = root / "pve" / "__init__.py"
    before = module.read_text(encoding="utf-8")
    module.write_text(before + "\n# edited\n", encoding="utf-8")
    assert executed in build_book(tmp_path, root=root).log
    module.write_text(before, encoding="utf-8")
    assert executed not in build_book(tmp_path, root=root).log
    monkeypatch.setenv("XLA_FLAGS", "--xla_cpu_enable_fast_math=true")
    assert executed in build_book(tmp_path, root=root).log
    (database,) = tmp_path.glob(f"_build/.jupyter_cache/{newest_cache(tmp_path)}/global.db")
    database.write_bytes(database.read_bytes()[:5000])  # as a full disk leaves it
    text = root / "book" / "chapter.md"  # which is read again, its code as it was
    text.write_text(text.read_text(encoding="utf-8") + "\nMore.\n", encoding="utf-8")
    again = build_book(tmp_path, root=root)
    assert executed in again.log
    assert again.returncode == 0, again.log


@pytest.mark.parametrize(
    "address", ["", "https://github.com/someone/something"], ids=["unset", "set"]
)
def test_buttons_appear_with_the_public_address(tmp_path, address):
    root = small_book(tmp_path, "1 + 1")
    config = yaml.safe_load((root / "_config.yml").read_text(encoding="utf-8"))
    config["repository"]["url"] = address
    (root / "_config.yml").write_text(yaml.safe_dump(config), encoding="utf-8")
    (root / "book" / "chapter.ipynb").touch()
    build = build_book(tmp_path, root=root)
    assert build.returncode == 0, build.log
    assert warnings(build.log) == []
    page = (build.html / "chapter.html").read_text(encoding="utf-8")
    # With or without an address, the executed notebook is there to download.
    assert 'href="_sources/chapter.ipynb"' in page
    (cell,) = nbformat.read(build.html / "_sources" / "chapter.ipynb", 4).cells[1:]
    assert cell.outputs[0].data["text/plain"] == "2"
    for link in (
        "https://github.com/someone/something/issues",
        "https://github.com/someone/something/edit/main/book/chapter.md",
        "https://mybinder.org/v2/gh/someone/something/main?urlpath=lab/tree/book/chapter.ipynb",
        "https://colab.research.google.com/github/someone/something/blob/main/book/chapter.ipynb",
        "https://someone.github.io/something/",
    ):
        assert (link in page) == bool(address), link
