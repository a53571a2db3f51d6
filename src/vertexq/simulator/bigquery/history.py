"""Tables as they were: what ``FOR SYSTEM_TIME AS OF`` reads.

Rows that are added only raise a mark. Before anything else changes a table, a copy is kept; afterwards its
rows are numbered anew, so that a mark always counts them from the first.
https://docs.cloud.google.com/bigquery/docs/time-travel
"""

from __future__ import annotations

from dataclasses import replace

from vertexq.simulator.bigquery.catalog import Catalog
from vertexq.simulator.bigquery.fields import definitions
from vertexq.simulator.bigquery.names import invalid, quoted
from vertexq.simulator.bigquery.tables import Past, Table, now_us


def mark(catalog: Catalog, table: Table) -> Table:
    """Note that rows were added to ``table``."""
    marks = (*table.marks, (now_us(), count(catalog, table)))
    return catalog.put(replace(table, marks=marks), same=True)


def keep(catalog: Catalog, table: Table) -> Table:
    """Keep ``table`` as it is, before its rows are changed."""
    moment = now_us()
    copy = f"{table.name.table}-{moment}-{len(table.past)}"
    catalog.database.run(
        f"CREATE TABLE _past.{quoted(copy)} AS SELECT * FROM {table.name.sql} ORDER BY rowid"
    )
    start_us = table.past[-1].end_us if table.past else table.created_us
    past = Past(start_us=start_us, end_us=moment, copy=copy, marks=table.marks)
    return catalog.put(replace(table, past=(*table.past, past)))


def renumber(catalog: Catalog, table: Table) -> Table:
    """Give the rows new numbers after they were changed."""
    database, name, columns = catalog.database, table.name.sql, definitions(table.fields)
    database.run(f"CREATE TEMP TABLE _renumbered AS SELECT * FROM {name} ORDER BY rowid")
    database.run(f"CREATE OR REPLACE TABLE {name} ({columns})")
    database.run(f"INSERT INTO {name} SELECT * FROM _renumbered")
    database.run("DROP TABLE _renumbered")
    return catalog.put(replace(table, marks=((now_us(), count(catalog, table)),)))


def count(catalog: Catalog, table: Table) -> int:
    """Return how many rows ``table`` has."""
    rows: int = catalog.database.run(f"SELECT count(*) FROM {table.name.sql}")[0][0]
    return rows


def as_of(table: Table, moment_us: int) -> str:
    """Return the SQL that reads ``table`` as it was at ``moment_us``; raise ``Refused`` (400)."""
    if moment_us > now_us() or moment_us < table.created_us // 1000 * 1000 or table.view:
        raise invalid(
            f"Invalid snapshot time {moment_us // 1000} for Table {table.name}. Cannot read before "
            f"{table.created_us // 1000}, nor what is yet to come, nor a view.",
            reason="invalidQuery",
        )
    for past in table.past:
        if past.start_us <= moment_us < past.end_us:
            return _first(f"_past.{quoted(past.copy)}", past.marks, moment_us)
    return _first(table.name.sql, table.marks, moment_us)


def _first(name: str, marks: tuple[tuple[int, int], ...], moment_us: int) -> str:
    rows = max((rows for at_us, rows in marks if at_us <= moment_us), default=0)
    return f"(SELECT * FROM {name} WHERE rowid < {rows})"
