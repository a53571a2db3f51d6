"""Output ranges: pinned once, each under a lease of its own, and accounted for when they are done.

Several workers read the ranges of one batch at the same time. The last one to finish moves the batch on, by a
count in the transaction that notes that its own range is done.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any, Unpack

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, delete, exists, func, or_, select, update

from vertexq.ledger.base import LedgerPart, change, check_claim, insert_into
from vertexq.ledger.batches import move_in
from vertexq.ledger.convert import to_batch
from vertexq.ledger.schema import batches, ranges
from vertexq.ledger.times import database_now
from vertexq.ledger.values import BatchFields, Claim, OutputRange, Record
from vertexq.model import Batch
from vertexq.states import BatchState

_HELD_UP = (BatchState.BOUND.value, BatchState.ENDED.value)
"""States of a batch that say in ``reason`` why its output is not read further."""


class Ranges(LedgerPart):
    """The part of the ledger that knows what a batch has written and how far it is read."""

    def pin_ranges(self, batch: Batch, found: Sequence[OutputRange], *, claim: Claim) -> list[OutputRange]:
        """Write down what is to be ingested; ranges that are pinned already stay as they are."""
        with self._writing() as connection:
            check_claim(connection, claim)
            for one in found:
                statement = insert_into(connection, ranges).values(**asdict(one), id=one.id)
                connection.execute(statement.on_conflict_do_nothing())
        return self.ranges(batch.id)

    def ranges(self, batch_id: str) -> list[OutputRange]:
        """Return a batch's pinned ranges in reading order."""
        query = select(ranges).where(ranges.c.batch_id == batch_id)
        query = query.order_by(ranges.c.object_name, ranges.c.generation, ranges.c.start)
        with self._reading() as connection:
            return [_to_range(row) for row in connection.execute(query).mappings()]

    def take_range(self, batch_id: str, *, owner: str, lease_s: float) -> tuple[Claim, OutputRange] | None:
        """Take the lease on one open range that nobody holds and whose time has come; None without one.

        Early ranges come first, and the others only when no early one is open: so what a final object
        repeats is known when it is read. Callers at the same time get different ranges.
        """
        with self._writing() as connection:
            now = database_now(connection)
            chosen = (
                select(ranges.c.id)
                .where(_is_free(batch_id, now), or_(ranges.c.early, ~_early_open(batch_id)))
                .order_by(ranges.c.object_name, ranges.c.generation, ranges.c.start)
                .limit(1)
                .with_for_update(skip_locked=True)
                .cte("chosen")
            )
            lease = {"lease_owner": owner, "lease_until": now + timedelta(seconds=lease_s)}
            taken = update(ranges).where(ranges.c.id.in_(select(chosen.c.id)))
            taken = taken.values(**lease, fence=ranges.c.fence + 1)
            row = connection.execute(taken.returning(*ranges.c)).mappings().one_or_none()
        if row is None:
            return None
        claim = Claim(record=Record.RANGE, id=row["id"], owner=owner, fence=row["fence"])
        return claim, _to_range(row)

    def free_ranges(self, batch_id: str) -> int:
        """Return how many ranges of a batch are open and held by nobody."""
        with self._reading() as connection:
            free = _is_free(batch_id, database_now(connection))
            return connection.execute(select(func.count()).where(free)).scalar_one()

    def drop_early(self, batch: Batch, *, claim: Claim) -> int:
        """Forget early ranges that nobody has begun to read: a final object holds their rows."""
        with self._writing() as connection:
            check_claim(connection, claim)
            unread = and_(ranges.c.early, ~ranges.c.done, ranges.c.fence == 0)
            mine = ranges.c.batch_id == batch.id
            return connection.execute(delete(ranges).where(mine, unread)).rowcount

    def make_final(self, batch: Batch, *, claim: Claim) -> None:
        """Take a batch's early ranges for its output: there is no other."""
        with self._writing() as connection:
            check_claim(connection, claim)
            connection.execute(update(ranges).where(ranges.c.batch_id == batch.id).values(early=False))

    def put_off_range(
        self, part: OutputRange, *, claim: Claim, wait_s: float, attempts: int, reason: str = ""
    ) -> None:
        """Have a range read again after ``wait_s`` seconds, and note how often in a row that has failed.

        ``reason`` becomes the batch's, until one of its ranges is done; its version stays, as readers of
        other ranges are in nobody's way.
        """
        b = batches.c
        with self._writing() as connection:
            check_claim(connection, claim)
            at = database_now(connection) + timedelta(seconds=wait_s)
            values = {"next_action_at": at, "attempts": attempts}
            connection.execute(update(ranges).where(ranges.c.id == part.id).values(**values))
            if reason:
                held = and_(b.id == part.batch_id, b.state.in_(_HELD_UP))
                connection.execute(update(batches).where(held).values(reason=reason))

    def failures(self, part: OutputRange) -> int:
        """Return how often in a row a range could not be read."""
        query = select(ranges.c.attempts).where(ranges.c.id == part.id)
        with self._reading() as connection:
            return int(connection.execute(query).scalar_one())

    def take_turn(self, batch_id: str, *, again_s: float) -> bool:
        """Take the turn to see after an ended batch; False when somebody had it in the last moments.

        The batch is due again in ``again_s`` seconds, should whoever has the turn, or a range, die.
        """
        b = batches.c
        with self._writing() as connection:
            now = database_now(connection)
            mine = or_(b.next_action_at.is_(None), b.next_action_at <= now)
            turn = update(batches).where(b.id == batch_id, b.state == BatchState.ENDED.value, mine)
            again_at = now + timedelta(seconds=again_s)
            return connection.execute(turn.values(next_action_at=again_at, hint_sent_at=None)).rowcount == 1

    def see_again(self, batch_id: str, *, wait_s: float) -> None:
        """Make an ended batch due in ``wait_s`` seconds, if it was not to be due earlier."""
        b = batches.c
        with self._writing() as connection:
            at = database_now(connection) + timedelta(seconds=wait_s)
            later = or_(b.next_action_at.is_(None), b.next_action_at > at)
            ended = update(batches).where(b.id == batch_id, b.state == BatchState.ENDED.value, later)
            connection.execute(ended.values(next_action_at=at, hint_sent_at=None))

    def finish_range(
        self,
        batch: Batch,
        done: OutputRange,
        *,
        claim: Claim,
        settles: bool = False,
        **values: Unpack[BatchFields],
    ) -> Batch:
        """Mark a range as ingested and bring the batch's account up to date, in one transaction.

        With ``settles``, the batch is ingested when this was the last range of what the job has left: then
        the count of open ranges and the move are in this transaction, too. Raise ``Conflict`` when the batch
        was changed since it was read, ``LeaseLost`` when the claim is not the newest.
        """
        with self._writing() as connection:
            now = database_now(connection)
            check_claim(connection, claim)
            _mark_done(connection, done)
            if settles and batch.state is BatchState.ENDED and _is_all_read(connection, batch.id):
                last: BatchFields = {**values, "attempts": 0}
                return move_in(connection, batch, BatchState.INGESTED, claim, last, now)
            read: BatchFields = {**values, "reason": ""}
            row = change(
                connection, Record.BATCH, batch.id, version=batch.version, now=now, values=read, claim=None
            )
            return to_batch(row)


def _is_free(batch_id: str, now: datetime) -> ColumnElement[bool]:
    lease, due = ranges.c.lease_until, ranges.c.next_action_at
    free = and_(or_(lease.is_(None), lease < now), or_(due.is_(None), due <= now))
    return and_(ranges.c.batch_id == batch_id, ~ranges.c.done, free)


def _early_open(batch_id: str) -> ColumnElement[bool]:
    other = ranges.alias("other")
    return exists().where(other.c.batch_id == batch_id, other.c.early, ~other.c.done)


def _is_all_read(connection: Connection, batch_id: str) -> bool:
    """Tell whether the output of an ended job has been listed and no range of it is open.

    Only when the job has ended are there ranges that are not early.
    """
    mine = ranges.c.batch_id == batch_id
    count = select(func.count()).select_from(ranges)
    open_ones = connection.execute(count.where(mine, ~ranges.c.done)).scalar_one()
    return not open_ones and connection.execute(count.where(mine, ~ranges.c.early)).scalar_one() > 0


def _mark_done(connection: Connection, done: OutputRange) -> None:
    freed: dict[str, Any] = {"lease_owner": None, "lease_until": None, "attempts": 0}
    marked = connection.execute(update(ranges).where(ranges.c.id == done.id).values(done=True, **freed))
    if marked.rowcount != 1:
        raise ValueError(
            f"{done.object_name}#{done.generation}@{done.start} was never pinned for {done.batch_id}"
        )


def _to_range(row: RowMapping) -> OutputRange:
    return OutputRange(**{field.name: row[field.name] for field in fields(OutputRange)})
