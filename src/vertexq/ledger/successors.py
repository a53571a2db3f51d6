"""Successors: batches that take over rows to be tried again, and what must stop because it is late."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from sqlalchemy import Connection, and_, insert, or_, select, update

from vertexq.deadlines import is_late
from vertexq.ledger.base import LedgerPart, change, fetch, first_audit
from vertexq.ledger.convert import to_submission
from vertexq.ledger.schema import audit, batches, submissions
from vertexq.ledger.staging import is_staged, new_row
from vertexq.ledger.submissions import move_in
from vertexq.ledger.times import database_now
from vertexq.ledger.values import BatchFields, Claim, NewBatch, Record, SubmissionFields
from vertexq.model import Batch, Retry, Submission
from vertexq.rounds import not_done
from vertexq.states import BATCH_TERMINAL, SubmissionState, may_follow

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

    def succeed(self, left: Sequence[tuple[Batch, BatchFields]], new: NewBatch, *, claim: Claim) -> None:
        """Enter the batch that takes over rows of others, and write down what is left to these: all or none.

        The claim is on their submission. The new batch waits for its turn once it has rested
        (``NewBatch.rest_s``). Raise ``Conflict`` when somebody else was first.
        """
        with self._writing() as connection:
            now = database_now(connection)
            for batch, fields in left:
                change(
                    connection, Record.BATCH, batch.id, version=batch.version, now=now,
                    values={**fields, "successor": new.id}, claim=claim,
                )  # fmt: skip
            row = new_row(claim.id, new, now)
            connection.execute(insert(batches).values(**row))
            connection.execute(insert(audit), [first_audit(Record.BATCH, row, now, claim.owner)])

    def request_retry(self, submission_id: str, retry: Retry) -> Submission:
        """Note which rows somebody wants to have tried again, and let the submission settle once more.

        A deadline that has passed, and a cancel, were for what is over. Safe to repeat. Raise ``NotDone``
        when something of the submission is still under way.
        """
        with self._writing() as connection:
            known = to_submission(fetch(connection, Record.SUBMISSION, submission_id, locked=True))
            if known.state is SubmissionState.SETTLING and known.retry == retry:
                return known
            if not _has_ended(connection, known):
                raise not_done(known)
            now = database_now(connection)
            values = SubmissionFields(retry=retry, cancel_requested=False, next_action_at=now, attempts=0)
            if is_late(known, now):
                values["deadline_at"] = None
            return move_in(connection, known, SubmissionState.SETTLING, None, values, now)


def _has_ended(connection: Connection, known: Submission) -> bool:
    """Tell whether nothing of a submission is under way any more; one that is parked may have got so far."""
    if known.state is SubmissionState.RUNNING or not may_follow(known.state, SubmissionState.SETTLING):
        return False
    open_ones = and_(batches.c.submission_id == known.id, batches.c.state.not_in(sorted(BATCH_TERMINAL)))
    under_way = connection.execute(select(batches.c.id).where(open_ones).limit(1)).first()
    return under_way is None and is_staged(connection, known)
