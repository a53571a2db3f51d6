"""Rows of tables as the lines that models read, and lines that models write as rows of tables. No I/O.

What a table must have and which columns come along:
https://docs.cloud.google.com/vertex-ai/generative-ai/docs/multimodal/batch-prediction-from-bigquery
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import cast

import orjson

from vertexq.simulator.bigquery.fields import Field
from vertexq.simulator.kinds.base import Tables

_LEFT_OUT = frozenset({"RECORD", "DATETIME", "GEOGRAPHY"})
_REQUESTS = frozenset({"request", "body"})  # whose text is JSON, too
_JSON = frozenset({"request", "response", "predictions", "prediction", "instance", "body", "error"})
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


def passed_on(fields: Sequence[Field]) -> tuple[Field, ...]:
    """Return the columns that come along; those of other types are left out."""
    return tuple(each for each in fields if not each.repeated and each.kind not in _LEFT_OUT)


def line_of(fields: Sequence[Field], values: Sequence[object]) -> bytes:
    """Return a row as a line; ``values`` are those of all columns."""
    pairs = zip(fields, values, strict=True)
    kept = {each.name: _value(each, value) for each, value in pairs if each in passed_on([each])}
    return orjson.dumps(kept)


def _value(field: Field, value: object) -> object:
    if value is None:
        return None
    text = str(value)
    if field.kind == "JSON" or field.name in _REQUESTS:
        return _parsed(text)
    read = _READ.get(field.kind)
    return read(text) if read else text


def _parsed(text: str) -> object:
    try:
        value: object = orjson.loads(text)
    except orjson.JSONDecodeError:
        return text
    return value


def _instant(text: str) -> str:
    return (_EPOCH + timedelta(microseconds=int(text))).isoformat()


_READ: dict[str, Callable[[str], object]] = {
    "INTEGER": int,
    "FLOAT": float,
    "BOOLEAN": lambda text: text == "true",
    "TIMESTAMP": _instant,
}


class OutputColumns:
    """The columns of an output table: those that came along, and what the model's lines hold."""

    def __init__(self, tables: Tables, passed: Sequence[Field], *, response_as_text: bool) -> None:
        self._spread = tables.spread
        self._as_text = response_as_text
        self._known = {each.name: _nullable(each) for each in passed}
        for name in tables.results:
            self._known.setdefault(name, self._new(name, None))

    @property
    def fields(self) -> tuple[Field, ...]:
        """Return the columns of all rows so far."""
        return tuple(self._known.values())

    def row(self, line: bytes) -> bytes:
        """Return an output line as a line to be loaded."""
        said = cast("dict[str, object]", orjson.loads(line))
        if self._spread:
            said |= cast("dict[str, object]", said.pop(self._spread, None) or {})
        for name, value in said.items():
            self._known.setdefault(name, self._new(name, value))
        return orjson.dumps({name: self._cell(self._known[name], value) for name, value in said.items()})

    def _new(self, name: str, value: object) -> Field:
        if name == "processed_time":
            return Field(name=name, kind="TIMESTAMP")
        if self._as_text and name == "response":
            return Field(name=name, kind="STRING")
        nested = isinstance(value, dict | list)
        return Field(name=name, kind="JSON" if name in _JSON or nested else "STRING")

    @staticmethod
    def _cell(field: Field, value: object) -> object:
        if field.kind == "STRING" and not isinstance(value, str | None):
            return orjson.dumps(value).decode()
        return value


def _nullable(field: Field) -> Field:
    return Field(name=field.name, kind=field.kind)
