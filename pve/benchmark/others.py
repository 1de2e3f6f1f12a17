"""Planning beside QuantEcon and mdptoolbox: time and memory, by the number of states.

Every library is given the same sparse world, four actions with five successors anywhere,
and asked for the optimal value by policy iteration. It does so in a process of its own,
which has solved a small world before (QuantEcon compiles at first use); its memory is the
rise of the process's peak. The libraries are optional: ``pip install pve[bench]``.
"""

from __future__ import annotations

import importlib.util
import math
import multiprocessing
import resource
import sys
import time
import warnings
from collections.abc import Iterator
from multiprocessing.connection import Connection
from typing import Any, NamedTuple

import numpy as np
from scipy import sparse

from pve.figures.captions import digits
from pve.mdp.planning import policy_iteration
from pve.mdp.sparse import SparseMDP

SIZES = (100, 300, 1000, 2000, 5000)
ACTIONS, SUCCESSORS, DISCOUNT = 4, 5, 0.99
SECONDS = 60.0  # allowed for solving, and again for what comes before
SMALL = 20  # states of the world that is solved first
OTHERS = {"QuantEcon": "quantecon", "mdptoolbox": "mdptoolbox"}


class Spent(NamedTuple):
    """What one library needed.

    Attributes:
      seconds: to the optimal value; ∞ if it was stopped.
      bytes: by which the process's peak rose; NaN if it was stopped.
      value: the mean of what it found; NaN if it was stopped.
    """

    seconds: float
    bytes: float
    value: float


def world(num_states: int) -> SparseMDP:
    """A world whose actions lead to a few states anywhere, the same at every call."""
    random = np.random.default_rng(num_states)
    shape = num_states * ACTIONS, SUCCESSORS
    chances = random.dirichlet(np.ones(SUCCESSORS), shape[0]).ravel()
    columns = random.integers(num_states, size=shape).ravel()
    ends = np.arange(0, columns.size + 1, SUCCESSORS)
    rows = sparse.csr_array((chances, columns, ends), (shape[0], num_states))
    reward = random.uniform(-1, 1, (num_states, ACTIONS))
    return SparseMDP(reward, rows, DISCOUNT)


def by_pve(mdp: SparseMDP) -> np.ndarray:
    """The optimal value by this library."""
    return policy_iteration(mdp)[0]


def by_quantecon(mdp: SparseMDP) -> np.ndarray:
    """Likewise by QuantEcon's ``DiscreteDP``, as pairs of states and actions."""
    from quantecon.markov import DiscreteDP

    states, actions = np.indices(mdp.reward.shape).reshape(2, -1)
    matrix = sparse.csr_matrix(mdp.rows)
    problem = DiscreteDP(mdp.reward.ravel(), matrix, mdp.discount, states, actions)
    return problem.solve(method="policy_iteration").v


def by_mdptoolbox(mdp: SparseMDP) -> np.ndarray:
    """Likewise by mdptoolbox, as a matrix for each action."""
    from mdptoolbox.mdp import PolicyIteration

    actions = range(mdp.num_actions)
    matrices = [sparse.csr_matrix(mdp.rows[a :: mdp.num_actions]) for a in actions]
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        solver = PolicyIteration(matrices, mdp.reward, mdp.discount)
        solver.run()
    return np.array(solver.V)


SOLVERS = {"pve": by_pve, "QuantEcon": by_quantecon, "mdptoolbox": by_mdptoolbox}


def _peak() -> float:
    unit = 1 if sys.platform == "darwin" else 1024
    return float(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit)


def _serve(name: str, num_states: int, connection: Connection) -> None:
    solve = SOLVERS[name]
    solve(world(SMALL))
    mdp = world(num_states)
    before, begun = _peak(), time.perf_counter()
    value = solve(mdp)
    seconds = time.perf_counter() - begun
    connection.send(Spent(seconds, _peak() - before, float(value.mean())))


def spend(name: str, num_states: int) -> Spent:
    """Solve a world of the given size with one library, in a separate process."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(name, num_states, theirs), daemon=True)
    process.start()
    theirs.close()
    found = Spent(math.inf, math.nan, math.nan)
    try:
        # What comes before the world is made (imports, compiling) gets as long again.
        if ours.poll(2 * SECONDS):
            found = ours.recv()
    except EOFError:  # it ended without an answer, for want of memory as a rule
        pass
    finally:
        process.kill()
        process.join()
    return found


def installed() -> list[str]:
    """Which of the other libraries there are."""
    return [n for n, module in OTHERS.items() if importlib.util.find_spec(module)]


def lines(names: list[str], sizes: tuple[int, ...] = SIZES) -> Iterator[str]:
    """The table in Markdown, line by line.

    Args:
      names: the other libraries.
      sizes: numbers of states.
    """
    yield "| states | pve | " + " | ".join(f"{n}: times as long" for n in names) + " |"
    yield "|--:|--:|" + "--:|" * len(names)
    for size in sizes:
        ours = spend("pve", size)
        others = (_compared(ours, spend(name, size)) for name in names)
        mine = f"{digits(ours.seconds)} s, {ours.bytes / 1e6:.0f} MB"
        yield f"| {size:,} | {mine} | " + " | ".join(others) + " |"


def _compared(ours: Spent, theirs: Spent) -> str:
    if math.isinf(theirs.seconds):
        return f"no answer in {2 * SECONDS:.0f} s"
    if not math.isclose(ours.value, theirs.value, rel_tol=1e-6, abs_tol=1e-6):
        return f"another value: {theirs.value:g}, not {ours.value:g}"
    ratio = digits(theirs.seconds / ours.seconds)
    return f"{ratio} ({theirs.bytes / 1e6:.0f} MB)"


def print_others(sizes: tuple[int, ...] = SIZES) -> None:
    """Print the table, or how to install what it compares with."""
    names: list[Any] = installed()
    missing = [name for name in OTHERS if name not in names]
    print("\nPolicy iteration on sparse worlds, one process each:\n")
    for line in lines(names, sizes):
        print(line, flush=True)
    if missing:
        print(f"\n{' and '.join(missing)}: not installed; pip install 'pve[bench]' does it")
