"""The chapters keep to MyST that Jupyter Book 2 reads, but for a short list."""

import pytest
from conftest import ROOT
from myst import BOOK, complaints, kept, not_understood, used

KEPT = kept((ROOT / "CONTRIBUTING.md").read_text(encoding="utf-8"))


@pytest.mark.parametrize("path", sorted(BOOK.glob("*.md")), ids=lambda path: path.stem)
def test_chapters_use_what_is_understood_or_listed(path):
    assert not_understood(path.read_text(encoding="utf-8")) <= set(KEPT)


def test_the_list_is_short_and_none_of_it_idle():
    found = set.union(
        *(not_understood(path.read_text("utf-8")) for path in BOOK.glob("*.md"))
    )
    # What cannot be seen of a name alone: how often, and beside what, it is used.
    told = [what for what in KEPT if not what.startswith(("Usage of", "value is not"))]
    assert set(told) == found
    assert len(KEPT) == len(set(KEPT)) < 15


PAGE = """\
---
kernelspec: {display_name: "{ref}`front`"}
---
# Page

Text with {glue:text}`a:.2f`, {ref}`b` and `{no}` ``{role}`x` ``.

````{exercise} Title
:label: ex-one
An {eq}`equation`.

```{code-cell} ipython3
---
mystnb:
  figure:
    name: fig
tags: [hide-input]
---
f"{here}`not`"
```
````

:::::{grid} 1 2
:gutter: 3
::::{grid-item-card} Card
:link: page
Text.
+++
:::{margin} Side
:::
::::
:::::

```python
{also}`not`
```

$$ a = 1 $$ (eq-a)

```{bibliography}
:all:
```
"""


def test_what_a_page_uses_is_found():
    roles, directives = used(PAGE.partition("---\n# Page")[2])
    assert roles == {"glue:text", "ref", "eq"}
    assert directives == {
        ("exercise", ""), ("exercise", "label"),
        ("code-cell", ""), ("code-cell", "mystnb"), ("code-cell", "tags"),
        ("grid", ""), ("grid", "gutter"),
        ("grid-item-card", ""), ("grid-item-card", "link"),
        ("margin", ""), ("bibliography", ""), ("bibliography", "all"),
    }  # fmt: skip
    assert not_understood("{new}`role` and\n```{another}\n```\n") == {
        "unknown role: new",
        "unknown directive: another",
    }


def test_complaints_are_counted_by_kind():
    # Printed by mystmd 1.8.3.
    said = """\
building myst-cli session with API URL: https://api.mystmd.org
⚠️  diameter.md:131 unexpected option "mystnb" provided (in code-cell)
⛔️ diameter.md:336 unknown directive: glue:figure
⛔️ diameter.md:110:190 unknown role: glue:text
⛔️ four-rooms.md:110:226 unknown role: glue:text
⚠️  diameter.md:271:331 Usage of the {doc} role is not recommended, use a link.
   For {doc}`training-time` use [](training-time)
📖 Built your-mdp.md in 1.67 min.
🌎 No site configuration found.
"""
    assert complaints(said.splitlines()) == {
        "unknown role: glue:text": 2,
        'unexpected option "mystnb" provided (in code-cell)': 1,
        "unknown directive: glue:figure": 1,
        "Usage of the {doc} role is not recommended, use a link.": 1,
    }
