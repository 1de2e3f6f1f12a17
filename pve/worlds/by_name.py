"""Environments by name, as the command line and the data folders know them.

``four-rooms`` is Four Rooms; ``gymnasium:NAME`` an environment of Gymnasium that carries
its table; ``map:FILE`` a grid world of your own, its map in a text file.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

import numpy as np

from pve.mdp.core import MDP
from pve.worlds.gridworld import GridWorld, four_rooms, grid_world
from pve.worlds.tables import from_gymnasium

LEGAL = "'four-rooms', 'gymnasium:NAME' and 'map:FILE'"


def make_environment(name: str) -> MDP:
    """Make an environment by name.

    Args:
      name: ``four-rooms``, ``gymnasium:NAME`` or ``map:FILE``.

    Returns:
      The MDP, discount 0.99.

    Raises:
      ValueError: the name, the file or the map is not legal.
    """
    if not isinstance(name, str):
        raise TypeError(f"environment is {name!r}; legal are {LEGAL}")
    kind, _, rest = name.partition(":")
    if name == "four-rooms":
        return four_rooms().mdp
    if kind == "gymnasium" and rest:
        return from_gymnasium(rest)
    if kind == "map" and rest:
        try:
            text = Path(rest).read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise ValueError(f"map {rest!r} cannot be read: {error}") from None
        return grid_world(text).mdp
    raise ValueError(f"environment is {name!r}; legal are {LEGAL}")


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
    kind, _, path = environment.partition(":")
    if kind == "map":
        return grid_world(Path(path).read_text(encoding="utf-8"))
    return four_rooms() if kind == "four-rooms" else None
