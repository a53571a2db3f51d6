"""Batches: enter them, move them, count the slots they hold, and pin the output they wrote."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any, Unpack

from sqlalchemy import Connection, RowMapping, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from vertexq.ledger.base import LedgerPart, change, check_claim, check_move, fetch, first_audit, write_audit
from vertexq.ledger.convert import to_batch, to_submission
from vertexq.ledger.schema import audit, batches, ranges, spool
from vertexq.ledger.times import database_now
from vertexq.ledger.values import BatchFields, Claim, NewBatch, OutputRange, Record
from vertexq.model import Batch, Counts, JobStats, Submission, Usage
from vertexq.states import BATCH_TERMINAL, BatchState, SubmissionState

_LISTED = [column for column in batches.c if column.name != "found"]
_SETTLE_LOOK_S = 60.0
"""How often a running submission is looked at in case the hint that would settle it was lost."""


class Batches(LedgerPart):
    """The part of the ledger that knows batches."""

    def add_batches(self, submission: Submission, new: Sequence[NewBatch], *, claim: Claim) -> Submission:
        """Enter a submission's batches as ready, set it running and drop its spool: all or nothing."""
        check_move(submission.state, SubmissionState.RUNNING)
        with self._writing() as connection:
            now = database_now(connection)
            row = change(
                connection,
                Record.SUBMISSION,
                submission.id,
                version=submission.version,
                now=now,
                values={
                    "state": SubmissionState.RUNNING,
                    "rows": sum(batch.rows for batch in new),
                    "attempts": 0,
                    "reason": "",
                    "next_action_at": now + timedelta(seconds=_SETTLE_LOOK_S),
                    "hint_sent_at": None,
                },
                claim=claim,
            )
            write_audit(
                connection, Record.SUBMISSION, row, came_from=submission.state, now=now, actor=claim.owner
            )
            _enter(connection, submission.id, new, now, claim.owner)
            connection.execute(delete(spool).where(spool.c.submission_id == submission.id))
            return to_submission(row)

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
                statement = dialect.insert(ranges).values(**asdict(one))
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


def _enter(
    connection: Connection, submission_id: str, new: Sequence[NewBatch], now: datetime, actor: str
) -> None:
    """Insert batches and the first line of each one's audit trail."""
    rows = [_new_row(submission_id, batch, now) for batch in new]
    if rows:
        connection.execute(insert(batches), rows)
        connection.execute(insert(audit), [first_audit(Record.BATCH, row, now, actor) for row in rows])


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


def _new_row(submission_id: str, new: NewBatch, now: datetime) -> dict[str, Any]:
    given = {field.name: getattr(new, field.name) for field in fields(NewBatch)}
    return given | {
        "submission_id": submission_id,
        "labels": dict(new.labels),
        "estimate": asdict(new.estimate) if new.estimate else None,
        "estimate_pusd": new.estimate.cost_pusd if new.estimate else None,
        "estimate_tokens": new.estimate.tokens if new.estimate else 0,
        "version": 1,
        "stats": asdict(JobStats()),
        "counts": asdict(Counts()),
        "usage": asdict(Usage()),
        "created_at": now,
        "updated_at": now,
        "next_action_at": now if new.state is BatchState.READY else None,
    }
