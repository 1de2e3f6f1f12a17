r"""What the page on the exact class says: how blind the loss is, and where training ends.

Curvatures are given per unit of the functions' variance. The losses of different orders
look at functions of different size, and the size of a value is in the unit of the reward; a
ratio of plain curvatures would say more about that unit than about the losses. A constant
part of a function is left out, as differences of distributions do not see it. In this unit
the mean curvature over directions is γ² for any functions, and every curvature is γ² for
independent ones.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from pve.book.text import power_of_ten
from pve.checks import Array
from pve.equivalence import exact_class, newton
from pve.equivalence.lazy import lazy_reach
from pve.mdp.core import MDP, exact
from pve.results.load import load_model
from pve.threads import side_by_side


def variance(values: Array) -> np.ndarray:
    """The variance of functions, constants left out.

    Args:
      values: ``[..., N, S]``.

    Returns:
      ``[...]``: the variance over functions of v(s) minus v's mean over states, summed over
      the states and divided by S − 1; 1/3 for independent U(−1, 1).
    """
    values = np.asarray(values, np.float64)
    apart = values - values.mean(-1, keepdims=True)
    return apart.var(-2).sum(-1) / (values.shape[-1] - 1)


def bowl(values: Array, discount: float) -> exact_class.Curvatures:
    """The principal curvatures of the proper loss, per unit of the values' variance.

    Args:
      values: ``[..., N, S]``, of policies that take a in s.
      discount: γ.
    """
    found = exact_class.curvatures(values, discount)
    return found._replace(curvature=found.curvature / variance(values)[..., None])


def to_stay(env: MDP) -> np.ndarray:
    """The lazy direction of each pair, ``[S, A, S]``: from p to staying."""
    return np.eye(env.num_states)[:, None] - exact(env).transition


def curvature_along(values: Array, moves: Array, discount: float) -> np.ndarray:
    """The curvature along moves that are not zero, per unit of the values' variance.

    Args:
      values: ``[S, A, N, S]``, see `exact_class.values_by_pair`.
      moves: ``[S, A, S]`` or ``[S, 1, S]`` (the first action's values count), sum zero.
      discount: γ.

    Returns:
      One for each pair whose move is not zero.
    """
    moves = np.asarray(moves)
    seen = np.linalg.norm(moves, axis=-1) > 0
    taken = np.asarray(values)[:, : moves.shape[1]][seen]
    found = exact_class.curvature_along(taken, moves[seen], discount)
    return found / variance(taken)


def named_curvatures(values: Array, env: MDP, goal: int) -> dict[str, float]:
    """The curvature along directions that have a name, in the median over pairs.

    Args:
      values: ``[S, A, N, S]``, see `exact_class.values_by_pair`.
      env: Four Rooms.
      goal: the number of its goal state.
    """
    p, gamma = exact(env).transition, float(env.discount)
    moves = {
        "mistake left for right": p[:, :1] - p[:, 1:2],  # alike between two walls
        "jump to the goal": np.eye(env.num_states)[goal] - p,
        "stay": to_stay(env),
    }
    return {
        name: float(np.median(curvature_along(values, move, gamma)))
        for name, move in moves.items()
    }


def tilt(directions: Array, env: MDP) -> np.ndarray:
    """The angle between the flattest direction and staying, in degrees.

    Args:
      directions: ``[S, A, S − 1, S]``, the flattest last.
      env: the environment.

    Returns:
      ``[S, A]``, from 0 to 90.
    """
    stay = to_stay(env)
    stay /= np.linalg.norm(stay, axis=-1, keepdims=True)
    cosine = np.abs((np.asarray(directions)[..., -1, :] * stay).sum(-1))
    return np.degrees(np.arccos(np.minimum(cosine, 1)))


def bowl_facts(values: Array, env: MDP) -> dict[str, float]:
    """What the prose says of the bowl's shape; medians over pairs.

    Args:
      values: ``[S, A, N, S]``, see `exact_class.values_by_pair`.
      env: the environment.
    """
    found = bowl(values, float(env.discount))
    steepest, flattest = found.curvature[..., 0], found.curvature[..., -1]
    angle = tilt(found.directions, env)
    return {
        "digits": float(np.median(np.log10(steepest / flattest))),
        "angle": float(np.median(angle)),
        "angle-tail": float(np.quantile(angle, 0.9)),
    }


# Where training ends -----------------------------------------------------------------


def deviations(
    folder: str | Path, order: float, runs: Iterable[int], env: MDP, step: int | None = None
) -> np.ndarray:
    """How far the transitions of stored models are from the environment's.

    Args:
      folder: the data folder.
      order: k of the loss.
      runs: which runs.
      env: the environment.
      step: of training; None for the last.

    Returns:
      ``[N, S, A, S]``: p̃ − p.
    """
    models = [
        load_model(folder, "diameter", order=order, run=run, step=step) for run in runs
    ]
    p = exact(env).transition
    return np.array([np.asarray(m.transition, np.float64) - p for m in models])


def components(apart: Array, directions: Array) -> np.ndarray:
    """Deviations along principal directions, root mean squares over pairs and runs.

    Args:
      apart: ``[N, S, A, S]``.
      directions: ``[S, A, S − 1, S]``.

    Returns:
      ``[S − 1]``.
    """
    squares = [((directions @ one[..., None])[..., 0] ** 2).mean((0, 1)) for one in apart]
    return np.sqrt(np.mean(squares, 0))


class Laziness(NamedTuple):
    """How lazy models are, pair by pair.

    Attributes:
      cosine: ``[N, S, A]``, of the angle between p̃ − p and staying; 1 for a lazy model.
      share: ``[N, S, A]``, c of the nearest lazy model.
    """

    cosine: np.ndarray
    share: np.ndarray


def laziness(apart: Array, env: MDP) -> Laziness:
    """Compare deviations with the lazy direction.

    Args:
      apart: ``[N, S, A, S]``.
      env: the environment.
    """
    stay, apart = to_stay(env), np.asarray(apart)
    along = (apart * stay).sum(-1)
    size = np.linalg.norm(stay, axis=-1)
    cosine = along / np.maximum(np.linalg.norm(apart, axis=-1) * size, 1e-300)
    return Laziness(cosine, along / size**2)


def training_facts(
    after: Array, directions: Array, env: MDP, far: Array
) -> dict[str, float]:
    """Where training at order ∞ ends.

    Args:
      after: ``[N, S, A, S]``, `deviations` after training.
      directions: ``[S, A, S − 1, S]``, the flattest last.
      env: the environment.
      far: ``[S]``, booleans: the states where there is next to no value.

    Returns:
      The cosine to staying ``far`` from values and ``near`` them, in the median over pairs
      and runs, and the percentage of the squared deviation that is ``in-last``, along the
      flattest direction.
    """
    cosine, end = laziness(after, env).cosine, components(after, directions) ** 2
    return {
        "far": float(np.median(cosine[:, far])),
        "near": float(np.median(cosine[:, ~np.asarray(far)])),
        "in-last": 100 * float(end[-1] / end.sum()),
    }


# Solving ------------------------------------------------------------------------------


class Course(NamedTuple):
    """Where models were along a path.

    Attributes:
      distance: ``[K]``, of the transitions from the environment's.
      loss: ``[K]``, the proper loss with the reward refitted.
    """

    distance: np.ndarray
    loss: np.ndarray


def _course(apart: Iterable[np.ndarray], equations: newton.Equations, env: MDP) -> Course:
    p = exact(env).transition
    numbers = [(np.linalg.norm(d), equations.loss(p + d).mean(-1).sum()) for d in apart]
    return Course(*np.array(numbers).T)


def training_course(
    folder: str | Path,
    run: int,
    steps: Sequence[int],
    equations: newton.Equations,
    env: MDP,
) -> Course:
    """The course of a stored run of order ∞.

    Args:
      folder: the data folder.
      run: which run.
      steps: of training, each that of a snapshot.
      equations: what Newton's method solves.
      env: the environment.
    """
    apart = (deviations(folder, np.inf, [run], env, int(k))[0] for k in steps)
    return _course(apart, equations, env)


def lazy_course(shares: Array, equations: newton.Equations, env: MDP) -> Course:
    """The course of lazy models over some shares.

    Args:
      shares: ``[K]``, c.
      equations: what Newton's method solves.
      env: the environment.
    """
    return _course((c * to_stay(env) for c in shares), equations, env)


def solving_facts(
    paths: Sequence[newton.Path], trained: Course, env: MDP
) -> dict[str, Any]:
    """What the prose says of the solved equations.

    Args:
      paths: of Newton's method, a path for each start.
      trained: the training from the first one's start.
      env: the environment.
    """
    distances, first = np.array([path.distance(env) for path in paths]), paths[0]
    one = int(np.argmin(np.abs(np.log(np.maximum(distances[0], 1e-300)))))
    same = int(np.argmin(np.abs(np.log(np.maximum(first.loss, 1e-300) / trained.loss[-1]))))
    return {
        "runs": len(paths),
        "worst": power_of_ten(float(distances[:, -1].max())),
        "one": power_of_ten(float(first.loss[one])),
        "trained-loss": power_of_ten(float(trained.loss[-1])),
        "same": float(distances[0, same]),
    }


# Nearly proper ------------------------------------------------------------------------


class Reach(NamedTuple):
    """How far the probability of a next state may rise in ε-classes of a pair.

    Attributes:
      epsilon: ``[E]``, the allowed residuals.
      outer: for each set of policies ``[E]``, an upper bound of the truth.
      inner: ``[E]``, what lazy models attain for all policies; None unless staying rises.
    """

    epsilon: np.ndarray
    outer: dict[str, np.ndarray]
    inner: np.ndarray | None


def reaches(
    env: MDP,
    sets: Mapping[str, Array],
    pairs: Iterable[tuple[int, int, int]],
    epsilons: Array,
) -> list[Reach]:
    """Linear programmes for pairs and next states, side by side.

    Args:
      env: the environment.
      sets: for each set of policies ``[S, A, N, S]``, their values by pair.
      pairs: states, actions and the next states whose probability rises.
      epsilons: ``[E]``, the allowed residuals.

    Returns:
      One for each of the pairs.
    """
    pairs, epsilons = list(pairs), np.asarray(epsilons, np.float64)

    def rise(job: tuple[tuple[int, int, int], str, float]) -> float:
        (s, a, cell), name, epsilon = job
        way = np.eye(1 + env.num_states)[1 + cell]
        values = np.asarray(sets[name])[s, a]
        return exact_class.epsilon_range(env, values, s, a, epsilon, way)[1]

    jobs = list(itertools.product(pairs, sets, epsilons))
    found = np.reshape(side_by_side(rise, jobs), (len(pairs), len(sets), len(epsilons)))
    return [
        Reach(epsilons, dict(zip(sets, outer, strict=True)), _lazily(env, pair, epsilons))
        for pair, outer in zip(pairs, found, strict=True)
    ]


def _lazily(env: MDP, pair: tuple[int, int, int], epsilons: np.ndarray) -> Any:
    s, a, cell = pair
    if cell != s:
        return None
    left = 1 - float(exact(env).transition[s, a, s])
    return np.array([lazy_reach(env, s, a, epsilon) for epsilon in epsilons]) * left


def rises(
    models: Iterable[MDP], env: MDP, values: Array, pair: tuple[int, int]
) -> np.ndarray:
    """Where models lie in the figure of reaches.

    Args:
      models: N models.
      env: the environment.
      values: ``[N, S]``, of policies that take the action in the state.
      pair: state and action.

    Returns:
      ``[N, 2]``: the largest absolute residual of the pair on the policies, and by how
      much the probability of staying has risen.
    """
    env, found = exact(env), []
    for model in map(exact, models):
        moved = (model.transition - env.transition)[pair]
        left = (model.reward - env.reward)[pair] + env.discount * np.asarray(values) @ moved
        found.append((np.abs(left).max(), moved[pair[0]]))
    return np.array(found)
