"""Reading output lines of embedding models: vectors, what is wrong with them, and errors.

Shapes are from Google's pages on batch embeddings (read 2026-11-21) and rows that users published.
"""

from __future__ import annotations

import math
from typing import Any

import orjson
import pytest

from vertexq.families import gemini_embedding_reading, text_embedding_reading
from vertexq.results import Outcome
from vertexq.rows import Answer, Read, ReadContext, Unreadable

QUOTA = 'RESOURCE_EXHAUSTED error occurred: {"error": {"code": 429, "message": "Quota.", "status": "X"}}'


def context(**parameters: Any) -> ReadContext:
    """Return what is the same for all lines of an object."""
    return ReadContext(
        submission_id="s", batch_id="b", attempt=1, rows=9, source_object="o", source_generation=1,
        parameters=parameters,
    )  # fmt: skip


def of_text(values: object, *, status: object = "", **statistics: object) -> Answer:
    """Return how a line of a text embedding model is read."""
    prediction = {"embeddings": {"statistics": statistics, "values": values}}
    line = {"instance": {"content": "Hi"}, "predictions": [prediction], "status": status}
    return read(text_embedding_reading.reading(), orjson.dumps(line))


def of_gemini(response: object, *, request: object = None, **parameters: Any) -> Answer:
    """Return how a line of a Gemini embedding model is read."""
    line: dict[str, object] = {"key": "r1-a", "request": request or {"content": {}}, "response": response}
    return read(gemini_embedding_reading.reading(context(**parameters)), orjson.dumps(line))


def read(reader: Read, line: bytes) -> Answer:
    """Read a line."""
    return Answer._make(reader(line))


def test_a_text_embedding_is_kept_as_google_wrote_it() -> None:
    """The norm is that of the numbers; the rest of the prediction is the response."""
    found = of_text([3.0, 4.0], token_count=8, truncated=False)

    assert (found.outcome, found.embedding, found.embedding_norm) == (Outcome.SUCCEEDED, b"[3.0,4.0]", 5.0)
    assert (found.prompt_tokens, found.total_tokens, found.reason) == (8, 8, None)
    assert found.response == b'{"embeddings":{"statistics":{"token_count":8,"truncated":false}}}'


@pytest.mark.parametrize(
    ("response", "tokens", "rest"),
    [
        ({"tokenCount": "2", "embedding": {"values": [0.1, 0.2]}}, 2, b'{"tokenCount":"2"}'),
        (
            {"embedding": {"values": [0.1, 0.2]}, "usageMetadata": {"promptTokenCount": 2}},
            2,
            b'{"usageMetadata":{"promptTokenCount":2}}',
        ),
        ({"embedding": {"values": [0.1, 0.2], "new": 1}}, None, b'{"embedding":{"new":1}}'),
    ],
)
def test_both_shapes_of_a_gemini_embedding_are_read(response: Any, tokens: int | None, rest: bytes) -> None:
    """The documented one, and the one that was seen live; what is new to us stays in the response."""
    found = of_gemini(response)

    assert (found.wire_key, found.outcome, found.embedding) == ("r1-a", Outcome.SUCCEEDED, b"[0.1,0.2]")
    assert (found.prompt_tokens, found.response) == (tokens, rest)


@pytest.mark.parametrize(
    "request_",
    [
        {"embed_content_config": {"output_dimensionality": 3}},
        {"embedContentConfig": {"outputDimensionality": 3}},
        {"output_dimensionality": 3},
        {"outputDimensionality": "3"},
    ],
)
def test_a_vector_of_another_length_than_was_asked_for_has_failed(request_: Any) -> None:
    """In whatever form it was asked; it was paid for, and fits no column of the right length."""
    found = of_gemini({"tokenCount": "2", "embedding": {"values": [0.1, 0.2]}}, request=request_)

    assert (found.outcome, found.reason, found.embedding) == (Outcome.FAILED, "dimensions", None)
    assert found.error_message == "the vector has 2 dimensions, and 3 were asked for"
    assert found.prompt_tokens == 2


def test_parameters_say_how_long_vectors_are_where_the_echo_is_silent() -> None:
    """What the request says itself wins."""
    response = {"embedding": {"values": [0.1, 0.2]}}

    assert of_gemini(response, dimensions=3).reason == "dimensions"
    assert of_gemini(response, dimensions=3, request={"output_dimensionality": 2}).reason is None


@pytest.mark.parametrize("values", [[], None, "NaN", ["0.1"], [None], [[0.1]], {"a": 1}, 7])
def test_what_is_no_list_of_numbers_is_no_vector(values: object) -> None:
    """An empty one neither."""
    found = of_text(values)

    assert (found.outcome, found.reason, found.embedding) == (Outcome.FAILED, "bad_vector", None)


@pytest.mark.parametrize("values", [b"[1e999]", b"[NaN]", b"[1e200,1e308,1e308]"])
def test_numbers_that_are_not_finite_are_no_vector(values: bytes) -> None:
    """Nor is one whose norm is none; a line that is no JSON at all is unreadable."""
    line = b'{"predictions":[{"embeddings":{"values":%b}}],"status":""}' % values
    if values == b"[NaN]":
        with pytest.raises(Unreadable, match="not valid JSON"):
            read(text_embedding_reading.reading(), line)
        return

    found = read(text_embedding_reading.reading(), line)

    assert found.reason == "bad_vector" or math.isfinite(found.embedding_norm or math.inf)


def test_a_truncated_text_says_so() -> None:
    """In whatever way its family writes it; its vector is there."""
    found = [
        of_text([1.0], token_count=2048, truncated=True),
        of_gemini({"truncated": True, "embedding": {"values": [1.0]}}),
    ]

    assert [(one.outcome, one.reason, one.embedding) for one in found] == [
        (Outcome.SUCCEEDED, "truncated", b"[1.0]")
    ] * 2


@pytest.mark.parametrize("predictions", [[], None])
def test_a_failed_text_has_googles_code_and_message(predictions: object) -> None:
    """As rows of other families."""
    line = {"instance": {"content": "Hi"}, "predictions": predictions, "status": QUOTA}

    found = read(text_embedding_reading.reading(), orjson.dumps(line))

    assert (found.outcome, found.error_code, found.error_message) == (Outcome.FAILED, 429, "Quota.")


@pytest.mark.parametrize("response", [{}, None, {"tokenCount": "2"}, {"embedding": None}])
def test_a_row_with_neither_vector_nor_error_has_failed(response: object) -> None:
    """The reason is ours."""
    found = of_gemini(response)

    assert (found.outcome, found.reason) == (Outcome.FAILED, "no_answer")


def test_a_vector_beside_an_error_is_trusted_as_little_as_the_error() -> None:
    """Both families."""
    both = {"key": "r1-a", "status": QUOTA, "response": {"embedding": {"values": [1.0]}}}
    with pytest.raises(Unreadable, match="neither can be trusted"):
        of_text([1.0], status=QUOTA)
    with pytest.raises(Unreadable, match="neither can be trusted"):
        read(gemini_embedding_reading.reading(), orjson.dumps(both))


def test_predictions_of_a_table_may_be_text() -> None:
    """A column of JSON comes as an object or as its text; the instance's fields are columns."""
    text = '[{"embeddings":{"statistics":{"token_count":"3"},"values":[0.5]}}]'
    line = {"content": "Hi", "predictions": text, "status": ""}

    found = read(text_embedding_reading.reading(), orjson.dumps(line))

    assert (found.embedding, found.prompt_tokens) == (b"[0.5]", 3)


@pytest.mark.parametrize("line", [b"", b"[]", b"7", b'{"predictions":{}}', b'{"response":7}', b'{"key":'])
@pytest.mark.parametrize("module", [text_embedding_reading, gemini_embedding_reading])
def test_a_line_of_another_shape_is_unreadable_or_failed(module: Any, line: bytes) -> None:
    """Nothing else is raised."""
    try:
        found = read(module.reading(), line)
    except Unreadable:
        return
    assert found.outcome is Outcome.FAILED
