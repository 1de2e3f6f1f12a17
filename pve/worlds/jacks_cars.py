r"""Jack's car rental (Sutton and Barto, example 4.2), with its moves as legal actions.

Two places rent cars for 10 a day each. Requests and returns are Poisson, with means 3 and 3
at the first place and 4 and 2 at the second; a car that comes back can be rented the next
day. A state is the number of cars at each in the evening, at most 20; any more are sent
away. Overnight up to five are moved, for 2 each: action a moves a − 5 from the first place
to the second, and is legal where there are that many.
"""

from __future__ import annotations

import numpy as np
from scipy.special import pdtr

from pve.mdp.core import MDP

MOST, MOVES = 20, 5  # cars at a place, cars moved in a night
RENT, FEE = 10.0, 2.0
MEANS = ((3.0, 3.0), (4.0, 2.0))  # of requests and returns, place by place


def jacks_cars(discount: float = 0.9) -> MDP:
    """The MDP of Jack's car rental: 441 states, 11 actions.

    Args:
      discount: in [0, 1).

    Returns:
      The MDP; state 21 x + y has x cars at the first place and y at the second.

    >>> import pve
    >>> value, plan = pve.policy_iteration(jacks_cars())
    >>> print(f"{value.mean():.3f}")
    563.687
    """
    (rented, evening), (rented_there, evening_there) = (_day(*means) for means in MEANS)
    x, y = np.divmod(np.arange((MOST + 1) ** 2), MOST + 1)
    moved = np.arange(-MOVES, MOVES + 1)
    legal = (moved <= x[:, None]) & (-moved <= y[:, None])
    here = np.clip(x[:, None] - moved, 0, MOST)  # in the morning, [S, A]
    there = np.clip(y[:, None] + moved, 0, MOST)
    reward = RENT * (rented[here] + rented_there[there]) - FEE * np.abs(moved)
    chances = evening[here][..., None] * evening_there[there][..., None, :]
    cars = [f"{n} and {m} cars" for n, m in zip(x, y, strict=True)]
    return MDP(
        reward,
        chances.reshape(*legal.shape, -1),
        discount,
        legal,
        state_names=tuple(cars),
        action_names=tuple(_called(int(move)) for move in moved),
    )


def _called(move: int) -> str:
    if not move:
        return "move none"
    return f"move {abs(move)} {'there' if move > 0 else 'back'}"


def _poisson(mean: float) -> np.ndarray:
    """The chances of 0 … MOST − 1 events, and of MOST or more."""
    below = pdtr(np.arange(MOST), mean)
    return np.diff(below, prepend=0.0, append=1.0)


def _day(asked: float, returned: float) -> tuple[np.ndarray, np.ndarray]:
    """For each number of cars in the morning: rentals, and the evening's cars.

    Returns:
      The mean number of rentals ``[cars]`` and ``[cars, cars]``, distributions.
    """
    requests, returns = _poisson(asked), _poisson(returned)
    rented, evening = np.zeros(MOST + 1), np.zeros((MOST + 1, MOST + 1))
    for cars in range(MOST + 1):
        gone = np.arange(cars + 1)
        chances = np.append(requests[:cars], requests[cars:].sum())
        rented[cars] = gone @ chances
        for left, chance in zip(cars - gone, chances, strict=True):
            evening[cars, left:MOST] += chance * returns[: MOST - left]
            evening[cars, MOST] += chance * returns[MOST - left :].sum()
    return rented, evening
