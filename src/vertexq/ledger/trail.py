"""The audit trail of a submission and its batches, read in parts so that no line is missed or read twice.

Lines are numbered when they are written and appear when their transaction commits, so on PostgreSQL a smaller
number may appear after a larger one. ``Trail.final`` is the number up to which nothing can appear any more.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, func, select, text, union_all

from vertexq.ledger.base import LedgerPart
from vertexq.ledger.schema import audit, batches, submissions
from vertexq.ledger.values import Record

PAGE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class TrailLine:
    """One move of a submission or of one of its batches."""

    id: int
    record: Record
    record_id: str
    at: datetime
    from_state: str
    to_state: str
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Horizon:
    """A moment of the database: the last number that shows, and who was still writing then.

    ``oldest`` and ``next`` are PostgreSQL's ``xmin`` and ``xmax`` of a snapshot (its documentation, section
    9.27.10); SQLite has one writer at a time, and both are 0.
    """

    last: int
    oldest: int
    next: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Trail:
    """Lines in the order of their numbers; up to ``final`` none can appear later."""

    lines: tuple[TrailLine, ...]
    final: int
    horizon: Horizon
    is_full: bool


class Trails(LedgerPart):
    """The part of the ledger that tells what happened to a submission."""

    def pulse(self, submission_id: str) -> tuple[object, ...]:
        """Return values that change whenever the submission or one of its batches does; cheap to ask."""
        s, b = submissions.c, batches.c
        version = select(s.version).where(s.id == submission_id).scalar_subquery()
        of_batches = (func.count(), func.sum(b.version), func.max(b.updated_at))
        query = select(version, *of_batches).where(b.submission_id == submission_id)
        with self._reading() as connection:
            return tuple(connection.execute(query).one())

    def trail(
        self, submission_id: str, *, after: int, known: Horizon | None = None, limit: int = PAGE
    ) -> Trail:
        """Return the lines numbered above ``after``; ``known`` is the horizon of the look before this one."""
        with self._reading() as connection:
            horizon = _horizon(connection)
            lines = _lines(connection, submission_id, after, limit)
        return Trail(
            lines=lines,
            final=_final(horizon, known),
            horizon=horizon,
            is_full=len(lines) == limit,
        )


def _final(now: Horizon, before: Horizon | None) -> int:
    """Return the number up to which every transaction that could still show a line has ended.

    Whoever begins later draws a larger number than the last that showed. So when nobody is writing now, that
    is the last one; else it is the last one of the look before, once all who wrote then have ended.
    """
    if now.oldest == now.next:
        return now.last
    return before.last if before is not None and now.oldest >= before.next else 0


def _horizon(connection: Connection) -> Horizon:
    last = func.coalesce(func.max(audit.c.id), 0).label("last")
    if connection.dialect.name == "sqlite":
        return Horizon(last=connection.execute(select(last)).scalar_one(), oldest=0, next=0)
    snapshot = text(
        "pg_snapshot_xmin(pg_current_snapshot())::text AS oldest,"
        " pg_snapshot_xmax(pg_current_snapshot())::text AS next"
    )
    row = connection.execute(select(last, snapshot)).one()
    return Horizon(last=row.last, oldest=int(row.oldest), next=int(row.next))


def _lines(connection: Connection, submission_id: str, after: int, limit: int) -> tuple[TrailLine, ...]:
    a = audit.c
    columns = (a.id, a.record, a.record_id, a.at, a.from_state, a.to_state, a.reason)
    own = select(*columns).where(
        a.record == Record.SUBMISSION.value, a.record_id == submission_id, a.id > after
    )
    theirs = (
        select(*columns)
        .join(batches, batches.c.id == a.record_id)
        .where(a.record == Record.BATCH.value, batches.c.submission_id == submission_id, a.id > after)
    )
    both = union_all(own, theirs).subquery()
    found = connection.execute(select(both).order_by(both.c.id).limit(limit)).mappings()
    return tuple(map(_line, found))


def _line(row: RowMapping) -> TrailLine:
    names = ("id", "record_id", "at", "from_state", "to_state", "reason")
    values: dict[str, Any] = {name: row[name] for name in names}
    return TrailLine(record=Record(row["record"]), **values)
