"""Gemini: ``GenerateContentRequest`` lines in, ``GenerateContentResponse`` lines out.

Shapes are from the aiplatform v1 discovery document (revision 20261106) and the Gemini batch documentation;
what may be missing, and is, is from rows of real jobs. Lines are decoded straight into the few fields we
need: twice as fast as building every dict of a line, and unknown fields cost nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any, cast

import msgspec

from vertexq.families.base import Family, NoRequest
from vertexq.families.gemini_rules import RULES, estimate
from vertexq.families.row_status import parse_status
from vertexq.results import Outcome
from vertexq.rows import Answer, AnswerColumns, Unreadable


class _Part(msgspec.Struct, gc=False):
    text: str | None = None
    thought: bool | None = None


class _Content(msgspec.Struct, gc=False):
    parts: list[_Part] | None = None


class _Candidate(msgspec.Struct, gc=False):
    content: _Content | None = None
    finishReason: str | int | None = None  # noqa: N815  (Google's name; some services send the number)


class _Usage(msgspec.Struct, gc=False):
    promptTokenCount: int | None = None  # noqa: N815
    candidatesTokenCount: int | None = None  # noqa: N815
    thoughtsTokenCount: int | None = None  # noqa: N815
    cachedContentTokenCount: int | None = None  # noqa: N815
    toolUsePromptTokenCount: int | None = None  # noqa: N815
    totalTokenCount: int | None = None  # noqa: N815


class _Feedback(msgspec.Struct, gc=False):
    blockReason: str | int | None = None  # noqa: N815
    blockReasonMessage: str | None = None  # noqa: N815


class _Response(msgspec.Struct, gc=False):
    candidates: list[_Candidate] | None = None
    usageMetadata: _Usage | None = None  # noqa: N815
    modelVersion: str | None = None  # noqa: N815
    promptFeedback: _Feedback | None = None  # noqa: N815


class _Line(msgspec.Struct, gc=False):
    key: Any = None
    status: Any = None
    processed_time: str | None = None
    response: msgspec.Raw = msgspec.Raw()


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_response = msgspec.json.Decoder(_Response, strict=False).decode  # int64 may come as text
_REQUEST_FIELDS = frozenset(
    {
        "contents",
        "systemInstruction",
        "system_instruction",
        "tools",
        "toolConfig",
        "tool_config",
        "generationConfig",
        "generation_config",
        "safetySettings",
        "safety_settings",
        "labels",
        "cachedContent",
        "cached_content",
        "modelArmorConfig",
    }
)
_NAME = re.compile(r"gemini-[A-Za-z0-9._@-]+")
_NO_RESPONSE_BYTES = len("null")  # shorter than any answer: absent, {} or null
_SUCCEEDED = Outcome.SUCCEEDED
_NO_USAGE = _Usage()
_NO_CANDIDATE = _Candidate()
_FINISH_REASONS = (  # in the order of their numbers, which is that of the discovery document
    "FINISH_REASON_UNSPECIFIED",
    "STOP",
    "MAX_TOKENS",
    "SAFETY",
    "RECITATION",
    "OTHER",
    "BLOCKLIST",
    "PROHIBITED_CONTENT",
    "SPII",
    "MALFORMED_FUNCTION_CALL",
    "MODEL_ARMOR",
    "IMAGE_SAFETY",
    "IMAGE_PROHIBITED_CONTENT",
    "IMAGE_RECITATION",
    "IMAGE_OTHER",
    "UNEXPECTED_TOOL_CALL",
    "NO_IMAGE",
)
_BLOCKING_REASONS = frozenset(
    {
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "MODEL_ARMOR",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    }
)


def read(line: bytes) -> AnswerColumns:
    """Read one output line: an answer, a block, or an error, with whatever counts Google sent."""
    try:
        parsed = _decode_line(line)
        body = bytes(parsed.response)
        if parsed.status:
            return _failed(parsed, body)
        if len(body) <= _NO_RESPONSE_BYTES:
            return _empty(parsed)
        return _answered(parsed, _decode_response(body), body)
    except msgspec.ValidationError as error:
        raise Unreadable(f"the line has an unknown shape: {error}") from None
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        raise Unreadable("the line is not valid JSON") from None


def _answered(parsed: _Line, response: _Response, body: bytes) -> AnswerColumns:
    usage = response.usageMetadata or _NO_USAGE
    prompt, total = usage.promptTokenCount, usage.totalTokenCount
    if total is None and prompt is not None:
        total = _total(usage)
    candidates = response.candidates
    candidate = candidates[0] if candidates else _NO_CANDIDATE
    content, reason = candidate.content, candidate.finishReason
    if isinstance(reason, int):
        candidate.finishReason = reason = _reason_name(reason)
    parts = content.parts if content else None
    outcome, message = _SUCCEEDED, None
    if parts and len(parts) == 1 and parts[0].text and not parts[0].thought:
        text: str | None = parts[0].text
    else:
        text = _text(parts or [])
        if not text or response.promptFeedback:
            outcome, message = _without_text(candidate, response)
    return (
        parsed.key, outcome, text, reason, None, message,
        prompt, usage.candidatesTokenCount, usage.thoughtsTokenCount, usage.cachedContentTokenCount, total,
        response.modelVersion, parsed.processed_time, body,
    )  # fmt: skip


def _reason_name(number: int) -> str:
    """Return the name of a ``finishReason`` that came as its number; one newer than us stays a number."""
    return _FINISH_REASONS[number] if 0 <= number < len(_FINISH_REASONS) else str(number)


def _total(usage: _Usage) -> int:
    """Compute what Google left out: prompt + candidates + thoughts + tool use."""
    return (
        (usage.promptTokenCount or 0)
        + (usage.candidatesTokenCount or 0)
        + (usage.thoughtsTokenCount or 0)
        + (usage.toolUsePromptTokenCount or 0)
    )


def _text(parts: list[_Part]) -> str | None:
    """Join the text of the answer; thoughts are not answer. None when there is no text at all."""
    texts = [part.text for part in parts if part.text is not None and not part.thought]
    return "".join(texts) if texts else None


def _without_text(candidate: _Candidate, response: _Response) -> tuple[Outcome, str | None]:
    """Judge an answer without text: function calls and images are answers, a filter's work is a block."""
    feedback = response.promptFeedback
    if feedback and feedback.blockReason:
        detail = f" ({feedback.blockReasonMessage})" if feedback.blockReasonMessage else ""
        return Outcome.BLOCKED, f"the prompt was blocked: {feedback.blockReason}{detail}"
    reason = candidate.finishReason
    if reason in _BLOCKING_REASONS:
        return Outcome.BLOCKED, f"the answer was blocked: {reason}"
    if candidate.content and candidate.content.parts:
        return Outcome.SUCCEEDED, None
    if reason == "MAX_TOKENS":
        return Outcome.SUCCEEDED, "no text: the limit of output tokens was spent before the answer began"
    return Outcome.FAILED, f"the response has no answer (finishReason {reason or 'absent'})"


def _empty(parsed: _Line) -> Answer:
    message = "the row came back with neither an answer nor an error"
    return Answer(parsed.key, Outcome.FAILED, error_message=message, processed_at=parsed.processed_time)


def _failed(parsed: _Line, body: bytes) -> Answer:
    if len(body) > _NO_RESPONSE_BYTES and _decode_response(body).candidates:
        raise Unreadable("the row has an error status and an answer; neither can be trusted")
    code, message = parse_status(parsed.status)
    return Answer(
        parsed.key,
        Outcome.FAILED,
        error_code=code,
        error_message=message,
        processed_at=parsed.processed_time,
    )


def request(row: str | Mapping[str, Any]) -> Mapping[str, Any]:
    """Return the ``GenerateContentRequest`` of a producer's row.

    A row is a prompt, ``{"prompt": text}``, ``{"request": {…}}``, or the request itself (``contents``).
    """
    if isinstance(row, str):
        return _prompt(row)
    forms = [name for name in ("request", "contents", "prompt") if name in row]
    if len(forms) != 1:
        found = f"this one has {' and '.join(map(repr, forms))}" if forms else "this one has none of them"
        raise NoRequest(f'a Gemini row has one of "request", "contents" and "prompt"; {found}')
    if forms == ["prompt"]:
        return _prompt(row["prompt"])
    if forms == ["contents"]:
        return _whole({name: value for name, value in row.items() if name in _REQUEST_FIELDS})
    return _whole(row["request"])


def _whole(request: object) -> Mapping[str, Any]:
    """Return a request that Google would not refuse for its outermost shape."""
    contents = cast("Mapping[str, Any]", request).get("contents") if isinstance(request, Mapping) else None
    if not isinstance(contents, list) or not contents:
        raise NoRequest('"contents" must be a list with at least one object')
    if not all(isinstance(content, Mapping) for content in cast("list[object]", contents)):
        raise NoRequest('every item of "contents" must be an object with "role" and "parts"')
    return cast("Mapping[str, Any]", request)


def _prompt(text: object) -> Mapping[str, Any]:
    if not isinstance(text, str) or not text.strip():
        raise NoRequest("the prompt must be a text that is not empty")
    return {"contents": [{"role": "user", "parts": [{"text": text}]}]}


def accepts(model: str) -> bool:
    """Tell whether ``model`` is a Gemini publisher model: a short name, or a path that ends in one."""
    name = model.rpartition("/")[2]
    path = model.removesuffix(name)
    return (
        _NAME.fullmatch(name) is not None
        and not name.startswith("gemini-embedding")
        and (not path or path.endswith("publishers/google/models/"))
    )


FAMILY = Family(
    name="gemini",
    example="gemini-2.5-flash",
    accepts=accepts,
    request=request,
    read=read,
    rows_limit=200_000,  # requests a job (Google's batch prediction overview, read 2026-11-21)
    input_limit_bytes=1_000_000_000,  # one input file (the same page)
    check=RULES,
    estimate=estimate,
)
