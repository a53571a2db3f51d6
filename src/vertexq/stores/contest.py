"""Which row wins when pieces of a file store repeat a key: an index on disk, so that memory stays flat."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from types import TracebackType
from typing import NamedTuple, Self

from vertexq.results import OUTCOME_RANK

_SCHEMA = (
    "PRAGMA journal_mode = OFF",
    "PRAGMA synchronous = OFF",
    "PRAGMA cache_size = -8192",  # 8 MiB; more spills to SQLite's temporary file
    """CREATE TABLE contest (
        key TEXT PRIMARY KEY, rank INTEGER, attempt INTEGER, original INTEGER, place INTEGER
    ) WITHOUT ROWID""",
)
_BETTER = "place IS NULL OR (?2, ?3, ?4) > (rank, attempt, original)"
_OFFER = (
    f"UPDATE contest SET rank = ?2, attempt = ?3, original = ?4, place = ?5 WHERE key = ?1 AND ({_BETTER})"
)
_OFFER_ANY = (
    "INSERT INTO contest VALUES (?1, ?2, ?3, ?4, ?5) ON CONFLICT (key) DO UPDATE SET "
    f"rank = ?2, attempt = ?3, original = ?4, place = ?5 WHERE {_BETTER}"
)


class Candidate(NamedTuple):
    """A row that competes for its key. Between equals an ``original`` one, then the first one, stays."""

    key: str
    outcome: str
    attempt: int
    original: bool
    place: str


class Contest:
    """The keys that occur in several places, and for each the place whose row is the best so far.

    With ``every_key`` all keys are contested, else those that were entered.
    """

    def __init__(self, *, every_key: bool = False) -> None:
        self._offer = _OFFER_ANY if every_key else _OFFER
        self._places: dict[str, int] = {}
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
        """Note that ``keys`` are contested."""
        self._db.executemany("INSERT OR IGNORE INTO contest (key) VALUES (?)", ((key,) for key in keys))

    def offer(self, candidates: Iterable[Candidate]) -> None:
        """Let rows compete."""
        places = self._places
        self._db.executemany(
            self._offer,
            (
                (key, OUTCOME_RANK[outcome], attempt, original, places.setdefault(place, len(places)))
                for key, outcome, attempt, original, place in candidates
            ),
        )

    def knows(self, place: str) -> bool:
        """Tell whether rows of ``place`` have competed; those of a chunk that came later have not."""
        return place in self._places

    def loses(self, key: str, place: str) -> bool:
        """Tell whether the row of ``key`` in ``place`` gives way to one in another place."""
        with closing(self._db.execute("SELECT place FROM contest WHERE key = ?", (key,))) as found:
            winner: tuple[int | None] | None = found.fetchone()
        return winner is not None and winner[0] is not None and winner[0] != self._places.get(place)
