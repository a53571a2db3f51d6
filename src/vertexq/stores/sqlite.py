"""Results in a SQLite file: rows, quarantine and progress in one transaction.

``sqlite:///results.db`` is a path relative to the working directory, ``sqlite:////srv/results.db`` absolute.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path

from vertexq.errors import BadSettings, StoreRefused, Unreachable
from vertexq.results import Chunk, Outcome, Progress, QuarantinedLine, Result, Row, SourceRange
from vertexq.stores.base import Committed, RowsRefused, Store, admit
from vertexq.stores.columns import COLUMNS, ColumnType, better_sql, result_of

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another one; a chunk takes well under a second."""

_TYPES = {
    ColumnType.TEXT: "TEXT",
    ColumnType.INTEGER: "INTEGER",
    ColumnType.REAL: "REAL",
    ColumnType.INSTANT: "TEXT",
    ColumnType.JSON: "TEXT",
}
_DEFINED = ", ".join(f'"{c.name}" {_TYPES[c.type]}{" NOT NULL" * c.required}' for c in COLUMNS)
_SCHEMA = (
    f"CREATE TABLE IF NOT EXISTS vertexq_results ({_DEFINED}, PRIMARY KEY (submission_id, key))",
    """CREATE TABLE IF NOT EXISTS vertexq_quarantine (
        submission_id TEXT NOT NULL, batch_id TEXT NOT NULL, source_object TEXT NOT NULL,
        source_generation INTEGER NOT NULL, source_offset INTEGER NOT NULL, size_bytes INTEGER NOT NULL,
        reason TEXT NOT NULL, raw BLOB NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS vertexq_quarantine_submission ON vertexq_quarantine (submission_id)",
    """CREATE TABLE IF NOT EXISTS vertexq_progress (
        range_id TEXT PRIMARY KEY, submission_id TEXT NOT NULL, batch_id TEXT NOT NULL,
        position INTEGER NOT NULL, fence INTEGER NOT NULL, state BLOB NOT NULL
    )""",
)
_NAMES = ", ".join(f'"{c.name}"' for c in COLUMNS)
_UPSERT = (
    f"INSERT INTO vertexq_results ({_NAMES}) VALUES ({', '.join('?' * len(COLUMNS))}) "
    "ON CONFLICT (submission_id, key) DO UPDATE SET "
    + ", ".join(f'"{c.name}" = excluded."{c.name}"' for c in COLUMNS[2:])
    + f" WHERE {better_sql('excluded.', 'vertexq_results.')}"
)
_QUARANTINE = f"INSERT INTO vertexq_quarantine VALUES ({', '.join('?' * len(QuarantinedLine._fields))})"
_PROGRESS = (
    "INSERT INTO vertexq_progress VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (range_id) DO UPDATE SET "
    "position = excluded.position, fence = excluded.fence, state = excluded.state"
)


class SqliteStore(Store):
    """A SQLite file in WAL mode; any number of processes of one machine may write it, one at a time."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        path = url.removeprefix("sqlite:///")
        if path == url or not path or path == ":memory:":
            raise BadSettings(
                f"{url!r} names no file; write sqlite:///results.db or sqlite:////srv/results.db"
            )
        self._path = Path(path)
        self._writer: sqlite3.Connection | None = None

    def prepare(self) -> None:
        """Create the file's directory, the file and its tables."""
        with self._translated():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._transaction() as db:
                for statement in _SCHEMA:
                    db.execute(statement)

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def location(self, submission_id: str) -> str:
        """Name the file, the table and the condition."""
        return f"{self._path}, table vertexq_results, submission_id = '{submission_id}'"

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Stream the results, from a snapshot that later writes do not change."""
        wanted = sorted(outcomes if outcomes is not None else Outcome)
        query = (
            f"SELECT {_NAMES} FROM vertexq_results WHERE submission_id = ? "
            f"AND outcome IN ({', '.join('?' * len(wanted))})"
        )
        return map(result_of, self._read(query, (submission_id, *wanted)))

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Stream the quarantined lines."""
        query = "SELECT * FROM vertexq_quarantine WHERE submission_id = ?"
        return map(QuarantinedLine._make, self._read(query, (submission_id,)))

    def _committed(self, source: SourceRange) -> Committed | None:
        with self._translated():
            return _known(self._connection(), source)

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        with self._translated(), self._transaction() as db:
            admit(chunk, _known(db, chunk.source), fence=fence)
            db.executemany(_UPSERT, map(_stored, chunk.rows))
            db.executemany(_QUARANTINE, chunk.quarantined)
            source, after = chunk.source, chunk.progress
            db.execute(
                _PROGRESS,
                (source.id, source.submission_id, source.batch_id, after.position, fence, after.state),
            )

    def _read(self, query: str, values: Sequence[str]) -> Iterator[tuple[object, ...]]:
        # A connection of its own: a reader may stay open while this store writes.
        with self._translated(), closing(self._connect()) as db:
            yield from db.execute(query, values)

    @contextmanager
    def _transaction(self) -> Generator[sqlite3.Connection]:
        db = self._connection()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _connection(self) -> sqlite3.Connection:
        if self._writer is None:
            self._writer = self._connect()
        return self._writer

    def _connect(self) -> sqlite3.Connection:
        db = sqlite3.connect(
            self._path, timeout=BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False
        )
        db.execute("PRAGMA journal_mode = WAL")
        db.execute("PRAGMA synchronous = FULL")  # a commit survives power loss, not only our crash
        return db

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except (UnicodeError, OverflowError, sqlite3.DataError, sqlite3.InterfaceError) as error:
            raise RowsRefused(f"{self._path} cannot hold a row: {type(error).__name__}") from error
        except sqlite3.IntegrityError as error:
            raise RowsRefused(f"{self._path} refused a row: {error}") from error
        except (sqlite3.OperationalError, OSError) as error:
            raise Unreachable(
                f"cannot use the SQLite file {self._path}: {error}; check path, rights and free space"
            ) from error
        except sqlite3.DatabaseError as error:
            raise StoreRefused(f"{self._path} is not a usable SQLite file: {error}") from error


def _known(db: sqlite3.Connection, source: SourceRange) -> Committed | None:
    query = "SELECT position, state, fence FROM vertexq_progress WHERE range_id = ?"
    found = db.execute(query, (source.id,)).fetchone()
    return Committed(Progress(position=found[0], state=found[1]), found[2]) if found else None


def _stored(row: Row) -> Sequence[object]:
    if row.response is None and row.parsed is None and row.function_calls is None:
        return row
    return [value.decode() if isinstance(value, bytes) else value for value in row]
