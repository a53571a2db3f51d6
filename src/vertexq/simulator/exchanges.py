"""What was said on the wire: requests and answers kept for a test to compare with Google's documents."""

from __future__ import annotations

import threading
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer. ``method`` is Google's name for it; ``status`` 0 means no answer."""

    method: str
    verb: str
    path: str
    query: tuple[tuple[str, str], ...]
    request: bytes
    status: int
    response: bytes


class Exchanges:
    """Exchanges in the order of their answers, when asked for; safe to read from any thread."""

    def __init__(self, *, wanted: bool) -> None:
        self._wanted = wanted
        self._lock = threading.Lock()
        self._kept: list[Exchange] = []

    def add(self, exchange: Exchange) -> None:
        """Keep an exchange, if they are wanted."""
        if self._wanted:
            with self._lock:
                self._kept.append(exchange)

    def kept(self) -> list[Exchange]:
        """Return a copy of what was kept."""
        with self._lock:
            return list(self._kept)
