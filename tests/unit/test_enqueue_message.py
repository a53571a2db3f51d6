"""What a producer without a ledger sends through the broker, and what a worker makes of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from vertexq.errors import BadInput
from vertexq.messages import from_message, to_message
from vertexq.model import NewSubmission, OnDeadline, Policy, SourceKind, Terms
from vertexq.orders import Order

ORDER = Order(
    id="s-1",
    model="gemini-2.5-flash",
    store="results",
    key_field="id",
    project="my-project",
    location="us-central1",
    labels={"team": "search"},
    tenant="search",
    template='{"prompt":"Say {{word}}"}',
    policy=Policy(repair=True, set_aside=True),
    terms=Terms(priority=3, budget_pusd=10**12, deadline_s=3600.0, on_deadline=OnDeadline.RERUN),
)
NEW = ORDER.for_objects(["gs://bucket/rows.jsonl", "gs://bucket/more/*.csv"])
SENT = to_message(NEW)


def test_a_submission_survives_the_broker() -> None:
    """Also as JSON, which is what the broker carries."""
    assert from_message(orjson.loads(orjson.dumps(SENT))) == NEW


def test_a_plain_submission_is_a_small_message() -> None:
    """What was not asked for has its usual value; a message without it is the same."""
    new = Order(id="s-1", model="gemini-2.5-flash", store="results").for_objects(["gs://bucket/rows.jsonl"])
    sent = to_message(new)

    assert sent["policy"] == {}
    assert (
        from_message({name: sent[name] for name in ("id", "fingerprint", "model", "store", "source")}) == new
    )


def test_a_table_passes_the_broker_by_its_address() -> None:
    """Its rows stay in BigQuery, so that a producer needs no ledger for it."""
    new = Order(id="s-1", model="gemini-2.5-flash", store="results").for_uris(["bq://p.d.t"])

    assert from_message(orjson.loads(orjson.dumps(to_message(new)))) == new


def test_rows_never_pass_the_broker() -> None:
    """A submission with rows of its own needs the ledger, and the message says so."""
    spooled = NewSubmission(
        id="s-1", fingerprint="f", model="m", store="results", source_kind=SourceKind.SPOOL, rows=3
    )

    with pytest.raises(BadInput, match="VERTEXQ_LEDGER_URL"):
        to_message(spooled)


@pytest.mark.parametrize(
    "message",
    [
        {},
        {"id": "s-1"},
        {**SENT, "model": 7},
        {**SENT, "labels": {"a": 1}},
        {**SENT, "labels": {"Team": "search"}},
        {**SENT, "unknown": 1},
        {**SENT, "id": "../up"},
        {**SENT, "source": "file:///etc/passwd"},
        {**SENT, "source": "gs://bucket/"},
        {**SENT, "source": "gs://bucket/other.jsonl"},
        {**SENT, "model": "of no family"},
        {**SENT, "store": "../results"},
        {**SENT, "store": "results,results"},
        {**SENT, "fingerprint": "f"},
        {**SENT, "tenant": "somebody else"},
        {**SENT, "project": "../p"},
        {**SENT, "template": "{"},
        {**SENT, "template": '{"prompt": "no placeholder"}'},
        {**SENT, "policy": {"repair": "yes"}},
        {**SENT, "policy": {"pay_nothing": True}},
        {**SENT, "policy": {"as_is": True}},
        {**SENT, "terms": {"priority": 100}},
        {**SENT, "terms": {"priority": 1.5}},
        {**SENT, "terms": {"budget_pusd": -1}},
        {**SENT, "terms": {"deadline_s": 0}},
        {**SENT, "terms": {"on_deadline": "rerun"}},
        {**SENT, "terms": {"on_deadline": "explode"}},
    ],
)
def test_a_message_of_another_form_is_refused(message: dict[str, Any]) -> None:
    """Whoever can reach the broker can send anything: nothing of it is believed unchecked."""
    with pytest.raises(BadInput):
        from_message(message)
