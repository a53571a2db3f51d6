"""The columns of ``vertexq_results`` and how stored values become a ``Result``. No I/O."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from enum import StrEnum
from typing import Any

import orjson

from vertexq.results import OUTCOME_RANK, RESULT_COLUMNS, Outcome, Result


class ColumnType(StrEnum):
    """What a column holds; each store picks its own type for it."""

    TEXT = "text"
    INTEGER = "integer"  # 64 bits, signed
    REAL = "real"  # IEEE 754, 64 bits
    INSTANT = "instant"  # a moment in UTC
    JSON = "json"  # an object, as Google sent it
    VECTOR = "vector"  # a list of numbers; in a row as JSON text


@dataclass(frozen=True, slots=True)
class Column:
    """One column; ``required`` means never null."""

    name: str
    type: ColumnType
    about: str
    required: bool = False


_T = ColumnType

COLUMNS: tuple[Column, ...] = (
    Column("submission_id", _T.TEXT, "the submission, first half of the primary key", required=True),
    Column("key", _T.TEXT, "the producer's key of the row, second half of the primary key", required=True),
    Column("batch_id", _T.TEXT, "the batch that answered", required=True),
    Column("outcome", _T.TEXT, "succeeded, blocked, failed, quarantined or missing", required=True),
    Column("text", _T.TEXT, "the answer's text without thoughts"),
    Column("finish_reason", _T.TEXT, "Google's word: STOP, MAX_TOKENS, SAFETY, …"),
    Column("error_code", _T.INTEGER, "gRPC or HTTP code of a failed row"),
    Column("error_message", _T.TEXT, "Google's message, or our reason"),
    Column("prompt_tokens", _T.INTEGER, "tokens"),
    Column("output_tokens", _T.INTEGER, "tokens, thoughts not counted"),
    Column("thoughts_tokens", _T.INTEGER, "tokens"),
    Column("cached_tokens", _T.INTEGER, "tokens, part of prompt_tokens"),
    Column("total_tokens", _T.INTEGER, "tokens"),
    Column("cost_usd", _T.REAL, "US dollars"),
    Column("model_version", _T.TEXT, "the model that answered, as Google names it"),
    Column("processed_at", _T.INSTANT, "when Google answered, UTC"),
    Column("response", _T.JSON, "Google's response object, whole"),
    Column("source_object", _T.TEXT, "gs:// address of the output object the row came from"),
    Column("source_generation", _T.INTEGER, "that object's generation"),
    Column("source_offset", _T.INTEGER, "where the row's line starts in it, in bytes"),
    Column("attempt", _T.INTEGER, "which round answered; counts from 1", required=True),
    Column(
        "reason", _T.TEXT, "one word for what is not as it should be: SAFETY, MAX_TOKENS, invalid_json, …"
    ),
    Column("parsed", _T.JSON, "the answer as a value, when it was asked for in JSON"),
    Column("function_calls", _T.JSON, "the functions that the model wants called, as a list"),
    Column("embedding", _T.VECTOR, "the vector, as a list of numbers"),
    Column("embedding_norm", _T.REAL, "the vector's Euclidean length"),
    Column("extra", _T.JSON, "what stood beside the request in its source table, as an object"),
)
JSON_COLUMNS: tuple[int, ...] = tuple(at for at, column in enumerate(COLUMNS) if column.type is _T.JSON)
"""Where JSON stands in a ``Row``."""

VECTOR = "embedding"
"""The one column of vectors."""

VECTOR_COLUMN = RESULT_COLUMNS.index(VECTOR)
"""Where it stands in a ``Row``."""

JSON_NAMES: tuple[str, ...] = tuple(RESULT_COLUMNS[at] for at in JSON_COLUMNS)

_RANKS = " ".join(f"WHEN '{name}' THEN {rank}" for name, rank in OUTCOME_RANK.items())

# 2**64 has 20 digits: from there on orjson reads an integer as a float without a word.
_LONG = b"0" * 20
_FRACTION = b"." + _LONG
_DIGITS_ALIKE = bytes.maketrans(b"123456789", b"000000000")


def rank_sql(outcome: str) -> str:
    """Return the SQL expression for how good the outcome in the expression ``outcome`` is."""
    return f"CASE {outcome} {_RANKS} ELSE -1 END"


def result_of(values: Sequence[Any]) -> Result:
    """Make a ``Result`` of a stored row: the columns in order.

    ``processed_at`` may be RFC 3339 text, JSON and vectors text or bytes of JSON.
    """
    fields = dict(zip(RESULT_COLUMNS, values, strict=True))
    fields["outcome"] = Outcome(fields["outcome"])
    fields["processed_at"] = instant(fields["processed_at"])
    for at in JSON_COLUMNS:
        if isinstance(values[at], str | bytes):
            fields[RESULT_COLUMNS[at]] = decode(values[at])
    if isinstance(vector := values[VECTOR_COLUMN], str | bytes):
        fields[VECTOR] = orjson.loads(vector)
    return Result(**fields)


def instant(value: str | datetime | None) -> datetime | None:
    """Read RFC 3339 text as an instant in UTC, cut to microseconds; None when it cannot be read."""
    if value is None:
        return None
    try:
        read = value if isinstance(value, datetime) else datetime.fromisoformat(value)
        if read.tzinfo is UTC:  # as Google writes it, nearly always
            return read
        return read.astimezone(UTC) if read.tzinfo else read.replace(tzinfo=UTC)
    except (ValueError, OverflowError):
        return None


def decode(raw: str | bytes) -> Any:
    """Read JSON without changing a value: integers of any length and lone surrogates come back exact."""
    data = raw.encode() if isinstance(raw, str) else raw
    if not _has_long_integer(data):
        try:
            return orjson.loads(data)
        except orjson.JSONDecodeError:
            pass  # a lone surrogate: the standard library reads it
    return json.loads(data, parse_int=_exact)


def _has_long_integer(data: bytes) -> bool:
    """Tell whether there may be one; digits right behind a point, as vectors have many, are none."""
    alike = data.translate(_DIGITS_ALIKE)  # ten times as fast as a regular expression
    return alike.count(_LONG) > alike.count(_FRACTION)


def _exact(digits: str) -> int | Decimal:
    try:
        return int(digits)
    except ValueError:  # over 4,300 digits, where Python stops
        return Decimal(digits)
