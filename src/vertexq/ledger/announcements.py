"""The end of a submission as an event for its producer, written in the transaction that ends it."""

from __future__ import annotations

from base64 import b32encode
from collections.abc import Mapping
from datetime import datetime
from hashlib import blake2b
from typing import Any

import orjson
from sqlalchemy import Connection, RowMapping, select

from vertexq.ledger.outbox import NewDelivery, insert_deliveries
from vertexq.ledger.schema import batches
from vertexq.model import PUSD_PER_USD, Counts, Usage
from vertexq.recipients import recipient_of
from vertexq.states import SUBMISSION_RESTING, SUBMISSION_TERMINAL, SubmissionState

LONGEST_REASON = 500


def announce_end(connection: Connection, row: RowMapping, now: datetime) -> None:
    """Put the event of a submission that has just come to rest into the outbox, if anybody is to be told.

    ``row`` is the submission after its move. A submission that is parked has an event too: a person must
    decide. Every move has a version of its own, so each of them is told once.
    """
    state = SubmissionState(row["state"])
    to = recipient_of(row["on_complete"]) if state in SUBMISSION_RESTING else None
    if to is None:
        return
    kind = f"vertexq.submission.{state.value}"
    event = NewDelivery(
        id=message_id("submission", row["id"], str(row["version"])),
        kind=kind,
        target=to.target,
        submission_id=row["id"],
        body=envelope(kind, now, _end(connection, row)),
    )
    insert_deliveries(connection, [event], now)


def message_id(*parts: str) -> str:
    """Return an id that is the same for the same parts: ``msg_`` and 32 letters and digits."""
    digest = blake2b("\0".join(parts).encode("utf-8", "surrogatepass"), digest_size=20).digest()
    return f"msg_{b32encode(digest).decode().lower()}"


def envelope(kind: str, at: datetime, data: Mapping[str, Any]) -> bytes:
    """Return a message as the Standard Webhooks specification recommends it: type, timestamp, data."""
    return orjson.dumps({"type": kind, "timestamp": at.isoformat(), "data": data})


def _end(connection: Connection, row: RowMapping) -> dict[str, Any]:
    """Return what a producer wants to know; no prompt and no answer is in it."""
    counts, usage, cost_pusd = _account(connection, row)
    finished = row["finished_at"]
    return {
        "id": row["id"],
        "state": row["state"],
        "model": row["model"],
        "stores": row["store"].split(","),
        "labels": row["labels"],
        "rows": {"sent": row["rows"] or 0, **counts},
        "quarantined_lines": row["quarantined_lines"],
        "cost_usd": None if usage.unpriced_tokens else cost_pusd / PUSD_PER_USD,
        "reason": row["reason"][:LONGEST_REASON],
        "created_at": row["created_at"].isoformat(),
        "finished_at": finished.isoformat() if finished else None,
    }


def _account(connection: Connection, row: RowMapping) -> tuple[dict[str, int], Usage, int]:
    """Return rows by outcome, tokens and cost: of the submission when it has ended, else of its batches."""
    if row["state"] in SUBMISSION_TERMINAL:
        return row["counts"], Usage(**row["usage"]), row["cost_pusd"]
    counts, usage, cost_pusd = Counts(), Usage(), 0
    b = batches.c
    query = select(b.counts, b.usage, b.cost_pusd).where(b.submission_id == row["id"])
    for batch in connection.execute(query):
        counts += Counts(**batch.counts)
        usage += Usage(**batch.usage)
        cost_pusd += batch.cost_pusd
    names = Counts.__dataclass_fields__
    return {name: getattr(counts, name) for name in names}, usage, cost_pusd
