"""Reading Gemini's output lines: every way in which a row of a batch job comes out.

Shapes are from Google's batch documentation, the aiplatform v1 discovery document (revision 20261106) and
rows of real jobs.
"""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from vertexq.families.gemini_reading import reading
from vertexq.results import Outcome
from vertexq.rows import Answer, Unreadable

read = reading()
USAGE = {"promptTokenCount": 10, "candidatesTokenCount": 4, "totalTokenCount": 14}
ROLE_ERROR = (
    'Bad Request: {"error": {"code": 400, "message": "Please use a valid role: user, model.", '
    '"status": "INVALID_ARGUMENT"}}'
)


def candidate(*parts: dict[str, Any], reason: str | int | None = "STOP") -> dict[str, Any]:
    """Return a candidate with these parts; without any it has no content at all."""
    content = {"content": {"role": "model", "parts": list(parts)}} if parts else {}
    return {**content, "finishReason": reason}


def line(response: object, *, status: object = "", **others: object) -> bytes:
    """Return an output line."""
    row = {"key": "r1-a", "status": status, "processed_time": "2026-11-01T18:13:16.826+00:00", **others}
    return orjson.dumps({**row, "request": {"contents": []}, "response": response})


def answer(*candidates: dict[str, Any], **others: object) -> Answer:
    """Return how a response with these candidates is read."""
    return Answer._make(read(line({"candidates": candidates, "usageMetadata": USAGE, **others})))


def test_an_answer_is_read_with_everything_that_is_kept() -> None:
    """Text, reason, counts, version, time, and the whole response as Google wrote it."""
    response = {"candidates": [candidate({"text": "Hi."})], "usageMetadata": USAGE, "modelVersion": "m@1"}

    found = Answer._make(read(line(response)))

    assert found == Answer(
        "r1-a",
        Outcome.SUCCEEDED,
        text="Hi.",
        finish_reason="STOP",
        prompt_tokens=10,
        output_tokens=4,
        total_tokens=14,
        model_version="m@1",
        processed_at="2026-11-01T18:13:16.826+00:00",
        response=orjson.dumps(response),
    )


@pytest.mark.parametrize(
    ("parts", "text"),
    [
        ([{"text": "one"}], "one"),
        ([{"text": "one "}, {"text": "two"}], "one two"),
        ([{"text": "hm", "thought": True}, {"text": "so"}], "so"),
        ([{"text": "hm", "thought": True, "thoughtSignature": "AAE="}, {"text": "a"}, {"text": "b"}], "ab"),
        ([{"text": "so", "thought": False}], "so"),
        ([{"fileData": None, "text": "so", "thought": None, "inlineData": None}], "so"),
        ([{"text": ""}], ""),
        ([{"functionCall": {"name": "f", "args": {"x": 1}}}], None),
        ([{"functionCall": {"name": "f"}, "text": None}], None),
        ([{"inlineData": {"mimeType": "image/png", "data": "AAAA"}}], None),
        ([{"text": "see "}, {"executableCode": {"code": "1"}}, {"text": "this"}], "see this"),
        ([{"text": 'quotes " and \\ and \u2028 and 🎉\n'}], 'quotes " and \\ and \u2028 and 🎉\n'),
    ],
)
def test_the_text_of_an_answer_is_its_text_parts_without_the_thoughts(
    parts: list[dict[str, Any]], text: str | None
) -> None:
    """A function call or an image is an answer without text; nulls that the import adds change nothing."""
    found = answer(candidate(*parts))

    assert (found.outcome, found.text, found.error_message) == (Outcome.SUCCEEDED, text, None)


@pytest.mark.parametrize(
    "reason",
    [
        "SAFETY",
        "RECITATION",
        "BLOCKLIST",
        "PROHIBITED_CONTENT",
        "SPII",
        "MODEL_ARMOR",
        "IMAGE_SAFETY",
        "IMAGE_PROHIBITED_CONTENT",
        "IMAGE_RECITATION",
    ],
)
@pytest.mark.parametrize("parts", [[], [{"text": ""}], [{"text": "hm", "thought": True}], [{"text": None}]])
def test_an_answer_that_a_filter_took_away_is_blocked(reason: str, parts: list[dict[str, Any]]) -> None:
    """Without content, with an empty text or with thoughts only: the reason says what happened."""
    found = answer(candidate(*parts, reason=reason))

    assert (found.outcome, found.finish_reason) == (Outcome.BLOCKED, reason)
    assert found.error_message == f"the answer was blocked: {reason}"


@pytest.mark.parametrize(
    ("number", "name", "outcome"),
    [(1, "STOP", Outcome.SUCCEEDED), (3, "SAFETY", Outcome.BLOCKED), (99, "99", Outcome.FAILED)],
)
def test_a_reason_that_comes_as_a_number_is_given_its_name(number: int, name: str, outcome: Outcome) -> None:
    """Some services send the number of the enum; one that is newer than us stays a number."""
    parts = [{"text": "Hi."}] if outcome is Outcome.SUCCEEDED else []

    found = answer(candidate(*parts, reason=number))

    assert (found.finish_reason, found.outcome) == (name, outcome)


@pytest.mark.parametrize(
    ("feedback", "message"),
    [
        ({"blockReason": "PROHIBITED_CONTENT"}, "the prompt was blocked: PROHIBITED_CONTENT"),
        (
            {"blockReason": "SAFETY", "blockReasonMessage": "Not this.", "safetyRatings": []},
            "the prompt was blocked: SAFETY (Not this.)",
        ),
        ({"blockReason": "JAILBREAK", "blockReasonMessage": None}, "the prompt was blocked: JAILBREAK"),
    ],
)
@pytest.mark.parametrize("candidates", [[], None])
def test_a_blocked_prompt_is_a_blocked_row(
    feedback: dict[str, Any], message: str, candidates: list[Any] | None
) -> None:
    """Its status is empty and it has no candidates; its prompt tokens are counted."""
    response = {
        "candidates": candidates,
        "promptFeedback": feedback,
        "usageMetadata": {"promptTokenCount": 10},
    }

    found = Answer._make(read(line(response)))

    assert (found.outcome, found.text, found.error_message) == (Outcome.BLOCKED, None, message)
    assert (found.prompt_tokens, found.total_tokens) == (10, 10)


def test_ratings_without_a_block_do_not_block() -> None:
    """``promptFeedback`` may hold nothing but ratings."""
    found = answer(candidate({"text": "Hi. "}, {"text": "You."}), promptFeedback={"safetyRatings": []})

    assert (found.outcome, found.text) == (Outcome.SUCCEEDED, "Hi. You.")


@pytest.mark.parametrize("content", [{}, {"content": None}, {"content": {"role": "model"}}])
def test_a_limit_spent_on_thoughts_is_an_answer_without_text(content: dict[str, Any]) -> None:
    """The model did answer and was paid; the message says why there is nothing to read."""
    found = answer({**content, "finishReason": "MAX_TOKENS"})

    assert (found.outcome, found.text, found.finish_reason) == (Outcome.SUCCEEDED, None, "MAX_TOKENS")
    assert found.error_message == "no text: the limit of output tokens was spent before the answer began"


@pytest.mark.parametrize("reason", ["OTHER", "MALFORMED_FUNCTION_CALL", "NO_IMAGE", None])
def test_no_content_and_no_good_reason_is_a_failure(reason: str | None) -> None:
    """Nothing was answered and nothing was blocked."""
    found = answer(candidate(reason=reason))

    assert found.outcome is Outcome.FAILED
    assert found.error_message == f"the response has no answer (finishReason {reason or 'absent'})"


def test_a_response_without_candidates_is_a_failure() -> None:
    """Not even a reason came back."""
    found = Answer._make(read(line({"modelVersion": "m", "usageMetadata": None})))

    assert (found.outcome, found.total_tokens) == (Outcome.FAILED, None)


def test_only_the_first_candidate_is_the_text() -> None:
    """The others are in ``response``."""
    found = answer(candidate({"text": "first"}), candidate({"text": "second"}))

    assert found.text == "first"


@pytest.mark.parametrize(
    ("usage", "counts"),
    [
        (None, (None, None, None, None, None)),
        ({}, (None, None, None, None, None)),
        ({"promptTokenCount": 10}, (10, None, None, None, 10)),
        ({"promptTokenCount": 10, "candidatesTokenCount": 4}, (10, 4, None, None, 14)),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 4, "thoughtsTokenCount": 6},
            (10, 4, 6, None, 20),
        ),
        (
            {"promptTokenCount": 10, "candidatesTokenCount": 4, "toolUsePromptTokenCount": 3},
            (10, 4, None, None, 17),
        ),
        ({"promptTokenCount": 10, "cachedContentTokenCount": 8}, (10, None, None, 8, 10)),
        ({"promptTokenCount": 10, "totalTokenCount": 99}, (10, None, None, None, 99)),
        ({"promptTokenCount": "10", "totalTokenCount": "14"}, (10, None, None, None, 14)),
        (
            {"promptTokenCount": 10, "totalTokenCount": None, "trafficType": "ON_DEMAND"},
            (10, None, None, None, 10),
        ),
    ],
)
def test_counts_that_are_absent_stay_absent_and_a_missing_total_is_computed(
    usage: dict[str, Any] | None, counts: tuple[int | None, ...]
) -> None:
    """Total = prompt + candidates + thoughts + tool use; cached tokens are part of the prompt's."""
    found = Answer._make(read(line({"candidates": [candidate({"text": "Hi."})], "usageMetadata": usage})))

    assert (
        found.prompt_tokens,
        found.output_tokens,
        found.thoughts_tokens,
        found.cached_tokens,
        found.total_tokens,
    ) == counts


@pytest.mark.parametrize("response", [{}, None])
@pytest.mark.parametrize("status", ["", None])
def test_neither_an_answer_nor_an_error_is_a_failure(response: object, status: object) -> None:
    """An empty status with an empty response was seen in real output."""
    found = Answer._make(read(line(response, status=status)))

    assert (found.outcome, found.error_code) == (Outcome.FAILED, None)
    assert found.error_message == "the row came back with neither an answer nor an error"


def test_a_line_without_response_and_status_is_a_failure() -> None:
    """Fields may be missing altogether; the key still says whose row it is."""
    found = Answer._make(read(b'{"key":"r1-a","request":{}}'))

    assert (found.outcome, found.wire_key) == (Outcome.FAILED, "r1-a")


@pytest.mark.parametrize("response", [{}, None, {"candidates": None}, {"candidates": []}])
def test_an_error_status_is_a_failure_with_googles_code_and_message(response: object) -> None:
    """Whatever form the empty response has."""
    found = Answer._make(read(line(response, status=ROLE_ERROR)))

    assert (found.outcome, found.error_code) == (Outcome.FAILED, 400)
    assert found.error_message == "Please use a valid role: user, model."
    assert (found.response, found.prompt_tokens) == (None, None)


def test_an_error_beside_an_answer_is_not_believed() -> None:
    """Either could be left over from another attempt: a person must look."""
    with pytest.raises(Unreadable, match="neither can be trusted"):
        read(line({"candidates": [candidate({"text": "Hi."})]}, status=ROLE_ERROR))


@pytest.mark.parametrize(
    "raw",
    [
        b"not json",
        b'{"key":"r1-a","response":{"candidates"',
        b"[]",
        b'"text"',
        b"null",
        b"7",
        b'{"key":"r1-a","response":[1,2,3]}',
        b'{"key":"r1-a","response":{"candidates":{"0":{}}}}',
        b'{"key":"r1-a","response":{"candidates":[7]}}',
        b'{"key":"r1-a","response":{"candidates":[{"content":{"parts":{"text":"x"}}}]}}',
        b'{"key":"r1-a","response":{"candidates":[{"content":{"parts":[{"text":7}]}}]}}',
        b'{"key":"r1-a","response":{"candidates":[],"usageMetadata":{"promptTokenCount":"ten"}}}',
        b'{"key":"r1-a","processed_time":7}',
        b'{"key":"\xff"}',
        b'{"key":"r1-a","response":{"modelVersion":"\xff"}}',
        b'{"key":"r1-a"} {"key":"r2-b"}',
        b"\x00" * 20,
        b'{"a":' * 5_000,
    ],
)
def test_a_line_of_another_shape_is_unreadable(raw: bytes) -> None:
    """It is set aside with a reason that quotes nothing of it."""
    with pytest.raises(Unreadable) as caught:
        read(raw)

    assert str(caught.value).startswith(("the line has an unknown shape: ", "the line is not valid JSON"))


@pytest.mark.parametrize("key", [None, 0, 3.5, True, ["x"], {"a": 1}])
def test_whatever_comes_back_as_the_key_is_handed_on(key: object) -> None:
    """An importer that retyped it must not make the answer unreadable."""
    found = Answer._make(read(line({"candidates": [candidate({"text": "Hi."})]}, key=key)))

    assert (found.wire_key, found.text) == (key, "Hi.")
