"""What a producer without a ledger sends through the broker: a submission as a small JSON object. No I/O.

It names rows by ``gs://`` URI and a store by name, so that neither rows nor secrets pass the broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

import msgspec

from vertexq.errors import BadInput
from vertexq.families import family_of
from vertexq.ids import checked_submission_id
from vertexq.intake import check_object
from vertexq.model import Counts, NewSubmission, SourceKind, Submission, Usage
from vertexq.states import SubmissionState


class EnqueueMessage(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The fields of ``NewSubmission`` that a broker-only producer may set."""

    id: str
    fingerprint: str
    model: str
    store: str
    source: str
    key_field: str = "key"
    project: str = ""
    location: str = ""
    labels: dict[str, str] = {}


def to_message(new: NewSubmission) -> dict[str, Any]:
    """Return the message of a submission whose rows are in Cloud Storage."""
    if new.source_kind is not SourceKind.GCS:
        raise BadInput(
            "a producer without a ledger can enqueue gs:// sources only, because rows never pass the broker; "
            "put the rows in Cloud Storage, or set VERTEXQ_LEDGER_URL"
        )
    names = EnqueueMessage.__struct_fields__
    return {name: dict(new.labels) if name == "labels" else getattr(new, name) for name in names}


def from_message(message: Mapping[str, Any]) -> NewSubmission:
    """Read a message; raise ``BadInput`` when it is not one of ours: anybody at the broker can send one."""
    try:
        parsed = msgspec.convert(message, EnqueueMessage)
    except msgspec.ValidationError as error:
        raise BadInput(f"this is no submission: {error}") from None
    checked_submission_id(parsed.id)
    family_of(parsed.model)
    check_object(parsed.source)
    return NewSubmission(source_kind=SourceKind.GCS, **msgspec.structs.asdict(parsed))


def unrecorded(new: NewSubmission, now: datetime) -> Submission:
    """Return a submission that is on its way: enqueued, and not seen in the ledger by this process yet."""
    return Submission(
        id=new.id,
        state=SubmissionState.QUEUED,
        version=1,
        fingerprint=new.fingerprint,
        model=new.model,
        store=new.store,
        source_kind=new.source_kind,
        source=new.source,
        key_field=new.key_field,
        project=new.project,
        location=new.location,
        labels=new.labels,
        tenant=new.tenant,
        template=new.template,
        policy=new.policy,
        terms=new.terms,
        estimate=new.estimate,
        deadline_at=None,
        rounds=0,
        rows=new.rows,
        counts=Counts(),
        quarantined_lines=0,
        usage=Usage(),
        cost_pusd=0,
        reason="",
        cancel_requested=False,
        created_at=now,
        updated_at=now,
        finished_at=None,
        next_action_at=now,
        attempts=0,
        fence=0,
    )
