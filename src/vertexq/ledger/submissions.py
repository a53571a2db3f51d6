"""Submissions: enqueue, look up, move, cancel; and the spool of rows that are not staged yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Unpack

from sqlalchemy import Connection, delete, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from vertexq.errors import IdConflict
from vertexq.ledger.base import LedgerPart, change, check_move, fetch, write_audit
from vertexq.ledger.caller import enqueue_on
from vertexq.ledger.convert import new_submission_row, to_submission
from vertexq.ledger.schema import batches, spool, submissions
from vertexq.ledger.times import database_now
from vertexq.ledger.values import Claim, Record, SubmissionFields
from vertexq.model import NewSubmission, Submission
from vertexq.states import SUBMISSION_TERMINAL, BatchState, SubmissionState

PRODUCER = "producer"
"""The actor of moves that no worker made."""


class Submissions(LedgerPart):
    """The part of the ledger that knows submissions."""

    def enqueue(
        self, new: NewSubmission, chunks: Iterable[bytes] = (), *, connection: object | None = None
    ) -> tuple[Submission, bool]:
        """Write a submission and its spool in one transaction; return it, and whether it is a new one.

        The same id with the same fingerprint is the submission that is there; if it was parked, it goes on.
        Another fingerprint raises ``IdConflict``. With ``connection`` everything happens in the caller's
        transaction, which is left open.
        """
        if connection is not None:
            return enqueue_on(connection, new, chunks)
        with self._writing() as own:
            if _insert(own, new, chunks, database_now(own)):
                return to_submission(fetch(own, Record.SUBMISSION, new.id)), True
            known = to_submission(fetch(own, Record.SUBMISSION, new.id))
            if known.fingerprint != new.fingerprint:
                raise IdConflict(conflict_text(new.id))
            return _go_on(own, known), False

    def submission(self, submission_id: str) -> Submission:
        """Return a submission; raise ``UnknownSubmission``."""
        with self._reading() as connection:
            return to_submission(fetch(connection, Record.SUBMISSION, submission_id))

    def submissions(self, *, states: Collection[SubmissionState] = (), limit: int = 100) -> list[Submission]:
        """Return submissions, the newest first."""
        query = select(submissions).order_by(submissions.c.created_at.desc(), submissions.c.id).limit(limit)
        if states:
            query = query.where(submissions.c.state.in_([state.value for state in states]))
        with self._reading() as connection:
            return [to_submission(row) for row in connection.execute(query).mappings()]

    def spool(self, submission_id: str) -> Iterator[bytes]:
        """Yield the spool's chunks in order; one at a time is in memory and no transaction stays open."""
        seq = 0
        while (data := self._chunk(submission_id, seq)) is not None:
            yield data
            seq += 1

    def drop_spool(self, submission_id: str) -> None:
        """Delete the spool of a submission that needs it no more."""
        with self._writing() as connection:
            connection.execute(delete(spool).where(spool.c.submission_id == submission_id))

    def request_cancel(self, submission_id: str) -> Submission:
        """Note that a submission is to stop; one that has ended stays as it is."""
        with self._writing() as connection:
            known = to_submission(fetch(connection, Record.SUBMISSION, submission_id))
            stopping = known.state in SUBMISSION_TERMINAL or known.state is SubmissionState.SETTLING
            if stopping or known.state is SubmissionState.CANCELLING:
                return known
            now = database_now(connection)
            connection.execute(
                update(submissions)
                .where(submissions.c.id == submission_id)
                .values(cancel_requested=True, hint_sent_at=None)
            )
            if known.state is SubmissionState.STAGING:  # the stage step looks at the flag when it is done
                return to_submission(fetch(connection, Record.SUBMISSION, submission_id))
            return _move(connection, known, SubmissionState.CANCELLING, None, {"next_action_at": now}, now)

    def move_submission(
        self,
        submission: Submission,
        to: SubmissionState,
        *,
        claim: Claim | None = None,
        **values: Unpack[SubmissionFields],
    ) -> Submission:
        """Move a submission; without ``next_action_at`` nothing more is due for it."""
        check_move(submission.state, to)
        with self._writing() as connection:
            return _move(connection, submission, to, claim, values, database_now(connection))

    def update_submission(
        self, submission: Submission, *, claim: Claim | None = None, **values: Unpack[SubmissionFields]
    ) -> Submission:
        """Change fields of a submission without moving it."""
        with self._writing() as connection:
            now = database_now(connection)
            row = change(
                connection, Record.SUBMISSION, submission.id,
                version=submission.version, now=now, values={**values, "hint_sent_at": None}, claim=claim,
            )  # fmt: skip
            return to_submission(row)

    def _chunk(self, submission_id: str, seq: int) -> bytes | None:
        query = select(spool.c.data).where(spool.c.submission_id == submission_id, spool.c.seq == seq)
        with self._reading() as connection:
            return connection.execute(query).scalar_one_or_none()


def conflict_text(submission_id: str) -> str:
    """Say what an id conflict means."""
    return (
        f"submission {submission_id!r} exists with different content (rows, model, store or options); "
        "use another id, or enqueue exactly what was enqueued before"
    )


def _insert(connection: Connection, new: NewSubmission, chunks: Iterable[bytes], now: datetime) -> bool:
    """Insert the submission unless its id is taken; of two racing processes one gets True."""
    dialect = sqlite if connection.dialect.name == "sqlite" else postgresql
    values = new_submission_row(new, now)
    statement = dialect.insert(submissions).values(**values).on_conflict_do_nothing()
    if not connection.execute(statement.returning(submissions.c.id)).all():
        return False
    for seq, data in enumerate(chunks):
        connection.execute(insert(spool).values(submission_id=new.id, seq=seq, data=data))
    row = fetch(connection, Record.SUBMISSION, new.id)
    write_audit(connection, Record.SUBMISSION, row, came_from="", now=now, actor=PRODUCER)
    return True


def _go_on(connection: Connection, known: Submission) -> Submission:
    """Take a parked submission up again: what was refused is ready to be sent once more."""
    if known.state is not SubmissionState.PARKED:
        return known
    now = database_now(connection)
    refused = connection.execute(
        select(batches).where(
            batches.c.submission_id == known.id, batches.c.state == BatchState.REFUSED.value
        )
    ).mappings()
    for row in refused.all():
        moved = change(
            connection, Record.BATCH, row["id"], version=row["version"], now=now, claim=None,
            values={"state": BatchState.READY.value, "reason": "", "attempts": 0},
        )  # fmt: skip
        write_audit(
            connection, Record.BATCH, moved, came_from=BatchState.REFUSED.value, now=now, actor=PRODUCER
        )
    open_batches = batches.c.state.in_([state.value for state in BatchState if state not in _ENDED])
    found = connection.execute(
        update(batches)
        .where(batches.c.submission_id == known.id, open_batches)
        .values(next_action_at=now, hint_sent_at=None, attempts=0)
    )
    staged = found.rowcount > 0 or _has_batches(connection, known.id)
    to = SubmissionState.RUNNING if staged else SubmissionState.QUEUED
    return _move(connection, known, to, None, {"next_action_at": now, "reason": "", "attempts": 0}, now)


_ENDED = frozenset({BatchState.INGESTED, BatchState.REFUSED, BatchState.LOST, BatchState.WITHDRAWN})


def _has_batches(connection: Connection, submission_id: str) -> bool:
    query = select(batches.c.id).where(batches.c.submission_id == submission_id).limit(1)
    return connection.execute(query).first() is not None


def _move(
    connection: Connection,
    submission: Submission,
    to: SubmissionState,
    claim: Claim | None,
    values: SubmissionFields,
    now: datetime,
) -> Submission:
    check_move(submission.state, to)
    changed = {"next_action_at": None, **values, "state": to.value, "hint_sent_at": None}
    if to in SUBMISSION_TERMINAL:
        changed["finished_at"] = now
    row = change(
        connection, Record.SUBMISSION, submission.id,
        version=submission.version, now=now, values=changed, claim=claim,
    )  # fmt: skip
    actor = claim.owner if claim else PRODUCER
    write_audit(connection, Record.SUBMISSION, row, came_from=submission.state.value, now=now, actor=actor)
    return to_submission(row)
