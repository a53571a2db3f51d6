"""What a producer without a ledger sends through the broker: a submission as a small JSON object. No I/O.

It names rows by ``gs://`` URI and a store by name, so that neither rows nor secrets pass the broker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, TypeVar

import msgspec

from vertexq.errors import BadInput
from vertexq.ids import checked_submission_id
from vertexq.model import Counts, NewSubmission, Policy, SourceKind, Submission, Terms, Usage
from vertexq.orders import Order, joined_stores
from vertexq.sources.template import Template
from vertexq.states import SubmissionState

T = TypeVar("T", Policy, Terms)


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
    tenant: str = ""
    template: str = ""
    family: str = ""
    parameters: dict[str, Any] = {}
    destination: str = ""
    policy: dict[str, bool] = {}
    terms: dict[str, int | float | str | None] = {}
    on_complete: str = ""


def to_message(new: NewSubmission) -> dict[str, Any]:
    """Return the message of a submission whose rows are in Cloud Storage or in BigQuery."""
    if new.source_kind is SourceKind.SPOOL:
        raise BadInput(
            "a producer without a ledger can enqueue gs:// and bq:// sources only, because rows never "
            "pass the broker; put the rows in Cloud Storage, or set VERTEXQ_LEDGER_URL"
        )
    plain = {name: getattr(new, name) for name in EnqueueMessage.__struct_fields__}
    return plain | {
        "labels": dict(new.labels),
        "parameters": dict(new.parameters),
        "policy": {name: True for name, wanted in asdict(new.policy).items() if wanted},
        "terms": {**asdict(new.terms), "on_deadline": new.terms.on_deadline.value},
    }


def from_message(message: Mapping[str, Any]) -> NewSubmission:
    """Read a message; raise ``BadInput`` when it is not one of ours: anybody at the broker can send one.

    It is checked as strictly as what a producer with a ledger passes in, and its fingerprint must be that of
    its content.
    """
    try:
        parsed = msgspec.convert(message, EnqueueMessage)
        policy = _options(parsed.policy, Policy)
        terms = _options(parsed.terms, Terms)
    except msgspec.ValidationError as error:
        raise BadInput(f"this is no submission: {error}") from None
    order = Order(
        id=checked_submission_id(parsed.id),
        model=parsed.model,
        store=joined_stores(parsed.store),
        key_field=parsed.key_field,
        labels=parsed.labels,
        project=parsed.project,
        location=parsed.location,
        tenant=_tenant(parsed),
        template=Template.parse(parsed.template).text if parsed.template else "",
        policy=policy,
        terms=terms,
        on_complete=parsed.on_complete,
        family=parsed.family,
        parameters=parsed.parameters,
        destination=parsed.destination,
    )
    new = order.checked().for_uris(parsed.source.split("\n"))
    if new.fingerprint != parsed.fingerprint:
        raise BadInput("this is no submission of ours: its fingerprint is not that of its content")
    return new


def _options(given: Mapping[str, object], kind: type[T]) -> T:
    unknown = given.keys() - {field.name for field in fields(kind)}
    if unknown:
        raise BadInput(f"this is no submission: {kind.__name__.lower()} has no {min(unknown)[:40]!r}")
    return msgspec.convert(given, kind)


def _tenant(parsed: EnqueueMessage) -> str:
    """Return the tenant, which is always the value of a label."""
    if parsed.tenant and parsed.tenant not in parsed.labels.values():
        raise BadInput("this is no submission: its tenant is the value of none of its labels")
    return parsed.tenant


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
        family=new.family,
        parameters=new.parameters,
        destination=new.destination,
        key_field=new.key_field,
        project=new.project,
        location=new.location,
        labels=new.labels,
        tenant=new.tenant,
        template=new.template,
        policy=new.policy,
        terms=new.terms,
        on_complete=new.on_complete,
        retry=None,
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
