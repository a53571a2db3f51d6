"""Rows that failed, and lines that nobody can read: what is wrong, in one form for all families. No I/O."""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import wraps
from typing import Any, Final, NamedTuple, TypeVar

import msgspec

from vertexq.results import Outcome
from vertexq.rows import Answer, Unreadable

T = TypeVar("T")

NO_ANSWER: Final = "no_answer"
"""Our reason where a row came back with neither an answer nor an error."""


def careful(read: Callable[[bytes], T]) -> Callable[[bytes], T]:
    """Let a function that decodes JSON with msgspec raise ``Unreadable`` for what it cannot decode."""

    @wraps(read)
    def reading(line: bytes) -> T:
        try:
            return read(line)
        except msgspec.ValidationError as error:
            raise Unreadable(f"the line has an unknown shape: {error}") from None
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
            raise Unreadable("the line is not valid JSON") from None

    return reading


class RowError(NamedTuple):
    """Why a row failed: HTTP status, Google's message and its word for the code; None where it has none."""

    code: int | None
    message: str
    word: str | None = None


def failed(wire_key: Any, error: RowError, processed_at: str | None = None) -> Answer:
    """Return the row of an error."""
    return Answer(
        wire_key,
        Outcome.FAILED,
        error_code=error.code,
        error_message=error.message,
        processed_at=processed_at,
        reason=error.word,
    )


def neither(what: str) -> RowError:
    """Return why a row failed that came back without ``what`` it was sent for, and without an error."""
    return RowError(None, f"the row came back with neither {what} nor an error", NO_ANSWER)


class _Error(msgspec.Struct):
    code: int | None = None
    message: str | None = None
    status: Any = None


class _Envelope(msgspec.Struct):
    error: _Error


class _Bare(msgspec.Struct):
    message: str


_decode_envelope = msgspec.json.Decoder(_Envelope, strict=False).decode  # a code may come as text
_decode_bare = msgspec.json.Decoder(_Bare).decode

# google.rpc.Code and the HTTP status that stands for each, as google/rpc/code.proto maps them
_CODE_OF_WORD = {
    "INVALID_ARGUMENT": 400,
    "FAILED_PRECONDITION": 400,
    "OUT_OF_RANGE": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "ABORTED": 409,
    "ALREADY_EXISTS": 409,
    "RESOURCE_EXHAUSTED": 429,
    "CANCELLED": 499,
    "INTERNAL": 500,
    "UNKNOWN": 500,
    "DATA_LOSS": 500,
    "UNIMPLEMENTED": 501,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
_WORDS = (
    *("OK", "CANCELLED", "UNKNOWN", "INVALID_ARGUMENT", "DEADLINE_EXCEEDED", "NOT_FOUND", "ALREADY_EXISTS"),
    *("PERMISSION_DENIED", "RESOURCE_EXHAUSTED", "FAILED_PRECONDITION", "ABORTED", "OUT_OF_RANGE"),
    *("UNIMPLEMENTED", "INTERNAL", "UNAVAILABLE", "DATA_LOSS", "UNAUTHENTICATED"),
)  # google.rpc.Code in the order of its numbers
_WORD = re.compile(rf"\b(?:{'|'.join(_CODE_OF_WORD)})\b")
_SOME_WORD = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,62}")
_ANY_WORD = re.compile(r"[A-Z][A-Z_]{1,62}")  # also one that is newer than us


def parse_status(status: object) -> RowError:
    """Read a row's error.

    The text is ``<prefix>: <JSON of Google's error envelope>``, or it begins with one of Google's words for
    a code; anything else is kept as it is.
    """
    text = status if isinstance(status, str) else msgspec.json.encode(status).decode()
    start = text.find('{"error"')
    if start < 0:
        start = text.find("{")
    error = _envelope(text[start:]) if start >= 0 else None
    if error is not None:
        said = isinstance(error.status, str) and _ANY_WORD.fullmatch(error.status)
        return RowError(error.code, error.message or text, error.status if said else None)
    found = _WORD.search(text)
    word = found[0] if found else None
    return RowError(_CODE_OF_WORD[word] if word else None, _bare_message(text) or text, word)


def said_error(code: str | int | None, message: str) -> RowError:
    """Return an error whose code is a word or a number of ``google.rpc.Code``, or an HTTP status."""
    word = _WORDS[code] if isinstance(code, int) and 0 <= code < len(_WORDS) else code
    if isinstance(word, int):
        return RowError(word, message or f"error {word}")
    return worded_error(_CODE_OF_WORD.get(word or ""), message, word)


def worded_error(code: int | None, message: str | None, word: str | None) -> RowError:
    """Return an error with somebody's word for it; a text that is none is not kept as one."""
    word = word if word and _SOME_WORD.fullmatch(word) else None
    return RowError(code, message or word or "an error without a word", word)


def _envelope(text: str) -> _Error | None:
    try:
        return _decode_envelope(text.encode()).error
    except (msgspec.DecodeError, UnicodeEncodeError):
        return None


def _bare_message(text: str) -> str:
    try:
        return _decode_bare(text.encode()).message
    except (msgspec.DecodeError, UnicodeEncodeError):
        return ""
