"""Batches: look them up and move them."""

from __future__ import annotations

from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import Connection, select

from vertexq.ledger.base import change, check_move, fetch, write_audit
from vertexq.ledger.convert import to_batch
from vertexq.ledger.schema import batches
from vertexq.ledger.staging import Staging
from vertexq.ledger.times import database_now
from vertexq.ledger.values import BatchFields, Claim, Record
from vertexq.model import Batch
from vertexq.states import BATCH_TERMINAL, BatchState

_LISTED = [column for column in batches.c if column.name not in {"found", "carried"}]


class Batches(Staging):
    """The part of the ledger that knows batches, staged or on their way in."""

    def batches(self, submission_id: str) -> list[Batch]:
        """Return a submission's batches by ordinal, without ``found``."""
        query = select(*_LISTED).where(batches.c.submission_id == submission_id).order_by(batches.c.ordinal)
        with self._reading() as connection:
            return [to_batch(row) for row in connection.execute(query).mappings()]

    def batch(self, batch_id: str) -> Batch:
        """Return a batch with ``found``; raise ``UnknownSubmission`` when there is none."""
        with self._reading() as connection:
            return to_batch(fetch(connection, Record.BATCH, batch_id))

    def move_batch(
        self, batch: Batch, to: BatchState, *, claim: Claim | None = None, **values: Unpack[BatchFields]
    ) -> Batch:
        """Move a batch; without ``next_action_at`` nothing is due for it, without ``reason`` it has none.

        Raise ``Conflict`` or ``LeaseLost`` when somebody else was first, ``ValueError`` for an illegal move.
        """
        check_move(batch.state, to)
        with self._writing() as connection:
            return move_in(connection, batch, to, claim, values, database_now(connection))

    def update_batch(
        self, batch: Batch, *, claim: Claim | None = None, **values: Unpack[BatchFields]
    ) -> Batch:
        """Change fields of a batch without moving it."""
        with self._writing() as connection:
            row = change(
                connection, Record.BATCH, batch.id, version=batch.version, now=database_now(connection),
                values={**values, "hint_sent_at": None}, claim=claim,
            )  # fmt: skip
            return to_batch(row)

    def settle_ready(self, submission_id: str) -> bool:
        """Tell whether every batch of a submission has come to its end."""
        open_ones = select(batches.c.id).where(
            batches.c.submission_id == submission_id, batches.c.state.not_in(sorted(BATCH_TERMINAL))
        )
        with self._reading() as connection:
            return connection.execute(open_ones.limit(1)).first() is None


def move_in(
    connection: Connection,
    batch: Batch,
    to: BatchState,
    claim: Claim | None,
    values: BatchFields,
    now: datetime,
) -> Batch:
    """Move a batch within a transaction; without ``next_action_at`` nothing is due for it."""
    changed: dict[str, Any] = {
        "reason": "",
        "next_action_at": None,
        **values,
        "state": to,
        "hint_sent_at": None,
    }
    row = change(
        connection, Record.BATCH, batch.id, version=batch.version, now=now, values=changed, claim=claim
    )
    actor = claim.owner if claim else "poll"
    write_audit(connection, Record.BATCH, row, came_from=batch.state, now=now, actor=actor)
    return to_batch(row)
