"""Vector figures that are at home on a light and on a dark page.

A figure is drawn in dark ink on white. Where the page around it is dark, a rule that its
file carries swaps ink and paper and leaves all other colours alone. The rule asks for
``prefers-color-scheme``, which a picture inherits from the element that shows it. Paper is
painted either way, so a figure can be read even where nothing says whether a page is dark.
"""

from __future__ import annotations

from pve.figures.style import BLACK, FAINT

PAPER, INK, PENCIL = "#121212", "#e4e6ea", "#a0a5ad"  # of a dark page
WHITE = "#ffffff"
# Marks on coloured ground keep their colour on every page.
CHALK, COAL = "#fffffe", "#222223"

RULE = "".join(
    (
        "@media (prefers-color-scheme: dark) {",
        f"svg {{fill: {INK}}}",  # text in plain black has no colour of its own
        f'[style*="fill: {WHITE}"] {{fill: {PAPER} !important}}',
        *(
            f'[style*="{kind}: {color}"] {{{kind}: {other} !important}}'
            for kind in ("fill", "stroke")
            for color, other in (("#000000", INK), (BLACK, INK), (FAINT, PENCIL))
        ),
        "}",
    )
)


def for_both_themes(svg: str) -> str:
    """A drawing of matplotlib's, with the rule for dark pages.

    Args:
      svg: the text of a file that matplotlib wrote.

    Returns:
      The same drawing with one more style sheet.
    """
    return svg.replace("</style>", f"{RULE}</style>", 1)
