"""Batches: look them up, move them, and pin the output they wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import Connection, RowMapping, select, update
from sqlalchemy.dialects import postgresql, sqlite

from vertexq.ledger.base import change, check_claim, check_move, fetch, write_audit
from vertexq.ledger.convert import to_batch
from vertexq.ledger.schema import batches, ranges
from vertexq.ledger.staging import Staging
from vertexq.ledger.times import database_now
from vertexq.ledger.values import BatchFields, Claim, OutputRange, Record
from vertexq.model import Batch
from vertexq.states import BATCH_TERMINAL, BatchState

_LISTED = [column for column in batches.c if column.name != "found"]


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

    def pin_ranges(self, batch: Batch, found: Sequence[OutputRange], *, claim: Claim) -> list[OutputRange]:
        """Write down what is to be ingested; ranges that are pinned already stay as they are."""
        with self._writing() as connection:
            dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
            check_claim(connection, claim)
            for one in found:
                statement = dialect.insert(ranges).values(**asdict(one), id=one.id)
                connection.execute(statement.on_conflict_do_nothing())
        return self.ranges(batch.id)

    def ranges(self, batch_id: str) -> list[OutputRange]:
        """Return a batch's pinned ranges in reading order."""
        query = select(ranges).where(ranges.c.batch_id == batch_id)
        query = query.order_by(ranges.c.object_name, ranges.c.generation, ranges.c.start)
        with self._reading() as connection:
            return [_to_range(row) for row in connection.execute(query).mappings()]

    def finish_range(
        self, batch: Batch, done: OutputRange, *, claim: Claim, **values: Unpack[BatchFields]
    ) -> Batch:
        """Mark a range as ingested and bring the batch's account up to date, in one transaction."""
        with self._writing() as connection:
            row = change(
                connection, Record.BATCH, batch.id,
                version=batch.version, now=database_now(connection), values=values, claim=claim,
            )  # fmt: skip
            _mark_done(connection, done)
            return to_batch(row)


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


def _mark_done(connection: Connection, done: OutputRange) -> None:
    marked = connection.execute(
        update(ranges)
        .where(
            ranges.c.batch_id == done.batch_id,
            ranges.c.object_name == done.object_name,
            ranges.c.generation == done.generation,
            ranges.c.start == done.start,
        )
        .values(done=True)
    )
    if marked.rowcount != 1:
        raise ValueError(
            f"{done.object_name}#{done.generation}@{done.start} was never pinned for {done.batch_id}"
        )


def _to_range(row: RowMapping) -> OutputRange:
    return OutputRange(**{field.name: row[field.name] for field in fields(OutputRange)})
