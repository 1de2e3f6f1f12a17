"""Pictures under sliders: still frames, drawn beforehand, that a reader moves through.

A page needs no server, no network and no library for them; where scripts do not run, and
in print, the first choice stands as a still picture.
"""

from __future__ import annotations

import base64
import html
import itertools
import json
import math
from collections.abc import Callable, Sequence
from typing import Any, NamedTuple

import matplotlib.pyplot as plt

from pve.figures import style
from pve.figures.captions import sign
from pve.figures.save import encoded

# Shows the frame that the sliders name; frames are in row-major order of the sliders. Play
# moves the last slider to its end, and from there it begins anew.
_SCRIPT = """
(() => {
  const figure = document.currentScript.closest(".pve-slides");
  const frames = figure.querySelectorAll(".pve-frame");
  const sliders = [...figure.querySelectorAll("input")];
  const labels = JSON.parse(figure.dataset.labels);
  const show = () => {
    let index = 0;
    sliders.forEach((slider, i) => {
      const label = labels[i][slider.value];
      index = index * labels[i].length + Number(slider.value);
      slider.setAttribute("aria-valuetext", label);
      slider.parentElement.querySelector(".said").textContent = label;
    });
    frames.forEach((frame, i) => { frame.hidden = i !== index; });
  };
  const play = figure.querySelector(".pve-play");
  const last = sliders[sliders.length - 1];
  let timer = 0;
  const stop = () => {
    clearInterval(timer);
    timer = 0;
    play.textContent = "Play";
  };
  const step = () => {
    last.value = Number(last.value) < Number(last.max) ? Number(last.value) + 1 : 0;
    show();
    if (last.value === last.max) stop();
  };
  play.addEventListener("click", () => {
    if (timer) return stop();
    play.textContent = "Pause";
    timer = setInterval(step, 400);
    step();
  });
  sliders.forEach((slider) => slider.addEventListener("input", () => {
    stop();
    show();
  }));
  figure.querySelector(".pve-sliders").hidden = false;
  show();
})();
"""
_PLAY = '<button type="button" class="pve-play">Play</button>'


class Frame(NamedTuple):
    """What stands under the sliders at one choice.

    Attributes:
      panels: their images, encoded.
      line: the text under them.
      alt: what they show, in words.
    """

    panels: list[bytes]
    line: str
    alt: str


class Slides:
    """Frames with a slider for each thing that changes; the last can be played.

    A frame is a panel or more, side by side or, on a narrow screen, one below the other,
    and a line of text under them.

    Args:
      draw: draws the frame of one choice, given the axes of its panels and a label's index
        for each slider; returns the line under it.
      sliders: the sliders' names and the labels of their positions.
      start: the position of each slider at first; None for the last ones.
      alt: describes the frame of one choice in words, given the labels.
      panels: how many panels a frame has.
      size: width and height of a panel in inches.
      pixels: panels are bitmaps rather than vectors, for pictures of many strokes.

    Raises:
      ValueError: a slider has no label, or ``start`` does not fit the sliders.
    """

    def __init__(
        self,
        draw: Callable[..., str],
        sliders: dict[str, Sequence[str]],
        *,
        alt: Callable[..., str],
        start: Sequence[int] | None = None,
        panels: int = 1,
        size: tuple[float, float] = (3.5, 3.5),
        pixels: bool = False,
    ) -> None:
        self.sliders = {name: list(labels) for name, labels in sliders.items()}
        counts = [len(labels) for labels in self.sliders.values()]
        if not counts or 0 in counts:
            raise ValueError("sliders is empty; expected a label or more for each slider")
        self.start = list(start) if start is not None else [n - 1 for n in counts]
        if len(self.start) != len(counts) or not all(
            0 <= at < n for at, n in zip(self.start, counts, strict=False)
        ):
            raise ValueError(f"start is {self.start}; expected positions below {counts}")
        self.kind = "png" if pixels else "svg+xml"
        self.frames = []
        for position in itertools.product(*map(range, counts)):
            figures, axes = zip(
                *(style.new_figure(figsize=size) for _ in range(panels)), strict=True
            )
            line = draw(axes, *position)
            images = [encoded(figure, "png" if pixels else "svg") for figure in figures]
            for figure in figures:
                plt.close(figure)
            every = zip(self.sliders.values(), position, strict=True)
            words = alt(*(labels[at] for labels, at in every))
            self.frames.append(Frame(images, line, words))
        whole, axes = style.new_figure(
            1, panels, figsize=(panels * size[0], size[1]), squeeze=False
        )
        self.still = encoded(sign(whole, draw(axes[0], *self.start)), "png")
        plt.close(whole)

    @property
    def first(self) -> int:
        """The index of the frame that shows at first."""
        index = 0
        for at, labels in zip(self.start, self.sliders.values(), strict=True):
            index = index * len(labels) + at
        return index

    def _repr_mimebundle_(self, **_: Any) -> dict[str, Any]:
        return {
            "text/html": self._html(),
            "image/png": base64.b64encode(self.still).decode(),
        }

    def _html(self) -> str:
        frames = "".join(
            f'<div class="pve-frame"{"" if i == self.first else " hidden"}>'
            f'<div class="pve-panels">{self._images(frame)}</div>'
            f"<p>{html.escape(frame.line)}</p></div>"
            for i, frame in enumerate(self.frames)
        )
        sliders = "".join(
            f'<label><span>{html.escape(name)}: <span class="said">'
            f"{html.escape(labels[at])}</span></span>"
            f'<input type="range" min="0" max="{len(labels) - 1}" value="{at}"'
            ' autocomplete="off"></label>'
            for (name, labels), at in zip(self.sliders.items(), self.start, strict=True)
        )
        labels = html.escape(json.dumps(list(self.sliders.values())))
        return (
            f'<div class="pve-slides" data-labels="{labels}">'
            f'<div class="pve-sliders" hidden>{sliders}{_PLAY}</div>{frames}'
            f"<script>{_SCRIPT}</script></div>"
        )

    def _images(self, frame: Frame) -> str:
        """The panels; the words of the first speak for all of them."""
        words = [frame.alt]
        words += [
            f"panel {i + 1} of {len(frame.panels)}" for i in range(1, len(frame.panels))
        ]
        return "".join(
            f'<img src="data:image/{self.kind};base64,{base64.b64encode(panel).decode()}" '
            f'alt="{html.escape(alt)}">'
            for panel, alt in zip(frame.panels, words, strict=True)
        )


def spaced(count: int, most: int) -> list[int]:
    """At most ``most`` indices below ``count``, evenly spaced, both ends among them."""
    if count <= most:
        return list(range(count))
    return [math.floor(i * (count - 1) / (most - 1) + 0.5) for i in range(most)]
