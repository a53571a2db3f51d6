"""Pages of rows: of a table, or of what a query found."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from vertexq.simulator.bigquery.cells import row_out
from vertexq.simulator.bigquery.fields import Field
from vertexq.simulator.bigquery.names import invalid, quoted
from vertexq.simulator.bigquery.warehouse import Database

_MOST_BYTES = 10 * 1024 * 1024
_MOST_ROWS = 50_000
_AT_ONCE = 500


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """Which rows, from ``start`` on, at most ``rows``; with ``whole_instants`` TIMESTAMPs as integers."""

    start: int
    rows: int
    whole_instants: bool


def wanted_from(query: Mapping[str, str], *, bare_form: bool = False) -> Wanted:
    """Read a request's parameters; raise ``Refused`` (400) for a number that is none."""
    form = query.get("formatOptions.useInt64Timestamp", str(bare_form)).lower() == "true"
    try:
        start = int(query.get("pageToken") or query.get("startIndex") or 0)
        most = int(query.get("maxResults") or _MOST_ROWS)
    except ValueError as error:
        raise invalid("Invalid value for maxResults, startIndex or pageToken") from error
    return Wanted(start=start, rows=min(most, _MOST_ROWS), whole_instants=form)


def page(
    database: Database, source: str, fields: Sequence[Field], wanted: Wanted, *, total: int
) -> tuple[list[dict[str, object]], str]:
    """Return the rows of a page (at most 10 MB, one at least) and the token of the next, empty at the end."""
    found: list[dict[str, object]] = []
    at, size_bytes = wanted.start, 0
    end = min(wanted.start + wanted.rows, total)
    while at < end and size_bytes < _MOST_BYTES:
        for row in _rows(database, source, fields, at, min(_AT_ONCE, end - at)):
            size_bytes += sum(len(value) if isinstance(value, str | bytes) else 8 for value in row)
            if found and size_bytes > _MOST_BYTES:
                break
            found.append(row_out(fields, row, whole_instants=wanted.whole_instants))
        at = wanted.start + len(found)
    return found, str(at) if at < total else ""


def _rows(
    database: Database, source: str, fields: Sequence[Field], start: int, rows: int
) -> list[tuple[object, ...]]:
    columns = ", ".join(_read(each) for each in fields)
    sql = f"SELECT {columns} FROM {source} WHERE rowid >= ? AND rowid < ? ORDER BY rowid"
    return database.run(sql, [start, start + rows]) if fields else []


def _read(field: Field) -> str:
    """Return the column, its instants as times in UTC without a zone: for others DuckDB needs pytz."""
    plain = field.sql_type.replace("TIMESTAMPTZ", "TIMESTAMP")
    name = quoted(field.name)
    return name if plain == field.sql_type else f"{name}::{plain}"
