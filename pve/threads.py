"""Threads: work side by side on all cores, each piece of it on one.

The matrices here are small. A linear-algebra library that spreads one of them over several
threads only makes these wait for each other; what fills the cores is runs, policies and
models.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import threadpoolctl


def settle_threads() -> None:
    """Make XLA split its work the same way, however few cores a process may use.

    XLA divides large operations among as many threads as the process has cores, and
    whether that is one or more changes the last bits. It reads the environment variable
    NPROC first, once, so this must come before JAX computes anything.
    """
    os.environ.setdefault("NPROC", str(max(2, num_cores())))


def num_cores() -> int:
    """How many cores the machine has, at least one."""
    return os.cpu_count() or 1


def linear_algebra(threads: int = 1) -> threadpoolctl.threadpool_limits:
    """Limit the threads of NumPy's linear algebra from here on.

    In a ``with`` statement the limit ends with the block; called alone, it stays.
    """
    return threadpoolctl.threadpool_limits(threads)


def side_by_side(
    function: Callable[[Any], Any], items: Iterable[Any], *, one_thread_each: bool = False
) -> list[Any]:
    """Apply a function to items in threads, one per core; the first error is raised.

    Args:
      function: what to apply.
      items: what to apply it to.
      one_thread_each: limit linear algebra to one thread meanwhile.

    Returns:
      The results in order.
    """
    if one_thread_each:
        with linear_algebra():
            return side_by_side(function, items)
    with ThreadPoolExecutor(num_cores()) as pool:
        return list(pool.map(function, items))
