"""Rows in PostgreSQL's binary COPY format, column by column. No I/O.

The format is that of "Binary Format" on the page of COPY in the manual: a count of fields in 16 bits,
then each field as its length in 32 bits (-1 for null) and its value, all in network byte order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from itertools import chain, repeat
from operator import itemgetter
from struct import Struct
from typing import Any

from vertexq.results import Row
from vertexq.stores.columns import Column, ColumnType, instant
from vertexq.stores.postgres_vectors import ARRAY, Encode, VectorColumn

SIGNATURE = b"PGCOPY\n\xff\r\n\0" + bytes(8)
TRAILER = b"\xff\xff"
BLOCK_ROWS = 256
"""Rows encoded at a time: large enough to cost little, small enough to stay in the processor's cache."""

_NULL = b"\xff\xff\xff\xff"
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # of timestamptz, which counts microseconds
_MICROSECOND = timedelta(microseconds=1)
_size = Struct(">i").pack
_integer = Struct(">iq").pack
_real = Struct(">id").pack
_AS_ARRAY = VectorColumn(kind=ARRAY).encoder(None)
_Encoders = Mapping[ColumnType, Callable[[Any], bytes]]
_by_key: Callable[[Row], str] = itemgetter(Row._fields.index("key"))

Part = Iterable[bytes]


def blocks(
    rows: Iterable[Row], columns: Sequence[Column], at: Sequence[int], vector: Encode = _AS_ARRAY
) -> Iterator[bytes]:
    """Yield ``rows`` as a whole COPY stream: their values at ``at``, which are ``columns``.

    In the order of their keys, so that two that write the same ones never wait for each other in a circle.
    ``vector`` writes a vector. Raise ``UnicodeEncodeError`` for a lone surrogate, ``struct.error`` for an
    integer over 64 bits and ``UnfitVector``.
    """
    encode = {**_ENCODE, ColumnType.VECTOR: vector}
    ordered = sorted(rows, key=_by_key)
    types = [column.type for column in columns]
    yield SIGNATURE
    for start in range(0, len(ordered), BLOCK_ROWS):
        values = list(zip(*ordered[start : start + BLOCK_ROWS], strict=True))
        yield _block(types, [values[place] for place in at], encode)
    yield TRAILER


def _block(types: Sequence[ColumnType], values: Sequence[tuple[Any, ...]], encode: _Encoders) -> bytes:
    """Lay the columns side by side; neighbours that are the same in all rows become one piece."""
    parts: list[Part] = []
    same = len(types).to_bytes(2)
    for kind, column in zip(types, values, strict=True):
        first = column[0]
        if column.count(first) == len(column):
            same += _NULL if first is None else encode[kind](first)
            continue
        if same:
            parts.append(repeat(same))
            same = b""
        parts.extend(_column(kind, column, encode[kind]))
    if not parts:
        return same * len(values[0])
    if same:
        parts.append(repeat(same))
    return b"".join(chain.from_iterable(zip(*parts)))  # noqa: B905  (the constant ones have no end)


def _column(kind: ColumnType, values: tuple[Any, ...], encode: Callable[[Any], bytes]) -> tuple[Part, ...]:
    if None in values:
        return ([_NULL if value is None else encode(value) for value in values],)
    if kind is ColumnType.TEXT:
        values = tuple(value.encode() for value in values)
    if kind in {ColumnType.TEXT, ColumnType.JSON}:
        return map(_size, map(len, values)), values
    if kind is ColumnType.INTEGER:
        return (map(_integer, repeat(8), values),)
    return (map(encode, values),)


def _encode_text(value: str) -> bytes:
    return _encode_json(value.encode())


def _encode_json(value: bytes) -> bytes:
    return _size(len(value)) + value


def _encode_integer(value: int) -> bytes:
    return _integer(8, value)


def _encode_real(value: float) -> bytes:
    return _real(8, value)


def _encode_instant(value: str) -> bytes:
    read = instant(value)
    return _NULL if read is None else _integer(8, (read - _EPOCH) // _MICROSECOND)


_ENCODE: dict[ColumnType, Callable[[Any], bytes]] = {
    ColumnType.TEXT: _encode_text,
    ColumnType.JSON: _encode_json,
    ColumnType.INTEGER: _encode_integer,
    ColumnType.REAL: _encode_real,
    ColumnType.INSTANT: _encode_instant,
}
