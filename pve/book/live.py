"""Pictures to play with: numbers that a script in the page draws and moves.

The numbers a picture starts from are computed here and stand in the page; the script of
the picture's name, ``book/_static/live-NAME.js``, computes the rest from them while a
reader drags. In print, and where scripts do not run, a still picture stands in its place.
"""

from __future__ import annotations

import base64
import html
import json
from typing import Any

import matplotlib.pyplot as plt
from matplotlib.figure import Figure

from pve.figures.save import encoded

STILL = "A still picture: with scripts switched on it can be played with."


class Live:
    """A live picture.

    Args:
      name: of its script.
      numbers: what the script is given; must be serialisable as JSON.
      still: the picture as it is at first; it is closed.
      alt: describes the still picture in words.
    """

    def __init__(self, name: str, numbers: dict[str, Any], still: Figure, alt: str) -> None:
        self.name, self.numbers, self.alt = name, numbers, alt
        self.stills = {kind: encoded(still, kind) for kind in ("svg", "png")}
        plt.close(still)

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            "text/html": self._html(),
            "image/png": base64.b64encode(self.stills["png"]).decode(),
        }

    def _html(self) -> str:
        numbers = html.escape(json.dumps(self.numbers, allow_nan=False))
        still = base64.b64encode(self.stills["svg"]).decode()
        return (
            f'<div class="pve-live" data-picture="{self.name}" data-numbers="{numbers}">'
            f'<img src="data:image/svg+xml;base64,{still}" alt="{html.escape(self.alt)}">'
            f'<p class="pve-still">{STILL}</p></div>'
        )
