"""What a store promises, and the rules that are the same for every store.

A store keeps rows, quarantined lines and the position of each source range, **in one commit**. It is a plain
synchronous object, used by one thread at a time; the worker calls it beside its event loop. A plug-in is a
subclass registered under the entry point group ``vertexq.stores`` with its URL's scheme as the name, and
proves itself with ``vertexq.testing.StoreContract``.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from types import TracebackType
from typing import ClassVar, Self

from vertexq.errors import PositionMoved, StaleFence, StoreRefused
from vertexq.results import Chunk, Outcome, Progress, QuarantinedLine, Result, Row, SourceRange
from vertexq.stores.poison import best_of, set_aside, unstorable


class RowsRefused(StoreRefused):
    """A backend's ``_write`` met a row its target cannot hold, and rolled everything back."""


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

    takes_storage_endpoint: ClassVar[bool] = False
    """Whether the constructor takes ``storage_endpoint=``, the base URL of a Cloud Storage emulator."""

    takes_bigquery_endpoint: ClassVar[bool] = False
    """Whether the constructor takes ``bigquery_endpoint=``, the base URL of a BigQuery emulator."""

    chunk_rows: ClassVar[int | None] = None
    """How many rows a chunk should have, where few large commits are better than many; None: no wish."""

    chunk_bytes: ClassVar[int | None] = None
    """The same in bytes of the source; whichever is reached first ends the chunk."""

    takes_ledger: ClassVar[bool] = False
    """Whether the constructor takes ``ledger_url=`` and ``name=``, as one with no memory of its own does."""

    def __init__(self, url: str) -> None:
        self.url = url

    def __repr__(self) -> str:
        """Name the store without its password."""
        return f"<{type(self).__name__} {without_secrets(self.url)}>"

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

    def write(self, chunk: Chunk, *, fence: int) -> frozenset[str]:
        """Commit ``chunk``: its rows, its quarantined lines and its new position, or nothing at all.

        A row the target cannot hold (a NUL in PostgreSQL) is written as quarantined, without its text and
        response and with the reason, beside a quarantined line; the others go in as they are. Return the keys
        of such rows, nearly always none.

        Raise ``StaleFence`` when a higher ``fence`` has written this range, ``PositionMoved`` when the
        committed position is not ``chunk.start``, ``StoreRefused`` when the target refuses the whole chunk
        and ``Unreachable`` when it cannot be reached. A chunk whose commit is unknown is simply tried again:
        ``PositionMoved`` then says that the first try took effect.
        """
        single = best_of(chunk.rows)
        if single is not chunk.rows:
            chunk = replace(chunk, rows=single)
        try:
            self._write(chunk, fence=fence)
        except RowsRefused:
            mended = set_aside(chunk.rows, self._refusal)
            if not mended.keys:
                raise
            lines = (*chunk.quarantined, *mended.lines)
            state = chunk.restate(mended.keys) if chunk.restate else chunk.progress.state
            progress = replace(chunk.progress, state=state)
            self._write(replace(chunk, rows=mended.rows, quarantined=lines, progress=progress), fence=fence)
            return mended.keys
        return frozenset()

    def finish(self, submission_id: str, *, repeats: bool = False) -> None:  # noqa: B027  (most have nothing to do)
        """Publish a submission all of whose ranges are complete (file stores write their manifest).

        With ``repeats``, ranges that were read at the same time may have held the same key, of which no
        chunk's ``replacing`` tells. Safe to repeat: the same rows give the same published bytes.
        """

    @abstractmethod
    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Stream the committed results of a submission, each key once; an unknown one has none."""

    @abstractmethod
    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Stream the quarantined lines of a submission, in no promised order."""

    def location(self, submission_id: str) -> str:
        """Say, for a person and without secrets, where the results of a submission are."""
        return f"{without_secrets(self.url)} ({submission_id})"

    @abstractmethod
    def _committed(self, source: SourceRange) -> Committed | None: ...

    @abstractmethod
    def _write(self, chunk: Chunk, *, fence: int) -> None:
        """Commit the chunk after ``admit``; raise ``RowsRefused`` when single rows are at fault."""

    def _refusal(self, rows: Sequence[Row]) -> str:
        """Say why the target cannot hold ``rows``, without writing them; "" when it can."""
        return unstorable(rows)

    def prepared(self) -> Self:
        """Prepare the store and return it; one that cannot be prepared is closed."""
        try:
            self.prepare()
        except BaseException:
            self.close()
            raise
        return self

    def __enter__(self) -> Self:
        """Prepare the store."""
        return self.prepared()

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


def without_secrets(url: str) -> str:
    """Return ``url`` without its password and its query, which may hold one, as may a webhook's path."""
    scheme, _, rest = url.partition("?")[0].partition("://")
    authority, slash, path = rest.partition("/")
    if scheme.startswith("webhook+"):
        slash = path = ""
    user, at, host = authority.rpartition("@")
    return f"{scheme}://{user.partition(':')[0]}{at}{host}{slash}{path}"
