"""Slots: what is in flight at Google and what it costs, counted where it cannot be outrun.

A slot belongs to a job, not to a worker: it is taken from the moment a paid call is intended until the job
has ended, whoever dies in between.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime

from sqlalchemy import ColumnElement, Connection, Select, and_, case, func, select, text

from vertexq.bounds import Bounds, Held, HeldBy
from vertexq.ledger.base import LedgerPart, check_move
from vertexq.ledger.batches import move_in
from vertexq.ledger.schema import batches
from vertexq.ledger.times import database_now
from vertexq.ledger.values import BatchFields, Claim
from vertexq.model import Batch
from vertexq.states import BATCH_ACTIVE, BatchState

_FREE = (BatchState.READY, BatchState.REFUSED, BatchState.WITHDRAWN, BatchState.ASIDE)
_PAID = (BatchState.INGESTED, BatchState.LOST)


class Slots(LedgerPart):
    """The part of the ledger that lets paid calls begin."""

    def start_sending(
        self, batch: Batch, *, claim: Claim, output_prefix: str, bounds: Bounds
    ) -> Batch | Held:
        """Commit the intent to make the paid call, or say which bound is in the way.

        Counting and moving are one transaction under a lock on the slots, so that racing workers never
        exceed a bound.
        """
        check_move(batch.state, BatchState.SENDING)
        with self._writing() as connection:
            _lock(connection, batch)
            now = database_now(connection)
            held = next(_held(connection, batch, bounds, now), None)
            if held is not None:
                return held
            values = BatchFields(
                attempt=batch.attempt + 1,
                output_prefix=output_prefix,
                sent_at=now,
                looks=0,
                next_action_at=now,
            )
            return move_in(connection, batch, BatchState.SENDING, claim, values, now)


def _lock(connection: Connection, batch: Batch) -> None:
    """Let one worker at a time count, in all locations, as money is the project's; SQLite has one writer."""
    if connection.dialect.name != "sqlite":
        key = text("SELECT pg_advisory_xact_lock(hashtextextended(:project, 0))")
        connection.execute(key, {"project": batch.project})


def _held(connection: Connection, batch: Batch, bounds: Bounds, now: datetime) -> Iterator[Held]:
    """Yield every bound that is in the way."""
    b = batches.c
    flying = and_(
        b.project == batch.project,
        b.location == batch.location,
        b.family == batch.family,
        b.state.in_(sorted(BATCH_ACTIVE)),
    )
    query = select(func.count(), func.sum(b.rows), func.sum(b.estimate_tokens)).where(flying)
    jobs, rows, tokens = (int(value or 0) for value in connection.execute(query).one())
    yield from _over(HeldBy.JOBS, jobs, 1, bounds.jobs)
    if jobs:
        yield from _over(HeldBy.ROWS, rows, batch.rows, bounds.rows)
        wanted = batch.estimate.tokens if batch.estimate else 0
        yield from _over(HeldBy.TOKENS, tokens, wanted, bounds.tokens)
    cost_pusd = (batch.estimate.cost_pusd or 0) if batch.estimate else 0
    if bounds.daily_pusd is not None:
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        spent = _spent(connection, and_(b.project == batch.project, b.sent_at >= today))
        yield from _over(HeldBy.DAILY_CAP, spent, cost_pusd, bounds.daily_pusd)
    if bounds.budget_pusd is not None:
        spent = _spent(connection, b.submission_id == batch.submission_id)
        yield from _over(HeldBy.BUDGET, spent, cost_pusd, bounds.budget_pusd)


def _over(by: HeldBy, taken: int, wanted: int, bound: int | None) -> Iterator[Held]:
    if bound is not None and taken + wanted > bound:
        yield Held(by=by, taken=taken, wanted=wanted, bound=bound)


def _spent(connection: Connection, which: ColumnElement[bool]) -> int:
    """Return what batches cost: the actual cost of those that are paid, the estimate of those in flight."""
    spent = connection.execute(_spending(which)).scalar_one()
    return int(spent or 0)


def _spending(which: ColumnElement[bool]) -> Select[int]:
    b = batches.c
    most = case((b.cost_pusd > func.coalesce(b.estimate_pusd, 0), b.cost_pusd), else_=b.estimate_pusd)
    cost = case((b.state.in_(_FREE), 0), (b.state.in_(_PAID), b.cost_pusd), else_=func.coalesce(most, 0))
    return select(func.sum(cost)).where(which)
