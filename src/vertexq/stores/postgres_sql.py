"""The SQL of the PostgreSQL store. Table names are bare: ``search_path`` says which schema."""

from __future__ import annotations

from typing import LiteralString

from vertexq.results import QuarantinedLine
from vertexq.stores.columns import COLUMNS, ColumnType, better_sql

TABLES = ("vertexq_results", "vertexq_quarantine", "vertexq_progress")

# bigint throughout: a code or a count from outside must not be refused for its size
_TYPES = {
    ColumnType.TEXT: "text",
    ColumnType.INTEGER: "bigint",
    ColumnType.REAL: "double precision",
    ColumnType.INSTANT: "timestamptz",
    ColumnType.JSON: "json",  # Google's own bytes; jsonb would take twice as long to make, and change them
}
COPY_TYPES = [
    {"bigint": "int8", "double precision": "float8"}.get(_TYPES[c.type], _TYPES[c.type]) for c in COLUMNS
]
QUARANTINE_TYPES = ["text", "text", "text", "int8", "int8", "int8", "text", "bytea"]

_NAMES = ", ".join(f'"{c.name}"' for c in COLUMNS)
_DEFINED = ", ".join(f'"{c.name}" {_TYPES[c.type]}{" NOT NULL" * c.required}' for c in COLUMNS)
_READ = ", ".join(f'"{c.name}"::text' if c.type is ColumnType.JSON else f'"{c.name}"' for c in COLUMNS)
_LINE = ", ".join(QuarantinedLine._fields)

SCHEMA = (
    # rows up to 8 kB stay as they are: compressing what is over 2 kB took a third of a load's time
    f"""CREATE TABLE IF NOT EXISTS vertexq_results (
        {_DEFINED}, PRIMARY KEY (submission_id, key)
    ) WITH (toast_tuple_target = 8160)""",
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
SCHEMA_LOCK: LiteralString = "SELECT pg_advisory_xact_lock(hashtextextended('vertexq store schema', 0))"
MISSING_TABLES: LiteralString = "SELECT count(*) FROM unnest(%s::text[]) AS t WHERE to_regclass(t) IS NULL"

# A server may be set to lose the last commits in a crash; the ledger believes ours, so they must stay.
BEGIN_RANGE: LiteralString = """
    SELECT pg_advisory_xact_lock(hashtextextended('vertexq range ' || %s, 0)),
        CASE current_setting('synchronous_commit')
            WHEN 'off' THEN set_config('synchronous_commit', 'on', true)
        END
"""
PROGRESS: LiteralString = "SELECT position, state, fence FROM vertexq_progress WHERE range_id = %s"
MOVE_PROGRESS: LiteralString = """
    INSERT INTO vertexq_progress (range_id, submission_id, batch_id, position, fence, state)
    VALUES (%s, %s, %s, %s, %s, %s)
    ON CONFLICT (range_id) DO UPDATE SET
        position = excluded.position, fence = excluded.fence, state = excluded.state, updated_at = now()
"""

COPY_RESULTS = f"COPY vertexq_results ({_NAMES}) FROM STDIN (FORMAT BINARY)"
COPY_QUARANTINE = f"COPY vertexq_quarantine ({_LINE}) FROM STDIN (FORMAT BINARY)"
COPY_STAGING = f"COPY vertexq_staging ({_NAMES}) FROM STDIN (FORMAT BINARY)"
# Dropped at commit, not kept: a pooler may give the connection to somebody else.
CREATE_STAGING: LiteralString = "CREATE TEMP TABLE vertexq_staging (LIKE vertexq_results) ON COMMIT DROP"
CREATE_PROBE: LiteralString = (
    "CREATE TEMP TABLE vertexq_staging (LIKE vertexq_results INCLUDING ALL) ON COMMIT DROP"
)
MERGE_STAGING = (
    f"INSERT INTO vertexq_results AS r ({_NAMES}) "
    # in the order of the key, so that two merges never wait for each other
    f"SELECT {_NAMES} FROM vertexq_staging ORDER BY submission_id, key "
    "ON CONFLICT (submission_id, key) DO UPDATE SET "
    + ", ".join(f'"{c.name}" = excluded."{c.name}"' for c in COLUMNS[2:])
    + f" WHERE {better_sql('excluded.', 'r.')}"
)
READ_RESULTS = f"SELECT {_READ} FROM vertexq_results WHERE submission_id = %s AND outcome = ANY(%s::text[])"
READ_QUARANTINE = f"SELECT {_LINE} FROM vertexq_quarantine WHERE submission_id = %s"
