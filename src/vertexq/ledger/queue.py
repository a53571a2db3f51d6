"""The queue of ready batches: who is next when jobs are fewer than batches that wait.

A ready batch waits while its ``next_action_at`` is null. Handing it out makes it due; it is in flight from
then on. One that rests (``RESTS``) is in nobody's way before its time; then it gets into the line like any
other. ``docs/operations.md`` says in words what the order is.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    ColumnElement,
    Connection,
    Float,
    FromClause,
    Row,
    and_,
    case,
    func,
    literal,
    literal_column,
    or_,
    select,
    text,
    union_all,
    update,
)

from vertexq.bounds import Bounds
from vertexq.ledger.base import LedgerPart
from vertexq.ledger.schema import batches, submissions
from vertexq.ledger.times import database_now
from vertexq.rounds import RESTS
from vertexq.states import BATCH_ACTIVE, BatchState, SubmissionState

PIPELINE = 16
"""At most so many batches of a place and family are handed out and not sent yet; more would only queue up."""
STUCK_ATTEMPTS = 3
"""A batch that failed to be sent so often in a row holds no place in the pipeline: others may have more luck.

It is tried again when its wait is over; should the slots be taken then, it goes back into the line.
"""
LONGEST_MEMORY = 256
"""How many of the last jobs are looked at, at most, when there are fewer slots than tenants."""

_IS_READY = batches.c.state == literal_column(f"'{BatchState.READY}'")  # literal, as the index has it
_NEEDS_A_JOB = batches.c.online.is_(False)
_WAITS = and_(_IS_READY, _NEEDS_A_JOB, batches.c.next_action_at.is_(None))
_HANDED_OUT = and_(
    _IS_READY,
    _NEEDS_A_JOB,
    batches.c.next_action_at.is_not(None),
    batches.c.attempts > RESTS,
    batches.c.attempts < STUCK_ATTEMPTS,
)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Flight:
    """What is in flight of one family in one place, and what of it has not been sent yet."""

    jobs: int = 0
    rows: int = 0
    tokens: int = 0
    unsent: int = 0

    def room(self, bounds: Bounds) -> int:
        """Return how many more batches may be handed out; none before half of the pipeline is used up."""
        if self.unsent > PIPELINE // 2:
            return 0
        return max(min(bounds.jobs - self.jobs, PIPELINE - self.unsent), 0)


class Queue(LedgerPart):
    """The part of the ledger that says whose turn it is."""

    def waiting_places(self) -> list[tuple[str, str]]:
        """Return the (project, location) pairs in which batches wait for their turn."""
        query = select(batches.c.project, batches.c.location).where(_WAITS).distinct()
        with self._reading() as connection:
            return [(row.project, row.location) for row in connection.execute(query)]

    def hand_out(
        self, project: str, location: str, *, bounds: Bounds, shares: Mapping[str, float]
    ) -> list[str]:
        """Make the batches due whose turn it is, and return their ids in that order.

        ``bounds`` holds for each family; those with a number of jobs of their own wait in one line for all
        locations of the project, and any of these may be handed out here. Tenants share the slots by weight
        (``shares``, 1.0 for all others): the order is by (jobs of the tenant in flight + its n-th batch that
        waits) / weight. Within a tenant the higher priority comes first, then the submission with fewer
        batches in flight, then the older one. Only batches of running submissions have a turn. Any number of
        callers do no harm.
        """
        with self._reading() as connection:
            if not list(_open_lines(connection, project, location, bounds)):
                return []
        with self._writing() as connection:
            _lock(connection, project)
            return [
                batch_id
                for line in list(_open_lines(connection, project, location, bounds))
                for batch_id in _hand_out(connection, *line, shares)
            ]


def _lock(connection: Connection, project: str) -> None:
    """Let one caller at a time hand out in a project: the pipeline stays small. SQLite has one writer."""
    if connection.dialect.name != "sqlite":
        key = text("SELECT pg_advisory_xact_lock(hashtextextended(:place, 1))")
        connection.execute(key, {"place": project})


def _open_lines(
    connection: Connection, project: str, location: str, bounds: Bounds
) -> Iterator[tuple[ColumnElement[bool], _Flight, Bounds]]:
    """Yield the families that have batches waiting and room for them, with what bounds each."""
    b = batches.c
    everywhere, here = b.project == project, b.location == location
    in_line = or_(here, b.family.in_(sorted(bounds.family_jobs))) if bounds.family_jobs else here
    families = select(b.family).where(everywhere, in_line, _WAITS).distinct()
    for (name,) in connection.execute(families).all():
        line = and_(everywhere, b.family == name)
        where = line if name in bounds.family_jobs else and_(line, here)
        flight, own = _flight(connection, where), bounds.of(name)
        if flight.room(own):
            yield where, flight, own


def _flight(connection: Connection, where: ColumnElement[bool]) -> _Flight:
    flying = _flying(where)
    unsent = func.sum(case((flying.c.state == BatchState.READY, 1), else_=0))
    query = select(func.count(), func.sum(flying.c.rows), func.sum(flying.c.estimate_tokens), unsent)
    jobs, rows, tokens, waiting = connection.execute(query.select_from(flying)).one()
    return _Flight(jobs=jobs, rows=int(rows or 0), tokens=int(tokens or 0), unsent=int(waiting or 0))


def _flying(where: ColumnElement[bool]) -> FromClause:
    """Return what holds a slot, or was handed out and is about to ask for one."""
    b = batches.c
    columns = (b.tenant, b.submission_id, b.state, b.rows, b.estimate_tokens, b.sent_at)
    sent = select(*columns).where(where, b.state.in_(sorted(BATCH_ACTIVE)))
    return union_all(sent, select(*columns).where(where, _HANDED_OUT)).subquery()


def _hand_out(
    connection: Connection,
    where: ColumnElement[bool],
    flight: _Flight,
    bounds: Bounds,
    shares: Mapping[str, float],
) -> list[str]:
    memory = _memory(connection, where, bounds.jobs, shares)
    found = connection.execute(_order(connection, where, memory, shares, flight.room(bounds))).all()
    chosen = [row.id for row in _that_fit(found, flight, bounds)]
    now = database_now(connection)
    connection.execute(
        update(batches)
        .where(batches.c.id.in_(chosen), _WAITS)
        .values(next_action_at=now, hint_sent_at=now, attempts=0)
    )
    return chosen


def _that_fit(found: Sequence[Row[Any]], flight: _Flight, bounds: Bounds) -> Iterator[Row[Any]]:
    """Yield batches until one would break a bound; those after it must not overtake it for ever."""
    jobs, rows, tokens = flight.jobs, flight.rows, flight.tokens
    for one in found:
        rows, tokens = rows + one.rows, tokens + one.estimate_tokens
        over = bounds.rows is not None and rows > bounds.rows
        if jobs and (over or (bounds.tokens is not None and tokens > bounds.tokens)):
            return
        jobs += 1
        yield one


def _memory(
    connection: Connection, where: ColumnElement[bool], slots: int, shares: Mapping[str, float]
) -> int:
    """Return how many of the last jobs count beside those in flight: none while every tenant can have a slot.

    With fewer slots than that, jobs in flight say too little: with one slot the heaviest tenant would always
    be next. Of the last sum(weights) / min(weights) jobs every tenant is due one at least.
    """
    waiting = select(batches.c.tenant).where(where, _WAITS)
    tenants = connection.execute(waiting.union(select(_flying(where).c.tenant))).scalars().all()
    weights = [shares.get(tenant, 1.0) for tenant in tenants]
    needed = math.ceil(sum(weights) / min(weights)) if weights else 0
    return min(needed, LONGEST_MEMORY) if needed > slots else 0


def _order(
    connection: Connection, where: ColumnElement[bool], memory: int, shares: Mapping[str, float], limit: int
) -> Any:
    """Return the statement that finds who is next."""
    served = _served(where, memory)
    line = _line(where, database_now(connection))
    taken = func.coalesce(served.c.jobs, 0)
    position = (taken + line.c.place) / _weight(line.c.tenant, shares)
    return (
        select(line.c.id, line.c.rows, line.c.estimate_tokens)
        .select_from(line.outerjoin(served, served.c.tenant == line.c.tenant))
        .order_by(position, served.c.last.asc().nulls_first(), line.c.created_at, line.c.id)
        .limit(limit)
    )


def _weight(tenant: ColumnElement[str], shares: Mapping[str, float]) -> ColumnElement[float]:
    usual: ColumnElement[float] = literal_column("1.0", Float())
    if not shares:
        return usual
    return case(*((tenant == name, literal(float(share))) for name, share in shares.items()), else_=usual)


def _served(where: ColumnElement[bool], memory: int) -> FromClause:
    """Return what each tenant has: its jobs in flight, and those that ended of the last ``memory`` jobs."""
    b = batches.c
    flying = _flying(where)
    last = select(b.tenant, b.state, b.sent_at).where(where, b.sent_at.is_not(None))
    recent = last.order_by(b.sent_at.desc()).limit(memory).subquery()
    busy = sorted({*BATCH_ACTIVE, BatchState.READY})
    ended = select(recent.c.tenant, recent.c.sent_at).where(recent.c.state.not_in(busy))
    both = union_all(select(flying.c.tenant, flying.c.sent_at), ended).subquery()
    return (
        select(both.c.tenant, func.count().label("jobs"), func.max(both.c.sent_at).label("last"))
        .group_by(both.c.tenant)
        .subquery("served")
    )


def _line(where: ColumnElement[bool], now: Any) -> FromClause:
    """Return the batches that wait, each with its place in its tenant's line, from 1."""
    b, s = batches.c, submissions.c
    flying = _flying(where)
    mine = (
        select(flying.c.submission_id, func.count().label("jobs")).group_by(flying.c.submission_id).subquery()
    )
    ahead = func.row_number().over(partition_by=b.submission_id, order_by=b.ordinal)
    turn = (func.coalesce(mine.c.jobs, 0) + ahead).label("turn")
    columns = (
        b.id,
        b.tenant,
        b.rows,
        b.estimate_tokens,
        b.priority,
        b.created_at,
        b.submission_id,
        b.ordinal,
    )
    waiting = (
        select(*columns, turn)
        .select_from(
            batches.join(submissions, s.id == b.submission_id).outerjoin(
                mine, mine.c.submission_id == b.submission_id
            )
        )
        .where(where, _WAITS, s.state == SubmissionState.RUNNING)
        .where(s.deadline_at.is_(None) | (s.deadline_at > now))
        .subquery()
    )
    w = waiting.c
    order = (w.priority.desc(), w.turn, w.created_at, w.submission_id, w.ordinal)
    place = func.row_number().over(partition_by=w.tenant, order_by=order)
    return select(w.id, w.tenant, w.rows, w.estimate_tokens, w.created_at, place.label("place")).subquery(
        "line"
    )
