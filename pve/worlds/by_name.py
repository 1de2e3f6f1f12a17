"""Environments by name, as the command line and the data folders know them.

``four-rooms`` is Four Rooms; ``jacks-cars`` Jack's car rental, whose discount is 0.9 if
none is given; ``gymnasium:NAME`` an environment of Gymnasium that carries its table;
``map:FILE`` a grid world of your own, its map in a text file; ``npz:FILE`` an MDP that
`pve.MDP.save` wrote. Options follow a question mark: ``four-rooms?discount=0.95``,
``map:cave.txt?slip=0.1&absorbing=true``,
``gymnasium:FrozenLake-v1?is_slippery=false&map_name=8x8``. They are part of the name, and
so of what identifies a data folder.
"""

from __future__ import annotations

import ast
import dataclasses
import hashlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from pve.checks import check_discount, check_values_fit
from pve.mdp.core import MDP
from pve.mdp.sparse import SparseMDP
from pve.worlds.gridworld import (
    ACTION_NAMES,
    GridWorld,
    count_cells,
    four_rooms,
    grid_world,
)
from pve.worlds.jacks_cars import jacks_cars
from pve.worlds.tables import gymnasium_by_name, make_gymnasium

LEGAL = "'four-rooms', 'jacks-cars', 'gymnasium:NAME', 'map:FILE' and 'npz:FILE'"
DISCOUNT = 0.99
LARGEST = 2**27  # numbers of a transition as an array, 1 GiB


def make_environment(name: str) -> MDP:
    """Make an environment by name.

    Args:
      name: ``four-rooms``, ``jacks-cars``, ``gymnasium:NAME``, ``map:FILE`` or
        ``npz:FILE``, and options: ``discount`` for all; ``slip`` (the probability that
        a move other than the intended one happens) for Four Rooms and maps;
        ``absorbing``, ``step_cost`` for maps; whatever `gymnasium.make` takes for
        Gymnasium's.

    Returns:
      The MDP, with the file's discount, Jack's 0.9, or 0.99 where none is given.

    Raises:
      ValueError: the name, an option, the file or the map is not legal.
      TypeError: the name is not a string.
    """
    if not isinstance(name, str):
        raise TypeError(f"environment is {name!r}; expected one of {LEGAL}")
    kind, rest, options = _parts(name)
    if kind == "gymnasium" and rest:
        discount = options.pop("discount", DISCOUNT)
        return gymnasium_by_name(rest, _real("discount", discount), options)
    if kind == "jacks-cars" and not rest:
        _refuse_others(name, options, ("discount",))
        return jacks_cars(**{key: _real(key, value) for key, value in options.items()})
    if kind == "npz" and rest:
        mdp = _stored(rest)
        _refuse_others(name, options, ("discount",))
        if "discount" in options:
            mdp = dataclasses.replace(mdp, discount=_real("discount", options["discount"]))
        return check_values_fit(mdp)
    world = _grid(name, kind, rest, options)
    if world is None:
        raise ValueError(f"environment is {name!r}; expected one of {LEGAL}")
    return check_values_fit(world.mdp)


def with_discount(name: str, discount: float) -> str:
    """The name of an environment with another discount.

    Raises:
      ValueError: the name has a discount already, or the discount is not in [0, 1).
    """
    if "discount" in _parts(name)[2]:
        raise ValueError(f"environment {name!r} has a discount; give it once")
    sign = "&" if "?" in name else "?"
    return f"{name}{sign}discount={check_discount(discount)!r}"


def fingerprint(mdp: MDP) -> str:
    """A short checksum of an MDP's numbers."""
    parts = (mdp.reward, mdp.transition, mdp.discount)
    content = b"".join(np.ascontiguousarray(part, np.float64).tobytes() for part in parts)
    content = repr(np.shape(mdp.reward)).encode() + content
    if mdp.legal is not None:
        content += np.packbits(mdp.legal).tobytes()
    return hashlib.sha256(content).hexdigest()[:16]


def map_of(environment: str) -> GridWorld | None:
    """The grid world of an environment's name; None if it has no map."""
    return _grid(environment, *_parts(environment))


def gymnasium_of(environment: str) -> Any:
    """The Gymnasium environment of an environment's name; None if it is another kind."""
    kind, rest, options = _parts(environment)
    if kind != "gymnasium" or not rest:
        return None
    options.pop("discount", None)
    return make_gymnasium(rest, options)


def _parts(name: str) -> tuple[str, str, dict[str, Any]]:
    """The kind of environment, what it is called, and its options."""
    called, mark, query = name.partition("?")
    kind, _, rest = called.partition(":")
    options: dict[str, Any] = {}
    for option in query.split("&") if mark else ():
        key, equals, value = option.partition("=")
        if not (key.isidentifier() and equals and value) or key in options:
            raise ValueError(
                f"environment {name!r} has option {option!r}; expected ?NAME=VALUE and "
                "&NAME=VALUE, each name once"
            )
        options[key] = _value(value)
    return kind, rest, options


def _value(word: str) -> Any:
    """A word of an option: true or false, a number, or the word itself."""
    if word.lower() in ("true", "false"):
        return word.lower() == "true"
    try:
        number = ast.literal_eval(word)
    except (ValueError, SyntaxError, MemoryError, RecursionError):
        return word
    return number if isinstance(number, int | float) else word


def _grid(name: str, kind: str, rest: str, options: dict[str, Any]) -> GridWorld | None:
    own: dict[str, Callable[[str, Any], Any]] = {"slip": _real, "discount": _real}
    make: Callable[..., GridWorld]
    if kind == "four-rooms" and not rest:
        make = four_rooms
    elif kind == "map" and rest:
        try:
            text = Path(rest).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"map {rest!r} cannot be read: {error}") from None

        def make(**settings: Any) -> GridWorld:
            _check_size(f"map {rest!r}", count_cells(text), len(ACTION_NAMES))
            return grid_world(text, **settings, sparse=False)

        own |= {"absorbing": _truth, "step_cost": _real}
    else:
        return None
    _refuse_others(name, options, tuple(own))
    settings = {key: own[key](key, value) for key, value in options.items()}
    if "slip" in settings:
        slip = settings.pop("slip")
        if not 0 <= slip <= 1:
            raise ValueError(f"slip is {slip!r}; expected a number in [0, 1]")
        settings["p_intended"] = 1 - slip
    return make(**settings)


def _stored(path: str) -> MDP:
    """An MDP from a file, a sparse one as an array if that is not too large."""
    try:
        return MDP.load(path)
    except ValueError as error:
        try:
            sparse = SparseMDP.load(path)
        except ValueError:
            raise error from None
    _check_size(f"{path!r}", sparse.num_states, sparse.num_actions)
    return sparse.dense()


def _check_size(what: str, states: int, actions: int) -> None:
    """Raise a ``ValueError`` if a world is too large to be an array."""
    numbers = states**2 * actions
    if numbers > LARGEST:
        raise ValueError(
            f"{what} has {states:,} states: its transitions are {numbers:,} numbers, "
            f"{8e-9 * numbers:.1f} GB as an array; expected at most {LARGEST:,} "
            "(pve.SparseMDP, from Python, takes larger worlds)"
        )


def _refuse_others(name: str, options: dict[str, Any], own: tuple[str, ...]) -> None:
    for key in options:
        if key not in own:
            raise ValueError(
                f"environment {name!r} has option {key!r}; expected one of {', '.join(own)}"
            )


def _real(name: str, value: Any) -> float:
    if isinstance(value, bool | str):
        raise ValueError(f"{name} is {value!r}; expected a number")
    try:
        return float(value)
    except OverflowError:
        raise ValueError(f"{name} has too many digits; expected a number") from None


def _truth(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError(f"{name} is {value!r}; expected true or false")
    return value
