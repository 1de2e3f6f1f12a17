r"""MDPs from tables of outcomes, such as those of Gymnasium's toy-text environments.

A table lists for each state s and action a what may happen: outcomes of probability p, next
state s', reward g and a mark d, 1 where the episode ends with it. What it says of values is

.. math:: w_\pi(s) = \sum_a \pi(a \mid s) \sum_o p_o [g_o + \gamma (1 - d_o) w_\pi(s'_o)].

An MDP goes on for ever, so the ends need a state of value 0. Where all outcomes of s'_o
are unpaid and either marked or staying, :math:`w_\pi(s'_o) = 0` whatever the mark, and
s'_o itself is that state, like the holes in Gymnasium's lakes. All other marked outcomes
lead into one *end state*, which is added after the table's states: all actions stay there,
with reward 0. So :math:`v_\pi = w_\pi` in every state of the table.
"""

from __future__ import annotations

import enum
import itertools
import math
import warnings
from collections.abc import Hashable, Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
from scipy.sparse import csr_array

from pve.checks import (
    ROUNDING,
    ROW_SUM_TOLERANCE,
    Array,
    as_array,
    check_finite,
    check_values_fit,
)
from pve.mdp.core import MDP
from pve.mdp.sparse import SparseMDP, stays_sparse

END = "end"  # the name of the state that is added, where states have names
OUTCOMES = (
    "expected outcomes (probability, next state, reward) or (probability, next state, "
    "reward, terminated)"
)


class _Outcome(NamedTuple):
    probability: float
    following: int
    gain: float
    ended: bool


def from_table(
    table: Any, discount: float = 0.99, *, start: Any = None, sparse: bool | None = None
) -> Any:
    """The MDP of a table of outcomes, ``table[s][a]``.

    Args:
      table: mappings or sequences of states, and in each of actions, and in each a sequence
        of outcomes ``(probability, next state, reward)`` or ``(probability, next state,
        reward, terminated)``. The keys of mappings may be anything hashable; states are
        numbered in their order, integers in theirs. A state may lack actions, which are
        then not legal there, or all of them: then it is an end.
      discount: in [0, 1).
      start: the distribution of the first state, ``[S]`` or a mapping from states.
      sparse: whether to make a `pve.SparseMDP`; None makes one if S² A is above 2²³.

    Returns:
      The MDP or SparseMDP. The values of the table's states are the table's own; where
      outcomes are marked as terminated, an end state may be added, the last. Keys other
      than 0 … S − 1 are kept as names.

    Raises:
      ValueError: probabilities that are negative or do not sum to one, a next state that is
        not in the table, a number that is not finite; the message names state and action.
      TypeError: the table is of another form.
    """
    rows = {
        state: dict(_items(actions, f"state {state!r}"))
        for state, actions in _items(table, "table")
    }
    states = _ordered(list(rows))
    actions = _ordered(list(dict.fromkeys(a for row in rows.values() for a in row)))
    if not states or not actions:
        raise ValueError("table has no states and actions; expected at least one of each")
    number = {state: place for place, state in enumerate(states)}
    outcomes = {
        (s, a): _outcomes(
            rows[state][action], f"state {state!r}, action {action!r}", number
        )
        for s, state in enumerate(states)
        for a, action in enumerate(actions)
        if action in rows[state]
    }
    shape = len(states), len(actions)
    quiet = [
        all(
            not o.gain and (o.ended or o.following == s)
            for a in range(shape[1])
            for o in outcomes.get((s, a), ())
        )
        for s in range(shape[0])
    ]
    leaves = any(
        o.ended and not quiet[o.following] and not quiet[s]
        for (s, _), found in outcomes.items()
        for o in found
    )
    size = shape[0] + leaves
    reward = np.zeros((size, shape[1]))
    legal = np.zeros(reward.shape, bool)
    entries: list[tuple[int, int, int, float]] = []  # state, action, next state, chance
    for (s, a), found in outcomes.items():
        legal[s, a] = True
        for o in found:
            reward[s, a] += o.probability * o.gain
            stays = quiet[s] or (o.ended and not quiet[o.following])
            target = (s if quiet[s] else size - 1) if stays else o.following
            entries.append((s, a, target, o.probability))
    lasting = np.flatnonzero(~legal.any(-1))  # the added end, and states without actions
    legal[lasting] = True
    entries += [(s, a, s, 1.0) for s in map(int, lasting) for a in range(shape[1])]
    *places, chances = map(np.array, zip(*entries, strict=True))
    known = (
        _start(start, number, size),
        _names(states, leaves),
        _names(actions, False),
    )
    if stays_sparse(sparse, reward.size * size):
        pairs = places[0] * shape[1] + places[1]
        rows = csr_array((chances, (pairs, places[2])), (reward.size, size))
        return check_values_fit(SparseMDP(reward, rows, discount, legal, *known))
    transition = np.zeros((*reward.shape, size))
    np.add.at(transition, tuple(places), chances)
    return check_values_fit(MDP(reward, transition, discount, legal, *known))


def from_gymnasium(env: Any, discount: float = 0.99, *, sparse: bool | None = None) -> Any:
    """The MDP of a Gymnasium environment that carries its tabular model.

    Args:
      env: the environment, or its identifier such as ``"FrozenLake-v1"``.
      discount: in [0, 1).
      sparse: as for `from_table`.

    Returns:
      The MDP or SparseMDP; the states and actions are numbered as in the environment, whose
      distribution of the first state is ``start``. Every state's values are those of the
      table, see `from_table`: where a state that a marked outcome enters goes on, as in
      CliffWalking and Taxi, an end state is added, the last. A limit on an episode's steps
      is not part of it.

    Raises:
      ValueError: there is no such environment, it has no table, its table is no MDP, or it
        does more than its table says: rewards or actions that a wrapper changes, Taxi's
        fickle passenger.
      TypeError: a bare table is given.

    Warns:
      UserWarning: the environment has a wrapper that may change what the table says.
    """
    name = env if isinstance(env, str) else type(getattr(env, "unwrapped", env)).__name__
    if isinstance(env, str):
        env = _make(env)
    if isinstance(env, Mapping | Sequence):
        raise TypeError(
            f"environment is a {name}; expected one of Gymnasium's "
            "(pve.from_table makes an MDP of a bare table)"
        )
    bare = getattr(env, "unwrapped", env)
    table = getattr(bare, "P", None)
    if table is None:
        raise ValueError(
            f"environment {name} has no tabular model `P`; expected a toy-text "
            "environment such as FrozenLake-v1, CliffWalking-v1 or Taxi-v4"
        )
    if getattr(bare, "fickle_passenger", False):
        raise ValueError(
            f"environment {name} has a fickle passenger, whom its table `P` does not "
            "describe; expected one made with fickle_passenger=False"
        )
    _check_wrappers(env, bare, name)
    start = getattr(bare, "initial_state_distrib", None)
    return from_table(table, discount, start=start, sparse=sparse)


# Wrappers that change neither rewards nor what actions do.
HARMLESS = (
    "Autoreset",
    "HumanRendering",
    "OrderEnforcing",
    "PassiveEnvChecker",
    "RecordEpisodeStatistics",
    "RecordVideo",
    "RenderCollection",
    "TimeAwareObservation",
    "TimeLimit",
)


def _check_wrappers(env: Any, bare: Any, name: str) -> None:
    import gymnasium

    while isinstance(env, gymnasium.Wrapper) and env is not bare:
        wrapper = type(env).__name__
        changed = {gymnasium.RewardWrapper: "rewards", gymnasium.ActionWrapper: "actions"}
        for kind, what in changed.items():
            if isinstance(env, kind):
                raise ValueError(
                    f"environment {name} is wrapped in {wrapper}, which changes its "
                    f"{what}, which its table `P` does not describe; expected the "
                    "environment without it"
                )
        if not isinstance(env, gymnasium.ObservationWrapper) and wrapper not in HARMLESS:
            warnings.warn(
                f"environment {name} is wrapped in {wrapper}; if that changes rewards or "
                "transitions, the MDP, made of the table `P`, does not",
                stacklevel=3,
            )
        env = env.env


def gymnasium_by_name(name: str, discount: float, options: dict[str, Any]) -> MDP:
    """The MDP of an environment of Gymnasium, made by name with options.

    Raises:
      ValueError: as for `from_gymnasium`, or the environment does not take an option.
    """
    return from_gymnasium(_make(name, **options), discount, sparse=False)


def make_gymnasium(name: str, options: dict[str, Any]) -> Any:
    """An environment of Gymnasium, made by name with options.

    Raises:
      ValueError: there is no environment of that name, or it does not take an option.
    """
    return _make(name, **options)


def _make(identifier: str, **options: Any) -> Any:
    import gymnasium  # here, so that only those who ask for it wait for its import

    try:
        with warnings.catch_warnings(record=True) as told:
            warnings.simplefilter("always")
            made = gymnasium.make(identifier, **options)
    except (gymnasium.error.Error, ImportError) as error:
        raise ValueError(
            f"environment {identifier!r} cannot be made: {error}; expected a name that "
            "gymnasium knows, such as FrozenLake-v1"
        ) from None
    except Exception as error:  # its own, as for an option it does not take
        if not options:
            raise
        given = ", ".join(f"{key}={value!r}" for key, value in options.items())
        raise ValueError(
            f"environment {identifier!r} cannot be made with {given}: "
            f"{' '.join(str(error).split())}; expected its own options"
        ) from None
    for warning in told:  # of one that was made; a refusal is one line
        warnings.warn_explicit(
            warning.message, warning.category, warning.filename, warning.lineno
        )
    return made


def _items(found: Any, what: str) -> list[tuple[Any, Any]]:
    """The keys and values of a mapping or a sequence."""
    if isinstance(found, Mapping):
        return list(found.items())
    if isinstance(found, Sequence | np.ndarray) and not isinstance(found, str | bytes):
        return list(enumerate(found))
    raise TypeError(f"{what} is a {type(found).__name__}; expected a mapping or a sequence")


def _sequence(found: Any, what: str) -> list[Any]:
    """The items of a sequence; a mapping's have no order that says what they mean."""
    if isinstance(found, Mapping):
        raise TypeError(f"{what} is a {type(found).__name__}; {OUTCOMES}")
    return [item for _, item in _items(found, what)]


def _ordered(keys: list[Hashable]) -> list[Hashable]:
    """Integers by size, all else in the order given."""
    plain = all(
        isinstance(k, int | np.integer) and not isinstance(k, enum.Enum) for k in keys
    )
    return sorted(keys) if plain else keys  # type: ignore[type-var]


def _outcomes(found: Any, where: str, number: dict[Hashable, int]) -> list[_Outcome]:
    """The outcomes that can happen, checked."""
    outcomes = []
    for place, outcome in enumerate(_sequence(found, where)):
        what = f"outcome {place} of {where}"
        parts = _sequence(outcome, what)
        if len(parts) not in (3, 4):
            raise TypeError(f"{what} has {len(parts)} parts; {OUTCOMES}")
        probability, following, gain, ended = (*parts, False)[:4]
        probability, gain = (
            check_finite(f"{what}: {name}", value)
            for name, value in (("probability", probability), ("reward", gain))
        )
        if probability < 0:
            raise ValueError(
                f"{what}: probability is {probability:g}; expected a number in [0, 1]"
            )
        if isinstance(ended, str) or ended not in (0, 1):  # 1.0, too, in rows of NumPy's
            raise TypeError(f"{what}: terminated is {ended!r}; expected true or false")
        if not isinstance(following, Hashable) or following not in number:
            raise ValueError(
                f"{what}: next state is {following!r}; expected one of the table's states, "
                f"{_list(list(number))}"
            )
        outcomes.append(_Outcome(probability, number[following], gain, bool(ended)))
    total = math.fsum(o.probability for o in outcomes)
    if abs(total - 1) > ROW_SUM_TOLERANCE:
        raise ValueError(
            f"{where}: probabilities sum to {total:g}; those of every action must sum to 1"
        )
    if abs(total - 1) > ROUNDING:  # rounded, as an MDP's rows may be; rewards weigh alike
        outcomes = [o._replace(probability=o.probability / total) for o in outcomes]
    return [o for o in outcomes if o.probability > 0]


def _list(keys: list[Hashable]) -> str:
    shown = [repr(key) for key in keys]
    return ", ".join(shown if len(shown) <= 5 else [*shown[:2], "…", shown[-1]])


def _start(start: Any, number: dict[Hashable, int], size: int) -> Array | None:
    if start is None:
        return None
    chances = np.zeros(size)
    if isinstance(start, Mapping):
        for state, chance in start.items():
            if state not in number:
                raise ValueError(
                    f"start: {state!r} is no state; expected one of {_list(list(number))}"
                )
            chances[number[state]] = check_finite(f"start of {state!r}", chance)
        return chances
    start = as_array("start", start)
    if start.shape != (len(number),):
        raise ValueError(f"start has shape {list(start.shape)}; expected [{len(number)}]")
    chances[: len(number)] = start
    return chances


def _names(keys: list[Hashable], end: bool) -> tuple[str, ...] | None:
    """The keys as words, all distinct; None if they are their own numbers.

    Args:
      keys: in their order.
      end: whether another state follows, which is named `END` or, where a key is called
        so, otherwise.
    """
    own = not any(isinstance(key, enum.Enum) for key in keys)
    if own and keys == list(range(len(keys))):
        return None
    names = [key.name if isinstance(key, enum.Enum) else str(key) for key in keys]
    alike = {name for name in names if names.count(name) > 1}
    names = [
        _in_full(key) if name in alike else name
        for key, name in zip(keys, names, strict=True)
    ]
    if end:
        free = itertools.chain([END], (f"{END} {i}" for i in itertools.count(2)))
        names.append(next(name for name in free if name not in names))
    return tuple(names) if len(set(names)) == len(names) else None


def _in_full(key: Hashable) -> str:
    """A word for a key that tells it from others that look alike."""
    if isinstance(key, enum.Enum):
        return f"{type(key).__name__}.{key.name}"
    return repr(key)
