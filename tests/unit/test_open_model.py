"""Open models: rows into chat completions, and every form of an output line."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from vertexq.errors import BadInput, BadSource, UnknownModel
from vertexq.families import family_of
from vertexq.families.base import NoRequest
from vertexq.intake import Intake
from vertexq.lines import Block
from vertexq.results import Outcome
from vertexq.rows import Answer, Unreadable

NAME = "llama-4-maverick-17b-128e-instruct-maas"
MODEL = f"publishers/meta/models/{NAME}"
FAMILY = family_of(MODEL)
MESSAGES = [{"role": "user", "content": "Hello"}]
BODY = {"model": f"meta/{NAME}", "messages": MESSAGES, "max_tokens": 50}
USAGE = {"prompt_tokens": 9, "completion_tokens": 7, "total_tokens": 16}


def answer(**line: Any) -> Answer:
    """Return how an output line is read."""
    return Answer._make(FAMILY.reading(None)(orjson.dumps({"custom_id": "r1-a", **line})))  # type: ignore[arg-type]


def completion(finish: str | None = "stop", usage: dict[str, Any] = USAGE, **said: Any) -> dict[str, Any]:
    """Return a chat completion."""
    choice = {"index": 0, "message": {"role": "assistant", **said}, "finish_reason": finish}
    return {"object": "chat.completion", "model": MODEL, "choices": [choice], "usage": usage}


@pytest.mark.parametrize(
    "model",
    [
        MODEL,
        "openai/gpt-oss-120b-maas",
        "projects/p/locations/us-central1/publishers/qwen/models/qwen3-235b-a22b-instruct-2507-maas",
    ],
)
def test_a_model_that_google_runs_as_a_service_is_known_by_its_name(model: str) -> None:
    """Whoever publishes it."""
    assert family_of(model) is FAMILY


@pytest.mark.parametrize("model", ["meta/llama-3", "google/gemma-3-maas"])
def test_other_models_belong_to_no_family(model: str) -> None:
    """A model to be deployed by oneself is none of these."""
    with pytest.raises(UnknownModel):
        family_of(model)


@pytest.mark.parametrize(
    "row",
    [
        {"messages": MESSAGES, "max_tokens": 50, "key": "a"},
        {"body": {"messages": MESSAGES, "max_tokens": 50}},
        {"request": BODY},
        {"custom_id": "a", "method": "POST", "url": "/v1/chat/completions", "body": BODY},
    ],
)
def test_a_row_is_a_body_in_each_form_that_people_have(row: dict[str, Any]) -> None:
    """The model's name is filled in where there is none, as in Google's samples."""
    assert FAMILY.request_for({}, MODEL)(row) == BODY


@pytest.mark.parametrize(
    "row", [{"url": "/v1/embeddings", "body": {"input": "x"}}, {"text": "x"}, {"body": 3}]
)
def test_a_row_without_a_chat_is_told_what_is_expected(row: dict[str, Any]) -> None:
    """Another kind of request, or none."""
    with pytest.raises(NoRequest):
        FAMILY.request(row)


@pytest.mark.parametrize("quick", [True, False])
def test_a_line_is_one_of_an_openai_batch(*, quick: bool) -> None:
    """With our key as its custom_id; rows without a limit get the one for all rows."""
    intake = Intake(FAMILY, name="rows", quick=quick, parameters={"max_tokens": 50}, model=MODEL)
    lines = [
        b'{"key":"a","prompt":"Hello"}',
        b'{"key":"b","request":' + orjson.dumps(BODY) + b"}",
        b'{"key":"c","messages":[{"role":"user","content":"Hello"}],"max_completion_tokens":9}',
    ]

    rows = intake.block(Block(0, lines))
    staged = [orjson.loads(FAMILY.wire.line(at, row.key, row.request)) for at, row in enumerate(rows)]

    frame = {"method": "POST", "url": "/v1/chat/completions", "body": BODY}
    assert staged[:2] == [{"custom_id": "r0-a", **frame}, {"custom_id": "r1-b", **frame}]
    assert "max_tokens" not in staged[2]["body"]
    assert [row.output_tokens for row in rows] == [50, 50, 9]
    assert rows[1].fingerprint == FAMILY.wire.digest(staged[1])


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"messages": "x"}, "request.messages"),
        ({"messages": [{"role": "model", "content": "x"}]}, "request.messages.role"),
        ({"max_tokens": -1}, "request.max_tokens"),
        ({"max_completion_tokens": 1.5}, "request.max_completion_tokens"),
        ({"stream": True}, "request.stream"),
        ({"model": 3}, "request.model"),
    ],
)
def test_a_body_that_is_refused_is_named_before_it_is_sent(
    change: dict[str, Any], path: str, *, quick: bool
) -> None:
    """The quick way and the plain one find the same."""
    intake = Intake(FAMILY, name="rows", quick=quick, model=MODEL)
    intake.block(Block(0, [orjson.dumps({"request": {**BODY, **change}})]))

    with pytest.raises(BadSource, match="cannot be enqueued"):
        intake.close()

    assert {fault.path for fault in intake.verdict().report.faults} == {path}


def test_other_parameters_for_all_rows_are_refused() -> None:
    """They belong into each request."""
    with pytest.raises(BadInput, match="max_tokens"):
        FAMILY.parameters({"temperature": 1})
    with pytest.raises(BadInput, match="whole number"):
        FAMILY.parameters({"max_tokens": 0})


@pytest.mark.parametrize("wrapped", [True, False])
def test_an_answer_is_read_with_its_counts(*, wrapped: bool) -> None:
    """As it is, or below the HTTP status as in OpenAI's batches; thoughts are counted apart."""
    details = {
        "completion_tokens_details": {"reasoning_tokens": 4},
        "prompt_tokens_details": {"cached_tokens": 2},
    }
    whole = completion(content="Hi", usage={**USAGE, **details})

    found = answer(response={"status_code": 200, "body": whole} if wrapped else whole, error=None)

    assert (found.outcome, found.text, found.reason, found.finish_reason) == (
        Outcome.SUCCEEDED,
        "Hi",
        None,
        "stop",
    )
    assert (found.prompt_tokens, found.output_tokens, found.thoughts_tokens) == (9, 3, 4)
    assert (found.cached_tokens, found.total_tokens) == (2, 16)
    assert orjson.loads(found.response or b"") == whole


@pytest.mark.parametrize(
    ("finish", "said", "outcome", "reason"),
    [
        ("length", {"content": "Hal"}, Outcome.SUCCEEDED, "length"),
        ("length", {"content": None}, Outcome.SUCCEEDED, "length"),
        ("content_filter", {"content": ""}, Outcome.BLOCKED, "content_filter"),
        ("stop", {"content": None, "refusal": "No."}, Outcome.BLOCKED, "refusal"),
        ("stop", {"content": [{"type": "text", "text": "a"}]}, Outcome.SUCCEEDED, None),
        ("stop", {"content": ""}, Outcome.FAILED, "no_answer"),
        (None, {}, Outcome.FAILED, "no_answer"),
    ],
)
def test_how_an_answer_ended_is_kept(
    finish: str | None, said: dict[str, Any], outcome: Outcome, reason: str | None
) -> None:
    """The model's word stays; a filter's work is a block."""
    found = answer(response=completion(finish, **said))

    assert (found.outcome, found.reason) == (outcome, reason)


@pytest.mark.parametrize(
    ("arguments", "args"), [('{"at": "sky"}', {"at": "sky"}), ("{oops", "{oops"), (None, {})]
)
def test_functions_that_are_to_be_called_are_an_answer(arguments: str | None, args: Any) -> None:
    """In the form that Gemini's calls have; arguments that are no JSON stay text."""
    call = {"id": "c1", "type": "function", "function": {"name": "look", "arguments": arguments}}

    found = answer(response=completion("tool_calls", content=None, tool_calls=[call]))

    assert (found.outcome, found.reason) == (Outcome.SUCCEEDED, None)
    assert orjson.loads(found.function_calls or b"") == [{"name": "look", "args": args, "id": "c1"}]


@pytest.mark.parametrize(
    ("line", "code", "word"),
    [
        (
            {"response": None, "error": {"code": 429, "message": "no", "type": "RateLimitError"}},
            429,
            "RateLimitError",
        ),
        ({"response": {"status_code": 400, "body": {"error": {"message": "no", "type": "bad"}}}}, 400, "bad"),
        ({"response": {"status_code": 503, "body": {}}}, 503, None),
        ({"response": {}, "status": "INTERNAL: no"}, 500, "INTERNAL"),
        ({"error": "UNAVAILABLE: no"}, 503, "UNAVAILABLE"),
        ({"response": {}}, None, "no_answer"),
    ],
)
def test_an_error_is_read_wherever_it_is_said(
    line: dict[str, Any], code: int | None, word: str | None
) -> None:
    """Beside the response, in it, or in its HTTP status."""
    found = answer(**line)

    assert (found.outcome, found.error_code, found.reason) == (Outcome.FAILED, code, word)
    assert found.error_message


@pytest.mark.parametrize(
    "line",
    [
        {"response": completion(content="x"), "error": {"code": 1}},
        {"response": {"choices": 3}},
        {"response": "x"},
    ],
)
def test_a_line_that_cannot_be_trusted_is_quarantined(line: dict[str, Any]) -> None:
    """An error with an answer, or a completion of another shape."""
    with pytest.raises(Unreadable):
        answer(**line)


def test_only_regions_have_batch_jobs() -> None:
    """The reason says so."""
    assert "open models have no batch jobs on global" in FAMILY.refusal(MODEL, "global")
    assert FAMILY.refusal(MODEL, "us-central1") == ""
