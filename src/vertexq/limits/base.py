"""The promise of a limit on paid calls: ask before each one."""

from __future__ import annotations

from typing import Protocol


class CreateLimit(Protocol):
    """How many creates a minute a project and location may see, over all workers together."""

    def take(self, project: str, location: str) -> float:
        """Take one; return 0.0, or how long to wait in seconds when there is none left.

        Raise ``Unreachable`` when the limit cannot be asked: a paid call is then not made.
        """
        ...
