"""Staging: batches enter one by one while their submission is staged, and it runs when all are there."""

from __future__ import annotations

from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, Insert, delete, insert, select

from vertexq import ranks
from vertexq.errors import Conflict
from vertexq.ledger.base import (
    LedgerPart,
    change,
    check_claim,
    check_move,
    fetch,
    first_audit,
    insert_into,
    write_audit,
)
from vertexq.ledger.convert import to_submission
from vertexq.ledger.schema import audit, batches, spool
from vertexq.ledger.times import database_now
from vertexq.ledger.values import Claim, NewBatch, Record
from vertexq.model import Estimate, JobStats, Submission, Usage
from vertexq.rounds import RESTS
from vertexq.states import BatchState, SubmissionState

_SETTLE_LOOK_S = 60.0
"""How often a running submission is looked at in case the hint that would settle it was lost."""


class Staging(LedgerPart):
    """The part of the ledger that takes in what a stage makes."""

    def add_batch(self, submission: Submission, new: NewBatch, *, claim: Claim) -> bool:
        """Enter one batch of a submission that is being staged; False when it is there already.

        Nothing is due for it before ``finish_staging``: until then it may still be dropped.
        """
        with self._writing() as connection:
            _check_staging(connection, submission, claim)
            now = database_now(connection)
            row = new_row(submission.id, new, now)
            if connection.execute(_insert_once(connection, row)).first() is None:
                return False
            connection.execute(insert(audit), [first_audit(Record.BATCH, row, now, claim.owner)])
            return True

    def drop_batches(self, submission: Submission, *, claim: Claim) -> int:
        """Forget what an earlier try entered, when its parts would differ now; return how many it were."""
        with self._writing() as connection:
            _check_staging(connection, submission, claim)
            ours = batches.c.submission_id == submission.id
            return connection.execute(delete(batches).where(ours)).rowcount

    def finish_staging(
        self, submission: Submission, *, claim: Claim, rows: int, estimate: Estimate
    ) -> Submission:
        """Set a submission running, once all its batches are there, and drop its spool."""
        with self._writing() as connection:
            return _run(connection, submission, rows, estimate, claim)


def _check_staging(connection: Connection, submission: Submission, claim: Claim) -> None:
    check_claim(connection, claim)
    known = fetch(connection, Record.SUBMISSION, submission.id)
    if known["state"] != SubmissionState.STAGING:
        raise Conflict(f"submission {submission.id} is {known['state']} and not being staged any more")


def _run(
    connection: Connection, submission: Submission, rows: int, estimate: Estimate | None, claim: Claim
) -> Submission:
    check_move(submission.state, SubmissionState.RUNNING)
    now = database_now(connection)
    values = {
        "state": SubmissionState.RUNNING,
        "rows": rows,
        "estimate": estimate,
        "attempts": 0,
        "reason": "",
        "next_action_at": now + timedelta(seconds=_SETTLE_LOOK_S),
        "hint_sent_at": None,
    }
    row = change(
        connection, Record.SUBMISSION, submission.id,
        version=submission.version, now=now, values=values, claim=claim,
    )  # fmt: skip
    write_audit(connection, Record.SUBMISSION, row, came_from=submission.state, now=now, actor=claim.owner)
    connection.execute(delete(spool).where(spool.c.submission_id == submission.id))
    return to_submission(row)


def _insert_once(connection: Connection, row: dict[str, Any]) -> Insert:
    once = insert_into(connection, batches).values(**row).on_conflict_do_nothing()
    return once.returning(batches.c.id)


def new_row(submission_id: str, new: NewBatch, now: datetime) -> dict[str, Any]:
    """Return the row of a batch that enters the ledger."""
    given = {field.name: getattr(new, field.name) for field in fields(NewBatch)}
    rests = given.pop("rest_s") > 0
    due_at = now + timedelta(seconds=new.rest_s) if rests else (now if new.online else None)
    return given | {
        "submission_id": submission_id,
        "labels": dict(new.labels),
        "estimate": asdict(new.estimate) if new.estimate else None,
        "estimate_pusd": new.estimate.cost_pusd if new.estimate else None,
        "estimate_tokens": new.estimate.tokens if new.estimate else 0,
        "version": 1,
        "stats": asdict(JobStats()),
        "counts": asdict(ranks.counts(ranks.unpack(new.found, rows=new.rows))),
        "usage": asdict(Usage()),
        "created_at": now,
        "updated_at": now,
        "attempts": RESTS if rests else 0,
        "next_action_at": due_at if new.state is BatchState.READY else None,
    }


def is_staged(connection: Connection, submission: Submission) -> bool:
    """Tell whether staging came to its end: before that, some batches may be there, and not all."""
    of_spool = select(spool.c.seq).where(spool.c.submission_id == submission.id).limit(1)
    of_batches = select(batches.c.id).where(batches.c.submission_id == submission.id).limit(1)
    return (
        submission.rows is not None
        and connection.execute(of_spool).first() is None
        and connection.execute(of_batches).first() is not None
    )
