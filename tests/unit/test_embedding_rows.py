"""What a producer may pass to be embedded, how options are written, and what is refused before it is sent."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from tests.unit.check_rows import compact
from vertexq.check.faults import Rule
from vertexq.errors import BadInput
from vertexq.families import family_of
from vertexq.families.base import NoRequest
from vertexq.families.gemini_embedding import FAMILY as GEMINI
from vertexq.families.gemini_embedding import request as gemini_request
from vertexq.families.text_embedding import FAMILY as TEXT
from vertexq.families.text_embedding import request as text_request
from vertexq.intake import Intake
from vertexq.lines import Block
from vertexq.model import Policy
from vertexq.orders import Order

HELLO = {"parts": [{"text": "Hello"}]}
DOCUMENT = {"task_type": "RETRIEVAL_DOCUMENT", "title": "Greetings"}
ORDER = Order(id=None, model="gemini-embedding-001", store="results")


@pytest.mark.parametrize(
    ("row", "sent"),
    [
        ("Hello", {"content": "Hello"}),
        ({"prompt": "Hello", "mine": 1}, {"content": "Hello"}),
        ({"key": "a", "content": "Hello", **DOCUMENT, "mine": 1}, {"content": "Hello", **DOCUMENT}),
        ({"request": {"content": "Hello", "new": 1}}, {"content": "Hello", "new": 1}),
    ],
)
def test_a_row_of_a_text_embedding_model_is_an_instance_or_holds_one(row: Any, sent: dict[str, Any]) -> None:
    """Fields beside the content are the producer's, but for the options that Google knows."""
    assert text_request(row) == sent


@pytest.mark.parametrize(
    ("row", "sent"),
    [
        ("Hello", {"content": HELLO}),
        ({"content": "Hello", "mine": 1}, {"content": HELLO}),
        ({"content": HELLO, **DOCUMENT}, {"content": HELLO, "embed_content_config": DOCUMENT}),
        ({"request": {"content": HELLO, **DOCUMENT}}, {"content": HELLO, **DOCUMENT}),
    ],
)
def test_a_row_of_a_gemini_embedding_model_is_a_request_or_becomes_one(
    row: Any, sent: dict[str, Any]
) -> None:
    """Options beside the content are put where Google documents them; a whole request stays as it is."""
    assert gemini_request(row) == sent


@pytest.mark.parametrize(
    ("form", "row", "sent"),
    [
        ("nested", "Hello", {"content": HELLO, "embed_content_config": {"output_dimensionality": 64}}),
        ("flat", "Hello", {"content": HELLO, "output_dimensionality": 64}),
        (
            "nested",
            {"request": {"content": HELLO, "embedContentConfig": {"title": "T"}}},
            {"content": HELLO, "embedContentConfig": {"title": "T", "output_dimensionality": 64}},
        ),
        (
            "flat",
            {"request": {"content": HELLO, "outputDimensionality": 9}},
            {"content": HELLO, "outputDimensionality": 9},
        ),
    ],
)
def test_parameters_are_written_into_each_request_that_does_not_say_otherwise(
    form: str, row: Any, sent: dict[str, Any]
) -> None:
    """In the form that is asked for, or where the request has its options already."""
    made = GEMINI.request_for({"dimensions": 64, "options_form": form})

    assert made(row) == sent


@pytest.mark.parametrize("family", [TEXT, GEMINI])
@pytest.mark.parametrize(
    "row", ["", " \n", {}, {"content": 7}, {"content": "a", "prompt": "b"}, {"request": "Hello"}]
)
def test_a_row_without_a_text_says_what_was_expected(family: Any, row: Any) -> None:
    """The text quotes nothing of the row."""
    with pytest.raises(NoRequest, match=r"text|content|request"):
        family.request(row)


FLAWS: list[tuple[Any, dict[str, Any], Rule]] = [
    (TEXT, {"content": " "}, Rule.REQUEST),
    (TEXT, {"content": "a", "task_type": "SUMMARY"}, Rule.UNSUPPORTED),
    (TEXT, {"content": "a", "title": "T"}, Rule.UNSUPPORTED),
    (TEXT, {"content": "a", "title": "T", "task_type": "CLUSTERING"}, Rule.UNSUPPORTED),
    (GEMINI, {"content": {"parts": [{"text": " "}]}}, Rule.REQUEST),
    (GEMINI, {"content": {"parts": {"text": "a"}}}, Rule.PARTS),
    (GEMINI, {"content": HELLO, "title": "T"}, Rule.UNSUPPORTED),
    (GEMINI, {"content": HELLO, "embed_content_config": {"title": "T"}}, Rule.UNSUPPORTED),
    (GEMINI, {"content": HELLO, "output_dimensionality": 5_000}, Rule.UNSUPPORTED),
    (GEMINI, {"content": HELLO, "task_type": "CLUSTERING", "taskType": "CLUSTERING"}, Rule.REPEATED_NAME),
]


@pytest.mark.parametrize("quick", [True, False])
@pytest.mark.parametrize(("family", "request_", "rule"), FLAWS)
def test_what_a_model_would_refuse_or_ignore_is_a_fault(
    family: Any, request_: dict[str, Any], rule: Rule, *, quick: bool
) -> None:
    """Also when rows before it were good and looked the same."""
    intake = Intake(family, name="rows", policy=Policy(set_aside=True), quick=quick)
    good = {"content": "b"} if family is TEXT else {"content": {"parts": [{"text": "b"}]}}
    lines = [compact({"key": f"k{n}", "request": one}) for n, one in enumerate([good, good, request_])]

    rows = intake.block(Block(0, lines))

    assert [row.reason.partition(" ")[0].rstrip(":") for row in rows] == ["", "", rule.value]


@pytest.mark.parametrize(
    ("model", "parameters", "says"),
    [
        ("text-embedding-005", {"dimensions": 256}, "have no setting for dimensions"),
        ("text-embedding-005", {"task_type": "SUMMARY"}, "no task type"),
        ("gemini-embedding-001", {"dimensions": 0}, "from 1 to 3,072"),
        ("gemini-embedding-001", {"dimensions": "768"}, "from 1 to 3,072"),
        ("gemini-embedding-001", {"options_form": "deep"}, "nested, flat"),
        ("gemini-embedding-001", {"size": 7}, "no parameter size"),
        ("gemini-embedding-001", {"title": 2024}, "a number in quotes"),
        ("gemini-embedding-001", {"title": "T", "task_type": "CLUSTERING"}, "RETRIEVAL_DOCUMENT"),
        ("gemini-embedding-2", {"task_type": "CLUSTERING"}, "takes no notice of task_type"),
    ],
)
def test_parameters_that_make_no_sense_are_refused(model: str, parameters: dict[str, Any], says: str) -> None:
    """When they are given, with the sentence."""
    with pytest.raises(BadInput, match=says):
        Order(id=None, model=model, store="results", parameters=parameters).checked()


@pytest.mark.parametrize(
    ("model", "location", "runs"),
    [
        ("gemini-embedding-001", "us-central1", True),
        ("gemini-embedding-001", "global", False),
        ("publishers/google/models/gemini-embedding-001", "asia-east1", False),
        ("gemini-embedding-2", "eu", True),
        ("gemini-embedding-2-preview", "us-central1", False),
        ("gemini-embedding-9", "mars-north1", True),
        ("text-embedding-005", "europe-west4", True),
    ],
)
def test_jobs_run_where_google_says_so(model: str, location: str, *, runs: bool) -> None:
    """Elsewhere they are refused with the places; nobody has said anything of other models."""
    assert (family_of(model).refusal(model, location) == "") is runs


@pytest.mark.parametrize(
    ("model", "name"),
    [
        ("text-embedding-004", "text-embedding"),
        ("text-multilingual-embedding-002", "text-embedding"),
        ("textembedding-gecko@003", "text-embedding"),
        ("textembedding-gecko-multilingual@001", "text-embedding"),
        ("projects/p/locations/l/publishers/google/models/text-embedding-005", "text-embedding"),
        ("gemini-embedding-001", "gemini-embedding"),
        ("gemini-embedding-2-preview", "gemini-embedding"),
    ],
)
def test_embedding_models_are_known_by_their_names(model: str, name: str) -> None:
    """Short or with their publisher."""
    assert family_of(model).name == name


def test_the_setting_of_the_form_holds_where_a_producer_says_nothing() -> None:
    """It makes another submission of the same rows, as other lines are sent."""
    said = Order(id=None, model="gemini-embedding-001", store="r", parameters={"options_form": "nested"})

    assert ORDER.with_options_form("nested") == ORDER
    assert ORDER.with_options_form("flat").parameters == {"options_form": "flat"}
    assert said.with_options_form("flat") == said
    assert ORDER.identity() != ORDER.with_options_form("flat").identity()


def test_lines_that_stay_as_they_are_need_a_key_and_take_no_parameters() -> None:
    """Nothing would be written into them."""
    as_is = Policy(as_is=True)
    for order in (
        Order(id=None, model="text-embedding-005", store="r", policy=as_is),
        Order(id=None, model="gemini-embedding-001", store="r", policy=as_is, parameters={"dimensions": 9}),
    ):
        with pytest.raises(BadInput, match="submit the rows without as_is"):
            order.checked()


def test_embeddings_are_estimated_without_output() -> None:
    """A vector is no text: nothing is assumed of rows that set no limit."""
    intake = Intake(GEMINI, name="rows")
    intake.block(Block(0, [orjson.dumps({"content": "x" * 40})] * 3))

    estimate = intake.verdict().estimate

    assert (estimate.rows, estimate.input_tokens, estimate.output_tokens, estimate.assumed_rows) == (
        3,
        30,
        0,
        0,
    )
