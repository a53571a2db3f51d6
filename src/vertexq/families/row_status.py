"""What the ``status`` of a failed row says: Google's error code and message. No I/O."""

from __future__ import annotations

import re

import msgspec
import orjson


class _Error(msgspec.Struct):
    code: int | None = None
    message: str | None = None


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
_WORD = re.compile(rf"\b(?:{'|'.join(_CODE_OF_WORD)})\b")


def parse_status(status: object) -> tuple[int | None, str]:
    """Read a row's error: (HTTP status or None, message).

    The text is ``<prefix>: <JSON of Google's error envelope>``, or it begins with one of Google's words for
    a code; anything else is kept as it is.
    """
    text = status if isinstance(status, str) else orjson.dumps(status).decode()
    start = text.find('{"error"')
    if start < 0:
        start = text.find("{")
    envelope = _envelope(text[start:]) if start >= 0 else None
    if envelope is not None:
        return envelope.code, envelope.message or text
    word = _WORD.search(text)
    return (_CODE_OF_WORD[word[0]] if word else None), _bare_message(text) or text


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
