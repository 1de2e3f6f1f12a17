"""In the API pages, a record's fields appear once, in its class's docstring.

A ``NamedTuple`` also carries each field as a member of its own, "Alias for field
number 0", which says less than the docstring.
"""

from __future__ import annotations

import collections
from typing import Any

from sphinx.application import Sphinx

FIELD = type(collections.namedtuple("Record", "field").field)


def is_superfluous(
    app: Sphinx, what: str, name: str, member: Any, skip: bool, options: Any
) -> bool | None:
    """Skip a named tuple's fields; leave all else to autodoc."""
    return True if isinstance(member, FIELD) else None


def setup(app: Sphinx) -> dict[str, bool]:
    """Register the extension."""
    app.connect("autodoc-skip-member", is_superfluous)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
