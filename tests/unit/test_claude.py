"""Claude: rows into Messages requests, and every form of an output line."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from vertexq.errors import BadInput, BadSource
from vertexq.families import family_of
from vertexq.families.base import NoRequest
from vertexq.intake import Intake
from vertexq.lines import Block
from vertexq.results import Outcome
from vertexq.rows import Answer, Unreadable

MODEL = "publishers/anthropic/models/claude-sonnet-4-5"
FAMILY = family_of(MODEL)
VERSION = {"anthropic_version": "vertex-2023-10-16"}
MESSAGES = [{"role": "user", "content": "Hello"}]
REQUEST = {**VERSION, "messages": MESSAGES, "max_tokens": 50}
USAGE = {
    "input_tokens": 14,
    "output_tokens": 3,
    "cache_creation_input_tokens": 2,
    "cache_read_input_tokens": 4,
}


def answer(response: object, status: object = "") -> Answer:
    """Return how an output line is read."""
    line = {"custom_id": "r1-a", "request": REQUEST, "response": response, "status": status}
    return Answer._make(FAMILY.reading(None)(orjson.dumps(line)))  # type: ignore[arg-type]


def message(*blocks: dict[str, Any], stop: str | None = "end_turn") -> dict[str, Any]:
    """Return a message of Anthropic's API."""
    said = {"id": "msg_1", "type": "message", "role": "assistant", "model": "claude-sonnet-4-5"}
    return {**said, "content": list(blocks), "stop_reason": stop, "usage": USAGE}


@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        "anthropic/claude-haiku-4-5",
        "anthropic/claude-sonnet-4-5@20250929",
        "projects/p/locations/us-east5/publishers/anthropic/models/claude-opus-4-5@20251101",
    ],
)
def test_a_model_of_anthropic_s_is_known_by_its_name(model: str) -> None:
    """In each way that Google writes it."""
    assert family_of(model) is FAMILY


@pytest.mark.parametrize(
    "row",
    [
        {"messages": MESSAGES, "max_tokens": 50, "key": "a"},
        {"request": {"messages": MESSAGES, "max_tokens": 50}},
        {"custom_id": "a", "params": {"model": "claude-x", "messages": MESSAGES, "max_tokens": 50}},
        {"custom_id": "a", "request": REQUEST},
    ],
)
def test_a_row_is_a_request_in_each_form_that_people_have(row: dict[str, Any]) -> None:
    """The version is filled in, the model left out: it is the job's."""
    assert FAMILY.request(row) == REQUEST


def test_a_prompt_needs_a_limit_for_all_rows() -> None:
    """The API wants ``max_tokens``; a parameter gives it to rows that have none."""
    request = FAMILY.request_for({"max_tokens": 64})

    assert request("Hello") == {**VERSION, "messages": MESSAGES, "max_tokens": 64}
    assert request({"prompt": "Hello"})["max_tokens"] == 64
    assert request({"messages": MESSAGES, "max_tokens": 50})["max_tokens"] == 50


@pytest.mark.parametrize(
    "row", [{"text": "x"}, {"prompt": ""}, {"request": 3}, {"prompt": "x", "messages": []}]
)
def test_a_row_without_a_request_is_told_what_is_expected(row: dict[str, Any]) -> None:
    """No form fits, or two do."""
    with pytest.raises(NoRequest):
        FAMILY.request(row)


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"max_tokens": None}, "request.max_tokens"),
        ({"max_tokens": 0}, "request.max_tokens"),
        ({"messages": []}, "request.messages"),
        ({"messages": [{"role": "system", "content": "x"}]}, "request.messages.role"),
        ({"messages": [{"role": "user", "content": 3}]}, "request.messages.content"),
        ({"messages": ["x"]}, "request.messages"),
        ({"stream": True}, "request.stream"),
    ],
)
def test_a_request_that_is_refused_is_named_before_it_is_sent(
    change: dict[str, Any], path: str, *, quick: bool
) -> None:
    """The quick way and the plain one find the same."""
    intake = Intake(FAMILY, name="rows", quick=quick)
    intake.block(Block(0, [orjson.dumps({"request": {**REQUEST, **change}})]))

    with pytest.raises(BadSource, match="cannot be enqueued"):
        intake.close()

    assert {fault.path for fault in intake.verdict().report.faults} == {path}


@pytest.mark.parametrize("quick", [True, False])
def test_a_line_carries_our_key_as_its_custom_id(*, quick: bool) -> None:
    """Whether the row came as a prompt or as a whole request."""
    intake = Intake(FAMILY, name="rows", quick=quick, parameters={"max_tokens": 50}, model=MODEL)
    lines = [b'{"key":"a","prompt":"Hello"}', b'{"key":"b","request":' + orjson.dumps(REQUEST) + b"}"]

    rows = intake.block(Block(0, lines))
    staged = [orjson.loads(FAMILY.wire.line(at, row.key, row.request)) for at, row in enumerate(rows)]

    assert staged == [{"custom_id": "r0-a", "request": REQUEST}, {"custom_id": "r1-b", "request": REQUEST}]
    assert [(row.input_tokens, row.output_tokens) for row in rows] == [(2, 50)] * 2


def test_what_google_does_not_import_into_a_table_may_have_any_shape() -> None:
    """Tools have empty objects, and one path may hold a text here and a list there."""
    tool: dict[str, Any] = {"name": "f", "input_schema": {"type": "object", "properties": {}, "$defs": {}}}
    rows: list[dict[str, Any]] = [
        {**REQUEST, "tools": [tool]},
        {**REQUEST, "messages": [{"role": "user", "content": [{"type": "text", "text": "x"}]}]},
        REQUEST,
    ]
    intake = Intake(FAMILY, name="rows")
    intake.block(Block(0, [orjson.dumps({"request": row}) for row in rows]))

    assert intake.close().report.groups == (3,)


@pytest.mark.parametrize(
    "given", [{"max_tokens": 0}, {"max_tokens": "9"}, {"temperature": 1}, {"anthropic_version": 1}]
)
def test_a_parameter_that_makes_no_sense_is_refused(given: dict[str, Any]) -> None:
    """Only what every row needs can be given for all of them."""
    with pytest.raises(BadInput, match=r"max_tokens|anthropic_version"):
        FAMILY.parameters(given)


def test_an_answer_is_read_with_its_counts() -> None:
    """What is read into the cache and from it is part of the prompt; thoughts are not answer."""
    blocks = [
        {"type": "thinking", "thinking": "hm"},
        {"type": "text", "text": "Hi "},
        {"type": "text", "text": "you"},
    ]

    found = answer(message(*blocks))

    assert (found.wire_key, found.outcome, found.text, found.reason) == (
        "r1-a",
        Outcome.SUCCEEDED,
        "Hi you",
        None,
    )
    assert (found.prompt_tokens, found.output_tokens, found.cached_tokens, found.total_tokens) == (
        20,
        3,
        4,
        23,
    )
    assert (found.finish_reason, found.model_version) == ("end_turn", "claude-sonnet-4-5")


def test_tools_that_are_to_be_called_are_an_answer() -> None:
    """In the form that Gemini's calls have."""
    block = {"type": "tool_use", "id": "t1", "name": "look", "input": {"at": "sky"}}

    found = answer(message(block, stop="tool_use"))

    assert (found.outcome, found.text, found.reason) == (Outcome.SUCCEEDED, None, None)
    assert orjson.loads(found.function_calls or b"") == [{"name": "look", "args": {"at": "sky"}, "id": "t1"}]


@pytest.mark.parametrize(
    ("blocks", "stop", "outcome", "reason"),
    [
        ([{"type": "text", "text": "Hal"}], "max_tokens", Outcome.SUCCEEDED, "max_tokens"),
        ([{"type": "thinking", "thinking": "hm"}], "max_tokens", Outcome.SUCCEEDED, "max_tokens"),
        ([], "refusal", Outcome.BLOCKED, "refusal"),
        ([{"type": "text", "text": "I"}], "refusal", Outcome.BLOCKED, "refusal"),
        ([{"type": "text", "text": "I"}], "pause_turn", Outcome.SUCCEEDED, "pause_turn"),
        ([], "end_turn", Outcome.FAILED, "no_answer"),
    ],
)
def test_how_an_answer_ended_is_kept(
    blocks: list[dict[str, Any]], stop: str, outcome: Outcome, reason: str
) -> None:
    """Anthropic's word stays; a refusal is a block, an empty message no answer."""
    found = answer(message(*blocks, stop=stop))

    assert (found.outcome, found.finish_reason, found.reason) == (outcome, stop, reason)


@pytest.mark.parametrize(
    ("response", "status", "code", "word"),
    [
        (
            {},
            'Bad Request: {"error":{"code":400,"message":"no","status":"INVALID_ARGUMENT"}}',
            400,
            "INVALID_ARGUMENT",
        ),
        (
            {"type": "error", "error": {"type": "overloaded_error", "message": "no"}},
            "",
            529,
            "overloaded_error",
        ),
        ({"error": {"type": "rate_limit_error", "message": "no"}}, "", 429, "rate_limit_error"),
        (None, "", None, "no_answer"),
    ],
)
def test_an_error_is_read_wherever_it_is_said(
    response: object, status: str, code: int | None, word: str
) -> None:
    """In Google's status, or in a response of Anthropic's."""
    found = answer(response, status)

    assert (found.outcome, found.error_code, found.reason) == (Outcome.FAILED, code, word)
    assert "no" in (found.error_message or "")


@pytest.mark.parametrize(
    ("response", "status"), [(message({"type": "text", "text": "x"}), "INTERNAL"), ({"content": "x"}, "")]
)
def test_a_line_that_cannot_be_trusted_is_quarantined(response: object, status: str) -> None:
    """An error with an answer, or a message of another shape."""
    with pytest.raises(Unreadable):
        answer(response, status)


@pytest.mark.parametrize("location", ["global", "us", "eu"])
def test_only_regions_have_batch_jobs(location: str) -> None:
    """The reason says so; a name with another location than the job's is refused too."""
    assert "Claude models have no batch jobs on" in FAMILY.refusal(MODEL, location)
    assert FAMILY.refusal(MODEL, "us-east5") == ""
    there = f"projects/p/locations/us-east5/{MODEL}"
    assert "the model's name says us-east5" in FAMILY.refusal(there, "europe-west1")
