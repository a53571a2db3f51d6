"""The statements of the DuckDB store, for a layout of its results table. No I/O.

There is no primary key: its index would have to fit into memory. A chunk is merged by key instead, in the
transaction that holds the file, so that no key is there twice.
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from vertexq.results import QuarantinedLine
from vertexq.stores.columns import VECTOR, Column, ColumnType
from vertexq.stores.layout import Layout, quoted
from vertexq.stores.table_fit import Found

TYPES = {
    ColumnType.TEXT: "VARCHAR",
    ColumnType.INTEGER: "BIGINT",
    ColumnType.REAL: "DOUBLE",
    ColumnType.INSTANT: "TIMESTAMPTZ",
    ColumnType.JSON: "VARCHAR",  # Google's own spelling; the type JSON refuses lone surrogates
    ColumnType.VECTOR: "FLOAT[]",
}
_FITS: dict[ColumnType, tuple[str, ...]] = {
    ColumnType.TEXT: ("VARCHAR", "JSON"),
    ColumnType.INTEGER: ("BIGINT", "HUGEINT"),
    ColumnType.REAL: ("DOUBLE", "FLOAT", "DECIMAL"),
    ColumnType.INSTANT: ("TIMESTAMP",),  # with a time zone or without
    ColumnType.JSON: ("JSON", "VARCHAR"),
    ColumnType.VECTOR: ("FLOAT[", "DOUBLE[", "JSON", "VARCHAR"),
}
"""How the names of types begin that hold a column."""
_SIZE = re.compile(r"(?:FLOAT|DOUBLE)\[([0-9]+)\]")
OWN_TABLES = (
    """CREATE TABLE IF NOT EXISTS vertexq_quarantine (
        submission_id VARCHAR NOT NULL, batch_id VARCHAR NOT NULL, source_object VARCHAR NOT NULL,
        source_generation BIGINT NOT NULL, source_offset BIGINT NOT NULL, size_bytes BIGINT NOT NULL,
        reason VARCHAR NOT NULL, raw BLOB NOT NULL
    )""",
    """CREATE TABLE IF NOT EXISTS vertexq_progress (
        range_id VARCHAR NOT NULL, submission_id VARCHAR NOT NULL, batch_id VARCHAR NOT NULL,
        position BIGINT NOT NULL, fence BIGINT NOT NULL, state BLOB NOT NULL
    )""",
)
FOUND_COLUMNS = (
    "SELECT column_name, data_type, NOT is_nullable, column_default IS NOT NULL FROM duckdb_columns() "
    "WHERE lower(table_name) = lower(?) AND schema_name = current_schema() "
    "AND database_name = current_database()"
)
KNOWN = "SELECT position, state, fence FROM vertexq_progress WHERE range_id = ?"
FORGET = "DELETE FROM vertexq_progress WHERE range_id = ?"
PROGRESS = (
    "INSERT INTO vertexq_progress (range_id, submission_id, batch_id, position, fence, state) "
    "VALUES (?, ?, ?, ?, ?, ?)"
)
_LINE = ", ".join(QuarantinedLine._fields)
QUARANTINE = (
    f"INSERT INTO vertexq_quarantine ({_LINE}) SELECT unnest($1::VARCHAR[]), unnest($2::VARCHAR[]), "
    "unnest($3::VARCHAR[]), unnest($4::BIGINT[]), unnest($5::BIGINT[]), unnest($6::BIGINT[]), "
    "unnest($7::VARCHAR[]), unnest($8::BLOB[])"
)
READ_QUARANTINE = (
    f"SELECT {_LINE} FROM vertexq_quarantine WHERE submission_id = ? ORDER BY ALL LIMIT ? OFFSET ?"
)

PAGE_BYTES = 8 * 2**20
_NUMBER_BYTES = 32
_ROW_BYTES = 1024  # what a row takes in a reader beside its long texts


def create(layout: Layout) -> str:
    """Return the statement that makes the results table where there is none."""
    columns = ", ".join(
        f'"{name}" {_type(layout, column)}{" NOT NULL" * column.required}' for column, name in layout.names
    )
    return f'CREATE TABLE IF NOT EXISTS "{layout.table}" ({columns})'


def add_column(layout: Layout, column: Column, name: str) -> str:
    """Return the statement that adds a column of a newer vertexq."""
    kind = _type(layout, column)
    return f"ALTER TABLE {quoted(layout.table)} ADD COLUMN IF NOT EXISTS {quoted(name)} {kind}"


def unfit(layout: Layout, column: Column, found: Found) -> Iterable[str]:
    """Say what is wrong with the type of a column; a key may be anything that the producer's keys are."""
    size = _SIZE.fullmatch(found.type) if column.type is ColumnType.VECTOR else None
    if size and layout.dimensions not in {None, int(size[1])}:
        yield f"its column {found.name} is {found.type}, and vector={layout.dimensions} stands in the URL"
    if column.name != "key" and not found.type.startswith(_FITS[column.type]):
        yield (
            f"its column {found.name} is {found.type}; for {column.name} it may be "
            f"{', '.join(_FITS[column.type])}"
        )


def as_text(layout: Layout, found: Iterable[Found]) -> bool:
    """Tell whether the table takes vectors as JSON, and not as lists."""
    name = layout.name_of(VECTOR).lower()
    return any(each.name.lower() == name and not each.type.endswith("]") for each in found)


def merge(layout: Layout, *, vectors_as_text: bool = False) -> str:
    """Return the statement that merges a chunk: its parameters are the table's columns, then ``wins``.

    ``wins`` is a list of booleans: whether a row takes the place of one of its key whatever that one is.
    """
    text = ColumnType.TEXT if vectors_as_text else ColumnType.VECTOR
    given = [
        f'unnest(${at}::{_GIVEN[column.type]}[]) AS "{name}"'
        for at, (column, name) in enumerate(layout.names, 1)
    ]
    given.append(f"unnest(${len(given) + 1}::BOOLEAN[]) AS wins")
    same = " AND ".join(f'r."{name}" = i."{name}"' for name in layout.key)
    names = [name for _, name in layout.names]
    values = [
        _stored(text if column.type is ColumnType.VECTOR else column.type, f'i."{name}"')
        for column, name in layout.names
    ]
    settings = ", ".join(f'"{name}" = {value}' for name, value in zip(names, values, strict=True))
    better = layout.better_sql("i", "r") if layout.is_judged else "i.wins"
    return (
        f'MERGE INTO "{layout.table}" AS r USING (SELECT {", ".join(given)}) AS i ON ({same}) '
        f"WHEN MATCHED AND {better} THEN UPDATE SET {settings} WHEN NOT MATCHED THEN INSERT "
        f"({', '.join(map(quoted, names))}) VALUES ({', '.join(values)})"
    )


def pages(layout: Layout) -> str:
    """Return the statement for the last key of every page of a submission, in order."""
    long = [_bytes(column.type, f'"{name}"') for column, name in layout.names if _is_long(column.type)]
    key = layout.name_of("key")
    return (
        f'SELECT max(last) FROM (SELECT "{key}" AS last, sum({" + ".join([*long, str(_ROW_BYTES)])}) '
        f'OVER (ORDER BY "{key}" ROWS UNBOUNDED PRECEDING) // {PAGE_BYTES} AS page '
        f'FROM "{layout.table}"{_where(layout)}) GROUP BY page ORDER BY page'
    )


def page(layout: Layout) -> str:
    """Return the statement for the rows with keys after the first parameter up to the second."""
    key = layout.name_of("key")
    names = ", ".join(_read(column.type, f'"{name}"') for column, name in layout.names)
    condition = f'("{key}" > $1 OR $1 IS NULL) AND "{key}" <= $2'
    if name := layout.name_of("submission_id"):
        condition += f' AND "{name}" = $3'
    return f'SELECT {names} FROM "{layout.table}" WHERE {condition} ORDER BY "{key}"'


def _type(layout: Layout, column: Column) -> str:
    if column.type is ColumnType.VECTOR and layout.dimensions:
        return f"FLOAT[{layout.dimensions}]"
    return TYPES[column.type]


_GIVEN = {**TYPES, ColumnType.INSTANT: "BIGINT", ColumnType.VECTOR: "VARCHAR"}
"""Microseconds since 1970; JSON, because a list of floats costs a parameter for each."""


def _stored(kind: ColumnType, value: str) -> str:
    if kind is ColumnType.VECTOR:
        return f"from_json_strict({value}, '[\"DOUBLE\"]')"  # a quarter of the time that a cast of text takes
    return f"make_timestamp({value})::TIMESTAMPTZ" if kind is ColumnType.INSTANT else value


def _read(kind: ColumnType, value: str) -> str:
    if kind is ColumnType.VECTOR:
        return value  # a list, or its text
    return f"epoch_us({value}::TIMESTAMPTZ)" if kind is ColumnType.INSTANT else f"{value}::{TYPES[kind]}"


def _is_long(kind: ColumnType) -> bool:
    return kind in {ColumnType.TEXT, ColumnType.JSON, ColumnType.VECTOR}


def _bytes(kind: ColumnType, value: str) -> str:
    """Return how many bytes a reader needs for a value; a number of a vector is an object of 24."""
    if kind is ColumnType.VECTOR:
        return f"coalesce({_NUMBER_BYTES} * len({value}), 0)"
    return f"coalesce(strlen({value}::VARCHAR), 0)"


def _where(layout: Layout) -> str:
    name = layout.name_of("submission_id")
    return f' WHERE "{name}" = $1' if name else ""
