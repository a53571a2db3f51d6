"""Results in a DuckDB file: rows, quarantine and progress in one transaction.

``duckdb:///results.duckdb`` is a path relative to the working directory, ``duckdb:////srv/results.duckdb``
absolute. DuckDB lets one process in at a time; the workers of one machine take turns.
"""

from __future__ import annotations

from collections.abc import Generator, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any

import duckdb

from vertexq.errors import BadSettings, StoreRefused, Unreachable
from vertexq.results import Chunk, Outcome, Progress, QuarantinedLine, Result, Row, SourceRange
from vertexq.stores import duckdb_sql as sql
from vertexq.stores.base import Committed, RowsRefused, Store, admit
from vertexq.stores.columns import ColumnType, instant
from vertexq.stores.duckdb_file import DuckFile
from vertexq.stores.layout import Layout, replaces, split_layout
from vertexq.stores.poison import unstorable
from vertexq.stores.table_fit import Found, faults, lacking, refused
from vertexq.stores.vectors import UnfitVector, check_lengths, misfit

_LINES = 1000
"""How many quarantined lines are read at once, of a kilobyte each at most."""
_VECTOR_BYTES = 16 * 2**20
"""How many bytes of vectors, as text, are merged at once: DuckDB holds them several times."""
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_ABOUT_ROWS = (
    duckdb.ConversionException,
    duckdb.OutOfRangeException,
    duckdb.ConstraintException,
    duckdb.InvalidInputException,
    duckdb.TypeMismatchException,
    UnicodeError,
    OverflowError,
)


_OTHER_FILE = "not a valid DuckDB database file"
"""What DuckDB says of a file that something else has written."""


class DuckdbStore(Store):
    """A DuckDB file; any number of processes of one machine may write it, in turn."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        place, self._layout = split_layout(url)
        path = place.removeprefix("duckdb:///")
        if path == place or not path or path == ":memory:" or "?" in path:
            raise BadSettings(
                "a DuckDB store's URL names no file; write duckdb:///results.duckdb or "
                "duckdb:////srv/results.duckdb, with ?table=, columns= and vector= if need be"
            )
        self._path = Path(path)
        self._file = DuckFile(self._path)
        self._merge = sql.merge(self._layout)

    def prepare(self) -> None:
        """Create the file's directory, the file and its tables; add the columns of a newer vertexq.

        Raise ``BadSettings`` for a table of the user's own that cannot take our rows.
        """
        with self._translated():
            self._path.parent.mkdir(parents=True, exist_ok=True)
            with self._file.transaction() as db:
                _make(db, self._layout)
                found = _found(db, self._layout)
                wrong = faults(self._layout, found, partial(sql.unfit, self._layout))
                if said := refused(self._layout.table, wrong):
                    raise BadSettings(said)
                as_text = sql.as_text(self._layout, found)
                self._merge = sql.merge(self._layout, vectors_as_text=as_text)

    def close(self) -> None:
        """Close the file."""
        with self._translated():
            self._file.close()

    def location(self, submission_id: str) -> str:
        """Name the file, the table and the condition."""
        return f"{self._path}, table {self._layout.table}{self._layout.where(submission_id)}"

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Stream the results in the order of their keys, a page at a time: between pages others may write."""
        layout = self._layout
        of_submission = [submission_id] if layout.name_of("submission_id") else []
        first: str | None = None
        for (last,) in self._read(sql.pages(layout), of_submission):
            for values in self._read(sql.page(layout), [first, last, *of_submission]):
                result = layout.result_of(_loaded(layout, values), submission_id=submission_id)
                if outcomes is None or result.outcome in outcomes:
                    yield result
            first = last

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Stream the quarantined lines, a page at a time."""
        at = 0
        while page := self._read(sql.READ_QUARANTINE, [submission_id, _LINES, at]):
            yield from map(QuarantinedLine._make, page)
            at += _LINES

    def _committed(self, source: SourceRange) -> Committed | None:
        with self._translated(), self._file.connection() as db:
            return _known(db, self._layout.range_id(source))

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        source, after = chunk.source, chunk.progress
        range_id = self._layout.range_id(source)
        with self._translated(), self._file.transaction() as db:
            admit(chunk, _known(db, range_id), fence=fence)
            self._put(db, chunk.rows, chunk.replacing)
            if chunk.quarantined:
                db.execute(sql.QUARANTINE, [list(column) for column in zip(*chunk.quarantined, strict=True)])
            db.execute(sql.FORGET, [range_id])
            db.execute(
                sql.PROGRESS,
                [range_id, source.submission_id, source.batch_id, after.position, fence, after.state],
            )

    def _refusal(self, rows: Sequence[Row]) -> str:
        if why := unstorable(rows) or misfit(rows, self._layout.vector, wide=True):
            return why
        try:
            with self._translated(), self._file.transaction(keep=False) as db:
                self._put(db, rows, frozenset())
        except RowsRefused as error:
            return str(error)
        return ""

    def _put(self, db: duckdb.DuckDBPyConnection, rows: Sequence[Row], replacing: frozenset[str]) -> None:
        """Merge rows; of those with vectors not too many at a time, for what DuckDB needs to read them."""
        check_lengths(rows, self._layout.vector)
        vector_bytes = sum(len(row.embedding) for row in rows if row.embedding)
        size = len(rows) // (1 + vector_bytes // _VECTOR_BYTES) or 1
        for part in (rows[at : at + size] for at in range(0, len(rows), size)):
            wins = [replaces(row, replacing) for row in part]
            db.execute(self._merge, [*_columns(self._layout, part), wins])

    def _read(self, query: str, values: Sequence[object]) -> list[tuple[Any, ...]]:
        with self._translated(), self._file.connection() as db:
            found: list[tuple[Any, ...]] = db.execute(query, values).fetchall()
        return found

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except UnfitVector as unfit:
            raise RowsRefused(f"DuckDB cannot hold a row: {unfit}") from unfit
        except _ABOUT_ROWS as error:
            raise RowsRefused(f"DuckDB refused it ({type(error).__name__})") from error
        except (duckdb.IOException, duckdb.OutOfMemoryException, OSError) as error:
            if _OTHER_FILE in str(error):
                raise StoreRefused(f"{self._path} is no DuckDB file; name another") from error
            raise Unreachable(
                f"cannot use the DuckDB file {self._path}: {error}; check path, rights and free space"
            ) from error
        except duckdb.Error as error:
            raise StoreRefused(f"{self._path} is not usable: {error}") from error


def _known(db: duckdb.DuckDBPyConnection, range_id: str) -> Committed | None:
    found = db.execute(sql.KNOWN, [range_id]).fetchone()
    return Committed(Progress(position=found[0], state=found[1]), found[2]) if found else None


def _make(db: duckdb.DuckDBPyConnection, layout: Layout) -> None:
    for statement in (*sql.OWN_TABLES, sql.create(layout)):
        db.execute(statement)
    if layout.is_whole:
        for column, name in lacking(layout, _found(db, layout)):
            db.execute(sql.add_column(layout, column, name))


def _found(db: duckdb.DuckDBPyConnection, layout: Layout) -> tuple[Found, ...]:
    rows = db.execute(sql.FOUND_COLUMNS, [layout.table]).fetchall()
    return tuple(
        Found(name=name, type=kind, required=required, supplied=supplied)
        for name, kind, required, supplied in rows
    )


def _columns(layout: Layout, rows: Sequence[Row]) -> Iterator[list[Any]]:
    for column, values in zip(layout.columns, zip(*map(layout.pick, rows), strict=True), strict=True):
        if column.type is ColumnType.INSTANT:
            yield [_microseconds(value) for value in values]
        elif column.type in {ColumnType.JSON, ColumnType.VECTOR}:
            yield [value.decode() if isinstance(value, bytes) else value for value in values]
        else:
            yield list(values)


def _microseconds(text: str | None) -> int | None:
    at = instant(text)
    return None if at is None else (at - _EPOCH) // _MICROSECOND


def _loaded(layout: Layout, values: Sequence[Any]) -> Sequence[Any]:
    return [
        value if value is None else _read(column.type, value)
        for column, value in zip(layout.columns, values, strict=True)
    ]


def _read(kind: ColumnType, value: Any) -> Any:
    if kind is ColumnType.INSTANT:
        return _EPOCH + value * _MICROSECOND
    return list(value) if kind is ColumnType.VECTOR and not isinstance(value, str) else value
