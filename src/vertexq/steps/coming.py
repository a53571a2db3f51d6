"""What a range brings, piece by piece, wherever it comes from."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from typing import NamedTuple, Protocol

from vertexq.lines import Block, Oversized


class Piece(NamedTuple):
    """Some whole lines of ``size_bytes`` together; ``position`` is where the next one starts."""

    items: Sequence[Block | Oversized]
    position: int
    size_bytes: int


class Coming(Protocol):
    """The lines of one range from some position on, read once.

    ``checksum`` is that of all that lies before the position of the last piece, of a kind of its own.
    """

    @property
    def checksum(self) -> int:
        """Return what is to be kept with the position."""
        ...

    def pieces(self, stops: Sequence[int]) -> AsyncGenerator[Piece]:
        """Yield what comes; a piece ends at each position of ``stops``."""
        ...

    def check(self, *, is_stored: bool) -> None:
        """Raise when what has come is not what was pinned; ``is_stored``: some of it is in a store."""
        ...

    def last(self) -> Piece:
        """Return what is left when all has come, and where the range ends."""
        ...
