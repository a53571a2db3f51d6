"""Results in a SQLite file: rows, quarantine and progress in one transaction.

``sqlite:///results.db`` is a path relative to the working directory, ``sqlite:////srv/results.db`` absolute;
of our own in the query: ``table=``, ``columns=`` and ``vector=`` (see ``vertexq.stores.layout``).
"""

from __future__ import annotations

import sqlite3
from collections.abc import Generator, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from functools import partial
from pathlib import Path
from typing import Any

from vertexq.errors import BadSettings, StoreRefused, Unreachable
from vertexq.results import Chunk, Outcome, Progress, QuarantinedLine, Result, Row, SourceRange
from vertexq.stores import sqlite_sql as sql
from vertexq.stores.base import Committed, RowsRefused, Store, admit
from vertexq.stores.columns import JSON_COLUMNS, VECTOR_COLUMN
from vertexq.stores.layout import Layout, replaces, split_layout
from vertexq.stores.poison import unstorable
from vertexq.stores.table_fit import Found, lacking, refused
from vertexq.stores.vectors import UnfitVector, compact, misfit, packed, unpacked

BUSY_TIMEOUT_S = 30.0
"""How long a writer waits for another one; a chunk takes well under a second."""


class SqliteStore(Store):
    """A SQLite file in WAL mode; any number of processes of one machine may write it, one at a time."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        rest, self._layout = split_layout(url)
        path = rest.removeprefix("sqlite:///")
        if path == rest or not path or path == ":memory:" or "?" in path:
            raise BadSettings(
                f"{rest!r} names no file, or a ?setting is not known; write sqlite:///results.db or "
                "sqlite:////srv/results.db, with ?table=, columns= and vector= if need be"
            )
        self._path = Path(path)
        self._writer: sqlite3.Connection | None = None
        self._opened: tuple[int, int] | None = None
        self._packs = True

    def prepare(self) -> None:
        """Create the file's directory, the file and its tables; add the columns of a newer vertexq.

        Raise ``BadSettings`` for a table of the user's own that cannot take our rows.
        """
        with self._translated():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._transaction() as db:
                _make(db, self._layout)
                columns = _columns(db, self._layout)
                found = sql.faults(self._layout, columns, _unique(db, self._layout))
                if wrong := refused(self._layout.table, found):
                    raise BadSettings(wrong)
                self._packs = sql.packs(self._layout, columns)

    def close(self) -> None:
        """Close the file."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None

    def location(self, submission_id: str) -> str:
        """Name the file, the table and the condition."""
        return f"{self._path}, table {self._layout.table}{self._layout.where(submission_id)}"

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Stream the results, from a snapshot that later writes do not change."""
        wanted = {f"o{n}": outcome for n, outcome in enumerate(outcomes if outcomes is not None else Outcome)}
        with self._translated():
            found = _columns(self._connection(), self._layout)
        query = sql.read_results(self._layout, found, outcomes=len(wanted))
        rows = self._read(query, {"submission": submission_id, **wanted})
        return (
            self._layout.result_of(_loaded(self._layout, values), submission_id=submission_id)
            for values in rows
        )

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Stream the quarantined lines."""
        return map(QuarantinedLine._make, self._read(sql.READ_LINES, (submission_id,)))

    def _committed(self, source: SourceRange) -> Committed | None:
        with self._translated():
            return _known(self._connection(), self._layout.range_id(source))

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        range_id = self._layout.range_id(chunk.source)
        with self._translated(), self._transaction() as db:
            admit(chunk, _known(db, range_id), fence=fence)
            self._insert(db, chunk.rows, chunk.replacing)
            db.executemany(sql.INSERT_LINE, chunk.quarantined)
            source, after = chunk.source, chunk.progress
            moved = (range_id, source.submission_id, source.batch_id, after.position, fence, after.state)
            db.execute(sql.MOVE_PROGRESS, moved)

    def _insert(self, db: sqlite3.Connection, rows: Sequence[Row], replacing: frozenset[str]) -> None:
        if self._layout.is_judged:
            db.executemany(sql.upsert(self._layout), self._stored(rows))
            return
        won = [row for row in rows if replaces(row, replacing)]
        lost = [row for row in rows if not replaces(row, replacing)]
        db.executemany(sql.upsert(self._layout), self._stored(won))
        db.executemany(sql.upsert(self._layout, keep=True), self._stored(lost))

    def _stored(self, rows: Sequence[Row]) -> Iterator[Sequence[object]]:
        fitted = partial(_fitted, packs=self._packs, dimensions=self._layout.dimensions)
        return map(self._layout.pick, map(fitted, rows))

    def _refusal(self, rows: Sequence[Row]) -> str:
        """Write ``rows`` for SQLite's opinion, and take them back: the table may have rules of its own."""
        if why := unstorable(rows) or misfit(rows, self._layout.vector):
            return why
        try:
            with self._translated(), self._transaction(keep=False) as db:
                self._insert(db, rows, frozenset())
        except RowsRefused as refused:
            return str(refused)
        return ""

    def _read(self, query: str, values: Sequence[str] | Mapping[str, str]) -> Iterator[tuple[Any, ...]]:
        # A connection of its own: a reader may stay open while this store writes.
        with self._translated(), closing(self._connect()) as db:
            yield from db.execute(query, values)

    @contextmanager
    def _transaction(self, *, keep: bool = True) -> Generator[sqlite3.Connection]:
        db = self._connection()
        db.execute("BEGIN IMMEDIATE")
        try:
            yield db
            db.execute("COMMIT" if keep else "ROLLBACK")
        except BaseException:
            if db.in_transaction:
                db.execute("ROLLBACK")
            raise

    def _connection(self) -> sqlite3.Connection:
        if self._writer is not None and self._opened != self._file():
            self.close()  # removed or replaced under us: what goes to the old file nobody would see
            self.prepare()
        if self._writer is None:
            self._writer = self._connect()
            self._opened = self._file()
        return self._writer

    def _file(self) -> tuple[int, int] | None:
        """Return what tells a file from another one at the same path; None when there is none."""
        try:
            found = self._path.stat()
        except FileNotFoundError:
            return None
        return found.st_dev, found.st_ino

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
        except UnfitVector as unfit:
            raise RowsRefused(f"{self._path} cannot hold a row: {unfit}") from unfit
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


def _known(db: sqlite3.Connection, range_id: str) -> Committed | None:
    found = db.execute(sql.PROGRESS, (range_id,)).fetchone()
    return Committed(Progress(position=found[0], state=found[1]), found[2]) if found else None


def _make(db: sqlite3.Connection, layout: Layout) -> None:
    for statement in (sql.create_table(layout), *sql.OWN_SCHEMA):
        db.execute(statement)
    if layout.is_whole:
        for column, name in lacking(layout, _columns(db, layout)):
            db.execute(sql.add_column(layout, column, name))


def _columns(db: sqlite3.Connection, layout: Layout) -> tuple[Found, ...]:
    found = db.execute(f'PRAGMA table_info("{layout.table}")')
    return tuple(
        Found(name=name, type=kind, required=bool(required), supplied=default is not None or bool(key))
        for _, name, kind, required, default, key in found
    )


def _unique(db: sqlite3.Connection, layout: Layout) -> list[set[str]]:
    """Return the sets of columns, in lower case, no two rows of which are the same."""
    key = [
        name.lower() for _, name, _, _, _, key in db.execute(f'PRAGMA table_info("{layout.table}")') if key
    ]
    indexes = [
        name
        for _, name, unique, _, partial_ in db.execute(f'PRAGMA index_list("{layout.table}")')
        if unique and not partial_
    ]
    return [set(key), *({str(part).lower() for _, _, part in _parts(db, name)} for name in indexes)]


def _parts(db: sqlite3.Connection, index: str) -> list[tuple[int, int, str | None]]:
    return db.execute(f'PRAGMA index_info("{index}")').fetchall()


def _fitted(row: Row, *, packs: bool, dimensions: int | None) -> Sequence[object]:
    """Return the row with its JSON as text: SQLite keeps bytes as they are, and nothing reads those.

    Its vector becomes bytes or, without ``packs``, text. Raise ``UnfitVector``.
    """
    if row.embedding is None and not any(type(row[at]) is bytes for at in JSON_COLUMNS):
        return row
    values: list[object] = list(row)
    for at in JSON_COLUMNS:
        value = values[at]
        if isinstance(value, bytes):
            values[at] = value.decode()
    if row.embedding is not None:
        vector = packed(row.embedding, dimensions=dimensions)  # also where text is kept: it must be one
        values[VECTOR_COLUMN] = vector if packs else compact(row.embedding).decode()
    return values


def _loaded(layout: Layout, values: Sequence[Any]) -> Sequence[Any]:
    """Return a row as it was read, with the numbers of its vector."""
    at = layout.vector_at
    if at is None or not isinstance(values[at], bytes):
        return values
    return (*values[:at], unpacked(values[at]), *values[at + 1 :])
