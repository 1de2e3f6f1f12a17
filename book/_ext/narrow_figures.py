"""Show a phone the drawing that a figure carries for a narrow page.

Chapters executed by the build draw each wide figure twice (`pve.figures.narrow`). Here the
two drawings become two files, and the page says which is for which width.
"""

from __future__ import annotations

import base64
import os
import re
import shutil
from pathlib import Path
from typing import Any

from docutils import nodes
from sphinx.application import Sphinx

DRAW_NARROW = "PVE_DRAW_NARROW"  # asks chapters for both drawings
CARRIED = re.compile(r"\n?<!--narrow (\d+):([A-Za-z0-9+/=]*)-->")
IMAGE = re.compile(r'<img [^>]*?src="([^"]*_images/([^"/]+\.svg))"[^>]*>')
MEDIA = "(max-width: 600px)"


def taken_apart(path: Path) -> Path | None:
    """The file of the narrow drawing beside a figure's file, which loses it."""
    both = path.read_text(encoding="utf-8")
    if carried := CARRIED.search(both):
        beside = path.with_suffix(f".narrow-{carried[1]}.svg")
        beside.write_bytes(base64.b64decode(carried[2]))
        path.write_text(CARRIED.sub("", both), encoding="utf-8")
    return next(path.parent.glob(f"{path.stem}.narrow-*.svg"), None)


def offer(
    app: Sphinx,
    pagename: str,
    templatename: str,
    context: dict[str, Any],
    doctree: nodes.document | None,
) -> None:
    """Let the page choose between two drawings where there are two."""
    if doctree is None or "body" not in context:
        return
    sources = {name: Path(app.srcdir, uri) for uri, name in app.builder.images.items()}

    def picture(found: re.Match[str]) -> str:
        image, (address, name) = found[0], found.groups()
        source = sources.get(name)
        beside = taken_apart(source) if source and source.exists() else None
        if beside is None:
            return image
        target = Path(app.outdir) / "_images" / f"narrow-{name}"
        target.parent.mkdir(exist_ok=True)
        shutil.copyfile(beside, target)
        at = f"{address.removesuffix(name)}narrow-{name}"
        kind = "" if beside.stem.endswith("narrow-1") else ' class="stacked"'
        return f'<picture{kind}><source media="{MEDIA}" srcset="{at}">{image}</picture>'

    context["body"] = IMAGE.sub(picture, context["body"])


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    os.environ.setdefault(DRAW_NARROW, "1")  # the chapters' kernels inherit it
    app.connect("html-page-context", offer)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
