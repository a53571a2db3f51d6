"""AutoML image classification: rows into instances, parameters, and every form of an output line."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from vertexq.errors import BadInput, BadSource
from vertexq.families import family_named
from vertexq.families.base import NoRequest
from vertexq.intake import Intake
from vertexq.lines import Block
from vertexq.results import Outcome
from vertexq.rows import Answer, Unreadable

FAMILY = family_named("automl-image")
MODEL = "projects/p/locations/europe-west4/models/123@2"
INSTANCE = {"content": "gs://b/cat.jpg", "mimeType": "image/jpeg"}
LABELS = {"ids": [1, 2], "displayNames": ["cat", "dog"], "confidences": [0.7, 0.5]}
PARSED = [{"id": "1", "label": "cat", "confidence": 0.7}, {"id": "2", "label": "dog", "confidence": 0.5}]


def answer(**line: Any) -> Answer:
    """Return how an output line is read."""
    return Answer._make(FAMILY.reading(None)(orjson.dumps(line)))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("row", "instance"),
    [
        ("gs://b/cat.jpg", INSTANCE),
        ({"key": "a", "content": "gs://b/cat.jpg"}, INSTANCE),
        ({"request": {"content": "gs://b/cat.jpg", "mimeType": "image/jpeg"}}, INSTANCE),
        ({"content": "gs://b/x", "mime_type": "image/png"}, {"content": "gs://b/x", "mimeType": "image/png"}),
        ("gs://b/a.b/C.TIF", {"content": "gs://b/a.b/C.TIF", "mimeType": "image/tiff"}),
        ("gs://b/i.ico", {"content": "gs://b/i.ico", "mimeType": "image/vnd.microsoft.icon"}),
    ],
)
def test_a_row_is_an_address_or_an_instance(row: Any, instance: dict[str, str]) -> None:
    """The kind of image is what the row says, else what the name ends in."""
    assert FAMILY.request(row) == instance


@pytest.mark.parametrize(
    "row", ["gs://b/file.txt", "gs://b/jpg", {"content": 3}, {"prompt": "x"}, {"request": 1}]
)
def test_a_row_without_an_image_is_told_what_is_expected(row: Any) -> None:
    """No kind can be guessed, or there is no image at all."""
    with pytest.raises(NoRequest, match=r"content|mimeType"):
        FAMILY.request(row)


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(
    ("line", "rule"),
    [
        (b'{"request":{"content":"http://b/cat.jpg","mimeType":"image/jpeg"}}', "request"),
        (b'{"content":"gs://bucket/","mimeType":"image/jpeg"}', "request"),
        (b'{"content":"gs://b/cat.svg","mimeType":"image/svg+xml"}', "unsupported"),
        (b'{"request":{"content":"gs://b/cat.svg","mimeType":"image/svg+xml"}}', "unsupported"),
        (b'{"request":"gs://b/cat.jpg"}', "request"),
    ],
)
def test_an_instance_that_google_refuses_is_named_before_it_is_sent(
    line: bytes, rule: str, *, quick: bool
) -> None:
    """The quick way and the plain one find the same."""
    intake = Intake(FAMILY, name="images", quick=quick)
    intake.block(Block(0, [line]))

    with pytest.raises(BadSource):
        intake.close()

    assert list(intake.verdict().report.rules) == [rule]


@pytest.mark.parametrize("quick", [True, False])
def test_a_good_instance_is_staged_as_it_is(*, quick: bool) -> None:
    """Without a key of ours, and with the same fingerprint as its echo."""
    intake = Intake(FAMILY, name="images", quick=quick)

    (row,) = intake.block(Block(0, [b'{"key":"a","request":' + orjson.dumps(INSTANCE) + b"}"]))
    line = FAMILY.wire.line(0, row.key, row.request)

    assert line == orjson.dumps(INSTANCE) + b"\n"
    assert row.fingerprint == FAMILY.wire.digest({"instance": INSTANCE, "prediction": LABELS})
    assert row.fingerprint == FAMILY.wire.digest({**INSTANCE, "error": {"code": 5}})
    assert row.fingerprint == FAMILY.wire.digest({"content": INSTANCE["content"], "error": {"code": 5}})
    assert row.fingerprint == FAMILY.wire.digest({"instance": {**INSTANCE, "key": 7}, "prediction": LABELS})


@pytest.mark.parametrize(
    "given",
    [
        {"confidenceThreshold": 1.5},
        {"confidenceThreshold": "0.5"},
        {"confidenceThreshold": True},
        {"maxPredictions": 0},
        {"maxPredictions": 2.5},
        {"threshold": 0.5},
    ],
)
def test_a_parameter_that_google_would_refuse_is_refused(given: dict[str, Any]) -> None:
    """Of the wrong kind, out of its bounds, or unknown."""
    with pytest.raises(BadInput, match=r"confidenceThreshold|maxPredictions"):
        FAMILY.parameters(given)


@pytest.mark.parametrize("ids", [[1, 2], ["1", "2"]])
def test_labels_are_read_in_their_order(ids: list[Any]) -> None:
    """Ids come as numbers or as text; the first label is the text."""
    found = answer(instance=INSTANCE, prediction={**LABELS, "ids": ids})

    assert (found.outcome, found.text, found.reason) == (Outcome.SUCCEEDED, "cat", None)
    assert orjson.loads(found.parsed or b"") == PARSED
    assert orjson.loads(found.response or b"") == {**LABELS, "ids": ids}
    assert found.prompt_tokens is None


@pytest.mark.parametrize("labels", [{"ids": [], "displayNames": [], "confidences": []}, {"ids": []}])
def test_nothing_over_the_threshold_is_an_answer(labels: dict[str, Any]) -> None:
    """The model has spoken; the row is not run again."""
    found = answer(key="r0-a", prediction=labels)

    assert (found.wire_key, found.outcome, found.text) == ("r0-a", Outcome.SUCCEEDED, None)
    assert (found.reason, found.parsed) == ("nothing_over_threshold", b"[]")


@pytest.mark.parametrize(
    ("line", "code", "word"),
    [
        (
            {"instance": INSTANCE, "error": {"status": "NOT_FOUND", "message": "cannot read"}},
            404,
            "NOT_FOUND",
        ),
        ({**INSTANCE, "error": {"code": 5, "message": "cannot read"}}, 404, "NOT_FOUND"),
        ({**INSTANCE, "error": {"code": 8, "message": "cannot read"}}, 429, "RESOURCE_EXHAUSTED"),
        ({**INSTANCE, "error": {"code": 503, "message": "cannot read"}}, 503, None),
        ({"instance": INSTANCE, "status": "INTERNAL: cannot read"}, 500, "INTERNAL"),
    ],
)
def test_an_error_is_read_from_both_places(line: dict[str, Any], code: int, word: str | None) -> None:
    """Among the answers and in a file of errors; codes are Google's numbers, words, or HTTP's."""
    found = answer(**line)

    assert (found.outcome, found.error_code, found.reason) == (Outcome.FAILED, code, word)
    assert "cannot read" in (found.error_message or "")


def test_lists_of_different_lengths_have_failed() -> None:
    """Which label goes with which confidence would be a guess."""
    found = answer(instance=INSTANCE, prediction={**LABELS, "confidences": [0.7]})

    assert (found.outcome, found.reason) == (Outcome.FAILED, "unequal_lists")
    assert found.error_message == "2 ids, 2 names and 1 confidences do not belong together"


def test_a_row_with_nothing_in_it_has_failed() -> None:
    """Neither labels nor an error."""
    assert answer(instance=INSTANCE, prediction=None).reason == "no_answer"


@pytest.mark.parametrize(
    "line",
    [
        {"instance": INSTANCE, "prediction": LABELS, "error": {"code": 5, "message": ""}},
        {"instance": INSTANCE, "prediction": "id"},
        {"instance": INSTANCE, "prediction": {"ids": [None], "displayNames": ["a"], "confidences": [1.0]}},
    ],
)
def test_a_line_that_contradicts_itself_is_quarantined(line: dict[str, Any]) -> None:
    """Or whose prediction has another shape."""
    with pytest.raises(Unreadable):
        answer(**line)


def test_a_place_is_refused_with_its_reason() -> None:
    """On global there are no such jobs; elsewhere they run where the model is."""
    assert "no batch jobs on global" in FAMILY.refusal(MODEL, "global")
    assert "give the location europe-west4" in FAMILY.refusal(MODEL, "us-central1")
    assert FAMILY.refusal(MODEL, "europe-west4") == ""


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "projects/p/locations/l1/endpoints/5", "123"])
def test_only_a_model_of_the_project_s_own_can_be_one(model: str) -> None:
    """Jobs name models; an endpoint, or a publisher's model, is none of these."""
    assert not FAMILY.may_be(model)
    assert FAMILY.may_be(MODEL)
