"""Successors: batches that take over rows without an answer, and what must stop because it is late."""

from __future__ import annotations

from datetime import timedelta

from sqlalchemy import and_, insert, or_, select, update

from vertexq.ledger.base import LedgerPart, change, first_audit
from vertexq.ledger.convert import to_batch, to_submission
from vertexq.ledger.schema import audit, batches, submissions
from vertexq.ledger.staging import is_staged, new_row
from vertexq.ledger.times import database_now
from vertexq.ledger.values import Claim, NewBatch, Record
from vertexq.model import Batch, Submission
from vertexq.states import SubmissionState

_MAY_BE_LATE = (SubmissionState.RUNNING, SubmissionState.PARKED)


class Successors(LedgerPart):
    """The part of the ledger that knows deadlines and second tries."""

    def past_deadline(self, *, limit: int, resend_after_s: float) -> list[Submission]:
        """Return running and parked submissions whose deadline has passed, and note that a hint is sent now.

        One that had a hint within ``resend_after_s`` seconds, or that somebody works on, is left out; those
        whose last hint is the oldest come first. Callers at the same time get different ones.
        """
        s = submissions.c
        with self._writing() as connection:
            now = database_now(connection)
            before = now - timedelta(seconds=max(resend_after_s, 0.0))
            late = and_(s.deadline_at <= now, s.finished_at.is_(None), s.state.in_(_MAY_BE_LATE))
            free = or_(s.lease_until.is_(None), s.lease_until < now)
            chosen = (
                select(s.id)
                .where(late, free, or_(s.hint_sent_at.is_(None), s.hint_sent_at < before))
                .order_by(s.hint_sent_at.asc().nulls_first(), s.deadline_at)
                .limit(limit)
                .with_for_update(skip_locked=True)
                .cte("chosen")
            )
            taken = update(submissions).where(s.id.in_(select(chosen.c.id))).values(hint_sent_at=now)
            found = connection.execute(taken.returning(*submissions.c)).mappings().all()
            return sorted(map(to_submission, found), key=lambda one: one.id)

    def is_staged(self, submission: Submission) -> bool:
        """Tell whether all batches of a submission are there, so that each of its rows has a place."""
        with self._reading() as connection:
            return is_staged(connection, submission)

    def succeed(self, batch: Batch, new: NewBatch, *, claim: Claim) -> Batch:
        """Enter the batch that takes over what ``batch`` left, and note so in ``batch``: both or none.

        Nothing is due for it before it is handed out. Raise ``Conflict`` when somebody else was first.
        """
        with self._writing() as connection:
            now = database_now(connection)
            row = new_row(batch.submission_id, new, now)
            changed = change(
                connection, Record.BATCH, batch.id,
                version=batch.version, now=now, values={"successor": new.id}, claim=claim,
            )  # fmt: skip
            connection.execute(insert(batches).values(**row))
            connection.execute(insert(audit), [first_audit(Record.BATCH, row, now, claim.owner)])
            return to_batch(changed)
