"""The SQL of the SQLite store, and whether a table that is there can take our rows. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vertexq.results import QuarantinedLine
from vertexq.stores import table_fit
from vertexq.stores.columns import VECTOR, Column, ColumnType
from vertexq.stores.layout import Layout, quoted
from vertexq.stores.table_fit import Found

TYPES = {
    ColumnType.TEXT: "TEXT",
    ColumnType.INTEGER: "INTEGER",
    ColumnType.REAL: "REAL",
    ColumnType.INSTANT: "TEXT",
    ColumnType.JSON: "TEXT",
    ColumnType.VECTOR: "BLOB",  # 32-bit floats, little-endian: what sqlite-vec reads
}
_FITS = {
    ColumnType.TEXT: ("TEXT", "BLOB"),
    ColumnType.INTEGER: ("INTEGER", "NUMERIC", "BLOB"),
    ColumnType.REAL: ("REAL", "NUMERIC", "BLOB"),
    ColumnType.INSTANT: ("TEXT", "NUMERIC", "BLOB"),
    ColumnType.JSON: ("TEXT", "NUMERIC", "BLOB"),
    ColumnType.VECTOR: ("BLOB", "TEXT", "NUMERIC"),  # in the last two as JSON
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


def affinity(type_: str) -> str:
    """Return what SQLite makes of the name of a type (its manual, "Datatypes In SQLite", section 3.1)."""
    if not type_:
        return "BLOB"
    return next((meant for part, meant in _AFFINITIES if part in type_.upper()), "NUMERIC")


def packs(layout: Layout, found: Iterable[Found]) -> bool:
    """Tell whether the table takes vectors as bytes; one with a column for text gets them as JSON."""
    name = layout.name_of(VECTOR).lower()
    return all(affinity(column.type) == "BLOB" for column in found if column.name.lower() == name)


def create_table(layout: Layout) -> str:
    """Return the statement that makes the results table."""
    columns = [f"{quoted(name)} {TYPES[c.type]}{' NOT NULL' * c.required}" for c, name in layout.names]
    key = ", ".join(map(quoted, layout.key))
    return f"CREATE TABLE IF NOT EXISTS {quoted(layout.table)} ({', '.join(columns)}, PRIMARY KEY ({key}))"


def add_column(layout: Layout, column: Column, name: str) -> str:
    """Return the statement that adds a column of a newer vertexq."""
    return f"ALTER TABLE {quoted(layout.table)} ADD COLUMN {quoted(name)} {TYPES[column.type]}"


def upsert(layout: Layout, *, keep: bool = False) -> str:
    """Return the statement that writes a row; with ``keep``, one that is there stays whatever comes."""
    names = ", ".join(quoted(name) for _, name in layout.names)
    insert = (
        f"INSERT INTO {quoted(layout.table)} ({names}) VALUES ({', '.join('?' * len(layout.names))}) "
        f"ON CONFLICT ({', '.join(map(quoted, layout.key))}) DO "
    )
    others = [quoted(name) for _, name in layout.names if name not in layout.key]
    if keep or not others:
        return insert + "NOTHING"
    update = f"{insert}UPDATE SET {', '.join(f'{name} = excluded.{name}' for name in others)}"
    if not layout.is_judged:
        return update
    return f"{update} WHERE {layout.better_sql('excluded', quoted(layout.table))}"


def read_results(layout: Layout, found: tuple[Found, ...], *, outcomes: int) -> str:
    """Return the query of a submission's results: named ``:submission``, and ``:o0``, ``:o1`` … outcomes.

    A column that the table lacks, because an older vertexq made it, is read as null.
    """
    types = {column.name.lower(): affinity(column.type) for column in found}
    read = [_read(column, name, types.get(name.lower())) for column, name in layout.names]
    outcome = quoted(layout.name_of("outcome")) if layout.name_of("outcome") else "'succeeded'"
    where = f"{outcome} IN ({', '.join(f':o{number}' for number in range(outcomes))})"
    if submission := layout.name_of("submission_id"):
        where += f" AND {quoted(submission)} = :submission"
    return f"SELECT {', '.join(read)} FROM {quoted(layout.table)} WHERE {where}"


def _read(column: Column, name: str, kind: str | None) -> str:
    if kind is None:
        return "NULL"
    if kind == "INTEGER" and column.type is ColumnType.TEXT:
        return f"CAST({quoted(name)} AS TEXT)"
    return quoted(name)


def faults(layout: Layout, found: tuple[Found, ...], unique: list[set[str]]) -> Iterator[str]:
    """Say what must be mended before the table can take rows; nothing when it can."""
    yield from table_fit.faults(layout, found, _unfit)
    if {name.lower() for name in layout.key} not in unique:
        yield table_fit.without_key(layout)


def _unfit(column: Column, found: Found) -> Iterable[str]:
    fits = (*_FITS[column.type], *(("INTEGER",) if column.name in {"submission_id", "key"} else ()))
    if affinity(found.type) not in fits:
        yield (
            f"its column {found.name} is {found.type}, which SQLite takes for {affinity(found.type)}; for "
            f"{column.name} it may be {', '.join(fits)}"
        )
