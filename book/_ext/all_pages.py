"""Write all pages when one changes what others show of it, and remove those that are gone.

Every page lists the book's chapters and names some of their sections, figures and
statements. Sphinx writes a page again when its own text changed: a title, a number or a
page's name that changed elsewhere would stay as it was.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment


def shown_elsewhere(env: BuildEnvironment) -> str:
    """A hash of all that pages show of each other: titles, labels, numbers, their order."""
    labels = env.get_domain("std")
    parts = (
        [(name, item.astext()) for name, item in sorted(env.titles.items())],
        sorted(labels.labels.items()),
        sorted(labels.anonlabels.items()),
        sorted(env.toc_secnumbers.items()),
        sorted(env.toc_fignumbers.items()),
        env.config.external_site_map.as_json(),
    )
    return hashlib.sha256(repr(parts).encode()).hexdigest()


def write_all(app: Sphinx, env: BuildEnvironment) -> list[str]:
    """The pages to write again: all of them, or none besides those that changed."""
    now = shown_elsewhere(env)
    before = getattr(env, "shown_elsewhere", now)
    env.shown_elsewhere = now  # type: ignore[attr-defined]
    return sorted(env.found_docs) if now != before else []


def remove_old(app: Sphinx, exception: Exception | None) -> None:
    """Remove pages whose chapter no longer exists."""
    sources = Path(app.outdir) / "_sources"
    if exception or app.builder.format != "html":
        return
    for source in [path for path in sources.rglob("*") if path.is_file()]:
        name = source.relative_to(sources).with_suffix("").as_posix()
        if name not in app.env.found_docs:
            source.unlink()
            (Path(app.outdir) / f"{name}.html").unlink(missing_ok=True)


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    # After the numbers are given.
    app.connect("env-get-updated", write_all, priority=900)
    app.connect("build-finished", remove_old)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
