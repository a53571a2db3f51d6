"""What is in flight and what waits, of every family in every place: for people who look on."""

from __future__ import annotations

from dataclasses import dataclass, replace

from sqlalchemy import func, select

from vertexq.ledger.base import LedgerPart
from vertexq.ledger.schema import batches
from vertexq.states import BATCH_ACTIVE, BatchState


@dataclass(frozen=True, slots=True, kw_only=True)
class InFlight:
    """The jobs of one family in one project and location: their rows, and their tokens by estimate.

    ``jobs`` hold a slot; ``unclear`` of them are being sent or looked for. ``waiting`` batches are ready.
    """

    project: str
    location: str
    family: str
    jobs: int = 0
    unclear: int = 0
    rows: int = 0
    tokens: int = 0
    waiting: int = 0


class Flights(LedgerPart):
    """The part of the ledger that counts what is under way."""

    def in_flight(self) -> list[InFlight]:
        """Return what runs or waits, by project, location and family; what is at rest is left out."""
        b = batches.c
        sums = (
            func.count().label("jobs"),
            func.sum(b.rows).label("rows"),
            func.sum(b.estimate_tokens).label("tokens"),
        )
        group = (b.project, b.location, b.family, b.state)
        under_way = b.state.in_(sorted({*BATCH_ACTIVE, BatchState.READY}))
        query = select(*group, *sums).where(under_way, b.online.is_(False)).group_by(*group).order_by(*group)
        found: dict[tuple[str, str, str], InFlight] = {}
        with self._reading() as connection:
            for row in connection.execute(query):
                key = (row.project, row.location, row.family)
                one = found.get(key, InFlight(project=key[0], location=key[1], family=key[2]))
                state, tokens = BatchState(row.state), int(row.tokens or 0)
                found[key] = _with(one, state, jobs=row.jobs, rows=int(row.rows or 0), tokens=tokens)
        return [found[key] for key in sorted(found)]


def _with(one: InFlight, state: BatchState, *, jobs: int, rows: int, tokens: int) -> InFlight:
    if state is BatchState.READY:
        return replace(one, waiting=one.waiting + jobs)
    unclear = 0 if state is BatchState.BOUND else jobs
    return replace(
        one,
        jobs=one.jobs + jobs,
        unclear=one.unclear + unclear,
        rows=one.rows + rows,
        tokens=one.tokens + tokens,
    )
