"""The experiments' figures, from results to whole pictures.

Each function takes what `pve.load` returns and gives a figure that says under it which
seed and how many runs it shows. The chapters and ``python -m pve figures`` draw the same.
"""

from pve.figures.capacity import (
    capacity,
    capacity_loss,
    improvement,
    over_training,
    plans_by_rank,
)
from pve.figures.captions import digits, source_line, source_of_run
from pve.figures.collapse import claims, errors_of_actions, mirages
from pve.figures.diameter import (
    clouds,
    diameters,
    flatness,
    progress,
    published_diameters,
    ranges,
    spreads,
)
from pve.figures.findings import findings
from pve.figures.model_on_map import (
    corner,
    imagined,
    next_states,
    plan_on_map,
    total_variation,
    transitions,
    values_compared,
)
from pve.figures.save import save_figures

__all__ = [
    "capacity",
    "capacity_loss",
    "claims",
    "clouds",
    "corner",
    "diameters",
    "digits",
    "errors_of_actions",
    "findings",
    "flatness",
    "imagined",
    "improvement",
    "mirages",
    "next_states",
    "over_training",
    "plan_on_map",
    "plans_by_rank",
    "progress",
    "published_diameters",
    "ranges",
    "save_figures",
    "source_line",
    "source_of_run",
    "spreads",
    "total_variation",
    "transitions",
    "values_compared",
]
