"""Threads: work side by side on all cores, each piece of it on one.

The matrices here are small. A library of linear algebra that spreads one of them over
several threads only has these wait for each other; runs, policies and models are what
fills the cores.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import threadpoolctl


def settle_threads() -> None:
    """Have XLA split its work alike, however few cores a process may use.

    XLA divides large operations among as many threads as the process has cores at its
    disposal, and whether there is one or there are more changes last bits. It asks the
    environment variable NPROC first, once, so this must come before JAX computes anything.
    """
    os.environ.setdefault("NPROC", str(max(2, num_cores())))


def num_cores() -> int:
    """How many cores the machine has, at least one."""
    return os.cpu_count() or 1


def linear_algebra(threads: int = 1) -> threadpoolctl.threadpool_limits:
    """Limit the threads of NumPy's linear algebra from here on.

    As a context manager the limit ends with the block; called alone, it stays.
    """
    return threadpoolctl.threadpool_limits(threads)


def side_by_side(
    function: Callable[[Any], Any], items: Iterable[Any], *, one_thread_each: bool = False
) -> list[Any]:
    """Apply a function to items in threads, one per core; the first error is raised.

    Args:
      function: what to apply.
      items: to what.
      one_thread_each: limit linear algebra to one thread meanwhile.

    Returns:
      The results in order.
    """
    if one_thread_each:
        with linear_algebra():
            return side_by_side(function, items)
    with ThreadPoolExecutor(num_cores()) as pool:
        return list(pool.map(function, items))
