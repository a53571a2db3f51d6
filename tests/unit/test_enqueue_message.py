"""What a producer without a ledger sends through the broker, and what a worker makes of it."""

from __future__ import annotations

from typing import Any

import orjson
import pytest

from vertexq.errors import BadInput
from vertexq.messages import from_message, to_message
from vertexq.model import NewSubmission, SourceKind

NEW = NewSubmission(
    id="s-1",
    fingerprint="f",
    model="gemini-2.5-flash",
    store="results",
    source_kind=SourceKind.GCS,
    source="gs://bucket/rows.jsonl",
    key_field="id",
    project="p",
    location="us-central1",
    labels={"team": "search"},
)


def test_a_submission_survives_the_broker() -> None:
    """Also as JSON, which is what the broker carries."""
    message = orjson.loads(orjson.dumps(to_message(NEW)))

    assert from_message(message) == NEW


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
        {**to_message(NEW), "model": 7},
        {**to_message(NEW), "labels": {"a": 1}},
        {**to_message(NEW), "unknown": 1},
        {**to_message(NEW), "id": "../up"},
        {**to_message(NEW), "source": "file:///etc/passwd"},
        {**to_message(NEW), "source": "gs://bucket/"},
        {**to_message(NEW), "model": "of no family"},
    ],
)
def test_a_message_of_another_form_is_refused(message: dict[str, Any]) -> None:
    """Whoever can reach the broker can send anything: nothing of it is believed unchecked."""
    with pytest.raises(BadInput):
        from_message(message)
