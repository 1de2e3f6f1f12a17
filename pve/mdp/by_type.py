"""Functions of an MDP that answer for worlds of other types, too.

A function is written for `pve.MDP`; another type of world brings its own version,
registered for that function. Which one answers is decided by the arguments' types alone,
so for a `pve.MDP` nothing changes, not a bit.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, ParamSpec, TypeVar

_P = ParamSpec("_P")
_R = TypeVar("_R")

_REGISTERED: dict[Any, dict[type, Callable[..., Any]]] = {}


def by_type(function: Callable[..., _R]) -> Callable[..., _R]:
    """Let other types of world answer: exactly those that `answers_for` registers."""
    others: dict[type, Callable[..., Any]] = {}

    @functools.wraps(function)
    def chosen(*args: Any, **kwargs: Any) -> _R:
        for given in (*args, *kwargs.values()):
            other = others.get(type(given))
            if other is not None:
                return other(*args, **kwargs)
        return function(*args, **kwargs)

    _REGISTERED[chosen] = others
    return chosen


def answers_for(
    function: Callable[..., Any], kind: type
) -> Callable[[Callable[_P, _R]], Callable[_P, _R]]:
    """Register what answers where an argument of a `by_type` function is of a given type.

    >>> @by_type
    ... def size(world):
    ...     return len(world)
    >>> @answers_for(size, int)
    ... def _(world):
    ...     return world
    >>> size([3, 4]), size(7)
    (2, 7)
    """

    def register(own: Callable[_P, _R]) -> Callable[_P, _R]:
        _REGISTERED[function][kind] = own
        return own

    return register
