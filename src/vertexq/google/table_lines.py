"""Rows of an output table as the lines that a job would write into a file. No I/O.

How values are written: https://docs.cloud.google.com/bigquery/docs/reference/rest/v2/tabledata/list.
Vertex AI writes requests and responses as JSON in newer tables and as text in older ones.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import orjson

from vertexq.google.bigquery_messages import TableColumn
from vertexq.google.messages import Unreadable, items, mapping, text

_HELD = frozenset({"request", "response", "predictions", "prediction", "instance", "body", "error"})
"""Columns whose text is JSON itself."""
_RECORDS = frozenset({"RECORD", "STRUCT"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)

Write = Callable[[object], object]
"""Makes a value that orjson can write of one that BigQuery has written."""


class TableLines:
    """Makes a line of each row."""

    def __init__(self, columns: Sequence[TableColumn]) -> None:
        self._columns = [(each.name, _writing(each.resource)) for each in columns]

    def line(self, cells: Sequence[object]) -> bytes:
        """Return a row as a line; raise ``Unreadable`` when it has more or fewer values than columns."""
        if len(cells) != len(self._columns):
            raise Unreadable("a row has more or fewer values than there are columns")
        pairs = zip(self._columns, cells, strict=True)
        return orjson.dumps({name: None if cell is None else write(cell) for (name, write), cell in pairs})


def _writing(field: Mapping[str, object]) -> Write:
    """Return how a column's values are written, of a ``TableFieldSchema``."""
    if text(field, "mode") == "REPEATED":
        one = _writing({**field, "mode": ""})
        return lambda cell: [one(mapping(each).get("v")) for each in items(cell)]
    kind = text(field, "type")
    if kind in _RECORDS:
        return _record(field)
    if kind == "JSON":
        return lambda cell: orjson.Fragment(str(cell))
    if kind == "STRING" and text(field, "name") in _HELD:
        return _held
    return _PLAIN.get(kind, str)


def _record(field: Mapping[str, object]) -> Write:
    below = [(text(each, "name"), _writing(each)) for each in map(mapping, items(field.get("fields")))]

    def write(cell: object) -> object:
        values = [mapping(each).get("v") for each in items(mapping(cell).get("f"))]
        pairs = zip(below, values, strict=False)
        return {name: None if value is None else one(value) for (name, one), value in pairs}

    return write


def _held(cell: object) -> object:
    """Return text that is JSON as what it says, any other as text."""
    try:
        orjson.loads(str(cell))
    except orjson.JSONDecodeError:
        return str(cell)
    return orjson.Fragment(str(cell))


def _instant(cell: object) -> str:
    return (_EPOCH + timedelta(microseconds=int(str(cell)))).isoformat()


_PLAIN: dict[str, Write] = {
    "INTEGER": lambda cell: int(str(cell)),
    "INT64": lambda cell: int(str(cell)),
    "FLOAT": lambda cell: float(str(cell)),
    "FLOAT64": lambda cell: float(str(cell)),
    "BOOLEAN": lambda cell: str(cell) == "true",
    "BOOL": lambda cell: str(cell) == "true",
    "TIMESTAMP": _instant,
}
