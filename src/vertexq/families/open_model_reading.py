"""Output lines of open models into answers. No I/O.

Google documents only the columns of a BigQuery output: ``custom_id``, ``response`` (JSON) and ``id``. A
response is a chat completion, perhaps below ``body`` beside its HTTP status, as in OpenAI's own batches.
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

CONTENT_FILTER: Final = "content_filter"
REFUSAL: Final = "refusal"

_ORDINARY = frozenset({None, "stop", "tool_calls", "function_call"})
_EMPTY = (b"", b"null", b"{}")
_BAD_STATUS = 400


class _Function(msgspec.Struct, gc=False):
    name: str | None = None
    arguments: str | None = None


class _ToolCall(msgspec.Struct, gc=False):
    id: str | None = None
    function: _Function | None = None


class _Piece(msgspec.Struct, gc=False):
    text: str | None = None


class _Said(msgspec.Struct, gc=False):
    content: str | list[_Piece] | None = None
    refusal: str | None = None
    tool_calls: list[_ToolCall] | None = None


class _Choice(msgspec.Struct, gc=False):
    message: _Said | None = None
    finish_reason: str | None = None


class _PromptUse(msgspec.Struct, gc=False):
    cached_tokens: int | None = None


class _AnswerUse(msgspec.Struct, gc=False):
    reasoning_tokens: int | None = None


class _Usage(msgspec.Struct, gc=False):
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    total_tokens: int | None = None
    prompt_tokens_details: _PromptUse | None = None
    completion_tokens_details: _AnswerUse | None = None


class _Error(msgspec.Struct, gc=False):
    code: str | int | None = None
    message: str | None = None
    type: str | None = None


class _Completion(msgspec.Struct, gc=False):
    choices: list[_Choice] | None = None
    model: str | None = None
    usage: _Usage | None = None
    error: _Error | None = None


class _Wrapped(msgspec.Struct, gc=False):
    status_code: int | None = None
    body: msgspec.Raw = msgspec.Raw()


class _Line(msgspec.Struct, gc=False):
    custom_id: Any = None
    status: Any = None
    error: _Error | str | None = None
    processed_time: str | None = None
    response: msgspec.Raw = msgspec.Raw()


_decode_line = msgspec.json.Decoder(_Line).decode
_decode_wrapped = msgspec.json.Decoder(_Wrapped | None, strict=False).decode
_decode_completion = msgspec.json.Decoder(_Completion, strict=False).decode
_decode_any = msgspec.json.Decoder(msgspec.Raw).decode
_encode = msgspec.json.Encoder().encode


def reading(context: ReadContext | None = None) -> Read:
    """Return a reader of output lines."""
    del context
    return _read


@careful
def _read(line: bytes) -> AnswerColumns:
    """Read one output line: a completion, or an error."""
    parsed = _decode_line(line)
    wrapped = _decode_wrapped(parsed.response) if parsed.response else None
    body = bytes((wrapped and wrapped.body) or parsed.response)
    found = None if body in _EMPTY else _decode_completion(body)
    error = _error(parsed, wrapped.status_code if wrapped else None, found)
    if error is None:
        return _answered(parsed, found or _Completion(), body)
    if found and found.choices:
        raise Unreadable("the row has an error and an answer; neither can be trusted")
    return failed(parsed.custom_id, error, parsed.processed_time)


def _error(line: _Line, http: int | None, found: _Completion | None) -> RowError | None:
    """Return why a row failed, wherever that is said; None when it did not."""
    said = line.error or (found.error if found else None)
    if isinstance(said, str):
        return parse_status(said)
    if said:
        code = said.code if isinstance(said.code, int) else http
        word = said.type or (said.code if isinstance(said.code, str) else None)
        return worded_error(code, said.message, word)
    if line.status:
        return parse_status(line.status)
    if http is not None and http >= _BAD_STATUS:
        return RowError(http, f"HTTP status {http}, without a word")
    if found is None:
        return neither("an answer")
    return None


def _answered(line: _Line, found: _Completion, body: bytes) -> Answer:
    choice = found.choices[0] if found.choices else _Choice()
    said = choice.message or _Said()
    outcome, text, reason, message = _judged(choice, said)
    prompt, output, thoughts, cached, total = _tokens(found.usage or _Usage())
    return Answer(
        line.custom_id,
        outcome,
        text=text,
        finish_reason=choice.finish_reason,
        error_message=message,
        prompt_tokens=prompt,
        output_tokens=output,
        thoughts_tokens=thoughts,
        cached_tokens=cached,
        total_tokens=total,
        model_version=found.model,
        processed_at=line.processed_time,
        response=body,
        reason=reason,
        function_calls=_calls(said.tool_calls or []),
    )


def _tokens(use: _Usage) -> tuple[int | None, int | None, int | None, int | None, int | None]:
    """Return prompt, answer, thoughts, cached and all tokens; thoughts are counted apart from the answer."""
    thoughts = use.completion_tokens_details.reasoning_tokens if use.completion_tokens_details else None
    cached = use.prompt_tokens_details.cached_tokens if use.prompt_tokens_details else None
    output, total = use.completion_tokens, use.total_tokens
    if total is None and use.prompt_tokens is not None:
        total = use.prompt_tokens + (output or 0)
    if output is not None and thoughts:
        output = max(output - thoughts, 0)
    return use.prompt_tokens, output, thoughts, cached, total


def _judged(choice: _Choice, said: _Said) -> tuple[Outcome, str | None, str | None, str | None]:
    """Return outcome, text, reason and what is to be said."""
    text, finish = _text(said.content), choice.finish_reason
    if finish == CONTENT_FILTER:
        return Outcome.BLOCKED, text, CONTENT_FILTER, "the answer was blocked: content_filter"
    if said.refusal:
        return Outcome.BLOCKED, text, REFUSAL, "the model declined to answer (refusal)"
    reason = None if finish in _ORDINARY else finish
    if text or said.tool_calls:
        return Outcome.SUCCEEDED, text, reason, None
    if finish == "length":
        return Outcome.SUCCEEDED, text, reason, "no text: the limit of tokens was spent before the answer"
    message = f"the response has no answer (finish_reason {finish or 'absent'})"
    return Outcome.FAILED, None, reason or NO_ANSWER, message


def _text(content: str | list[_Piece] | None) -> str | None:
    if not isinstance(content, list):
        return content
    texts = [piece.text for piece in content if piece.text is not None]
    return "".join(texts) if texts else None


def _calls(calls: list[_ToolCall]) -> bytes | None:
    """Return the functions that the model wants called, in the form that Gemini's calls have."""
    found = [Call(call.function.name, _args(call.function), call.id) for call in calls if call.function]
    return written(found)


def _args(function: _Function) -> msgspec.Raw:
    """Return the arguments, which come as JSON in a text; as that text when it is no JSON."""
    text = (function.arguments or "{}").encode()
    try:
        return _decode_any(text)
    except msgspec.DecodeError:
        return msgspec.Raw(_encode(function.arguments))
