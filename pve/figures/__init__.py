"""The experiments' figures, from results to whole pictures.

Each function takes what `pve.load` returns and gives a figure that says under it which
seed and how many runs it shows. The chapters and ``python -m pve figures`` draw the same.
"""

from pve.figures.classes import (
    cloud_slides,
    clouds,
    diameters,
    flatness,
    progress,
    ranges,
    spreads,
)
from pve.figures.files import save_figures
from pve.figures.ranks import (
    capacity,
    capacity_loss,
    improvement,
    rank_errors,
    rank_slides,
)
from pve.figures.words import digits, provenance, settings, source_of_run
from pve.figures.worlds import (
    corner,
    imagined,
    lazy_slides,
    next_states,
    total_variation,
    transitions,
    values_compared,
)

__all__ = [
    "capacity",
    "capacity_loss",
    "cloud_slides",
    "clouds",
    "corner",
    "diameters",
    "digits",
    "flatness",
    "imagined",
    "improvement",
    "lazy_slides",
    "next_states",
    "progress",
    "provenance",
    "ranges",
    "rank_errors",
    "rank_slides",
    "save_figures",
    "settings",
    "source_of_run",
    "spreads",
    "total_variation",
    "transitions",
    "values_compared",
]
