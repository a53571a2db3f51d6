"""Gemini's output lines into answers: every way in which a row of a batch job comes out. No I/O.

This is the hot path. An ordinary answer (one text, ended with STOP, in no form that was asked for) is read
without another call; whatever else Google sends is judged by the functions below.
"""

from __future__ import annotations

from typing import NamedTuple

import msgspec

from vertexq.families.gemini_json import JsonJudge, asks_for_json
from vertexq.families.gemini_shapes import (
    Candidate,
    Content,
    Generation,
    Line,
    Part,
    Response,
    TokenUse,
    decode_bare_line,
    decode_line,
    decode_response,
)
from vertexq.families.gemini_words import BLOCKING, MAX_TOKENS, ORDINARY, STOP, block_word, finish_word
from vertexq.families.row_status import NO_ANSWER, careful, failed, neither, parse_status
from vertexq.results import Outcome
from vertexq.rows import Answer, AnswerColumns, Read, ReadContext, Unreadable

_NO_RESPONSE_BYTES = len("null")  # shorter than any answer: absent, {} or null
_SUCCEEDED = Outcome.SUCCEEDED
_NO_TOKENS, _NO_CANDIDATE, _NO_CONTENT = TokenUse(), Candidate(), Content()
_CUT = "no text: the limit of output tokens was spent before the answer began"
_encode_calls = msgspec.json.Encoder().encode


class _Judged(NamedTuple):
    """What an answer is worth. ``parsed`` and ``calls`` are JSON text."""

    outcome: Outcome
    text: str | None
    reason: str | None = None
    message: str | None = None
    parsed: bytes | None = None
    calls: bytes | None = None


def reading(context: ReadContext | None = None) -> Read:
    """Return a reader of output lines; ``context`` says what the submission wants of its answers."""
    judge = JsonJudge(template=context.template, validate=context.validate) if context else JsonJudge()
    default, no_tokens, succeeded = judge.generation, _NO_TOKENS, _SUCCEEDED

    def read(line: bytes) -> AnswerColumns:
        """Read one output line: an answer, a block, or an error, with whatever counts Google sent."""
        try:
            parsed = decode_line(line)
            body = bytes(parsed.response)
            if parsed.status or len(body) <= _NO_RESPONSE_BYTES:
                return _unanswered(parsed, body)
            response = decode_response(body)
        except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
            parsed, body = _decoded_loosely(line)
            if parsed.status or len(body) <= _NO_RESPONSE_BYTES:
                return _unanswered(parsed, body)
            response = _decoded(body)
        request, tokens = parsed.request, response.usageMetadata or no_tokens
        wanted = (request and (request.generationConfig or request.generation_config)) or default
        prompt, total = tokens.promptTokenCount, tokens.totalTokenCount
        if total is None and prompt is not None:
            total = _total(tokens)
        if response.candidates:
            first = response.candidates[0]
            finish, content = first.finishReason, first.content
            if finish == STOP and content and (parts := content.parts) and len(parts) == 1:
                part = parts[0]
                if (
                    part.text
                    and part.thought is not True
                    and part.functionCall is None
                    and response.promptFeedback is None
                    and (
                        wanted is None
                        or not (
                            wanted.responseMimeType
                            or wanted.responseFormat
                            or wanted.response_mime_type
                            or wanted.response_format
                        )
                    )
                ):
                    return (
                        parsed.key, succeeded, part.text, STOP, None, None,
                        prompt, tokens.candidatesTokenCount, tokens.thoughtsTokenCount,
                        tokens.cachedContentTokenCount, total,
                        response.modelVersion, parsed.processed_time, body, None, None, None,
                        None, None,
                    )  # fmt: skip
        else:
            finish = None
        outcome, text, reason, message, value, calls = _judged(response, wanted, judge)
        return (
            parsed.key, outcome, text, finish_word(finish), None, message,
            prompt, tokens.candidatesTokenCount, tokens.thoughtsTokenCount,
            tokens.cachedContentTokenCount, total,
            response.modelVersion, parsed.processed_time, body, reason, value, calls, None, None,
        )  # fmt: skip

    return read


@careful
def _decoded_loosely(line: bytes) -> tuple[Line, bytes]:
    """Decode a line whose echoed request may have any shape: it decides nothing about the answer."""
    bare = decode_bare_line(line)
    parsed = Line(key=bare.key, status=bare.status, processed_time=bare.processed_time)
    return parsed, bytes(bare.response)


_decoded = careful(decode_response)


def _total(tokens: TokenUse) -> int:
    """Compute what Google left out: prompt + candidates + thoughts + tool use."""
    return (
        (tokens.promptTokenCount or 0)
        + (tokens.candidatesTokenCount or 0)
        + (tokens.thoughtsTokenCount or 0)
        + (tokens.toolUsePromptTokenCount or 0)
    )


def _judged(response: Response, wanted: Generation | None, judge: JsonJudge) -> _Judged:
    """Judge an answer, then its form when one was asked for and there is something to hold to it."""
    found = _answer(response)
    if found.outcome is not _SUCCEEDED or wanted is None or not asks_for_json(wanted):
        return found
    if not found.text and found.calls:  # it calls a function instead of answering
        return found
    form = judge.judge(found.text or "", wanted, cut=found.reason == MAX_TOKENS)
    return found._replace(
        outcome=Outcome.FAILED if form.broken else _SUCCEEDED,
        reason=form.reason or found.reason,
        message=form.message or found.message,
        parsed=form.parsed,
    )


def _answer(response: Response) -> _Judged:
    """Judge an answer as such: function calls and images are answers, a filter's work is a block."""
    candidate = response.candidates[0] if response.candidates else _NO_CANDIDATE
    parts = (candidate.content or _NO_CONTENT).parts or []
    text, calls = _text(parts), _calls(parts)
    finish, feedback = finish_word(candidate.finishReason), response.promptFeedback
    blocked = block_word(feedback.blockReason) if feedback else None
    if feedback and blocked:
        detail = f" ({feedback.blockReasonMessage})" if feedback.blockReasonMessage else ""
        return _Judged(
            Outcome.BLOCKED, text, blocked, f"the prompt was blocked: {blocked}{detail}", None, calls
        )
    if finish in BLOCKING:
        return _Judged(Outcome.BLOCKED, text, finish, f"the answer was blocked: {finish}", None, calls)
    reason = None if finish in ORDINARY else finish
    if finish == MAX_TOKENS and not (text or calls):
        return _Judged(_SUCCEEDED, text, reason, _CUT)
    if parts:
        return _Judged(_SUCCEEDED, text, reason, None, None, calls)
    message = f"the response has no answer (finishReason {finish or 'absent'})"
    return _Judged(Outcome.FAILED, None, reason or NO_ANSWER, message)


def _text(parts: list[Part]) -> str | None:
    """Join the text of the answer; thoughts are not answer. None when there is no text at all."""
    texts = [part.text for part in parts if part.text is not None and not part.thought]
    return "".join(texts) if texts else None


def _calls(parts: list[Part]) -> bytes | None:
    """Return the functions that the model wants called as a JSON list; arguments as Google wrote them."""
    calls = [part.functionCall for part in parts if part.functionCall is not None]
    return _encode_calls(calls) if calls else None


def _unanswered(parsed: Line, body: bytes) -> Answer:
    """Read a row with an error, or with nothing at all."""
    if not parsed.status:
        return failed(parsed.key, neither("an answer"), parsed.processed_time)
    if len(body) > _NO_RESPONSE_BYTES and _decoded(body).candidates:
        raise Unreadable("the row has an error status and an answer; neither can be trusted")
    return failed(parsed.key, parse_status(parsed.status), parsed.processed_time)
