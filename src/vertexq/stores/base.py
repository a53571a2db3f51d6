"""What a store promises, and the rules that are the same for every store.

A store keeps rows, quarantined lines and the position of each source range, **in one commit**. It is a plain
synchronous object, used by one thread at a time; the worker calls it beside its event loop. A plug-in is a
subclass registered under the entry point group ``vertexq.stores`` with its URL's scheme as the name, and
proves itself with ``vertexq.testing.StoreContract``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from vertexq.errors import PositionMoved, StaleFence
from vertexq.model import Chunk, Outcome, Progress, QuarantinedLine, Result, SourceRange


@dataclass(frozen=True, slots=True)
class Committed:
    """What a store knows of a range: its progress and the highest fencing token that wrote it."""

    progress: Progress
    fence: int


class Store(ABC):
    """Where results land.

    The public methods hold the rules; a backend writes the underscored ones. Every backend keeps three
    promises: ``_write`` is all or nothing; after it returns, what it wrote survives a crash; ``_committed``
    never shows a part of a chunk.
    """

    def __init__(self, url: str) -> None:
        self.url = url

    @abstractmethod
    def prepare(self) -> None:
        """Connect and create what is missing (tables, directories). Safe to repeat and to race.

        Raise ``Unreachable`` when the target cannot be reached.
        """

    @abstractmethod
    def close(self) -> None:
        """Let go of connections and files. Safe to repeat."""

    def progress(self, source: SourceRange) -> Progress:
        """Return how far ``source`` is committed; a range never written is at its own start."""
        known = self._committed(source)
        return known.progress if known else Progress(position=source.start)

    def write(self, chunk: Chunk, *, fence: int) -> None:
        """Commit ``chunk``: its rows, its quarantined lines and its new position, or nothing at all.

        Raise ``StaleFence`` when a higher ``fence`` has written this range, ``PositionMoved`` when the
        committed position is not ``chunk.start``, ``StoreRefused`` when the target refuses the rows and
        ``Unreachable`` when it cannot be reached. A chunk whose commit is unknown is simply tried again:
        ``PositionMoved`` then says that the first try took effect.
        """
        self._write(chunk, fence=fence)

    def finish(self, submission_id: str) -> None:
        """Publish a submission all of whose ranges are complete (file stores write their manifest).

        Safe to repeat: the same rows give the same published bytes.
        """

    @abstractmethod
    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Stream the committed results of a submission, each key once; an unknown one has none."""

    @abstractmethod
    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Stream the quarantined lines of a submission, in no promised order."""

    def location(self, submission_id: str) -> str:
        """Say, for a person and without secrets, where the results of a submission are."""
        return f"{self.url} ({submission_id})"

    @abstractmethod
    def _committed(self, source: SourceRange) -> Committed | None: ...

    @abstractmethod
    def _write(self, chunk: Chunk, *, fence: int) -> None: ...

    def __enter__(self) -> Self:
        """Prepare the store."""
        self.prepare()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the store."""
        self.close()


def admit(chunk: Chunk, known: Committed | None, *, fence: int) -> None:
    """Raise unless ``chunk`` may be committed on top of ``known``; call it inside the store's transaction."""
    if known is not None and known.fence > fence:
        raise StaleFence(
            f"{chunk.source.id}: token {fence} was refused, the store has seen {known.fence}; another worker "
            "has taken over, this one should stop"
        )
    at = known.progress.position if known else chunk.source.start
    if at != chunk.start:
        raise PositionMoved(
            f"{chunk.source.id}: the store is at byte {at}, the chunk starts at {chunk.start}; "
            "read the store's progress again and go on from there"
        )


StoreUrls = Mapping[str, str]
"""Store names to URLs, as the worker's environment has them (``VERTEXQ_STORE_<NAME>``)."""
