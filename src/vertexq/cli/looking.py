"""A line on a terminal that says how far a long look has come."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

_QUIET_S = 2.0  # a look that is over by then says nothing
_EVERY_S = 0.2


class Looking:
    """Shows a count on standard error, when that is a terminal and the look takes longer than 2 s."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._shown = False
        self._next_s = time.monotonic() + _QUIET_S if sys.stderr.isatty() else float("inf")

    def at(self, rows: int) -> None:
        """Say how many rows were looked at."""
        now_s = time.monotonic()
        if now_s >= self._next_s:
            self._next_s = now_s + _EVERY_S
            self._shown = True
            self._write(f"\r\x1b[2K{self._name}: {rows:,} rows")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Clear the line."""
        self.clear()

    def clear(self) -> None:
        """Take the line away, until there is more to say. Safe to repeat."""
        if self._shown:
            self._shown = False
            self._write("\r\x1b[2K")

    def _write(self, text: str) -> None:
        sys.stderr.write(text)
        sys.stderr.flush()
