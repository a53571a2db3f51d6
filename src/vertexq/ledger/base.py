"""What every part of the ledger shares: transactions, claims checked, moves checked and audited."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Table, insert, select, update

from vertexq.errors import Conflict, LeaseLost, UnknownSubmission
from vertexq.ledger.convert import columns
from vertexq.ledger.engine import translated
from vertexq.ledger.schema import audit, batches, submissions
from vertexq.ledger.times import database_now
from vertexq.ledger.values import Claim, Record
from vertexq.states import BatchState, SubmissionState, may_follow

TABLE_OF: dict[Record, Table] = {Record.SUBMISSION: submissions, Record.BATCH: batches}


class LedgerPart:
    """A ledger's engine and the two kinds of transaction: one that reads, one that writes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        options = {"vertexq_reading": True}
        with translated(self._engine), self._engine.connect().execution_options(**options) as connection:
            yield connection

    @contextmanager
    def _writing(self) -> Generator[Connection]:
        with translated(self._engine), self._engine.begin() as connection:
            yield connection

    def now(self) -> datetime:
        """Return the database's clock, in UTC."""
        with self._reading() as connection:
            return database_now(connection)


def change(
    connection: Connection,
    record: Record,
    record_id: str,
    *,
    version: int,
    now: datetime,
    values: Mapping[str, Any],
    claim: Claim | None,
) -> RowMapping:
    """Update one record by compare-and-set on its version, and on the claim's fence when there is one.

    Raise ``LeaseLost`` or ``Conflict`` when somebody else was first; nothing is changed then.
    """
    table = TABLE_OF[record]
    statement = update(table).where(table.c.id == record_id, table.c.version == version)
    if claim is not None and claim.id == record_id:
        statement = statement.where(table.c.fence == claim.fence)
    statement = statement.values(**columns(values), version=version + 1, updated_at=now)
    row = connection.execute(statement.returning(*table.c)).mappings().one_or_none()
    if row is None:
        raise _overtaken(connection, record, record_id, version, claim)
    return row


def _overtaken(
    connection: Connection, record: Record, record_id: str, version: int, claim: Claim | None
) -> Conflict:
    row = fetch(connection, record, record_id)
    if claim is not None and claim.id == record_id and row["fence"] != claim.fence:
        return LeaseLost(f"{record} {record_id}: another worker has taken over (token {row['fence']})")
    return Conflict(
        f"{record} {record_id} is at version {row['version']}, not {version}: it was moved meanwhile"
    )


def fetch(connection: Connection, record: Record, record_id: str) -> RowMapping:
    """Return a record's row; raise ``UnknownSubmission`` when the ledger has none."""
    table = TABLE_OF[record]
    row = connection.execute(select(table).where(table.c.id == record_id)).mappings().one_or_none()
    if row is None:
        raise UnknownSubmission(
            f"the ledger has no {record} called {record_id!r}; `vertexq status` lists what it has"
        )
    return row


def check_move(now: SubmissionState | BatchState, then: SubmissionState | BatchState) -> None:
    """Raise ``ValueError`` for a move that no table of ``vertexq.states`` allows."""
    if not may_follow(now, then):
        raise ValueError(f"a record that is {now} cannot become {then}")


def write_audit(
    connection: Connection,
    record: Record,
    row: RowMapping,
    *,
    came_from: str,
    now: datetime,
    actor: str,
) -> None:
    """Add the line that says what was moved, when and by whom."""
    connection.execute(
        insert(audit).values(
            record=record.value,
            record_id=row["id"],
            at=now,
            from_state=came_from,
            to_state=row["state"],
            version=row["version"],
            actor=actor,
            reason=row["reason"],
        )
    )
