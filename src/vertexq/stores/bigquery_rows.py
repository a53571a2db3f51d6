"""Records of a chunk as BigQuery loads them: one JSON line each. No I/O."""

from __future__ import annotations

import base64
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson

from vertexq.results import RESULT_COLUMNS, Chunk, QuarantinedLine, Row
from vertexq.stores.base import RowsRefused
from vertexq.stores.bigquery_sql import CHUNK, LINE, ROW
from vertexq.stores.columns import JSON_NAMES, VECTOR, instant
from vertexq.stores.vectors import compact

ROW_LIMIT_BYTES = 60 * 1024 * 1024
"""Of one line. BigQuery takes 100 MB, but what is read back must fit into one answer.

https://docs.cloud.google.com/bigquery/quotas
"""


def encoded(chunk: Chunk, *, fence: int, seq: int, now: datetime) -> bytes:
    """Return the records of ``chunk`` as JSON lines; raise ``RowsRefused`` when a row is none that can be."""
    shared: dict[str, object] = {"range_id": chunk.source.id, "seq": seq, "landed_at": _text(now)}
    made = bytearray()
    for line in _rows(chunk.rows, shared):
        made += line
    for line in _lines(chunk.quarantined, shared):
        made += line
    return bytes(made + _last(chunk, shared, fence))


def encoded_rows(rows: Sequence[Row]) -> bytes:
    """Return rows alone as JSON lines; raise ``RowsRefused``."""
    return b"".join(_rows(rows, {}))


def _rows(rows: Sequence[Row], shared: dict[str, object]) -> Iterator[bytes]:
    for row in rows:
        line = _json({**shared, **_of_row(row), "kind": ROW})
        if len(line) > ROW_LIMIT_BYTES:
            raise RowsRefused("a row is longer than BigQuery takes")
        yield line


def _of_row(row: Row) -> dict[str, Any]:
    pairs = zip(RESULT_COLUMNS, row, strict=True)
    values: dict[str, Any] = {name: value for name, value in pairs if value is not None}
    for name in JSON_NAMES:
        if isinstance(raw := values.get(name), bytes):
            values[name] = raw.decode()
    if row.embedding is not None:
        values[VECTOR] = orjson.Fragment(compact(row.embedding))
    at = instant(row.processed_at)
    return {**values, "processed_at": _text(at) if at else None}


def _lines(lines: Sequence[QuarantinedLine], shared: dict[str, object]) -> Iterator[bytes]:
    for line in lines:
        yield _json({**shared, **line.to_json(), "kind": LINE})


def _last(chunk: Chunk, shared: dict[str, object], fence: int) -> bytes:
    """Return the record of the chunk itself: where its range goes on."""
    source, after = chunk.source, chunk.progress
    return _json(
        {
            **shared,
            "kind": CHUNK,
            "submission_id": source.submission_id,
            "batch_id": source.batch_id,
            "position": after.position,
            "fence": fence,
            "state": base64.b64encode(after.state).decode(),
        }
    )


def _json(record: dict[str, Any]) -> bytes:
    try:
        return orjson.dumps(record, option=orjson.OPT_APPEND_NEWLINE)
    except TypeError as error:  # a lone surrogate, an integer of more than 64 bits
        raise RowsRefused("BigQuery cannot hold a row: it is no JSON") from error


def _text(moment: datetime) -> str:
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M:%S.%f UTC")
