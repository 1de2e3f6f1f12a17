"""The paper's experiments, from a setting and a seed to runs that are ready to go."""

from types import ModuleType

from pve.experiments import capacity, diameter

EXPERIMENTS: dict[str, ModuleType] = {
    experiment.NAME: experiment for experiment in (diameter, capacity)
}


def check_experiment(name: str) -> ModuleType:
    """Return an experiment's module; raise unless the name is known."""
    if name not in EXPERIMENTS:
        raise ValueError(
            f"experiment is {name!r}; legal are {', '.join(map(repr, EXPERIMENTS))}"
        )
    return EXPERIMENTS[name]
