"""Claude's output lines into answers. No I/O.

Google documents only the columns of a BigQuery output: ``custom_id``, ``request``, ``response`` (JSON) and
``status``. A response is a message of Anthropic's API, or an error of it.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from vertexq.families.function_calls import Call, written
from vertexq.families.row_status import (
    NO_ANSWER,
    RowError,
    careful,
    failed,
    neither,
    parse_status,
    worded_error,
)
from vertexq.results import Outcome
from vertexq.rows import Answer, AnswerColumns, Read, ReadContext, Unreadable

REFUSAL: Final = "refusal"

_ORDINARY = frozenset({None, "end_turn", "stop_sequence", "tool_use"})
_CODES = {  # Anthropic's page on errors
    "invalid_request_error": 400,
    "authentication_error": 401,
    "permission_error": 403,
    "not_found_error": 404,
    "request_too_large": 413,
    "rate_limit_error": 429,
    "api_error": 500,
    "timeout_error": 504,
    "overloaded_error": 529,
}
_EMPTY = (b"", b"null", b"{}")


class _Block(msgspec.Struct, gc=False):
    type: str = ""
    text: str | None = None
    id: str | None = None
    name: str | None = None
    input: msgspec.Raw = msgspec.Raw(b"{}")


class _Usage(msgspec.Struct, gc=False):
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_creation_input_tokens: int | None = None
    cache_read_input_tokens: int | None = None


class _Error(msgspec.Struct, gc=False):
    type: str | None = None
    message: str | None = None


class _Message(msgspec.Struct, gc=False):
    type: str = ""
    model: str | None = None
    content: list[_Block] | None = None
    stop_reason: str | None = None
    usage: _Usage | None = None
    error: _Error | None = None


class _Line(msgspec.Struct, gc=False):
    custom_id: Any = None
    status: Any = None
    processed_time: str | None = None
    response: msgspec.Raw = msgspec.Raw()


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_message = msgspec.json.Decoder(_Message, strict=False).decode


def reading(context: ReadContext | None = None) -> Read:
    """Return a reader of output lines."""
    del context
    return _read


@careful
def _read(line: bytes) -> AnswerColumns:
    """Read one output line: a message, or an error."""
    parsed = _decode_line(line)
    body = bytes(parsed.response)
    message = None if body in _EMPTY else _decode_message(body)
    if parsed.status:
        if message and message.content:
            raise Unreadable("the row has an error status and an answer; neither can be trusted")
        return _failed(parsed, parse_status(parsed.status))
    if message is None:
        return _failed(parsed, neither("an answer"))
    if message.error or message.type == "error":
        return _failed(parsed, _error(message.error or _Error()))
    return _answered(parsed, message, body)


def _error(error: _Error) -> RowError:
    return worded_error(_CODES.get(error.type or ""), error.message, error.type)


def _failed(line: _Line, error: RowError) -> Answer:
    return failed(line.custom_id, error, line.processed_time)


def _answered(line: _Line, message: _Message, body: bytes) -> Answer:
    outcome, text, reason, said = _judged(message)
    use = message.usage or _Usage()
    prompt = _prompt_tokens(use)
    return Answer(
        line.custom_id,
        outcome,
        text=text,
        finish_reason=message.stop_reason,
        error_message=said,
        prompt_tokens=prompt,
        output_tokens=use.output_tokens,
        cached_tokens=use.cache_read_input_tokens,
        total_tokens=None if prompt is None else prompt + (use.output_tokens or 0),
        model_version=message.model,
        processed_at=line.processed_time,
        response=body,
        reason=reason,
        function_calls=_calls(message.content or []),
    )


def _prompt_tokens(use: _Usage) -> int | None:
    """Return all that was read: Anthropic counts apart what is put into the cache and what comes from it."""
    if use.input_tokens is None:
        return None
    return use.input_tokens + (use.cache_creation_input_tokens or 0) + (use.cache_read_input_tokens or 0)


def _judged(message: _Message) -> tuple[Outcome, str | None, str | None, str | None]:
    """Return outcome, text, reason and what is to be said. Thoughts are not answer; calls are one."""
    blocks, stop = message.content or [], message.stop_reason
    texts = [block.text for block in blocks if block.type == "text" and block.text is not None]
    text = "".join(texts) if texts else None
    if stop == REFUSAL:
        return Outcome.BLOCKED, text, REFUSAL, "the model declined to answer (stop_reason refusal)"
    reason = None if stop in _ORDINARY else stop
    if blocks:
        said = None if text or stop != "max_tokens" else "no text: max_tokens were spent before the answer"
        return Outcome.SUCCEEDED, text, reason, said
    said = f"the message has no content (stop_reason {stop or 'absent'})"
    return Outcome.FAILED, None, reason or NO_ANSWER, said


def _calls(blocks: list[_Block]) -> bytes | None:
    """Return the tools that the model wants called, in the form that Gemini's calls have."""
    return written([Call(block.name, block.input, block.id) for block in blocks if block.type == "tool_use"])
