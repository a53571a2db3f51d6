"""Submissions: enqueue, look up, move, cancel; and the spool of rows that are not staged yet."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator
from datetime import datetime
from typing import Any, Unpack

from sqlalchemy import Connection, and_, case, delete, insert, literal, select, update
from sqlalchemy.dialects import postgresql, sqlite

from vertexq.deadlines import is_late
from vertexq.errors import IdConflict
from vertexq.ledger.announcements import announce_end
from vertexq.ledger.at_once import at_once
from vertexq.ledger.base import LedgerPart, change, check_move, fetch, write_audit
from vertexq.ledger.caller import borrowed
from vertexq.ledger.convert import deadline_at, new_submission_row, to_submission
from vertexq.ledger.schema import batches, spool, submissions
from vertexq.ledger.staging import is_staged
from vertexq.ledger.times import UtcDateTime, database_now
from vertexq.ledger.translation import translated
from vertexq.ledger.values import Claim, Record, SubmissionFields
from vertexq.model import NewSubmission, SourceKind, Submission, Terms
from vertexq.states import BATCH_TERMINAL, SUBMISSION_TERMINAL, BatchState, SubmissionState

PRODUCER = "producer"
"""The actor of moves that no worker made."""


_INSERTS = {  # built once: building one takes longer than running it
    name: dialect.insert(submissions).on_conflict_do_nothing().returning(*submissions.c)
    for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
}


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
        if connection is None:
            if new.source_kind is not SourceKind.SPOOL and (made := self._at_once(new)):
                return made, True
            with self._writing() as own:
                return _enqueue(own, new, chunks)
        with translated(self._engine), borrowed(connection, self._engine) as theirs:
            return _enqueue(theirs, new, chunks)

    def submission(self, submission_id: str) -> Submission:
        """Return a submission; raise ``UnknownSubmission``."""
        with self._reading() as connection:
            return to_submission(fetch(connection, Record.SUBMISSION, submission_id))

    def submissions(self, *, states: Collection[SubmissionState] = (), limit: int = 100) -> list[Submission]:
        """Return submissions, the newest first."""
        query = select(submissions).order_by(submissions.c.created_at.desc(), submissions.c.id).limit(limit)
        if states:
            query = query.where(submissions.c.state.in_(sorted(states)))
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
        """Note that a submission is to stop; one that has ended stays as it is. Safe to repeat.

        Whoever stages or settles it is not disturbed: that step looks at ``cancel_requested`` at its end.
        When nobody has a submission that is being staged in hand, as its worker died, it stops at once.
        """
        with self._writing() as connection:
            known = to_submission(fetch(connection, Record.SUBMISSION, submission_id, locked=True))
            if known.state in SUBMISSION_TERMINAL or known.state is SubmissionState.CANCELLING:
                return known
            now = database_now(connection)
            connection.execute(
                update(submissions)
                .where(submissions.c.id == submission_id)
                .values(cancel_requested=True, updated_at=now, hint_sent_at=None)
            )
            if known.state is SubmissionState.SETTLING or _in_hand(connection, known, now):
                return to_submission(fetch(connection, Record.SUBMISSION, submission_id))
            return move_in(connection, known, SubmissionState.CANCELLING, None, {"next_action_at": now}, now)

    def move_submission(
        self,
        submission: Submission,
        to: SubmissionState,
        *,
        claim: Claim | None = None,
        **values: Unpack[SubmissionFields],
    ) -> Submission:
        """Move a submission; without ``next_action_at`` nothing is due, without ``reason`` it has none.

        Raise ``Conflict`` or ``LeaseLost`` when somebody else was first, ``ValueError`` for an illegal move.
        """
        check_move(submission.state, to)
        with self._writing() as connection:
            return move_in(connection, submission, to, claim, values, database_now(connection))

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

    def _at_once(self, new: NewSubmission) -> Submission | None:
        """Enqueue without a spool in one round trip; None when the id is taken, or the database cannot."""
        if self._engine.dialect.name == "sqlite":
            return None
        with (
            translated(self._engine),
            self._engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection,
        ):
            row = connection.execute(*at_once(new, PRODUCER)).mappings().one_or_none()
            return None if row is None else to_submission(row)

    def _chunk(self, submission_id: str, seq: int) -> bytes | None:
        query = select(spool.c.data).where(spool.c.submission_id == submission_id, spool.c.seq == seq)
        with self._reading() as connection:
            return connection.execute(query).scalar_one_or_none()


def _in_hand(connection: Connection, known: Submission, now: datetime) -> bool:
    """Tell whether a worker is staging a submission."""
    until = select(submissions.c.lease_until).where(submissions.c.id == known.id)
    held = connection.execute(until).scalar_one()
    return known.state is SubmissionState.STAGING and held is not None and held >= now


def _enqueue(connection: Connection, new: NewSubmission, chunks: Iterable[bytes]) -> tuple[Submission, bool]:
    """Insert the submission unless its id is taken; of two racing processes one creates it."""
    now = database_now(connection)
    statement = _INSERTS[connection.dialect.name]
    row = connection.execute(statement, new_submission_row(new, now)).mappings().one_or_none()
    if row is None:
        known = to_submission(fetch(connection, Record.SUBMISSION, new.id, locked=True))
        return _again(connection, known, new, now), False
    for seq, data in enumerate(chunks):
        connection.execute(insert(spool).values(submission_id=new.id, seq=seq, data=data))
    write_audit(connection, Record.SUBMISSION, row, came_from="", now=now, actor=PRODUCER)
    return to_submission(row), True


def _again(connection: Connection, known: Submission, new: NewSubmission, now: datetime) -> Submission:
    """Return what is there already; a parked submission goes on."""
    if known.fingerprint != new.fingerprint:
        raise IdConflict(
            f"submission {known.id!r} exists since {known.created_at:%Y-%m-%d %H:%M:%S} UTC with other "
            "content (rows, model, store or options); use another id, or enqueue exactly what was enqueued"
        )
    if known.terms != new.terms and known.state not in SUBMISSION_TERMINAL:
        known = _with_terms(connection, known, new.terms, now)
    return _go_on(connection, known, now) if known.state is SubmissionState.PARKED else known


def _with_terms(connection: Connection, known: Submission, terms: Terms, now: datetime) -> Submission:
    """Let new terms hold from now on; a new deadline is counted from now.

    Once one has passed and jobs are being stopped for it, the new one is for the next round.
    """
    values: dict[str, Any] = {"terms": terms}
    stopping = is_late(known, now) and is_staged(connection, known)
    if terms.deadline_s != known.terms.deadline_s and not stopping:
        values["deadline_at"] = deadline_at(terms, now)
    row = change(
        connection, Record.SUBMISSION, known.id, version=known.version, now=now, values=values, claim=None
    )
    connection.execute(
        update(batches).where(batches.c.submission_id == known.id).values(priority=terms.priority)
    )
    return to_submission(row)


def _go_on(connection: Connection, known: Submission, now: datetime) -> Submission:
    """Take a parked submission up again: what was refused is ready once more, and waits for its turn.

    A refused batch whose rows another one has taken over is not sent again.
    """
    ours = select(batches).where(batches.c.submission_id == known.id, batches.c.successor == "")
    refused = connection.execute(ours.where(batches.c.state == BatchState.REFUSED)).mappings()
    for row in refused.all():
        values = {"state": BatchState.READY, "reason": ""}
        moved = change(
            connection, Record.BATCH, row["id"], version=row["version"], now=now, values=values, claim=None
        )
        write_audit(connection, Record.BATCH, moved, came_from=BatchState.REFUSED, now=now, actor=PRODUCER)
    ready = and_(batches.c.state == BatchState.READY, batches.c.online.is_(False))
    waits = case((ready, None), else_=literal(now, UtcDateTime()))  # a CASE does not know its column's type
    connection.execute(
        update(batches)
        .where(batches.c.submission_id == known.id, batches.c.state.not_in(sorted(BATCH_TERMINAL)))
        .values(next_action_at=waits, hint_sent_at=None, attempts=0)
    )
    changed = SubmissionFields(next_action_at=now, attempts=0)
    if is_staged(connection, known):
        return move_in(connection, known, SubmissionState.RUNNING, None, changed, now)
    if is_late(known, now):  # nothing has begun, so nothing is late: it has its whole time again
        changed["deadline_at"] = deadline_at(known.terms, now)
    return move_in(connection, known, SubmissionState.QUEUED, None, changed, now)


def move_in(
    connection: Connection,
    submission: Submission,
    to: SubmissionState,
    claim: Claim | None,
    values: SubmissionFields,
    now: datetime,
) -> Submission:
    """Move a submission within a transaction; without ``next_action_at`` nothing is due for it."""
    check_move(submission.state, to)
    changed: dict[str, Any] = {
        "reason": "", "next_action_at": None, **values, "state": to, "hint_sent_at": None,
        "finished_at": now if to in SUBMISSION_TERMINAL else None,
    }  # fmt: skip
    row = change(
        connection, Record.SUBMISSION, submission.id,
        version=submission.version, now=now, values=changed, claim=claim,
    )  # fmt: skip
    actor = claim.owner if claim else PRODUCER
    write_audit(connection, Record.SUBMISSION, row, came_from=submission.state, now=now, actor=actor)
    announce_end(connection, row, now)
    return to_submission(row)
