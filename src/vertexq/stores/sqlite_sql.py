"""The SQL of the SQLite store, and whether a table that is there can take our rows. No I/O."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from vertexq.results import QuarantinedLine
from vertexq.stores.columns import Column, ColumnType, better_sql
from vertexq.stores.layout import Layout

TYPES = {
    ColumnType.TEXT: "TEXT",
    ColumnType.INTEGER: "INTEGER",
    ColumnType.REAL: "REAL",
    ColumnType.INSTANT: "TEXT",
    ColumnType.JSON: "TEXT",
}
_FITS = {
    ColumnType.TEXT: ("TEXT", "BLOB"),
    ColumnType.INTEGER: ("INTEGER", "NUMERIC", "BLOB"),
    ColumnType.REAL: ("REAL", "NUMERIC", "BLOB"),
    ColumnType.INSTANT: ("TEXT", "NUMERIC", "BLOB"),
    ColumnType.JSON: ("TEXT", "NUMERIC", "BLOB"),
}
_AFFINITIES = (
    ("INT", "INTEGER"),
    ("CHAR", "TEXT"),
    ("CLOB", "TEXT"),
    ("TEXT", "TEXT"),
    ("BLOB", "BLOB"),
    ("REAL", "REAL"),
    ("FLOA", "REAL"),
    ("DOUB", "REAL"),
)
_LINE = ", ".join(QuarantinedLine._fields)

OWN_SCHEMA = (
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
INSERT_LINE = (
    f"INSERT INTO vertexq_quarantine ({_LINE}) VALUES ({', '.join('?' * len(QuarantinedLine._fields))})"
)
READ_LINES = f"SELECT {_LINE} FROM vertexq_quarantine WHERE submission_id = ?"
PROGRESS = "SELECT position, state, fence FROM vertexq_progress WHERE range_id = ?"
MOVE_PROGRESS = (
    "INSERT INTO vertexq_progress (range_id, submission_id, batch_id, position, fence, state) "
    "VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (range_id) DO UPDATE SET "
    "position = excluded.position, fence = excluded.fence, state = excluded.state"
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """A column as SQLite describes it; ``supplied`` means that it gets a value when none is given."""

    name: str
    type: str
    required: bool
    supplied: bool

    @property
    def affinity(self) -> str:
        """Return what SQLite makes of the type's name (its manual, "Datatypes In SQLite", section 3.1)."""
        if not self.type:
            return "BLOB"
        return next((meant for part, meant in _AFFINITIES if part in self.type.upper()), "NUMERIC")


def _quoted(name: str) -> str:
    return f'"{name}"'


def create_table(layout: Layout) -> str:
    """Return the statement that makes the results table."""
    columns = [f"{_quoted(name)} {TYPES[c.type]}{' NOT NULL' * c.required}" for c, name in layout.names]
    key = ", ".join(map(_quoted, layout.key))
    return f"CREATE TABLE IF NOT EXISTS {_quoted(layout.table)} ({', '.join(columns)}, PRIMARY KEY ({key}))"


def add_column(layout: Layout, column: Column, name: str) -> str:
    """Return the statement that adds a column of a newer vertexq."""
    return f"ALTER TABLE {_quoted(layout.table)} ADD COLUMN {_quoted(name)} {TYPES[column.type]}"


def lacking(layout: Layout, found: tuple[Found, ...]) -> list[tuple[Column, str]]:
    """Return the columns of ``layout`` that are not there."""
    there = {column.name.lower() for column in found}
    return [(column, name) for column, name in layout.names if name.lower() not in there]


def upsert(layout: Layout, *, keep: bool = False) -> str:
    """Return the statement that writes a row; with ``keep``, one that is there stays whatever comes."""
    names = ", ".join(_quoted(name) for _, name in layout.names)
    insert = (
        f"INSERT INTO {_quoted(layout.table)} ({names}) VALUES ({', '.join('?' * len(layout.names))}) "
        f"ON CONFLICT ({', '.join(map(_quoted, layout.key))}) DO "
    )
    others = [_quoted(name) for _, name in layout.names if name not in layout.key]
    if keep or not others:
        return insert + "NOTHING"
    update = f"{insert}UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)}"
    if not layout.is_judged:
        return update
    outcome, attempt = _quoted(layout.name_of("outcome")), _quoted(layout.name_of("attempt"))
    old = f"{_quoted(layout.table)}."
    return f"{update} WHERE {better_sql('excluded.', old, outcome=outcome, attempt=attempt)}"


def read_results(layout: Layout, found: tuple[Found, ...], *, outcomes: int) -> str:
    """Return the query of a submission's results: named ``:submission``, and ``:o0``, ``:o1`` … outcomes.

    A column that the table lacks, because an older vertexq made it, is read as null.
    """
    types = {column.name.lower(): column.affinity for column in found}
    read = [_read(column, name, types.get(name.lower())) for column, name in layout.names]
    outcome = _quoted(layout.name_of("outcome")) if layout.name_of("outcome") else "'succeeded'"
    where = f"{outcome} IN ({', '.join(f':o{number}' for number in range(outcomes))})"
    if submission := layout.name_of("submission_id"):
        where += f" AND {_quoted(submission)} = :submission"
    return f"SELECT {', '.join(read)} FROM {_quoted(layout.table)} WHERE {where}"


def _read(column: Column, name: str, affinity: str | None) -> str:
    if affinity is None:
        return "NULL"
    if affinity == "INTEGER" and column.type is ColumnType.TEXT:
        return f"CAST({_quoted(name)} AS TEXT)"
    return _quoted(name)


def faults(layout: Layout, found: tuple[Found, ...], unique: list[set[str]]) -> Iterator[str]:
    """Say what must be mended before the table can take rows; nothing when it can."""
    ours = {name.lower(): column for column, name in layout.names}
    if not layout.is_whole:
        for column, name in lacking(layout, found):
            yield f"it has no column {name} (for {column.name})"
    for there in found:
        if there.name.lower() in ours:
            yield from _unfit(ours[there.name.lower()], there)
        elif there.required and not there.supplied:
            yield f"its column {there.name} wants a value that we do not have: give it a default"
    if {name.lower() for name in layout.key} not in unique:
        yield f"it has no unique index on ({', '.join(layout.key)}), which says what a repeated row is"


def _unfit(column: Column, found: Found) -> Iterator[str]:
    fits = (*_FITS[column.type], *(("INTEGER",) if column.name in {"submission_id", "key"} else ()))
    if found.affinity not in fits:
        yield (
            f"its column {found.name} is {found.type}, which SQLite takes for {found.affinity}; for "
            f"{column.name} it may be {', '.join(fits)}"
        )
    if found.required and not column.required:
        yield f"its column {found.name} is NOT NULL, but {column.name} is null for rows that failed"
