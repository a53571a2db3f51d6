"""Results in PostgreSQL: rows, quarantine and progress in one transaction, rows by binary COPY.

``postgresql://user:password@host/database``, as libpq reads it; a schema is named with
``?options=-csearch_path%3Dmy_schema``.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import Any

import orjson
import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.types.json import Json

from vertexq.errors import BadSettings, StoreRefused, Unreachable
from vertexq.results import (
    RESULT_COLUMNS,
    Chunk,
    Outcome,
    Progress,
    QuarantinedLine,
    Result,
    Row,
    SourceRange,
)
from vertexq.stores import postgres_sql as sql
from vertexq.stores.base import Committed, RowsRefused, Store, admit, without_secrets
from vertexq.stores.columns import JSON_COLUMNS, instant, result_of
from vertexq.stores.poison import unstorable

Connection = psycopg.Connection[tuple[Any, ...]]

TRIES = 3
"""How often a transaction is run when PostgreSQL ends it to resolve a deadlock."""

_DEFAULTS: dict[str, Any] = {
    "application_name": "vertexq",
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 30,  # seconds
    "tcp_user_timeout": 60_000,  # milliseconds
}
_INSTANT = RESULT_COLUMNS.index("processed_at")
_UNREACHABLE = ("08", "53", "57", "58", "XX")
"""SQLSTATE classes of a server that is gone, full, going down or broken."""
_ROWS_REFUSED = ("22", "23", "54")
"""SQLSTATE classes of data: exceptions, constraints, limits."""
_NUL_ESCAPE = re.compile(rb"(?<!\\)(?:\\\\)*\\u0000")
_SURROGATE_ESCAPE = re.compile(rb"\\u[dD][89a-fA-F]")


class PostgresStore(Store):
    """Tables ``vertexq_results``, ``vertexq_quarantine`` and ``vertexq_progress`` of one database."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        try:
            options = {**_DEFAULTS, **conninfo_to_dict(url), "client_encoding": "utf8"}
            self._conninfo = make_conninfo("", **options)
        except psycopg.ProgrammingError as error:
            raise BadSettings(
                f"{without_secrets(url)} is not a URL that PostgreSQL's library reads"
            ) from error
        self._open: Connection | None = None

    def prepare(self) -> None:
        """Create the tables that are not there; without any missing, no right to create is needed."""
        with self._translated():
            connection = self._connection()
            if not _any_missing(connection):
                return
            with connection.transaction():
                connection.execute(sql.SCHEMA_LOCK)
                for statement in sql.SCHEMA:
                    connection.execute(statement.encode())

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def location(self, submission_id: str) -> str:
        """Name the database, the table and the condition."""
        return f"{without_secrets(self.url)}, table vertexq_results, submission_id = '{submission_id}'"

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Stream the results, from a snapshot that later writes do not change."""
        wanted = [outcome.value for outcome in (outcomes if outcomes is not None else Outcome)]
        return map(result_of, self._read(sql.READ_RESULTS, (submission_id, wanted)))

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Stream the quarantined lines."""
        return map(QuarantinedLine._make, self._read(sql.READ_QUARANTINE, (submission_id,)))

    def _committed(self, source: SourceRange) -> Committed | None:
        with self._translated():
            return _known(self._connection(), source)

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        if why := _unfit_json(chunk.rows):
            raise RowsRefused(why)
        with self._translated():
            for left in reversed(range(TRIES)):
                try:
                    # After a deadlock all rows are merged in the order of their keys.
                    _commit(self._connection(), chunk, fence=fence, merge_all=left < TRIES - 1)
                    break
                except (errors.DeadlockDetected, errors.SerializationFailure):
                    if not left:
                        raise

    def _refusal(self, rows: Sequence[Row]) -> str:
        why = unstorable(rows) or _nul(rows) or _unfit_json(rows)
        if why:
            return why
        with self._translated():
            connection = self._connection()
            try:
                with connection.transaction(force_rollback=True):
                    connection.execute(sql.CREATE_PROBE)
                    _copy(connection, sql.COPY_STAGING, sql.COPY_TYPES, map(_record, rows))
            except psycopg.Error as error:
                if not _is_about_rows(error):
                    raise
                return _reason(error)
        return ""

    def _read(self, query: str, values: Sequence[object]) -> Iterator[tuple[Any, ...]]:
        # A connection of its own: a reader may stay open while this store writes.
        with self._translated(), closing(self._connect()) as connection, connection.cursor() as cursor:
            yield from cursor.stream(query.encode(), values, binary=True)

    def _connection(self) -> Connection:
        if self._open is None or self._open.closed:
            self._open = self._connect()
        return self._open

    def _connect(self) -> Connection:
        # No prepared statements: a pooler may give each transaction another server process.
        return psycopg.connect(self._conninfo, autocommit=True, prepare_threshold=None)

    @contextmanager
    def _translated(self) -> Generator[None]:
        where = without_secrets(self.url)
        try:
            yield
        except (UnicodeEncodeError, OverflowError) as error:
            raise RowsRefused(f"{where} cannot hold a row: {type(error).__name__}") from error
        except psycopg.Error as error:
            if _is_about_rows(error):
                raise RowsRefused(f"{where} cannot hold a row: {_reason(error)}") from error
            if _is_outage(error):
                self.close()
                raise Unreachable(f"cannot use {where}: {_reason(error)}; check that it runs") from error
            raise StoreRefused(f"{where} refused: {_reason(error)}; check rights and tables") from error


def _any_missing(connection: Connection) -> bool:
    found = connection.execute(sql.MISSING_TABLES, (list(sql.TABLES),)).fetchone()
    return found is None or found[0] > 0


def _known(connection: Connection, source: SourceRange) -> Committed | None:
    found = connection.execute(sql.PROGRESS, (source.id,)).fetchone()
    return Committed(Progress(position=found[0], state=found[1]), found[2]) if found else None


def _commit(connection: Connection, chunk: Chunk, *, fence: int, merge_all: bool) -> None:
    source, after = chunk.source, chunk.progress
    with connection.transaction():
        connection.execute(sql.BEGIN_RANGE, (source.id,))
        admit(chunk, _known(connection, source), fence=fence)
        again = chunk.rows if merge_all else _insert_new(connection, chunk)
        if again:
            connection.execute(sql.CREATE_STAGING)
            _copy(connection, sql.COPY_STAGING, sql.COPY_TYPES, map(_record, again))
            connection.execute(sql.MERGE_STAGING.encode())
        if chunk.quarantined:
            _copy(connection, sql.COPY_QUARANTINE, sql.QUARANTINE_TYPES, chunk.quarantined)
        values = (source.id, source.submission_id, source.batch_id, after.position, fence, after.state)
        connection.execute(sql.MOVE_PROGRESS, values)


def _insert_new(connection: Connection, chunk: Chunk) -> Sequence[Row]:
    """Copy what is new straight into the table; return the rows that must be merged instead."""
    replacing = chunk.replacing
    new = [row for row in chunk.rows if row.key not in replacing] if replacing else chunk.rows
    if not new:
        return chunk.rows
    try:
        with connection.transaction():  # a savepoint
            _copy(connection, sql.COPY_RESULTS, sql.COPY_TYPES, map(_record, new))
    except errors.UniqueViolation:  # the ledger did not know of a row that is there
        return chunk.rows
    return [row for row in chunk.rows if row.key in replacing] if replacing else ()


def _copy(
    connection: Connection, statement: str, types: list[str], records: Iterable[Sequence[object]]
) -> None:
    with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
        copy.set_types(types)
        for record in records:
            copy.write_row(record)


def _record(row: Row) -> Sequence[object]:
    values: list[object] = list(row)
    values[_INSTANT] = instant(row.processed_at)
    for at in JSON_COLUMNS:
        if values[at] is not None:
            values[at] = Json(values[at], dumps=_as_it_is)
    return values


def _as_it_is(raw: bytes) -> bytes:
    return raw


def _nul(rows: Iterable[Row]) -> str:
    for row in rows:
        if any(isinstance(value, str) and "\x00" in value for value in row):
            return "PostgreSQL keeps no NUL character in text"
    return ""


def _unfit_json(rows: Iterable[Row]) -> str:
    """Find what the type ``json`` takes in and then fails on at every look."""
    for row in rows:
        if row.response is None or b"\\u" not in row.response:
            continue
        if _NUL_ESCAPE.search(row.response):
            return "PostgreSQL keeps no NUL character in JSON"
        if _SURROGATE_ESCAPE.search(row.response) and not _is_json(row.response):
            return "PostgreSQL keeps no half of a surrogate pair in JSON"
    return ""


def _is_json(text: bytes) -> bool:
    try:
        orjson.loads(text)
    except orjson.JSONDecodeError:
        return False
    return True


def _is_about_rows(error: psycopg.Error) -> bool:
    if error.sqlstate is None:
        return isinstance(error, psycopg.DataError)
    return error.sqlstate[:2] in _ROWS_REFUSED


def _is_outage(error: psycopg.Error) -> bool:
    if error.sqlstate is None:
        return isinstance(error, psycopg.OperationalError | psycopg.InterfaceError)
    return error.sqlstate[:2] in (*_UNREACHABLE, "40")


def _reason(error: psycopg.Error) -> str:
    """Return the server's sentence without its DETAIL and CONTEXT, which quote rows."""
    return error.diag.message_primary or str(error).partition("\n")[0] or type(error).__name__
