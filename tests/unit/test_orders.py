"""Orders: what makes two of them one, and which wishes make no sense."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from vertexq.errors import BadInput
from vertexq.model import OnDeadline, Policy, SourceKind, Terms
from vertexq.orders import Order
from vertexq.terms import Deadline, span_s, terms_of

ORDER = Order(id="s-1", model="gemini-2.5-flash", store="results")
URI = "gs://bucket/rows.jsonl"


@pytest.mark.parametrize(
    ("said", "seconds"),
    [
        ("6h", 21_600),
        ("90m", 5_400),
        ("1d12h", 129_600),
        ("1.5h", 5_400),
        (45, 45),
        (timedelta(hours=2), 7_200),
    ],
)
def test_a_deadline_is_a_span_of_time(said: Deadline, seconds: float) -> None:
    """In words, in seconds, or as Python's own."""
    assert span_s(said) == seconds


@pytest.mark.parametrize("said", ["", "6", "h", "6 h", "-1h", "6x", float("nan"), float("inf"), True])
def test_what_is_no_span_of_time_is_refused(said: Deadline) -> None:
    """Nothing is guessed."""
    with pytest.raises(BadInput):
        span_s(said)


@pytest.mark.parametrize(
    "wishes",
    [
        {"deadline": 0},
        {"deadline": timedelta(seconds=-1)},
        {"deadline": "400d"},
        {"priority": 10},
        {"priority": -10},
        {"priority": True},
        {"budget_usd": 0},
        {"budget_usd": "lots"},
        {"on_deadline": "later"},
        {"on_deadline": "rerun"},
    ],
)
def test_terms_that_make_no_sense_are_refused(wishes: dict[str, object]) -> None:
    """Before anything is enqueued."""
    with pytest.raises(BadInput):
        terms_of(**wishes)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]


def test_terms_are_read() -> None:
    """Money becomes pico-dollars, times seconds."""
    assert terms_of(priority=-9, budget_usd="2.50", deadline="6h", on_deadline="rerun") == Terms(
        priority=-9, budget_pusd=2_500_000_000_000, deadline_s=21_600.0, on_deadline=OnDeadline.RERUN
    )


def test_terms_are_no_part_of_the_identity_and_policy_and_template_are() -> None:
    """The same id with another budget goes on; with another template it is something else."""
    plain = ORDER.for_objects([URI]).fingerprint

    assert replace(ORDER, terms=Terms(priority=3)).for_objects([URI]).fingerprint == plain
    assert replace(ORDER, policy=Policy(repair=True)).for_objects([URI]).fingerprint != plain
    assert replace(ORDER, template='{"prompt":"{{a}}"}').for_objects([URI]).fingerprint != plain
    assert ORDER.for_objects([URI, URI + "x"]).fingerprint != plain


def test_the_identity_of_a_plain_order_stays_what_it_was() -> None:
    """A producer that enqueues again after an upgrade must find its submission."""
    assert ORDER.for_objects([URI]).fingerprint == "668673790138bc15c33e7cbf3e7683f3"


def test_a_tenant_is_the_value_of_a_label() -> None:
    """Said directly it becomes that label, which Google's bill shows too."""
    direct = ORDER.with_tenant("search", label="team")
    by_label = replace(ORDER, labels={"team": "search"}).with_tenant("", label="team")

    assert direct == by_label
    assert (direct.tenant, dict(direct.labels)) == ("search", {"team": "search"})
    with pytest.raises(BadInput, match="leave one out"):
        by_label.with_tenant("ads", label="team")


@pytest.mark.parametrize(
    "order",
    [
        replace(ORDER, policy=Policy(as_is=True, repair=True)),
        replace(ORDER, policy=Policy(as_is=True, set_aside=True)),
        replace(ORDER, policy=Policy(as_is=True, split_conflicts=True)),
        replace(ORDER, policy=Policy(as_is=True), template='{"prompt":"{{a}}"}'),
        replace(ORDER, key_field=""),
        replace(ORDER, labels={"UPPER": "x"}),
    ],
)
def test_wishes_that_do_not_fit_together_are_refused(order: Order) -> None:
    """What is used as it is cannot be changed as well."""
    with pytest.raises(BadInput):
        order.checked()


@pytest.mark.parametrize("uri", ["gs://b/rows.jsonl.gz", "gs://b/rows.csv"])
def test_only_plain_lines_can_be_used_as_they_are(uri: str) -> None:
    """A job reads nothing else."""
    with pytest.raises(BadInput, match="cannot be used as it is"):
        replace(ORDER, policy=Policy(as_is=True)).for_objects([uri])


@pytest.mark.parametrize("model", ["anthropic/claude-haiku-4-5", "text-embedding-005"])
def test_answers_that_are_not_held_to_a_schema_are_not_said_to_be(model: str) -> None:
    """Only Gemini's are; with any other model the wish would change nothing."""
    order = replace(ORDER, model=model)
    order.checked()
    with pytest.raises(BadInput, match="are not held to a schema"):
        replace(order, policy=Policy(validate=True)).checked()


@pytest.mark.parametrize("model", ["anthropic/claude-haiku-4-5", "meta/llama-4-scout-17b-16e-instruct-maas"])
def test_families_that_are_not_asked_online_are_not_finished_online(model: str) -> None:
    """It is said when the order is given, not when the last rows are left."""
    order = replace(ORDER, model=model)
    order.checked()
    with pytest.raises(BadInput, match="are not asked online"):
        replace(order, terms=Terms(finish_online=5)).checked()


@pytest.mark.parametrize("model", ["gemini-2.5-flash", "text-embedding-005", "gemini-embedding-001"])
def test_families_that_are_asked_online_may_be_finished_so(model: str) -> None:
    """Their rows become calls, those of a table, too."""
    order = replace(ORDER, model=model, terms=Terms(finish_online=5)).checked()
    assert order.terms.finish_online == 5


def test_a_table_is_one_submission_whatever_its_rows_are() -> None:
    """It is looked at when it is staged; its address is what tells two orders apart."""
    new = ORDER.for_uris(["bq://p.d.t"])

    assert (new.source_kind, new.source, new.rows) == (SourceKind.BIGQUERY, "bq://p.d.t", None)
    assert new.fingerprint == ORDER.for_uris(["bq://p.d.t"]).fingerprint
    assert new.fingerprint != ORDER.for_uris(["bq://p.d.u"]).fingerprint


@pytest.mark.parametrize(
    ("model", "parameters"),
    [
        ("text-embedding-005", {"task_type": "CLUSTERING"}),
        ("anthropic/claude-haiku-4-5", {"max_tokens": 9}),
        ("meta/llama-4-scout-17b-16e-instruct-maas", {"max_tokens": 9}),
    ],
)
def test_what_belongs_into_requests_is_not_set_for_a_table(model: str, parameters: dict[str, object]) -> None:
    """Its rows stay as they are, so that a job would be paid for without what was asked for."""
    order = replace(ORDER, model=model).checked()
    assert order.for_uris(["bq://p.d.t"]).source_kind is SourceKind.BIGQUERY
    with pytest.raises(BadInput, match="cannot be set for a table"):
        replace(order, parameters=parameters).checked().for_uris(["bq://p.d.t"])


@pytest.mark.parametrize("model", ["text-embedding-005", "anthropic/claude-haiku-4-5"])
def test_only_jobs_of_gemini_are_resumed(model: str) -> None:
    """And the sentence speaks of what was asked for."""
    with pytest.raises(BadInput, match="resumes batch jobs of Gemini models only"):
        replace(ORDER, model=model, policy=Policy(resume=True)).checked()
