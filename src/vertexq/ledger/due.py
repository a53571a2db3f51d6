"""What is due: the sweeper's questions, the audit trail, and heartbeats."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from sqlalchemy import ColumnElement, Connection, Table, and_, or_, select, update
from sqlalchemy.sql.dml import ReturningUpdate

from vertexq.ledger.base import TABLE_OF, insert_into
from vertexq.ledger.schema import audit, batches, beats
from vertexq.ledger.times import database_now
from vertexq.ledger.values import AuditLine, Due, Record
from vertexq.ledger.watching import Watching
from vertexq.states import BATCH_TERMINAL, SUBMISSION_RESTING, BatchState

_REST = {Record.SUBMISSION: SUBMISSION_RESTING, Record.BATCH: BATCH_TERMINAL}
_UNDER_WAY = (BatchState.SENDING, BatchState.AMBIGUOUS, BatchState.BOUND, BatchState.ONLINE, BatchState.ENDED)


class DueWork(Watching):
    """The part of the ledger that knows what is next."""

    def due(self, *, limit: int, resend_after_s: float) -> list[Due]:
        """Return records that wait for a hint, and note that one is being sent now.

        A record is due when its time has come, nobody holds its lease, and no hint was sent within
        ``resend_after_s`` seconds, or its worker has died since. The longest overdue come first; submissions
        get no more than half while batches wait. Sweepers at the same time get different records.
        """
        with self._writing() as connection:
            now = database_now(connection)
            before = now - timedelta(seconds=max(resend_after_s, 0.0))
            half = limit // 2
            found = _take_due(connection, Record.SUBMISSION, now, before, limit - half)
            found += _take_due(connection, Record.BATCH, now, before, limit - len(found))
            found += _take_due(connection, Record.SUBMISSION, now, before, limit - len(found))
            return found

    def hasten(self, record: Record, record_id: str) -> None:
        """Make a record due now, unless it rests: that would never be taken off the list again."""
        table, rest = TABLE_OF[record], _REST[record]
        with self._writing() as connection:
            now = database_now(connection)
            connection.execute(
                update(table)
                .where(table.c.id == record_id, table.c.state.not_in(sorted(rest)))
                .values(next_action_at=now, hint_sent_at=None)
            )

    def rouse(self, submission_id: str) -> int:
        """Make the batches due that are under way and wait for nothing; return how many there were.

        They were put aside while a person was to decide, or by a worker that died before it said so.
        """
        b = batches.c
        idle = and_(b.submission_id == submission_id, b.state.in_(_UNDER_WAY), b.next_action_at.is_(None))
        with self._reading() as connection:
            if connection.execute(select(b.id).where(idle).limit(1)).first() is None:
                return 0
        with self._writing() as connection:
            now = database_now(connection)
            return connection.execute(
                update(batches).where(idle).values(next_action_at=now, hint_sent_at=None)
            ).rowcount

    def audit(self, record: Record, record_id: str) -> list[AuditLine]:
        """Return every move of a record, the oldest first."""
        names = ("at", "from_state", "to_state", "version", "actor", "reason")
        query = (
            select(*(audit.c[name] for name in names))
            .where(audit.c.record == record.value, audit.c.record_id == record_id)
            .order_by(audit.c.id)
        )
        with self._reading() as connection:
            return [AuditLine(**row) for row in connection.execute(query).mappings()]

    def beat(self, name: str) -> None:
        """Note that something that must happen regularly has happened now."""
        with self._writing() as connection:
            now = database_now(connection)
            statement = insert_into(connection, beats).values(name=name, at=now)
            connection.execute(
                statement.on_conflict_do_update(index_elements=[beats.c.name], set_={"at": now})
            )

    def last_beats(self) -> dict[str, datetime]:
        """Return when each regular thing last happened."""
        with self._reading() as connection:
            return {row.name: row.at for row in connection.execute(select(beats))}


def _take_due(
    connection: Connection, record: Record, now: datetime, before: datetime, limit: int
) -> list[Due]:
    if limit <= 0:
        return []
    taken = connection.execute(taking(TABLE_OF[record], now, before, limit)).all()
    online = _online(connection, [row.id for row in taken]) if record is Record.BATCH else set[str]()
    return [
        Due(
            record=record,
            id=row.id,
            state=row.state,
            project=row.project,
            location=row.location,
            online=row.id in online,
        )
        for row in sorted(taken, key=lambda row: (row.next_action_at, row.id))
    ]


def _online(connection: Connection, ids: Sequence[str]) -> set[str]:
    """Return which of these batches have rows that are answered without a job."""
    query = select(batches.c.id).where(batches.c.id.in_(ids), batches.c.online.is_(True))
    return set(connection.execute(query).scalars()) if ids else set()


def taking(
    table: Table, now: datetime, before: datetime, limit: int
) -> ReturningUpdate[str, str, str, str, datetime]:
    """Return the statement that marks what is due and not hinted since ``before``, and returns it."""
    chosen = (  # a common table expression is run once; a subquery with LIMIT may be run again and lock more
        select(table.c.id)
        .where(_is_due(table, now, before))
        .order_by(table.c.next_action_at)
        .limit(limit)
        .with_for_update(skip_locked=True)
        .cte("chosen")
    )
    return (
        update(table)
        .where(table.c.id.in_(select(chosen.c.id)))
        .values(hint_sent_at=now)
        .returning(table.c.id, table.c.state, table.c.project, table.c.location, table.c.next_action_at)
    )


def _is_due(table: Table, now: datetime, before: datetime) -> ColumnElement[bool]:
    """Tell what waits for a hint: a lease that ran out makes void the hint that led to it."""
    hint, lease = table.c.hint_sent_at, table.c.lease_until
    return and_(
        table.c.next_action_at <= now,
        or_(lease.is_(None), lease < now),
        or_(hint.is_(None), hint < before, hint < lease),
    )
