"""Results in PostgreSQL: rows, quarantine and progress in one transaction, rows by binary COPY.

``postgresql://user:password@host/database``, as libpq reads it; a schema is named with
``?options=-csearch_path%3Dmy_schema``. Of our own in the query: ``table=``, ``columns=`` and
``vector=`` (see ``vertexq.stores.layout``) and ``partition=day``.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import AbstractContextManager, closing, suppress
from dataclasses import dataclass
from functools import partial
from typing import Any

import psycopg
from psycopg import errors
from psycopg.conninfo import conninfo_to_dict, make_conninfo

from vertexq.errors import BadSettings
from vertexq.results import Chunk, Outcome, Progress, QuarantinedLine, Result, Row, SourceRange
from vertexq.stores import postgres_schema as schema
from vertexq.stores import postgres_sql as sql
from vertexq.stores.base import Committed, RowsRefused, Store, admit, without_secrets
from vertexq.stores.columns import VECTOR
from vertexq.stores.layout import Layout, split_layout, take_options
from vertexq.stores.poison import unstorable
from vertexq.stores.postgres_errors import is_about_rows, nul, reason, translated, unfit_json
from vertexq.stores.postgres_rows import Connection, Target, copy_lines
from vertexq.stores.postgres_table import Table, is_exact

TRIES = 3
"""How often a transaction is run when PostgreSQL ends it to resolve a deadlock."""

_DEFAULTS: dict[str, Any] = {
    "application_name": "vertexq",
    "connect_timeout": 10,  # seconds
    "keepalives_idle": 30,  # seconds
    "tcp_user_timeout": 60_000,  # milliseconds
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Place:
    """What a URL says: how to connect, and where rows land."""

    conninfo: str
    layout: Layout
    by_day: bool

    @classmethod
    def parse(cls, url: str) -> Place:
        """Read a store's URL; raise ``BadSettings``."""
        rest, layout = split_layout(url, halves=True)
        rest, options = take_options(rest, "partition")
        if options.get("partition", "day") != "day":
            raise BadSettings("partition= knows one word: day; it stands in a store's URL")
        if options and not layout.name_of("submission_id"):
            raise BadSettings("partition=day needs submission_id among columns=: a submission is of one day")
        try:
            given = {**_DEFAULTS, **conninfo_to_dict(rest), "client_encoding": "utf8"}
            return cls(conninfo=make_conninfo("", **given), layout=layout, by_day=bool(options))
        except psycopg.ProgrammingError as error:
            raise BadSettings(
                f"{without_secrets(url)} is not a URL that PostgreSQL's library reads"
            ) from error


class PostgresStore(Store):
    """One database's tables: the results, ``vertexq_quarantine`` and ``vertexq_progress``."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        self._place = Place.parse(url)
        self._open: Connection | None = None
        self._table: Table | None = None
        self._days = schema.Days(self._place.layout)
        self._targets: dict[str, Target] = {}

    def prepare(self) -> None:
        """Create the tables that are not there; without any missing, no right to create is needed."""
        with self._translated():
            schema.prepare(self._connection(), self._place.layout, by_day=self._place.by_day)
            self._table = None

    def close(self) -> None:
        """Close the connection."""
        if self._open is not None:
            self._open.close()
            self._open = None

    def location(self, submission_id: str) -> str:
        """Name the database, the table and the condition."""
        layout = self._place.layout
        return f"{without_secrets(self.url)}, table {layout.table}{layout.where(submission_id)}"

    def results(self, submission_id: str, *, outcomes: frozenset[Outcome] | None = None) -> Iterator[Result]:
        """Stream the results, from a snapshot that later writes do not change."""
        wanted = [outcome.value for outcome in (outcomes if outcomes is not None else Outcome)]
        with self._translated():
            query = sql.read_results(self._place.layout, self._look(), by_day=self._place.by_day)
        found = self._read(query, {"submission": submission_id, "outcomes": wanted})
        return map(partial(self._place.layout.result_of, submission_id=submission_id), found)

    def quarantine(self, submission_id: str) -> Iterator[QuarantinedLine]:
        """Stream the quarantined lines."""
        return map(QuarantinedLine._make, self._read(sql.READ_QUARANTINE, (submission_id,)))

    def _committed(self, source: SourceRange) -> Committed | None:
        with self._translated():
            range_id = self._place.layout.range_id(source)
            return _known(self._connection().execute(sql.PROGRESS, (range_id,)))

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        if why := unfit_json(chunk.rows):
            raise RowsRefused(why)
        with self._translated():
            for left in reversed(range(TRIES)):
                try:
                    # After a deadlock all rows are merged in the order of their keys.
                    self._commit(chunk, fence=fence, merge_all=left < TRIES - 1)
                    break
                except (errors.DeadlockDetected, errors.SerializationFailure):
                    if not left:
                        raise
                except errors.UndefinedTable:  # somebody dropped the partition of an old day
                    self._days.forget()
                    if not left or not self._place.by_day:
                        raise

    def _commit(self, chunk: Chunk, *, fence: int, merge_all: bool) -> None:
        connection = self._connection()
        target = self._target(chunk.source.submission_id)
        source, after = chunk.source, chunk.progress
        range_id = self._place.layout.range_id(source)
        try:
            admit(chunk, _begin(connection, range_id), fence=fence)
            target.write(connection, chunk, merge_all=merge_all)
            if chunk.quarantined:
                copy_lines(connection, chunk.quarantined)
            values = (range_id, source.submission_id, source.batch_id, after.position, fence, after.state)
            psycopg.ClientCursor(connection).execute(sql.COMMIT_RANGE, values)
        except BaseException:
            _roll_back(connection)
            raise

    def _refusal(self, rows: Sequence[Row]) -> str:
        """Write ``rows`` for the server's opinion, and take them back: it may have rules of its own."""
        why = unstorable(rows) or nul(rows) or unfit_json(rows)
        if why or not rows:
            return why
        with self._translated():
            connection = self._connection()
            target = self._target(rows[0].submission_id)
            if why := target.unfit(rows):
                return why
            try:
                with connection.transaction(force_rollback=True):
                    target.merge(connection, rows, frozenset(row.key for row in rows))
                    connection.execute("SET CONSTRAINTS ALL IMMEDIATE")
            except (psycopg.Error, UnicodeEncodeError) as error:
                if isinstance(error, psycopg.Error) and not is_about_rows(error):
                    raise
                return reason(error) if isinstance(error, psycopg.Error) else "not Unicode"
        return ""

    def _target(self, submission_id: str) -> Target:
        """Return where rows of the submission go: the table, or its partition of a day."""
        layout, table = self._place.layout, self._look()
        into = self._days.table_of(self._connection(), submission_id) if self._place.by_day else ""
        if into not in self._targets:
            schema.check_writable(layout, table)
            say = sql.statements(layout, table, into=into)
            vector = table.vectors_in(layout.name_of(VECTOR)).encoder(layout.dimensions)
            exact = is_exact(layout, table)
            self._targets[into] = Target(layout=layout, say=say, direct=exact, vector=vector)
        return self._targets[into]

    def _look(self) -> Table:
        if self._table is None:
            self._table = schema.look(self._connection(), self._place.layout)
            self._targets.clear()
        return self._table

    def _read(self, query: str, values: Sequence[object] | dict[str, object]) -> Iterator[tuple[Any, ...]]:
        # A connection of its own: a reader may stay open while this store writes.
        with self._translated(), closing(self._connect()) as connection, connection.cursor() as cursor:
            yield from cursor.stream(query.encode(), values, binary=True)

    def _connection(self) -> Connection:
        if self._open is None or self._open.closed:
            self._open = self._connect()
        return self._open

    def _connect(self) -> Connection:
        # No prepared statements: a pooler may give each transaction another server process.
        return psycopg.connect(self._place.conninfo, autocommit=True, prepare_threshold=None)

    def _translated(self) -> AbstractContextManager[None]:
        return translated(without_secrets(self.url), lost=self.close)


def _begin(connection: Connection, range_id: str) -> Committed | None:
    """Open the transaction, lock the range, and return what is known of it; all in one message."""
    cursor = psycopg.ClientCursor(connection)
    cursor.execute(sql.BEGIN_RANGE, {"range": range_id})
    while cursor.nextset():
        pass
    return _known(cursor)


def _known(cursor: psycopg.Cursor[tuple[Any, ...]]) -> Committed | None:
    found = cursor.fetchone()
    return Committed(Progress(position=found[0], state=found[1]), found[2]) if found else None


def _roll_back(connection: Connection) -> None:
    with suppress(psycopg.Error):  # the connection may be gone, and the transaction with it
        connection.rollback()
