"""The SQL of the PostgreSQL store. Table names are bare: ``search_path`` says which schema."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import LiteralString

from vertexq.results import QuarantinedLine
from vertexq.stores.columns import Column, ColumnType
from vertexq.stores.layout import Layout, quoted
from vertexq.stores.postgres_table import CAST_KEYS, DAY, TYPES, Table
from vertexq.stores.postgres_vectors import ARRAY, check_sql

QUARANTINE_TYPES = ["text", "text", "text", "int8", "int8", "int8", "text", "bytea"]
_LINE = ", ".join(QuarantinedLine._fields)

OWN_SCHEMA = (
    """CREATE TABLE IF NOT EXISTS vertexq_quarantine (
        submission_id text NOT NULL, batch_id text NOT NULL, source_object text NOT NULL,
        source_generation bigint NOT NULL, source_offset bigint NOT NULL, size_bytes bigint NOT NULL,
        reason text NOT NULL, raw bytea NOT NULL
    )""",
    "CREATE INDEX IF NOT EXISTS vertexq_quarantine_submission ON vertexq_quarantine (submission_id)",
    """CREATE TABLE IF NOT EXISTS vertexq_progress (
        range_id text PRIMARY KEY, submission_id text NOT NULL, batch_id text NOT NULL,
        position bigint NOT NULL, fence bigint NOT NULL, state bytea NOT NULL,
        updated_at timestamptz NOT NULL DEFAULT now()
    )""",
)
DAYS_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS vertexq_days (submission_id text PRIMARY KEY, arrived_on date NOT NULL)"
)
OWN_TABLES = ("vertexq_quarantine", "vertexq_progress")
DAYS_TABLE = "vertexq_days"
SCHEMA_LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('vertexq store schema', 0))"
MISSING_TABLES: LiteralString = "SELECT count(*) FROM unnest(%s::text[]) AS t WHERE to_regclass(t) IS NULL"

FOUND_COLUMNS: LiteralString = """
    SELECT attname::text, format_type(atttypid, atttypmod) || coalesce((
            SELECT '(' || substring(conname FROM '_has_([0-9]+)_numbers$') || ')' FROM pg_constraint
            WHERE conrelid = attrelid AND contype = 'c' AND conkey = ARRAY[attnum]
                AND conname ~ '_has_[0-9]+_numbers$' LIMIT 1
        ), ''), attnotnull,
        atthasdef OR attidentity <> '' OR attgenerated <> ''
    FROM pg_attribute WHERE attrelid = to_regclass(%s) AND attnum > 0 AND NOT attisdropped ORDER BY attnum
"""
FOUND_UNIQUE: LiteralString = """
    SELECT ARRAY(
        SELECT attname::text FROM pg_attribute
        WHERE attrelid = indrelid AND attnum = ANY(indkey[0:indnkeyatts - 1])
    )
    FROM pg_index
    WHERE indrelid = to_regclass(%s) AND indisunique AND indisvalid AND indimmediate
        AND indpred IS NULL AND indexprs IS NULL
"""
EXTENSION_SCHEMA: LiteralString = """
    SELECT nspname::text FROM pg_extension JOIN pg_namespace AS n ON n.oid = extnamespace WHERE extname = %s
"""
EXTENSION_AVAILABLE: LiteralString = "SELECT name::text FROM pg_available_extensions WHERE name = %s"
EXTENSION_HOME: LiteralString = "SELECT coalesce(to_regnamespace('public')::text, current_schema()::text)"
TYPE_OF: LiteralString = "SELECT to_regtype(%s)::text"
FOUND_KIND: LiteralString = "SELECT relkind = 'p' FROM pg_class WHERE oid = to_regclass(%s)"

# A server may be set to lose the last commits in a crash; the ledger believes ours, so they must stay.
# A worker that sleeps in the middle of a chunk must not keep its successor waiting for ever, unless somebody
# has set these times otherwise (options=-clock_timeout… in the URL).
# One message for all of it: while rows are parsed in another thread, each answer waits for its turn.
BEGIN_RANGE: LiteralString = """
    BEGIN ISOLATION LEVEL READ COMMITTED;
    SELECT CASE current_setting('synchronous_commit')
            WHEN 'off' THEN set_config('synchronous_commit', 'on', true) END,
        CASE current_setting('lock_timeout') WHEN '0' THEN set_config('lock_timeout', '30s', true) END,
        CASE current_setting('idle_in_transaction_session_timeout')
            WHEN '0' THEN set_config('idle_in_transaction_session_timeout', '60s', true) END;
    SELECT pg_advisory_xact_lock(hashtextextended('vertexq range ' || %(range)s, 0));
    SAVEPOINT vertexq_rows;
    SELECT position, state, fence FROM vertexq_progress WHERE range_id = %(range)s
"""
PROGRESS: LiteralString = "SELECT position, state, fence FROM vertexq_progress WHERE range_id = %s"
BACK_TO_BEGIN: LiteralString = "ROLLBACK TO SAVEPOINT vertexq_rows"
COMMIT_RANGE: LiteralString = """
    INSERT INTO vertexq_progress (range_id, submission_id, batch_id, position, fence, state)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (range_id) DO UPDATE SET
        position = excluded.position, fence = excluded.fence, state = excluded.state, updated_at = now();
    COMMIT
"""
COPY_QUARANTINE = f"COPY vertexq_quarantine ({_LINE}) FROM STDIN (FORMAT BINARY)"
READ_QUARANTINE = f"SELECT {_LINE} FROM vertexq_quarantine WHERE submission_id = %s"
EMPTY_STAGING: LiteralString = "TRUNCATE vertexq_staging"

# A submission's day is noted once, when its first rows come, and never changes.
NOTE_DAY: LiteralString = """
    INSERT INTO vertexq_days VALUES (%s, (now() AT TIME ZONE 'UTC')::date) ON CONFLICT DO NOTHING
"""
DAY_OF: LiteralString = "SELECT to_char(arrived_on, 'YYYYMMDD') FROM vertexq_days WHERE submission_id = %s"
IS_PARTITION: LiteralString = """
    SELECT EXISTS (SELECT FROM pg_inherits WHERE inhrelid = c.oid AND inhparent = to_regclass(%s))
    FROM pg_class AS c WHERE c.oid = to_regclass(%s)
"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Statements:
    """What is said to the server about one table of results."""

    copy: str
    create_staging: str
    copy_staging: str
    merge: str
    """Staged rows into the table; the better row of a key stays, or the new one where nobody can tell."""
    merge_new: str
    """Staged rows into the table; a row that is there stays."""


def create_table(layout: Layout, *, by_day: bool, vectors: str = ARRAY) -> str:
    """Return the statement that makes the results table, with ``vectors`` as the type of such a column."""
    columns = [_defined(layout, column, name, vectors) for column, name in layout.names]
    key = list(layout.key)
    if by_day:
        columns.append(f"{DAY} date NOT NULL")
        key.append(DAY)
    body = f"{', '.join(columns)}, PRIMARY KEY ({', '.join(map(quoted, key))})"
    return f"CREATE TABLE IF NOT EXISTS {quoted(layout.table)} ({body}) {_ending(by_day=by_day)}"


def _ending(*, by_day: bool) -> str:
    # rows up to 8 kB stay as they are: compressing what is over 2 kB took a third of a load's time
    return f"PARTITION BY RANGE ({DAY})" if by_day else "WITH (toast_tuple_target = 8160)"


def _defined(layout: Layout, column: Column, name: str, vectors: str) -> str:
    if column.type is ColumnType.VECTOR:
        return f"{quoted(name)} {vectors}{check_sql(name, layout.vector) if vectors == ARRAY else ''}"
    # Byte order, whatever the database's language: cheaper to compare, and the same as ours.
    collation = ' COLLATE "C"' if name in layout.key else ""
    return f"{quoted(name)} {TYPES[column.type]}{collation}{' NOT NULL' * column.required}"


def add_column(layout: Layout, column: Column, name: str, *, vectors: str = ARRAY) -> str:
    """Return the statement that adds a column of a newer vertexq."""
    kind = vectors if column.type is ColumnType.VECTOR else TYPES[column.type]
    check = check_sql(name, layout.vector) if column.type is ColumnType.VECTOR and vectors == ARRAY else ""
    return f"ALTER TABLE {quoted(layout.table)} ADD COLUMN IF NOT EXISTS {quoted(name)} {kind}{check}"


def day_table(layout: Layout, day: str) -> str:
    """Return the name of the partition of ``day`` (YYYYMMDD)."""
    return f"{layout.table[: 63 - 9]}_{day}"


def create_day(layout: Layout, day: str) -> Iterator[str]:
    """Yield the statements that make a partition.

    Attached, not made in place: that would keep every writer of the other days waiting.
    """
    name, parent = quoted(day_table(layout, day)), quoted(layout.table)
    yield f"CREATE TABLE {name} (LIKE {parent} INCLUDING ALL) {_ending(by_day=False)}"
    yield f"ALTER TABLE {name} ALTER {DAY} SET DEFAULT '{day}'"
    bounds = f"FROM ('{day}') TO (date '{day}' + 1)"
    yield f"ALTER TABLE {parent} ATTACH PARTITION {name} FOR VALUES {bounds}"


def statements(layout: Layout, table: Table, *, into: str = "") -> Statements:
    """Return the statements for the table, or for its partition called ``into``."""
    target = quoted(into or layout.table)
    names = ", ".join(quoted(name) for _, name in layout.names)
    key = ", ".join(map(quoted, (*layout.key, DAY) if into else layout.key))
    staged = ", ".join(f"{quoted(c.name)} {table.staging_type(c, name)}" for c, name in layout.names)
    cast = ", ".join(_cast(column, table.type_of(name)) for column, name in layout.names)
    order = ", ".join(
        f'{quoted(c.name)} COLLATE "C"' for c in layout.columns if c.name in {"submission_id", "key"}
    )
    # in the order of the key, so that two merges never wait for each other in a circle
    insert = (
        f"INSERT INTO {target} AS r ({names}) SELECT {cast} FROM vertexq_staging ORDER BY {order} "
        f"ON CONFLICT ({key}) DO "
    )
    return Statements(
        copy=f"COPY {target} ({names}) FROM STDIN (FORMAT BINARY)",
        # Dropped at commit, not kept: a pooler may give the connection to somebody else.
        create_staging=f"CREATE TEMP TABLE vertexq_staging ({staged}) ON COMMIT DROP",
        copy_staging="COPY vertexq_staging FROM STDIN (FORMAT BINARY)",
        merge=insert + _update(layout),
        merge_new=insert + "NOTHING",
    )


def _cast(column: Column, type_: str) -> str:
    """Turn a key into the table's type; all else is converted by the assignment, which cuts nothing off."""
    return f"{quoted(column.name)}{f'::{type_}' * (type_ in CAST_KEYS and column.type is ColumnType.TEXT)}"


def _update(layout: Layout) -> str:
    names = [quoted(name) for _, name in layout.names if name not in layout.key]
    if not names:
        return "NOTHING"
    update = "UPDATE SET " + ", ".join(f"{name} = excluded.{name}" for name in names)
    if not layout.is_judged:
        return update
    return f"{update} WHERE {layout.better_sql('excluded', 'r')}"


def read_results(layout: Layout, table: Table, *, by_day: bool) -> str:
    """Return the query of a submission's results: parameters ``submission`` and ``outcomes``.

    A column that the table lacks, because an older vertexq made it, is read as null.
    """
    there = {found.name for found in table.columns}
    read = [_read(table, column, name) if name in there else "NULL" for column, name in layout.names]
    where = list(_conditions(layout, table, by_day=by_day))
    return f"SELECT {', '.join(read)} FROM {quoted(layout.table)} WHERE {' AND '.join(where)}"


def _read(table: Table, column: Column, name: str) -> str:
    if column.type is ColumnType.VECTOR:
        vectors = table.vectors_in(name)
        as_array = "double precision[]" if vectors.kind.startswith("double") else ARRAY
        return f"{quoted(name)}::{'text' if vectors.is_text else as_array}"
    return f"{quoted(name)}::{'text' if column.type is ColumnType.JSON else TYPES[column.type]}"


def _conditions(layout: Layout, table: Table, *, by_day: bool) -> Iterator[str]:
    if name := layout.name_of("submission_id"):
        as_text = "::text" if table.type_of(name) in CAST_KEYS else ""
        yield f"{quoted(name)}{as_text} = %(submission)s"
    if name := layout.name_of("outcome"):
        yield f"{quoted(name)} = ANY(%(outcomes)s::text[])"
    else:
        yield "'succeeded' = ANY(%(outcomes)s::text[])"
    if by_day:
        yield f"{DAY} = (SELECT arrived_on FROM vertexq_days WHERE submission_id = %(submission)s)"
