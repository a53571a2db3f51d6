"""Spending: what jobs cost, by estimate while they run and as counted afterwards.

One sum serves caps, budgets and reports, so that what a person reads is what a cap goes by.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import date, datetime
from typing import Any

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, case, func, select

from vertexq.ledger.base import LedgerPart
from vertexq.ledger.schema import batches
from vertexq.ledger.times import database_now
from vertexq.model import Usage
from vertexq.states import BatchState

FREE = (BatchState.READY, BatchState.REFUSED, BatchState.WITHDRAWN, BatchState.ASIDE)
"""No job of these batches runs or has run, as far as anybody knows."""
COUNTED = (BatchState.INGESTED,)
"""What these cost has been counted from their answers; all others are taken by their estimate."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Spent:
    """What the jobs of one day (UTC, by when they were sent), project, model and tenant cost.

    ``estimate_pusd`` is None when a job was sent without one, ``cost_pusd`` when answers came without a
    price, or would if they came; ``counted_pusd`` is what caps go by: the cost of counted jobs and the
    estimate of all others.
    """

    day: date
    project: str
    model: str
    tenant: str
    jobs: int = 0  # none for rows that were answered online
    rows: int = 0
    estimate_pusd: int | None = 0
    cost_pusd: int | None = 0
    counted_pusd: int = 0

    def plus(self, other: Spent) -> Spent:
        """Add what another group cost, and keep this one's names."""
        return replace(
            self,
            jobs=self.jobs + other.jobs,
            rows=self.rows + other.rows,
            estimate_pusd=_sum(self.estimate_pusd, other.estimate_pusd),
            cost_pusd=_sum(self.cost_pusd, other.cost_pusd),
            counted_pusd=self.counted_pusd + other.counted_pusd,
        )


class Spending(LedgerPart):
    """The part of the ledger that adds up money."""

    def spent_today(self, project: str) -> int:
        """Return what a project has spent since midnight UTC, in pico-dollars, as its daily cap sees it."""
        with self._reading() as connection:
            return spent(connection, sent_today(project, database_now(connection)))

    def spending(self, *, since: datetime) -> list[Spent]:
        """Return what was spent since an instant, by day, project, model and tenant, the newest first."""
        b = batches.c
        columns = (
            b.sent_at,
            b.project,
            b.model,
            b.tenant,
            b.rows,
            b.usage,
            b.cost_pusd,
            b.estimate_pusd,
            b.online,
        )
        query = select(*columns, _counted().label("counted")).where(b.sent_at >= since, b.state.not_in(FREE))
        found: dict[tuple[date, str, str, str], Spent] = {}
        with self._reading() as connection:
            for row in connection.execute(query.execution_options(yield_per=1_000)).mappings():
                one = _spent_of(row)
                key = (one.day, one.project, one.model, one.tenant)
                found[key] = found[key].plus(one) if key in found else one
        newest_first = sorted(found, key=lambda key: (-key[0].toordinal(), *key[1:]))
        return [found[key] for key in newest_first]


def sent_today(project: str, now: datetime) -> ColumnElement[bool]:
    """Say which batches count against a project's daily cap."""
    midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
    return and_(batches.c.project == project, batches.c.sent_at >= midnight)


def spent(connection: Connection, which: ColumnElement[bool]) -> int:
    """Return what batches cost, in pico-dollars: as counted, or by estimate where it is not counted yet."""
    return int(connection.execute(select(func.sum(_counted())).where(which)).scalar_one() or 0)


def _counted() -> ColumnElement[Any]:
    """Return what one batch counts for: an estimate that turned out too low does not hold any more."""
    b = batches.c
    estimate = func.coalesce(b.estimate_pusd, 0)
    most = case((b.cost_pusd > estimate, b.cost_pusd), else_=estimate)
    return case((b.state.in_(FREE), 0), (b.state.in_(COUNTED), b.cost_pusd), else_=most)


def _spent_of(row: RowMapping) -> Spent:
    known = Usage(**row["usage"]).has_cost(priced=row["estimate_pusd"] is not None)
    return Spent(
        day=row["sent_at"].date(),
        project=row["project"],
        model=row["model"],
        tenant=row["tenant"],
        jobs=0 if row["online"] else 1,
        rows=row["rows"],
        estimate_pusd=row["estimate_pusd"],
        cost_pusd=row["cost_pusd"] if known else None,
        counted_pusd=int(row["counted"]),
    )


def _sum(one: int | None, other: int | None) -> int | None:
    return None if one is None or other is None else one + other
