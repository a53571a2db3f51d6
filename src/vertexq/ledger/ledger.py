"""The ledger as a whole: one object over one database."""

from __future__ import annotations

from typing import Self

from vertexq.ledger.batches import Batches
from vertexq.ledger.claims import Claims
from vertexq.ledger.deliveries import Deliveries
from vertexq.ledger.due import DueWork
from vertexq.ledger.engine import open_engine
from vertexq.ledger.flights import Flights
from vertexq.ledger.migrate import check, upgrade
from vertexq.ledger.operations import Operations
from vertexq.ledger.outbox import Outbox
from vertexq.ledger.queue import Queue
from vertexq.ledger.ranges import Ranges
from vertexq.ledger.slots import Slots
from vertexq.ledger.spending import Spending
from vertexq.ledger.strays import Strays
from vertexq.ledger.submissions import Submissions
from vertexq.ledger.successors import Successors
from vertexq.ledger.trail import Trails
from vertexq.ledger.translation import translated


class Ledger(
    Submissions, Batches, Ranges, Slots, Spending, Flights, Strays, Queue, Successors, Claims, DueWork,
    Outbox, Deliveries, Trails, Operations,
):  # fmt: skip
    """The SQL record of submissions and batches. Synchronous; safe in several threads, and across a fork."""

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> Self:
        """Open ``sqlite:///file.db`` or ``postgresql://…`` and bring its tables up to date.

        With ``migrate=False`` nothing is created or changed. Raise ``Unreachable`` when the database cannot
        be reached, ``BadSettings`` for another kind of URL or for tables of another version.
        """
        engine = open_engine(url)
        try:
            with translated(engine):
                if migrate:
                    upgrade(engine)
                else:
                    check(engine)
        except BaseException:
            engine.dispose()
            raise
        return cls(engine)

    def close(self) -> None:
        """Close the connections. Safe to repeat."""
        self._engine.dispose()
