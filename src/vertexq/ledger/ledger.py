"""The ledger as a whole: one object over one database."""

from __future__ import annotations

from typing import Self

from vertexq.ledger.batches import Batches
from vertexq.ledger.claims import Claims
from vertexq.ledger.due import DueWork
from vertexq.ledger.engine import open_engine, translated
from vertexq.ledger.migrate import upgrade
from vertexq.ledger.submissions import Submissions


class Ledger(Submissions, Batches, Claims, DueWork):
    """The SQL record of submissions and batches. Synchronous; safe in several threads and processes.

    Not to be carried over a fork: open it in the process that uses it.
    """

    @classmethod
    def open(cls, url: str, *, migrate: bool = True) -> Self:
        """Open ``sqlite:///file.db`` or ``postgresql://…`` and bring its tables up to date.

        Raise ``Unreachable`` when the database cannot be reached, ``BadSettings`` for another kind of URL.
        """
        engine = open_engine(url)
        with translated(engine):
            if migrate:
                upgrade(engine)
            else:
                engine.connect().close()
        return cls(engine)

    def close(self) -> None:
        """Close the connections. Safe to repeat."""
        self._engine.dispose()
