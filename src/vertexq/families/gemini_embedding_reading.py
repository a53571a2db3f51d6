"""Output lines of Gemini's embedding models into answers. No I/O.

``{"key":…,"request":…,"response":{"tokenCount":"2","embedding":{"values":[…]}}}`` (Google's page on batch
embeddings, read 2026-11-21); live rows were seen that count in ``usageMetadata`` (BerriAI/litellm#35638).
"""

from __future__ import annotations

from typing import Any

import msgspec

from vertexq.families.row_status import careful
from vertexq.families.vectors import answered, decode_fields, taken_apart, unanswered, vector_of
from vertexq.rows import Answer, Read, ReadContext, Unreadable

_ABSENT = msgspec.Raw()
_NO_RESPONSE_BYTES = len("null")  # shorter than any answer: absent, {} or null
_SAID = b"imensionality"


class _Line(msgspec.Struct, gc=False):
    key: Any = None
    status: Any = None
    processed_time: str | None = None
    request: msgspec.Raw = _ABSENT
    response: msgspec.Raw = _ABSENT


class _TokenUse(msgspec.Struct, gc=False):
    promptTokenCount: int | None = None  # noqa: N815  (Google's name, as all that follow)


class _Counts(msgspec.Struct, gc=False):
    tokenCount: int | None = None  # noqa: N815
    usageMetadata: _TokenUse | None = None  # noqa: N815
    truncated: bool | None = None

    @property
    def tokens(self) -> int | None:
        if self.tokenCount is not None or self.usageMetadata is None:
            return self.tokenCount
        return self.usageMetadata.promptTokenCount


class _Options(msgspec.Struct, gc=False):
    output_dimensionality: int | None = None
    outputDimensionality: int | None = None  # noqa: N815


class _Request(_Options, gc=False):
    embed_content_config: _Options | None = None
    embedContentConfig: _Options | None = None  # noqa: N815


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_counts = msgspec.json.Decoder(_Counts, strict=False).decode  # tokenCount is an int64: text
_decode_request = msgspec.json.Decoder(_Request, strict=False).decode  # the import may have re-typed it


def reading(context: ReadContext | None = None) -> Read:
    """Return a reader of output lines; how many dimensions are asked for, parameters say or the echo."""
    usual: int | None = context.parameters.get("dimensions") if context else None

    @careful
    def read(line: bytes) -> Answer:
        """Read one output line: a vector, or an error."""
        return _read(line, usual)

    return read


def _read(line: bytes, usual: int | None) -> Answer:
    parsed = _decode_line(line)
    body = bytes(parsed.response)
    if parsed.status or len(body) <= _NO_RESPONSE_BYTES:
        if parsed.status and b'"values"' in body:
            raise Unreadable("the row has an error status and a vector; neither can be trusted")
        return unanswered(parsed.key, parsed.processed_time, parsed.status)
    apart = taken_apart(decode_fields(body), "embedding")
    if not apart.values:
        return unanswered(parsed.key, parsed.processed_time, "")
    counts = _decode_counts(apart.rest)
    vector = vector_of(apart.values, _asked(bytes(parsed.request)) or usual)
    return answered(
        parsed.key, parsed.processed_time, apart, vector, counts.tokens, cut=bool(counts.truncated)
    )


def _asked(request: bytes) -> int | None:
    """Return how many dimensions an echoed request asks for; None when it says nothing that can be read."""
    if _SAID not in request:
        return None
    try:
        said = _decode_request(request)
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    for options in (said.embed_content_config, said.embedContentConfig, said):
        if options and (found := options.output_dimensionality or options.outputDimensionality):
            return found
    return None
