"""The fields of Gemini's output lines that are read, as types that lines are decoded into. No I/O.

Shapes are from the aiplatform v1 discovery document (revision 20261106) and the Gemini batch documentation;
what may be missing, and is, is from rows of real jobs. Lines are decoded straight into the few fields we
need: twice as fast as building every dict of a line, and unknown fields cost nothing. Google echoes a
request as it was written, so both spellings of its fields are known.
"""

from __future__ import annotations

from typing import Any

import msgspec

ABSENT = msgspec.Raw()
"""Stands where a field that is kept as JSON text did not come."""


class Call(msgspec.Struct, gc=False, omit_defaults=True):
    """A function that the model wants called."""

    name: str | None = None
    args: msgspec.Raw = ABSENT
    id: str | None = None


class Part(msgspec.Struct, gc=False):
    """A piece of an answer."""

    text: str | None = None
    thought: bool | None = None
    functionCall: Call | None = None  # noqa: N815  (Google's name, as all that follow)


class Content(msgspec.Struct, gc=False):
    """What a candidate says."""

    parts: list[Part] | None = None


class Candidate(msgspec.Struct, gc=False):
    """One answer."""

    content: Content | None = None
    finishReason: str | int | None = None  # noqa: N815  (some services send the number)


class TokenUse(msgspec.Struct, gc=False):
    """What was counted; any of it may be absent."""

    candidatesTokenCount: int | None = None  # noqa: N815
    promptTokenCount: int | None = None  # noqa: N815
    thoughtsTokenCount: int | None = None  # noqa: N815
    totalTokenCount: int | None = None  # noqa: N815
    cachedContentTokenCount: int | None = None  # noqa: N815
    toolUsePromptTokenCount: int | None = None  # noqa: N815


class Feedback(msgspec.Struct, gc=False):
    """What a filter said about the prompt."""

    blockReason: str | int | None = None  # noqa: N815
    blockReasonMessage: str | None = None  # noqa: N815


class Response(msgspec.Struct, gc=False):
    """Google's response object."""

    candidates: list[Candidate] | None = None
    modelVersion: str | None = None  # noqa: N815
    promptFeedback: Feedback | None = None  # noqa: N815
    usageMetadata: TokenUse | None = None  # noqa: N815


class TextFormat(msgspec.Struct, gc=False):
    """What form a text is wanted in (``responseFormat[].text``)."""

    mimeType: str | int | None = None  # noqa: N815
    mime_type: str | int | None = None
    schema: msgspec.Raw = ABSENT


class Format(msgspec.Struct, gc=False):
    """What form an answer is wanted in."""

    text: TextFormat | None = None


class Generation(msgspec.Struct, gc=False):
    """``generationConfig`` of a request: what is said in it about the answer's form."""

    responseFormat: list[Format] | None = None  # noqa: N815
    responseJsonSchema: msgspec.Raw = ABSENT  # noqa: N815
    responseMimeType: str | None = None  # noqa: N815
    responseSchema: msgspec.Raw = ABSENT  # noqa: N815
    response_format: list[Format] | None = None
    response_json_schema: msgspec.Raw = ABSENT
    response_mime_type: str | None = None
    response_schema: msgspec.Raw = ABSENT


class Request(msgspec.Struct, gc=False):
    """The request that Google echoes."""

    generationConfig: Generation | None = None  # noqa: N815
    generation_config: Generation | None = None


class Line(msgspec.Struct, gc=False):
    """One output line. The response is decoded after its bytes have been kept."""

    key: Any = None
    status: Any = None
    processed_time: str | None = None
    request: Request | None = None
    response: msgspec.Raw = ABSENT


class BareLine(msgspec.Struct, gc=False):
    """The same without the request, for an echo of another shape: it decides nothing about the answer."""

    key: Any = None
    status: Any = None
    processed_time: str | None = None
    response: msgspec.Raw = ABSENT


decode_line = msgspec.json.Decoder(Line).decode
decode_bare_line = msgspec.json.Decoder(BareLine).decode
decode_response = msgspec.json.Decoder(Response, strict=False).decode  # int64 may come as text
decode_request = msgspec.json.Decoder(Request).decode
