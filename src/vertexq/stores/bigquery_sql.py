"""The tables and the SQL of the BigQuery store. No I/O.

Everything is landed in one append-only table beside the results table: rows, quarantined lines, and for each
chunk a record of its range, all by one load job. The results table is filled from it when a submission is
finished.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from vertexq.google.bigquery_messages import TableInfo, TableRef, parameter
from vertexq.results import QuarantinedLine
from vertexq.stores import table_fit
from vertexq.stores.columns import COLUMNS, Column, ColumnType, rank_sql
from vertexq.stores.layout import Layout
from vertexq.stores.table_fit import Found

ROW, LINE, CHUNK = "row", "line", "chunk"
"""What a landed record is."""

TYPES = {
    ColumnType.TEXT: "STRING",
    ColumnType.INTEGER: "INTEGER",
    ColumnType.REAL: "FLOAT",
    ColumnType.INSTANT: "TIMESTAMP",
    ColumnType.VECTOR: "FLOAT",  # repeated
    ColumnType.JSON: "STRING",  # the type JSON would round what is over 2**64, and change the text
}
_FITS = {
    ColumnType.TEXT: ("STRING",),
    ColumnType.INTEGER: ("INTEGER", "NUMERIC", "BIGNUMERIC", "FLOAT"),
    ColumnType.REAL: ("FLOAT", "NUMERIC", "BIGNUMERIC"),
    ColumnType.INSTANT: ("TIMESTAMP",),
    ColumnType.JSON: ("STRING", "JSON"),
    ColumnType.VECTOR: ("ARRAY<FLOAT>",),
}
_OWN = (
    ("kind", "STRING", "row, line or chunk"),
    ("range_id", "STRING", "the range of the output object it came from"),
    ("seq", "INTEGER", "which chunk of the range, from 0"),
    ("landed_at", "TIMESTAMP", "when the chunk was sent"),
    ("position", "INTEGER", "of a chunk: the first byte that is not in yet"),
    ("fence", "INTEGER", "of a chunk: the fencing token of its writer"),
    ("state", "BYTES", "of a chunk: notes of vertexq"),
    ("size_bytes", "INTEGER", "of a line: its length"),
    ("raw", "BYTES", "of a line: its first kilobyte"),
)


def landing_of(results: TableRef) -> TableRef:
    """Return the table in which the records for ``results`` land."""
    return TableRef(project=results.project, dataset=results.dataset, table=f"{results.table}_landing")


def landing_fields() -> list[dict[str, object]]:
    """Return the columns of the landing table, as BigQuery's schema has them."""
    own: list[dict[str, object]] = [
        {
            "name": name,
            "type": kind,
            "mode": "REQUIRED" if name == "kind" else "NULLABLE",
            "description": about,
        }
        for name, kind, about in _OWN
    ]
    return own + [_field(column, column.name, required=False) for column in COLUMNS]


def landing_about() -> dict[str, object]:
    """Say how the landing table is kept: by day, so that old days can expire; clustered by submission."""
    return {
        "description": "What vertexq has written, record by record; leave it alone while submissions run.",
        "timePartitioning": {"type": "DAY", "field": "landed_at"},
        "clustering": {"fields": ["submission_id", "kind", "range_id"]},
    }


def results_fields(layout: Layout) -> list[dict[str, object]]:
    """Return the columns of the results table."""
    return [_field(column, name, required=column.required) for column, name in layout.names]


def results_about(layout: Layout) -> dict[str, object]:
    """Say how the results table is kept: clustered by what tells rows apart."""
    return {"clustering": {"fields": list(layout.key)}}


def faults(layout: Layout, table: TableInfo) -> Iterator[str]:
    """Say why a results table that is there cannot take our rows; nothing when it can."""
    found = (
        Found(
            name=each.name,
            type=f"ARRAY<{each.kind}>" if each.mode == "REPEATED" else each.kind,
            required=each.mode == "REQUIRED",
            supplied="defaultValueExpression" in each.resource,
        )
        for each in table.columns
    )
    return table_fit.faults(layout, found, _unfit)


def _unfit(column: Column, found: Found) -> Iterable[str]:
    if found.type not in _FITS[column.type]:
        fits = ", ".join(_FITS[column.type])
        yield f"its column {found.name} is {found.type}; for {column.name} it may be {fits}"


def progress() -> str:
    """Return the query for a range's newest chunk: position, fence, seq, state."""
    return (
        "SELECT position, fence, seq, state FROM {landing} "
        f"WHERE kind = '{CHUNK}' AND submission_id = @submission AND range_id = @range "
        "ORDER BY seq DESC LIMIT 1"
    )


def content() -> str:
    """Return the query for what is landed of a submission: its ranges and their newest chunks."""
    return (
        "SELECT range_id, MAX(seq) AS seq FROM {landing} "
        f"WHERE kind = '{CHUNK}' AND submission_id = @submission GROUP BY range_id ORDER BY range_id"
    )


def lines() -> str:
    """Return the query for the quarantined lines of a submission."""
    names = ", ".join(QuarantinedLine._fields)
    return f"SELECT {names} FROM {{landing}} WHERE kind = '{LINE}' AND submission_id = @submission"


def results(layout: Layout, table: TableInfo) -> str:
    """Return the query for the best row of each key: of those landed, and of the results table.

    The table is asked too because old days of the landing table may have been let expire; one that does not
    say of which submission a row is, cannot be.
    """
    landed = ", ".join(f"L.{column.name}" for column in COLUMNS)
    first = f"SELECT {landed}, 0 AS place, L.landed_at, L.range_id, L.seq {_LANDED}"
    submission = layout.name_of("submission_id")
    second = (
        f" UNION ALL SELECT {_stored(layout, table)}, 1, NULL, NULL, NULL FROM {{results}} AS T "
        f"WHERE T.`{submission}` = @submission"
    )
    judged = f"{rank_sql('R.outcome')} DESC, R.attempt DESC, R.place"
    order = judged if layout.is_judged else f"R.place, {judged}"
    names = ", ".join(f"B.{column.name}" for column in COLUMNS)
    return (
        f"SELECT {names} FROM (SELECT R.* FROM ({first}{second if submission else ''}) AS R WHERE TRUE "
        f"QUALIFY ROW_NUMBER() OVER (PARTITION BY R.key ORDER BY {order}, {_FIRST.format('R')}) = 1) AS B "
        "WHERE B.outcome IN UNNEST(@outcomes)"
    )


def merge(layout: Layout, table: TableInfo) -> str:
    """Return the statement that brings the best landed row of each key into the results table.

    A worse row never replaces a better one. Where the table does not hold outcome and attempt, what was
    landed is taken: the ledger has judged it.
    """
    kinds = {each.name.lower(): each.kind for each in table.columns}
    picked = ", ".join(f"{_as(column, kinds[name.lower()])} AS `{name}`" for column, name in layout.names)
    names = ", ".join(f"`{name}`" for _, name in layout.names)
    values = ", ".join(f"S.`{name}`" for _, name in layout.names)
    same = " AND ".join(f"T.`{name}` = S.`{name}`" for name in layout.key)
    submission = layout.name_of("submission_id")
    same += (
        f" AND T.`{submission}` = @submission" if submission else ""
    )  # lets BigQuery skip what is not ours
    changes = ", ".join(f"`{name}` = S.`{name}`" for _, name in layout.names if name not in layout.key)
    update = f"WHEN MATCHED{_better(layout)} THEN UPDATE SET {changes} " if changes else ""
    return (
        f"MERGE {{results}} AS T USING (SELECT {picked} {_BEST}) AS S ON {same} "
        f"{update}WHEN NOT MATCHED THEN INSERT ({names}) VALUES ({values})"
    )


def submission_parameters(submission_id: str, **others: str | list[str]) -> list[dict[str, object]]:
    """Return the parameters of a query about one submission."""
    return [parameter("submission", submission_id), *(parameter(name, each) for name, each in others.items())]


def _field(column: Column, name: str, *, required: bool) -> dict[str, object]:
    mode = "REQUIRED" if required else "NULLABLE"
    if column.type is ColumnType.VECTOR:
        mode = "REPEATED"  # an array is never null there, but empty
    return {"name": name, "type": TYPES[column.type], "mode": mode, "description": column.about}


def _stored(layout: Layout, table: TableInfo) -> str:
    """Return our columns as the results table has them; what it lacks is null, or as for a success."""
    kinds = {each.name.lower(): each.kind for each in table.columns}
    unknown = {"outcome": "'succeeded'", "attempt": "1", "batch_id": "''"}
    return ", ".join(
        _read(column, name, kinds[name.lower()])
        if (name := layout.name_of(column.name))
        else unknown.get(column.name, f"CAST(NULL AS {_cast(column)})")
        for column in COLUMNS
    )


def _read(column: Column, name: str, kind: str) -> str:
    if kind == TYPES[column.type]:
        return f"T.`{name}`"
    return f"TO_JSON_STRING(T.`{name}`)" if kind == "JSON" else f"CAST(T.`{name}` AS {_cast(column)})"


def _cast(column: Column) -> str:
    kind = {"INTEGER": "INT64", "FLOAT": "FLOAT64"}.get(TYPES[column.type], TYPES[column.type])
    return f"ARRAY<{kind}>" if column.type is ColumnType.VECTOR else kind


def _as(column: Column, kind: str) -> str:
    if kind == "JSON":
        return f"PARSE_JSON(L.{column.name}, wide_number_mode => 'round')"
    return f"CAST(L.{column.name} AS {kind})" if kind in {"NUMERIC", "BIGNUMERIC"} else f"L.{column.name}"


def _better(layout: Layout) -> str:
    if not layout.is_judged:
        return ""
    outcome, attempt = layout.name_of("outcome"), layout.name_of("attempt")
    new, old = rank_sql(f"S.`{outcome}`"), rank_sql(f"T.`{outcome}`")
    later = f"S.`{attempt}` > IFNULL(T.`{attempt}`, 0)"
    return f" AND ({new} > {old} OR ({new} = {old} AND {later}))"


_FIRST = "{0}.landed_at, {0}.range_id, {0}.seq"
_LANDED = f"FROM {{landing}} AS L WHERE L.kind = '{ROW}' AND L.submission_id = @submission"
_BEST = (
    f"{_LANDED} QUALIFY ROW_NUMBER() OVER (PARTITION BY L.key ORDER BY {rank_sql('L.outcome')} DESC, "
    f"L.attempt DESC, {_FIRST.format('L')}) = 1"
)
