"""Whatever a line holds, reading it gives an answer or says that it is unreadable, and is soon done."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import orjson
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vertexq import ranks
from vertexq.families.gemini_reading import reading
from vertexq.lines import Block
from vertexq.results import Outcome
from vertexq.rows import Answer, ReadContext, Reading, RowReader, Unreadable

CONTEXT = ReadContext(
    submission_id="s",
    batch_id="b",
    attempt=1,
    rows=3,
    source_object="gs://b/o",
    source_generation=1,
    validate=True,
)
READ = reading(CONTEXT)
SAMPLES = Path(__file__).parent / "gemini_rows.jsonl"

NAMES = st.sampled_from(
    [
        "key",
        "status",
        "processed_time",
        "request",
        "response",
        "candidates",
        "content",
        "parts",
        "text",
        "thought",
        "functionCall",
        "name",
        "args",
        "id",
        "finishReason",
        "usageMetadata",
        "promptTokenCount",
        "totalTokenCount",
        "promptFeedback",
        "blockReason",
        "modelVersion",
        "generationConfig",
        "responseMimeType",
        "responseSchema",
        "responseJsonSchema",
        "responseFormat",
        "schema",
        "type",
        "properties",
        "items",
        "error",
        "code",
        "message",
    ]
)
LEAVES = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**70), 2**70),
    st.floats(),
    st.text(max_size=6),
    st.sampled_from(["STOP", "SAFETY", "application/json", "{}", "[1]", "{", "STRING", "OBJECT", "r1-a", ""]),
)
VALUES = st.recursive(
    LEAVES,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=5),
    max_leaves=25,
)


@st.composite
def likely_lines(draw: st.DrawFn) -> bytes:
    """Draw a line that looks like Gemini's, with anything at any place."""

    def some(usual: Any) -> Any:
        return draw(VALUES) if draw(st.integers(0, 7)) == 0 else usual

    part = {"text": some("{}"), "thought": some(None), "functionCall": some(None)}
    candidate = {"content": some({"parts": some([some(part)])}), "finishReason": some("STOP")}
    usage = {"promptTokenCount": some(3), "candidatesTokenCount": some(2), "totalTokenCount": some(None)}
    config = {"responseMimeType": some("application/json"), "responseSchema": some({"type": some("OBJECT")})}
    line = {
        "key": some("r1-a"),
        "status": some(""),
        "request": some({"generationConfig": some(config)}),
        "response": some({"candidates": some([some(candidate)]), "usageMetadata": some(usage)}),
    }
    return json.dumps(line).encode("utf-8", "surrogatepass")


@given(line=st.one_of(likely_lines(), VALUES.map(json.dumps).map(str.encode), st.binary(max_size=60)))
@settings(max_examples=200, deadline=2_000)
def test_any_line_is_an_answer_or_unreadable(line: bytes) -> None:
    """Never another exception: a worker that dies of a line would die of it again and again."""
    try:
        answer = Answer._make(READ(line))
    except Unreadable:
        return

    assert isinstance(answer.outcome, Outcome)
    assert answer.parsed is None or orjson.loads(answer.parsed) == orjson.loads(answer.text or "")


@given(lines=st.lists(likely_lines(), max_size=4))
@settings(max_examples=100, deadline=2_000)
def test_any_lines_give_rows_quarantined_lines_or_repeats(lines: list[bytes]) -> None:
    """Every line is accounted for, and no sum leaves 64 bits."""
    reader, into = RowReader(CONTEXT, READ, ranks.empty(3)), Reading()

    reader.read(Block(0, lines), into)

    assert len(into.rows) + len(into.quarantined) + reader.repeated == len(lines)
    assert 0 <= reader.usage.total_tokens < 2**63


@pytest.mark.parametrize(
    "text",
    ["[" * 100_000, '{"a":' * 50_000, "9" * 200_000, '"' + "\\u0041" * 100_000 + '"', " " * 500_000 + "{}"],
)
def test_a_monstrous_answer_takes_no_long_time(text: str) -> None:
    """Half a megabyte of anything is judged in a fraction of a second."""
    request = {
        "generationConfig": {"responseMimeType": "application/json", "responseSchema": {"type": "OBJECT"}}
    }
    response = {"candidates": [{"content": {"parts": [{"text": text}]}, "finishReason": "STOP"}]}
    line = orjson.dumps({"key": "r0-a", "status": "", "request": request, "response": response})
    started = time.process_time()

    found = Answer._make(READ(line))

    assert found.outcome in (Outcome.FAILED, Outcome.SUCCEEDED)
    assert time.process_time() - started < 1


def test_the_rows_that_are_known_of_real_jobs_are_read_as_what_they_are() -> None:
    """Google's documentation, its issue trackers and live rows: the outcome and reason of each."""
    rows = [orjson.loads(line) for line in SAMPLES.read_bytes().splitlines()]

    found = [Answer._make(READ(orjson.dumps(row["line"]))) for row in rows]

    assert [(one.outcome.value, one.reason) for one in found] == [tuple(row["expected"]) for row in rows]
    assert len(rows) == 7
