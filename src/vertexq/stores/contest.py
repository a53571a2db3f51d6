"""Which row wins when parts of a file store repeat a key: an index on disk, so that memory stays flat."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from types import TracebackType
from typing import Self

from vertexq.results import OUTCOME_RANK, Result

_SCHEMA = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA cache_size = -8192",  # 8 MiB; more spills to SQLite's temporary file
    """CREATE TABLE contest (
        key TEXT PRIMARY KEY, rank INTEGER, attempt INTEGER, original INTEGER, part TEXT
    ) WITHOUT ROWID""",
)
_OFFER = (
    "UPDATE contest SET rank = ?1, attempt = ?2, original = ?3, part = ?4 WHERE key = ?5 "
    "AND (part IS NULL OR (?1, ?2, ?3) > (rank, attempt, original))"
)


class Contest:
    """The keys that occur in several parts, and for each the part whose row is the best so far."""

    def __init__(self) -> None:
        self._db = sqlite3.connect("", isolation_level=None, check_same_thread=False)
        for statement in _SCHEMA:
            self._db.execute(statement)
        self._db.execute("BEGIN")

    def __enter__(self) -> Self:
        """Open the index."""
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Drop the index."""
        self._db.close()

    def enter(self, keys: Iterable[str]) -> None:
        """Note that ``keys`` are contested; others never are."""
        self._db.executemany("INSERT OR IGNORE INTO contest (key) VALUES (?)", ((key,) for key in keys))

    def offer(self, row: Result, part: str, *, original: bool) -> None:
        """Let a row compete; between equals an ``original`` one, then the first one, stays."""
        self._db.execute(_OFFER, (OUTCOME_RANK[row.outcome], row.attempt, original, part, row.key))

    def loses(self, key: str, part: str) -> bool:
        """Tell whether the row of ``key`` in ``part`` gives way to one in another part."""
        with closing(self._db.execute("SELECT part FROM contest WHERE key = ?", (key,))) as found:
            winner: tuple[str | None] | None = found.fetchone()
        return winner is not None and winner[0] is not None and winner[0] != part
