"""Row keys: the producer's key, the key on the wire, and the fingerprint of a request. No I/O.

On the wire a row is called ``r<index>-<producer's key>``. It begins with a letter because Google's importer
may turn what looks like a number into one.
"""

from __future__ import annotations

from hashlib import blake2b
from typing import Any, cast

import orjson

KEY_LIMIT_BYTES = 512
"""The longest producer's key, in UTF-8; PostgreSQL's index takes 2,704 bytes at most, so every store does."""


_INDEX_DIGITS = 18  # far above any batch; Python refuses to read integers of thousands of digits


def wire_key(index: int, key: str) -> str:
    """Return the key that is staged beside the request of row ``index``."""
    return f"r{index}-{key}"


def parse_wire_key(text: object, rows: int) -> tuple[int, str] | None:
    """Read an echoed key back into (index, producer's key); None when it is not one of ``rows`` rows'."""
    if not isinstance(text, str):
        return None
    head, _, key = text.partition("-")
    digits = head[1:]
    if not key or not digits.isdecimal() or len(digits) > _INDEX_DIGITS:
        return None
    index = int(digits)
    return (index, key) if index < rows and head[0] == "r" and head.isascii() else None


def producers_key(text: str) -> str:
    """Return the producer's key in one that an earlier job of ours had on the wire; leave others as they are.

    >>> producers_key("r12-name"), producers_key("name")
    ('name', 'name')
    """
    ours = parse_wire_key(text, 10**_INDEX_DIGITS)
    return ours[1] if ours else text


DIGEST_BYTES = 8
"""How long a request's fingerprint is."""


def fingerprint(request: Any) -> bytes:
    """Return 8 bytes that are the same for a request and for its echo.

    The echo carries extra nulls and another order of keys (a row printed in Google's Gemini batch
    documentation shows both), so nulls are dropped and keys sorted before hashing; the outermost keys
    backwards, because what differs from row to row then comes last.
    """
    if not isinstance(request, dict):
        return digest_of(canonical(request))
    fields = cast("dict[str, Any]", request)
    found = [(name, canonical(fields[name])) for name in sorted(fields, reverse=True)]
    written = [b"%b:%b" % (orjson.dumps(name), text) for name, text in found if text]
    return digest_of(b"{" + b",".join(written) + b"}")


def digest_of(text: bytes) -> bytes:
    """Return the fingerprint of a request in its canonical form."""
    return blake2b(text, digest_size=DIGEST_BYTES).digest()


def canonical(value: Any) -> bytes:
    """Return a value as JSON with its keys sorted and its nulls dropped; nothing for a null alone."""
    if value is None:
        return b""
    text = orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    if b"null" in text:
        text = orjson.dumps(_without_nulls(value), option=orjson.OPT_SORT_KEYS)
    return text


def _without_nulls(value: Any) -> Any:
    if isinstance(value, dict):
        fields = cast("dict[str, Any]", value)
        return {name: _without_nulls(item) for name, item in fields.items() if item is not None}
    if isinstance(value, list):
        items = cast("list[Any]", value)  # type: ignore[redundant-cast]
        return [_without_nulls(item) for item in items if item is not None]
    return value
