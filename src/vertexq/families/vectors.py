"""Vectors in output lines: read, measured, and held to the number of dimensions that was asked for. No I/O.

The values stay the text that Google wrote: nothing is rounded on the way into a store.
"""

from __future__ import annotations

import math
from typing import Any, Final, NamedTuple

import msgspec

from vertexq.families.row_status import failed, neither, parse_status
from vertexq.results import TRUNCATED, Outcome
from vertexq.rows import Answer

DIMENSIONS: Final = "dimensions"
"""Our reason for a vector of another number of dimensions than was asked for."""
BAD_VECTOR: Final = "bad_vector"
"""Our reason for what stands where a vector should and is not a list of finite numbers."""

Fields = dict[str, msgspec.Raw]
decode_fields = msgspec.json.Decoder(Fields).decode
_decode_values = msgspec.json.Decoder(list[float]).decode
_encode = msgspec.json.Encoder().encode


class Vector(NamedTuple):
    """A vector as JSON text with its Euclidean norm, or why there is none (both are None then)."""

    values: bytes | None
    norm: float | None
    reason: str | None = None
    message: str | None = None


def vector_of(values: bytes, asked: int | None) -> Vector:
    """Read a JSON list of numbers; ``asked`` is how many there must be, None when nobody has said."""
    try:
        numbers = _decode_values(values) if values else []
    except (msgspec.MsgspecError, UnicodeDecodeError):
        return Vector(None, None, BAD_VECTOR, "the vector is not a list of finite numbers")
    if not numbers:
        return Vector(None, None, BAD_VECTOR, "the vector is empty")
    if asked is not None and len(numbers) != asked:
        message = f"the vector has {len(numbers):,} dimensions, and {asked:,} were asked for"
        return Vector(None, None, DIMENSIONS, message)
    norm = math.hypot(*numbers)
    if not math.isfinite(norm):
        return Vector(None, None, BAD_VECTOR, "the vector is longer than any number")
    return Vector(values, norm)


class Embedded(NamedTuple):
    """An answer taken apart: the values, and the rest of Google's object as JSON text."""

    values: bytes
    rest: bytes


def taken_apart(answer: Fields, name: str) -> Embedded:
    """Take the values out of the object ``name`` of an answer; what is left empty is left out."""
    inner = decode_fields(answer[name]) if name in answer and bytes(answer[name]) != b"null" else {}
    values = bytes(inner.pop("values", b""))
    rest = {field: value for field, value in answer.items() if field != name or inner}
    if inner:
        rest[name] = msgspec.Raw(_encode(inner))
    return Embedded(b"" if values == b"null" else values, _encode(rest))


def answered(
    wire_key: Any, processed_at: str | None, apart: Embedded, vector: Vector, tokens: int | None, *, cut: bool
) -> Answer:
    """Return the answer that a vector is; one that will not do is a failed row that was paid for."""
    outcome = Outcome.FAILED if vector.reason else Outcome.SUCCEEDED
    return Answer(
        wire_key,
        outcome,
        error_message=vector.message,
        prompt_tokens=tokens,
        total_tokens=tokens,
        processed_at=processed_at,
        response=apart.rest,
        reason=vector.reason or (TRUNCATED if cut else None),
        embedding=vector.values,
        embedding_norm=vector.norm,
    )


def unanswered(wire_key: Any, processed_at: str | None, status: object) -> Answer:
    """Return a row with an error, or with nothing at all."""
    return failed(wire_key, parse_status(status) if status else neither("a vector"), processed_at)
