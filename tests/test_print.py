"""The printed book: what `make pdf` asks for, and what the pages give to LaTeX."""

import os
import shutil
import subprocess

import pytest
from conftest import ROOT, build_book
from test_book import small_book

PROGRAMS = ("lualatex", "latexmk", "makeindex", "rsvg-convert", "kpsewhich")
PACKAGES = ("latexmk", "texlive-luatex", "texlive-latex-extra", "librsvg2-bin")


def make_pdf(folder, programs, found=True):
    """What `make pdf` says where no other programs are, nor, unless found, TeX's files."""
    for name in programs:
        program = folder / name
        program.write_text(f"#!/bin/sh\nexit {int(not found)}\n")
        program.chmod(0o755)
    (folder / "sh").symlink_to("/bin/sh")
    environment = {"PATH": str(folder), "HOME": os.environ.get("HOME", "/")}
    command = [shutil.which("make"), "pdf"]
    return subprocess.run(
        command, cwd=ROOT, env=environment, capture_output=True, text=True
    )


@pytest.mark.parametrize("missing", PROGRAMS)
def test_a_missing_program_is_named_with_the_packages(tmp_path, missing):
    done = make_pdf(tmp_path, [name for name in PROGRAMS if name != missing])
    assert done.returncode != 0
    (line,) = [line for line in done.stderr.splitlines() if "apt-get install" in line]
    assert f"printed book: {missing};" in line
    assert all(package in line for package in PACKAGES)
    assert done.stdout == ""


def test_a_missing_font_is_named_with_the_packages(tmp_path):
    done = make_pdf(tmp_path, PROGRAMS, found=False)
    assert done.returncode != 0
    assert "texgyrepagella-math.otf" in done.stderr
    assert "fonts-texgyre-math" in done.stderr


CHAPTER = """print("visible")
```

```{code-cell} ipython3
:tags: [hide-input]

print("fol" + "ded")
```

```{prf:definition} Thing
:label: def-thing
A thing is $x$.
```

```{prf:proof}
Of {prf:ref}`def-thing`.
```

```{exercise} Try
:label: ex-try
Do.
```

```{solution} ex-try
:label: sol-try
:class: dropdown
Done.
"""


@pytest.mark.book
def test_pages_become_latex(tmp_path):
    root = small_book(tmp_path, CHAPTER.removesuffix("\n"))
    build = build_book(tmp_path, "--builder", "latex", root=root)
    assert build.returncode == 0, build.log
    (written,) = (tmp_path / "_build" / "latex").glob("*.tex")
    text = " ".join(written.read_text(encoding="utf-8").split())
    assert r"\begin{statement}{Definition 1 (Thing)} \sphinxAtStartPar A thing" in text
    assert r"\begin{printedproof}{Proof} \sphinxAtStartPar Of" in text
    assert r"\begin{statement}{Exercise 1 (Try)}" in text
    assert "Done." in text  # folded on the pages
    assert "visible" in text
    assert "folded" in text  # the output, without
    assert "ded}" not in text  # its code
