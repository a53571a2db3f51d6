"""Let threads start at the same moment, each with what it needs of its own."""

from __future__ import annotations

import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

T = TypeVar("T")


def at_once(racers: int, act: Callable[[int], T]) -> list[T]:
    """Call ``act`` with 0, 1, … in as many threads, all released together; return what each got."""
    barrier = threading.Barrier(racers)

    def race(number: int) -> T:
        barrier.wait(timeout=30)
        return act(number)

    with ThreadPoolExecutor(racers) as threads:
        return list(threads.map(race, range(racers)))
