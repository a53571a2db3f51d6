"""Tables of a PostgreSQL store: made, widened and looked at; and one partition a day."""

from __future__ import annotations

from psycopg import errors

from vertexq.errors import BadSettings, StoreRefused
from vertexq.stores import postgres_sql as sql
from vertexq.stores.columns import ColumnType
from vertexq.stores.layout import Layout, quoted
from vertexq.stores.postgres_extension import vector_type
from vertexq.stores.postgres_rows import Connection
from vertexq.stores.postgres_table import Table, faults, lacking
from vertexq.stores.postgres_vectors import ARRAY
from vertexq.stores.table_fit import Found, refused

DAYS_KEPT = 1_000
"""How many submissions' days are kept in memory."""


def look(connection: Connection, layout: Layout) -> Table:
    """Return what the results table is like; one that is not there has no columns."""
    name = (quoted(layout.table),)
    kind = connection.execute(sql.FOUND_KIND, name).fetchone()
    return Table(
        columns=tuple(
            Found(name=found[0], type=found[1], required=found[2], supplied=found[3])
            for found in connection.execute(sql.FOUND_COLUMNS, name)
        ),
        unique=tuple(frozenset(found[0]) for found in connection.execute(sql.FOUND_UNIQUE, name)),
        partitioned=bool(kind and kind[0]),
    )


def prepare(connection: Connection, layout: Layout, *, by_day: bool) -> None:
    """Make what is missing; with nothing missing, no right to make it is needed.

    A table of all our columns is given those of a newer vertexq; where the right to do so is lacking it is
    left as it is, to be read. Raise ``BadSettings`` for a table that cannot take our rows.
    """
    table = look(connection, layout)
    if not table.columns or _any_missing(connection, by_day=by_day):
        _make(connection, layout, by_day=by_day)
    elif layout.is_whole and lacking(layout, table):
        _widen(connection, layout)
    check(layout, look(connection, layout), by_day=by_day)


def check(layout: Layout, table: Table, *, by_day: bool) -> None:
    """Raise ``BadSettings`` with all that is wrong with the table."""
    if wrong := refused(layout.table, faults(layout, table, by_day=by_day)):
        raise BadSettings(wrong)


def check_writable(layout: Layout, table: Table) -> None:
    """Raise ``StoreRefused`` when columns lack that this user was not allowed to add."""
    if lack := [sql.add_column(layout, column, name) for column, name in lacking(layout, table)]:
        raise StoreRefused(f"the table {layout.table} lacks columns; let its owner run: {'; '.join(lack)}")


def _any_missing(connection: Connection, *, by_day: bool) -> bool:
    wanted = [*sql.OWN_TABLES, *([sql.DAYS_TABLE] if by_day else [])]
    found = connection.execute(sql.MISSING_TABLES, (wanted,)).fetchone()
    return found is None or found[0] > 0


def _make(connection: Connection, layout: Layout, *, by_day: bool) -> None:
    days = (sql.DAYS_SCHEMA,) if by_day else ()
    with connection.transaction():
        connection.execute(sql.SCHEMA_LOCK)
        vectors = vector_type(connection, layout) if not look(connection, layout).columns else ARRAY
        for statement in (sql.create_table(layout, by_day=by_day, vectors=vectors), *sql.OWN_SCHEMA, *days):
            connection.execute(statement.encode())


def _widen(connection: Connection, layout: Layout) -> None:
    try:
        with connection.transaction():
            connection.execute(sql.SCHEMA_LOCK)
            lack = lacking(layout, look(connection, layout))
            wanted = any(column.type is ColumnType.VECTOR for column, _ in lack)
            vectors = vector_type(connection, layout) if wanted else ARRAY
            for column, name in lack:
                connection.execute(sql.add_column(layout, column, name, vectors=vectors).encode())
    except errors.InsufficientPrivilege:
        pass  # a reader does without them, a writer says so


class Days:
    """Which partition the rows of a submission are in: that of the day its first ones came."""

    def __init__(self, layout: Layout) -> None:
        self._layout = layout
        self._tables: dict[str, str] = {}

    def forget(self) -> None:
        """Look again: a partition may have been dropped."""
        self._tables.clear()

    def table_of(self, connection: Connection, submission_id: str) -> str:
        """Return the name of the partition, and make it when it is not there, in a transaction of its own."""
        known = self._tables.get(submission_id)
        if known is None:
            if len(self._tables) >= DAYS_KEPT:
                self.forget()
            known = self._tables[submission_id] = self._find(connection, submission_id)
        return known

    def _find(self, connection: Connection, submission_id: str) -> str:
        with connection.transaction():
            connection.execute(sql.SCHEMA_LOCK)
            connection.execute(sql.NOTE_DAY, (submission_id,))
            found = connection.execute(sql.DAY_OF, (submission_id,)).fetchone()
            day = str(found[0]) if found else ""
            self._attach(connection, day)
        return sql.day_table(self._layout, day)

    def _attach(self, connection: Connection, day: str) -> None:
        name = sql.day_table(self._layout, day)
        names = (quoted(self._layout.table), quoted(name))
        found = connection.execute(sql.IS_PARTITION, names).fetchone()
        if found is None:
            for statement in sql.create_day(self._layout, day):
                connection.execute(statement.encode())
        elif not found[0]:
            raise StoreRefused(
                f"the table {name} is there and is no partition of {self._layout.table}; attach it again, or "
                "rename it: rows of its day still come"
            )
