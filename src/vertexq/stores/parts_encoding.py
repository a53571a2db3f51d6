"""What a file store needs of a file format: JSON Lines, Parquet."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import BinaryIO, ClassVar, NamedTuple

from vertexq.results import Result, Row
from vertexq.stores.layout import Layout

Keep = Callable[[str], bool]
"""Told the keys of a file's rows one after the other: whether the row stays."""


class Verdict(NamedTuple):
    """What decides which row of a key stays."""

    key: str
    outcome: str
    attempt: int


@dataclass(frozen=True, slots=True)
class Source:
    """A file to be merged into another one; without ``keep`` all rows stay."""

    file: BinaryIO
    name: str
    keep: Keep | None = None


class Encoding(ABC):
    """A file format for rows in a layout. A file's name says how it was written; rows keep their order."""

    name: ClassVar[str]
    """The word for the format in the manifest."""

    wide: ClassVar[bool] = False
    """Whether a vector's numbers are kept as they were written, and not in 32 bits."""

    def __init__(self, layout: Layout) -> None:
        self.layout = layout

    @property
    @abstractmethod
    def ending(self) -> str:
        """Return the ending of the names of files that are written now, with its dot."""

    @property
    def small_bytes(self) -> float:
        """Return of how many bytes of Google's output a part should be, on average, not to be joined.

        It is a matter of these bytes, and not of the file's own, because they stay the same whatever rows are
        dropped: who finishes a submission again comes to the same files.
        """
        return math.inf

    @abstractmethod
    def encode(self, rows: Sequence[Row]) -> bytes:
        """Write a whole file; raise ``TypeError`` or ``ValueError`` for a row that it cannot hold."""

    @abstractmethod
    def results(self, file: BinaryIO, name: str, *, submission_id: str) -> Iterator[Result]:
        """Stream a file's rows, also one of an older version or another layout; None for what it lacks."""

    @abstractmethod
    def verdicts(self, file: BinaryIO, name: str) -> Iterator[Verdict]:
        """Stream what decides between rows; succeeded at the first attempt where the file does not say."""

    @abstractmethod
    def merge(self, sources: Iterable[Source], target: BinaryIO) -> None:
        """Write the rows of all sources into one file, in bounded memory."""
