"""What is asked online for a row of each family, and the line of output that an answer becomes."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from vertexq.families import FAMILIES, family_named
from vertexq.families.online import OnlineWay, status_text
from vertexq.families.row_status import parse_status
from vertexq.results import Outcome
from vertexq.rows import Answer, ReadContext

AT = "2026-11-21T12:00:00.000+00:00"
ASKED_ONLINE = ["gemini", "gemini-tuned", "text-embedding", "gemini-embedding"]
LINES: dict[str, dict[str, Any]] = {
    "gemini": {"key": "r0-a", "request": {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}},
    "gemini-tuned": {"key": "r0-a", "request": {"contents": [{"role": "user", "parts": [{"text": "x"}]}]}},
    "text-embedding": {"content": "x", "task_type": "CLUSTERING"},
    "gemini-embedding": {"key": "r0-a", "request": {"content": {"parts": [{"text": "x"}]}}},
}
CONTENT = {"parts": [{"text": "x"}]}
CONTEXT = ReadContext(
    submission_id="s", batch_id="b", attempt=1, rows=1, source_object="gs://b/o", source_generation=1
)


def way_of(name: str) -> OnlineWay:
    """Return how a family is asked."""
    way = family_named(name).online
    assert way is not None
    return way


def test_these_families_are_asked_online() -> None:
    """A model that is none of them is finished by jobs."""
    assert [family.name for family in FAMILIES if family.online] == ASKED_ONLINE


@pytest.mark.parametrize("name", ASKED_ONLINE)
def test_a_failure_is_a_row_that_its_family_reads(name: str) -> None:
    """With Google's code and message, as a job writes them."""
    status = status_text(429, "RESOURCE_EXHAUSTED", 'Quota "x" exceeded.')
    line = orjson.dumps(way_of(name).failed(LINES[name], status, AT))
    answer = Answer(*family_named(name).reading(CONTEXT)(line))

    assert (answer.outcome, answer.error_code) == (Outcome.FAILED, 429)
    assert parse_status(status).message == 'Quota "x" exceeded.'


def test_an_answer_stands_beside_its_request_and_key() -> None:
    """Gemini's line is what a job would have written."""
    line = way_of("gemini").answered(LINES["gemini"], {"candidates": []}, AT)

    assert line == {**LINES["gemini"], "status": "", "processed_time": AT, "response": {"candidates": []}}
    assert way_of("gemini").request(LINES["gemini"]) == LINES["gemini"]["request"]


def test_an_instance_is_asked_as_it_is_staged() -> None:
    """Of text embeddings the line is the instance, and comes back as its echo."""
    way, line = way_of("text-embedding"), LINES["text-embedding"]

    assert way.request(line) == line
    assert way.answered(line, {"predictions": [1], "model": "m"}, AT) == {
        "instance": line,
        "predictions": [1],
        "status": "",
    }


@pytest.mark.parametrize(
    ("request_", "config"),
    [
        ({}, None),
        ({"embed_content_config": {"task_type": "CLUSTERING", "output_dimensionality": 8}},
         {"taskType": "CLUSTERING", "outputDimensionality": 8}),
        ({"embedContentConfig": {"outputDimensionality": 8}}, {"outputDimensionality": 8}),
        ({"output_dimensionality": 8, "title": "t"}, {"outputDimensionality": 8, "title": "t"}),
        ({"output_dimensionality": 8, "embed_content_config": {"output_dimensionality": 16}},
         {"outputDimensionality": 16}),
    ],
)  # fmt: skip
def test_options_of_embeddings_go_where_they_are_not_deprecated(
    request_: dict[str, Any], config: dict[str, Any] | None
) -> None:
    """Whichever form the line has."""
    line = {"key": "r0-a", "request": {"content": CONTENT, **request_}}
    sent = way_of("gemini-embedding").request(line)

    assert sent == {"content": CONTENT, **({"embedContentConfig": config} if config else {})}
