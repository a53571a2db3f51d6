"""Rows and quarantined lines as messages: the same chunk always gives the same messages. No I/O."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Any

import orjson

from vertexq.results import Chunk, QuarantinedLine, Row
from vertexq.stores.columns import JSON_NAMES, VECTOR
from vertexq.stores.vectors import compact

MESSAGE_BYTES = 256 * 1024
"""About how large a message may grow; one row that is larger goes alone."""

ROWS = "vertexq.rows"
QUARANTINED = "vertexq.quarantined"


def messages_of(chunk: Chunk) -> Iterator[tuple[str, bytes]]:
    """Yield the kind and the body of each message of a chunk, in order.

    Raise ``TypeError`` for a row that JSON cannot hold, such as one with a lone surrogate.
    """
    for rows in _grouped(map(row_json, chunk.rows)):
        yield ROWS, _body(chunk, ROWS, b"rows", rows)
    for lines in _grouped(map(line_json, chunk.quarantined)):
        yield QUARANTINED, _body(chunk, QUARANTINED, b"lines", lines)


def row_json(row: Row) -> bytes:
    """Write a row as an object: its columns by name without nulls, JSON and numbers as they came."""
    named: dict[str, Any] = {
        name: value for name, value in zip(Row._fields, row, strict=True) if value is not None
    }
    for name in named.keys() & JSON_NAMES:
        named[name] = orjson.Fragment(named[name])
    if row.embedding is not None:
        named[VECTOR] = orjson.Fragment(compact(row.embedding))
    return orjson.dumps(named)


def line_json(line: QuarantinedLine) -> bytes:
    """Write a quarantined line as an object; ``raw`` is base64."""
    return orjson.dumps(line.to_json())


def _grouped(written: Iterable[bytes]) -> Iterator[Sequence[bytes]]:
    group: list[bytes] = []
    size = 0
    for one in written:
        if group and size + len(one) > MESSAGE_BYTES:
            yield group
            group, size = [], 0
        group.append(one)
        size += len(one)
    if group:
        yield group


def _body(chunk: Chunk, kind: str, name: bytes, items: Sequence[bytes]) -> bytes:
    """Return ``{"type": …, "data": {"submission_id": …, "batch_id": …, NAME: [...]}}``."""
    head = orjson.dumps({"type": kind})[:-1]
    ids = {"submission_id": chunk.source.submission_id, "batch_id": chunk.source.batch_id}
    data = orjson.dumps(ids)[:-1]
    return b"".join((head, b',"data":', data, b',"', name, b'":[', b",".join(items), b"]}}"))
