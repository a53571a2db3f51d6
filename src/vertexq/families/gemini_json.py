"""Answers that were asked for as JSON: is it JSON, and is it what the schema says? No I/O.

What was asked for is read in the request that Google echoes; where the echo says nothing about it, what the
submission's template says holds.
"""

from __future__ import annotations

from typing import Final, NamedTuple

import msgspec
import orjson

from vertexq.families.gemini_shapes import Format, Generation, TextFormat, decode_request
from vertexq.families.schemas import UNUSABLE, Schemas

INVALID_JSON: Final = "invalid_json"
"""The answer was asked for as JSON and is none."""

_MIME_TYPE = "application/json"
_MIME_WORDS = ("application/json", "APPLICATION_JSON", 1)  # as responseFormat[].text has it


class Form(NamedTuple):
    """What is to be said of an answer's form. ``parsed`` is its JSON text; ``broken`` ends it as failed."""

    parsed: bytes | None = None
    reason: str | None = None
    message: str | None = None
    broken: bool = False


class JsonJudge:
    """Judges the form of answers. With ``validate``, what is not as it was asked for has failed."""

    def __init__(self, *, template: str = "", validate: bool = False) -> None:
        self.generation = _generation(template)
        self._schemas = Schemas() if validate else None

    def judge(self, text: str, wanted: Generation, *, cut: bool) -> Form:
        """Judge the text of an answer; ``cut`` tells that the limit of output tokens broke it off."""
        try:
            value = orjson.loads(text)
        except orjson.JSONDecodeError:
            return self._no_json(cut=cut)
        parsed = text.encode()
        schema = _schema(wanted)
        if self._schemas is None or schema is None:
            return Form(parsed)
        fault = self._schemas.fault(value, schema[0], googles=schema[1])
        if fault is None:
            return Form(parsed)
        return Form(parsed, fault.reason, fault.message, broken=fault.reason != UNUSABLE)

    def _no_json(self, *, cut: bool) -> Form:
        reason = None if cut else INVALID_JSON  # a cut answer has its reason
        if self._schemas is None:
            return Form(reason=reason)
        why = ": the limit of output tokens cut it off" if cut else ""
        return Form(reason=reason, message=f"the answer was asked for as JSON and is none{why}", broken=True)


def asks_for_json(wanted: Generation) -> bool:
    """Tell whether a request wants its answer as JSON, in any of the ways to say so."""
    if _MIME_TYPE in (wanted.responseMimeType, wanted.response_mime_type):
        return True
    return any((text.mimeType or text.mime_type) in _MIME_WORDS for text in _formats(wanted))


def _schema(wanted: Generation) -> tuple[bytes, bool] | None:
    """Return the schema that was asked for, and whether it is in Google's own form."""
    fields = (
        (wanted.responseJsonSchema, False),
        (wanted.response_json_schema, False),
        *((text.schema, False) for text in _formats(wanted)),
        (wanted.responseSchema, True),
        (wanted.response_schema, True),
    )
    for raw, googles in fields:
        schema = bytes(raw)
        if schema not in (b"", b"null"):
            return schema, googles
    return None


def _formats(wanted: Generation) -> list[TextFormat]:
    formats: list[Format] = wanted.responseFormat or wanted.response_format or []
    return [one.text for one in formats if one.text]


def _generation(template: str) -> Generation | None:
    """Return what a template says about answers; None when it says nothing, or nothing readable."""
    try:
        request = decode_request(template) if template else None
    except msgspec.MsgspecError:
        return None
    return (request.generationConfig or request.generation_config) if request else None
