"""What is said about an answer beside its text: JSON that was asked for, functions called, and one word."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from vertexq.families.gemini_reading import reading
from vertexq.results import Outcome
from vertexq.rows import Answer, ReadContext

JSON_MODE = {"responseMimeType": "application/json"}
CITY = {"type": "OBJECT", "properties": {"city": {"type": "STRING"}}, "required": ["city"]}
CITIES = {"type": "object", "properties": {"city": {"type": "string"}}, "required": ["city"]}
CUT = "no text: the limit of output tokens was spent before the answer began"


def context(*, template: str = "", validate: bool = False) -> ReadContext:
    """Return what a submission wants of its answers."""
    return ReadContext(
        submission_id="s",
        batch_id="b",
        attempt=1,
        rows=1,
        source_object="gs://b/o",
        source_generation=1,
        template=template,
        validate=validate,
    )


def line(*parts: dict[str, Any], finish: Any = "STOP", config: object = None, **response: Any) -> bytes:
    """Return an output line; the echoed request holds ``config`` as its generationConfig."""
    content = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    usage = {"promptTokenCount": 10, "candidatesTokenCount": 4}
    said = {"candidates": [{**content, "finishReason": finish}], "usageMetadata": usage, **response}
    request: dict[str, Any] = {"contents": []}
    if config is not None:
        request["generationConfig"] = config
    return orjson.dumps({"key": "r0-a", "status": "", "request": request, "response": said})


def read(written: bytes, *, template: str = "", validate: bool = False) -> Answer:
    """Return how a line is read."""
    return Answer._make(reading(context(template=template, validate=validate))(written))


@pytest.mark.parametrize(
    "config",
    [
        JSON_MODE,
        {"response_mime_type": "application/json"},
        {"responseFormat": [{"text": {"mimeType": "APPLICATION_JSON"}}]},
        {"response_format": [{"audio": None, "text": {"mime_type": "APPLICATION_JSON"}}]},
        {"responseMimeType": "application/json", "responseSchema": None, "temperature": 0.2},
    ],
)
@pytest.mark.parametrize("text", ['{"city": "Bern"}', "[1, 2]", '"Bern"', "7", ' {"a":{"b":[null]}} \n'])
def test_an_answer_that_was_asked_for_as_json_is_parsed(config: dict[str, Any], text: str) -> None:
    """In every spelling of the request; its JSON is kept to the letter, and so is the text."""
    found = read(line({"text": text}, config=config))

    assert (found.outcome, found.text, found.parsed, found.reason) == (
        Outcome.SUCCEEDED,
        text,
        text.encode(),
        None,
    )


@pytest.mark.parametrize("config", [None, {"temperature": 1}, {"responseMimeType": "text/plain"}, [], "x", 7])
def test_an_answer_that_was_not_asked_for_as_json_is_not_parsed(config: object) -> None:
    """Also when it happens to be JSON, and when the echo of the request has a shape of its own."""
    found = read(line({"text": '{"city": "Bern"}'}, config=config), validate=True)

    assert (found.outcome, found.parsed, found.reason) == (Outcome.SUCCEEDED, None, None)


def test_a_prompt_about_json_is_not_a_wish_for_it() -> None:
    """Only the request's configuration decides, whatever its texts say."""
    written = line({"text": "no json"}).replace(b'"contents":[]', b'"contents":["application/json"]')

    assert read(written).reason is None


@pytest.mark.parametrize(
    "text", ["{", "Sure! {}", "", "NaN", '{"a": 1e999}', "\ufeff{}", '"\\ud800"', "[" * 2000]
)
def test_what_is_no_json_succeeds_with_a_reason_unless_it_is_validated(text: str) -> None:
    """The model did answer: the text is kept. With validation the row has failed, its tokens counted."""
    written = line({"text": text}, config=JSON_MODE)

    plain, strict = read(written), read(written, validate=True)

    assert (plain.outcome, plain.text, plain.parsed) == (Outcome.SUCCEEDED, text, None)
    assert (plain.reason, plain.error_message) == ("invalid_json", None)
    assert (strict.outcome, strict.text, strict.reason) == (Outcome.FAILED, text, "invalid_json")
    assert strict.error_message == "the answer was asked for as JSON and is none"
    assert (strict.prompt_tokens, strict.total_tokens) == (10, 14)


def test_json_that_the_token_limit_cut_is_truncated_rather_than_invalid() -> None:
    """Whoever looks for the reason should raise the limit, not doubt the model."""
    written = line({"text": '{"city": "Be'}, finish="MAX_TOKENS", config=JSON_MODE)

    plain, strict = read(written), read(written, validate=True)

    assert (plain.outcome, plain.parsed, plain.reason) == (Outcome.SUCCEEDED, None, "MAX_TOKENS")
    assert (strict.outcome, strict.reason) == (Outcome.FAILED, "MAX_TOKENS")
    assert str(strict.error_message).endswith("the limit of output tokens cut it off")


@pytest.mark.parametrize(
    "config",
    [
        {**JSON_MODE, "responseSchema": CITY},
        {**JSON_MODE, "responseJsonSchema": CITIES},
        {"response_mime_type": "application/json", "response_schema": CITY},
        {"response_mime_type": "application/json", "response_json_schema": CITIES},
        {"responseFormat": [{"text": {"mimeType": "APPLICATION_JSON", "schema": CITIES}}]},
    ],
)
def test_an_answer_is_held_to_the_schema_of_its_request(config: dict[str, Any]) -> None:
    """Wherever the request says it; a message names the place and quotes nothing of the answer."""
    good = read(line({"text": '{"city": "Bern"}'}, config=config), validate=True)
    bad = read(line({"text": '{"city": 7, "secret": "x"}'}, config=config), validate=True)

    assert (good.outcome, good.parsed, good.reason) == (Outcome.SUCCEEDED, b'{"city": "Bern"}', None)
    assert (bad.outcome, bad.reason) == (Outcome.FAILED, "schema_mismatch")
    assert bad.error_message == "the answer breaks its response schema at /city (type)"
    assert bad.parsed == b'{"city": 7, "secret": "x"}'


def test_without_validation_a_schema_is_not_looked_at() -> None:
    """The answer is parsed, and that is all."""
    found = read(line({"text": "7"}, config={**JSON_MODE, "responseSchema": CITY}))

    assert (found.outcome, found.parsed, found.reason) == (Outcome.SUCCEEDED, b"7", None)


def test_a_schema_that_cannot_be_compiled_fails_no_row() -> None:
    """It is the producer's fault and not the answer's; the reason says that nothing was checked."""
    config = {**JSON_MODE, "responseJsonSchema": {"type": "no such type"}}

    found = read(line({"text": "{}"}, config=config), validate=True)

    assert (found.outcome, found.parsed, found.reason) == (Outcome.SUCCEEDED, b"{}", "unusable_schema")


def test_where_the_echo_is_silent_the_template_says_what_was_asked_for() -> None:
    """Google's export has dropped generationConfig before; what the echo does say is believed."""
    template = orjson.dumps(
        {"contents": [], "generationConfig": {**JSON_MODE, "responseSchema": CITY}}
    ).decode()

    silent = read(line({"text": "7"}), template=template, validate=True)
    spoken = read(line({"text": "7"}, config={"temperature": 1}), template=template, validate=True)

    assert (silent.outcome, silent.reason) == (Outcome.FAILED, "schema_mismatch")
    assert (spoken.outcome, spoken.reason) == (Outcome.SUCCEEDED, None)


def test_calls_of_functions_are_a_list_with_the_arguments_as_they_came() -> None:
    """Numbers of any length come through; a call may stand beside a text, and may have no arguments."""
    call = b'{"functionCall":{"name":"f","args":{"big":123456789012345678901234567890,"x":null},"id":"7"}}'
    written = line({"text": "one"}, {"functionCall": {"name": "g"}}).replace(b'{"text":"one"}', call)

    found = read(written, validate=True)

    assert (found.outcome, found.text, found.reason) == (Outcome.SUCCEEDED, None, None)
    assert found.function_calls == (
        b'[{"name":"f","args":{"big":123456789012345678901234567890,"x":null},"id":"7"},{"name":"g"}]'
    )


def test_a_call_instead_of_an_answer_in_json_is_an_answer() -> None:
    """The form was asked of a text, and there is none."""
    found = read(line({"functionCall": {"name": "f"}}, config=JSON_MODE), validate=True)

    assert (found.outcome, found.reason, found.function_calls) == (Outcome.SUCCEEDED, None, b'[{"name":"f"}]')


@pytest.mark.parametrize("finish", ["SAFETY", "RECITATION", "SPII", 7])
def test_a_text_that_a_filter_broke_off_is_blocked_and_kept(finish: str | int) -> None:
    """What is there is not the answer; the reason is Google's word."""
    found = read(line({"text": "I was about to"}, finish=finish, config=JSON_MODE), validate=True)

    word = "PROHIBITED_CONTENT" if finish == 7 else finish
    assert (found.outcome, found.text, found.reason) == (Outcome.BLOCKED, "I was about to", word)
    assert (found.finish_reason, found.parsed) == (word, None)


@pytest.mark.parametrize(
    ("reason", "word"),
    [
        ("PROHIBITED_CONTENT", "PROHIBITED_CONTENT"),
        (1, "SAFETY"),
        (7, "JAILBREAK"),
        ("NEWER", "NEWER"),
        (42, "42"),
    ],
)
def test_a_blocked_prompt_has_googles_word_as_its_reason(reason: str | int, word: str) -> None:
    """Also one that comes as a number, or is newer than us."""
    found = read(line(candidates=None, promptFeedback={"blockReason": reason}))

    assert (found.outcome, found.reason) == (Outcome.BLOCKED, word)
    assert found.error_message == f"the prompt was blocked: {word}"


@pytest.mark.parametrize("unspecified", ["BLOCKED_REASON_UNSPECIFIED", 0, None])
def test_a_block_reason_that_says_nothing_blocks_nothing(unspecified: str | int | None) -> None:
    """An answer beside it is an answer."""
    found = read(line({"text": "Hi."}, promptFeedback={"blockReason": unspecified}))

    assert (found.outcome, found.text, found.reason) == (Outcome.SUCCEEDED, "Hi.", None)


@pytest.mark.parametrize(
    ("finish", "reason"),
    [
        ("STOP", None),
        (None, None),
        ("FINISH_REASON_UNSPECIFIED", None),
        ("MAX_TOKENS", "MAX_TOKENS"),
        (2, "MAX_TOKENS"),
        ("OTHER", "OTHER"),
        ("LANGUAGE", "LANGUAGE"),
        (19, "TOO_MANY_TOOL_CALLS"),
    ],
)
def test_a_text_that_did_not_end_as_it_should_has_the_reason(finish: Any, reason: str | None) -> None:
    """The model answered; whoever wants only whole answers asks for rows without a reason."""
    found = read(line({"text": "Hi."}, finish=finish))

    assert (found.outcome, found.text, found.reason) == (Outcome.SUCCEEDED, "Hi.", reason)


@pytest.mark.parametrize("parts", [[], [{"text": ""}], [{"text": "hm", "thought": True}], [{"text": None}]])
def test_a_limit_spent_before_the_answer_began_says_so(parts: list[dict[str, Any]]) -> None:
    """The row succeeded, as Google counts it, and holds nothing; with validation JSON that is none fails."""
    plain = read(line(*parts, finish="MAX_TOKENS"))
    strict = read(line(*parts, finish="MAX_TOKENS", config=JSON_MODE), validate=True)

    assert (plain.outcome, plain.reason, plain.error_message) == (Outcome.SUCCEEDED, "MAX_TOKENS", CUT)
    assert (strict.outcome, strict.reason) == (Outcome.FAILED, "MAX_TOKENS")


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        ({"candidates": []}, "no_answer"),
        ({"candidates": [{"finishReason": "STOP"}]}, "no_answer"),
        ({"candidates": [{"finishReason": "MALFORMED_FUNCTION_CALL"}]}, "MALFORMED_FUNCTION_CALL"),
    ],
)
def test_a_row_without_an_answer_has_a_reason(response: dict[str, Any], reason: str) -> None:
    """Google's word where there is one, ours in lower case where there is none."""
    written = orjson.dumps({"key": "r0-a", "status": "", "response": response})

    found = read(written)

    assert (found.outcome, found.reason) == (Outcome.FAILED, reason)


def test_an_error_has_googles_word_for_its_code() -> None:
    """So that rows over quota can be told from rows with a fault without reading messages."""
    error = 'X: {"error": {"code": 429, "message": "Slow down.", "status": "RESOURCE_EXHAUSTED"}}'

    found = read(orjson.dumps({"key": "r0-a", "status": error, "response": {}}))

    assert (found.outcome, found.error_code, found.reason) == (Outcome.FAILED, 429, "RESOURCE_EXHAUSTED")
