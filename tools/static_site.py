"""Collect what a static host serves of the built book.

    python tools/static_site.py _build/html _build/site

It leaves behind what only the next build needs, and adds `.nojekyll`, without which GitHub
Pages drops the folders whose names begin with `_`, and `404.html`, which hosts show for an
address that does not exist; it carries its own style, since it is shown at any depth.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
from pathlib import Path

ONLY_FOR_BUILDS = (".buildinfo*", ".doctrees", ".DS_Store", "*.map")
CANONICAL = re.compile(r'<link rel="canonical" href="([^"]*/)intro\.html"')
TITLE = re.compile(r"<title>(?:.*&#8212; )?(.*?)</title>", re.DOTALL)
MISSING = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width">
<meta name="robots" content="noindex">
<title>No such page — {title}</title>
<style>
:root {{ color-scheme: light dark; font: 1.1rem/1.5 system-ui, sans-serif; }}
body {{ margin: 20vh auto 0; max-width: 34rem; padding: 0 1rem; }}
</style>
</head>
<body>
<main>
<h1>No such page</h1>
<p>There is no page at this address. It may have been renamed: see the contents of
<a href="{home}">{title}</a>.</p>
</main>
</body>
</html>
"""


def collect(built: Path, site: Path) -> Path:
    """Copy a built book to where a static host serves it from, and add what hosts want.

    Args:
      built: the folder with ``index.html``.
      site: the folder to write; what it held is deleted.

    Raises:
      ValueError: there is no built book, or one folder lies in the other.
    """
    if not (built / "index.html").exists():
        raise ValueError(f"{str(built)!r} holds no built book; make book builds it")
    inside, outside = built.resolve(), site.resolve()
    if inside in (outside, *outside.parents) or outside in inside.parents:
        raise ValueError(
            f"{str(site)!r} cannot hold the site of {str(built)!r}; expected a folder "
            "beside it"
        )
    shutil.rmtree(site, ignore_errors=True)
    shutil.copytree(built, site, ignore=shutil.ignore_patterns(*ONLY_FOR_BUILDS))
    (site / ".nojekyll").touch()
    front = (built / "intro.html").read_text(encoding="utf-8")
    address, title = CANONICAL.search(front), TITLE.search(front)
    page = MISSING.format(
        home=address[1] if address else "/", title=title[1] if title else "the book"
    )
    (site / "404.html").write_text(page, encoding="utf-8")
    return site


def main() -> int:
    """Collect the site from and into the folders on the command line."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("built", type=Path)
    parser.add_argument("site", type=Path)
    arguments = parser.parse_args()
    try:
        site = collect(arguments.built, arguments.site)
    except ValueError as error:
        print(error, file=sys.stderr)
        return 1
    size = sum(path.stat().st_size for path in site.rglob("*") if path.is_file())
    print(f"The site: {site.resolve()} ({size / 1e6:.0f} MB)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
