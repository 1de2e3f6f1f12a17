"""Derive from the repository's address all that depends on it.

`repository.url` in `_config.yml` is the one setting. Empty: no page has a button that
would lead nowhere. Set: buttons for the repository, issues and edits and, on GitHub,
for Binder and Colab; pages name their canonical address on GitHub Pages.
"""

from __future__ import annotations

import re

from sphinx.application import Sphinx
from sphinx.config import Config

GITHUB = re.compile(r"https://github\.com/(?P<owner>[^/]+)/(?P<name>[^/]+)")


def apply_address(app: Sphinx, config: Config) -> None:
    """Switch on what the repository's address makes possible."""
    options = config.html_theme_options
    address = (options.get("repository_url") or "").rstrip("/").removesuffix(".git")
    options["repository_url"] = address
    for button in ("repository", "issues", "edit_page"):
        options[f"use_{button}_button"] = bool(address)
    if not (github := GITHUB.fullmatch(address)):
        return
    options["launch_buttons"] |= {
        "binderhub_url": "https://mybinder.org",
        "colab_url": "https://colab.research.google.com",
    }
    if not config.html_baseurl:
        owner, name = github["owner"].lower(), github["name"]
        config.html_baseurl = f"https://{owner}.github.io/{name}/"
    config.ogp_site_url = config.ogp_site_url or config.html_baseurl


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("config-inited", apply_address)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
