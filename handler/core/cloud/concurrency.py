"""Several calls that wait at the same time."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TypeVar

THREADS = 8  # that wait for OSS and for webhooks at the same time

Item = TypeVar("Item")
Result = TypeVar("Result")


def map_concurrently(
    func: Callable[[Item], Result], items: Iterable[Item], threads: int = THREADS
) -> list[Result]:
    """The results in order; up to so many calls wait at the same time."""
    arguments = list(items)
    if len(arguments) < 2:
        return [func(argument) for argument in arguments]
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(min(threads, len(arguments))) as pool:
        return list(pool.map(func, arguments))
