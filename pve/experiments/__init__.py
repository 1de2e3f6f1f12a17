"""The experiments, from settings and a seed to runs that are ready to go.

An experiment's own module says what other code needs to know of it
(`pve.experiments.base`); adding one touches this list and nothing else.
"""

from types import ModuleType

from pve.checks import check_one_of
from pve.experiments import capacity, diameter, muzero

EXPERIMENTS: dict[str, ModuleType] = {
    experiment.NAME: experiment for experiment in (diameter, capacity, muzero)
}


def find_experiment(name: str) -> ModuleType:
    """An experiment's module by its name; raises a ``ValueError`` if it is unknown."""
    return EXPERIMENTS[check_one_of("experiment", name, EXPERIMENTS)]
