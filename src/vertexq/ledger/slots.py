"""Slots: what is in flight at Google and what it costs, counted where it cannot be outrun.

A slot belongs to a job, not to a worker: it is taken from the moment a paid call is intended until the job
has ended, whoever dies in between.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import datetime

from sqlalchemy import Connection, and_, func, select, text

from vertexq.bounds import Bounds, Held, HeldBy
from vertexq.ledger.base import LedgerPart, check_move
from vertexq.ledger.batches import move_in
from vertexq.ledger.schema import batches
from vertexq.ledger.spending import sent_today, spent
from vertexq.ledger.times import database_now
from vertexq.ledger.values import BatchFields, Claim
from vertexq.model import Batch
from vertexq.states import BATCH_ACTIVE, BatchState

HeldBack = Callable[[Connection, Batch, Bounds, datetime], Iterator[Held]]
"""Yields every bound that is in the way of an attempt."""


class Slots(LedgerPart):
    """The part of the ledger that lets paid calls begin."""

    def start_sending(
        self, batch: Batch, *, claim: Claim, output_prefix: str, bounds: Bounds
    ) -> Batch | Held:
        """Commit the intent to make the paid call, or say which bound is in the way.

        Counting and moving are one transaction under a lock on the slots, so that racing workers never
        exceed a bound.
        """
        more = BatchFields(output_prefix=output_prefix, looks=0)
        return self._start(batch, BatchState.SENDING, claim, more, bounds, _held)

    def start_online(self, batch: Batch, *, claim: Claim, output_prefix: str, bounds: Bounds) -> Batch | Held:
        """Commit the intent to have rows answered one by one, or say which bound on money is in the way.

        There is no job, so no slot is taken; what it may cost counts like a job's.
        """
        more = BatchFields(output_prefix=output_prefix, attempts=0)
        return self._start(batch, BatchState.ONLINE, claim, more, bounds, _held_by_money)

    def _start(
        self,
        batch: Batch,
        to: BatchState,
        claim: Claim,
        more: BatchFields,
        bounds: Bounds,
        held_by: HeldBack,
    ) -> Batch | Held:
        """Begin an attempt, unless a bound is in the way."""
        check_move(batch.state, to)
        with self._writing() as connection:
            _lock(connection, batch)
            now = database_now(connection)
            held = next(held_by(connection, batch, bounds, now), None)
            if held is not None:
                return held
            begun = BatchFields(attempt=batch.attempt + 1, sent_at=now, next_action_at=now)
            return move_in(connection, batch, to, claim, begun | more, now)


def _lock(connection: Connection, batch: Batch) -> None:
    """Let one worker at a time count, in all locations, as money is the project's; SQLite has one writer."""
    if connection.dialect.name != "sqlite":
        key = text("SELECT pg_advisory_xact_lock(hashtextextended(:project, 0))")
        connection.execute(key, {"project": batch.project})


def _held(connection: Connection, batch: Batch, bounds: Bounds, now: datetime) -> Iterator[Held]:
    """Yield every bound that is in the way."""
    b = batches.c
    flying = and_(b.project == batch.project, b.family == batch.family, b.state.in_(sorted(BATCH_ACTIVE)))
    if batch.family not in bounds.family_jobs:
        flying = and_(flying, b.location == batch.location)
    query = select(func.count(), func.sum(b.rows), func.sum(b.estimate_tokens)).where(flying)
    jobs, rows, tokens = (int(value or 0) for value in connection.execute(query).one())
    yield from _over(HeldBy.JOBS, jobs, 1, bounds.of(batch.family).jobs)
    if jobs:
        yield from _over(HeldBy.ROWS, rows, batch.rows, bounds.rows)
        wanted = batch.estimate.tokens if batch.estimate else 0
        yield from _over(HeldBy.TOKENS, tokens, wanted, bounds.tokens)
    yield from _held_by_money(connection, batch, bounds, now)


def _held_by_money(connection: Connection, batch: Batch, bounds: Bounds, now: datetime) -> Iterator[Held]:
    """Yield the cap and the budget; without an estimate a budget cannot be kept, so it is in the way."""
    cost_pusd = batch.estimate.cost_pusd if batch.estimate else None
    if bounds.daily_pusd is not None:
        taken = spent(connection, sent_today(batch.project, now))
        yield from _over(HeldBy.DAILY_CAP, taken, cost_pusd or 0, bounds.daily_pusd)
    if bounds.budget_pusd is not None:
        taken = spent(connection, batches.c.submission_id == batch.submission_id)
        if cost_pusd is None:
            yield Held(by=HeldBy.BUDGET, taken=taken, wanted=0, bound=bounds.budget_pusd)
        else:
            yield from _over(HeldBy.BUDGET, taken, cost_pusd, bounds.budget_pusd)


def _over(by: HeldBy, taken: int, wanted: int, bound: int | None) -> Iterator[Held]:
    if bound is not None and taken + wanted > bound:
        yield Held(by=by, taken=taken, wanted=wanted, bound=bound)
