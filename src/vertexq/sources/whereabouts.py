"""Which line of which source a running line number means, when one submission has several sources. No I/O."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable


class Whereabouts:
    """Remembers where each source begins. Lines are counted from 1, through all sources."""

    def __init__(self) -> None:
        self._before: list[int] = []  # lines that came before each source
        self._names: list[str] = []

    def begin(self, name: str, lines_before: int) -> None:
        """Note that a source begins after so many lines."""
        self._before.append(lines_before)
        self._names.append(name)

    def of(self, line: int) -> str:
        """Return ``line 3 of NAME``."""
        at = bisect_right(self._before, line - 1) - 1
        return f"line {line - self._before[at]:,} of {self._names[at]}"

    def explained(self, text: str, lines: Iterable[int]) -> str:
        """Return a text that names lines, with what they are in their own sources below it."""
        if len(self._names) < 2:  # noqa: PLR2004  (a single source's lines are its own)
            return text
        known = [f"line {line} is {self.of(line)}" for line in dict.fromkeys(lines)]
        return "\n  ".join([text, *known])
