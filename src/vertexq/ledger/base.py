"""What every part of the ledger shares: transactions, claims checked, moves checked and audited."""

from __future__ import annotations

from collections.abc import Generator, Mapping
from contextlib import contextmanager
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Engine, RowMapping, Table, insert, select, update
from sqlalchemy.dialects import postgresql, sqlite

from vertexq.errors import Conflict, LeaseLost, UnknownSubmission
from vertexq.ledger.convert import columns
from vertexq.ledger.schema import audit, batches, operations, ranges, submissions
from vertexq.ledger.times import database_now
from vertexq.ledger.translation import translated
from vertexq.ledger.values import Claim, Record
from vertexq.states import BatchState, SubmissionState, may_follow

TABLE_OF: dict[Record, Table] = {
    Record.SUBMISSION: submissions,
    Record.BATCH: batches,
    Record.RANGE: ranges,
    Record.OPERATION: operations,
}


def insert_into(connection: Connection, table: Table) -> postgresql.Insert | sqlite.Insert:
    """Return an insert that may say what to do when the row is there (``on_conflict_do_nothing`` …)."""
    return sqlite.insert(table) if connection.dialect.name == "sqlite" else postgresql.insert(table)


class LedgerPart:
    """A ledger's engine and the two kinds of transaction: one that reads, one that writes."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine

    @contextmanager
    def _reading(self) -> Generator[Connection]:
        with (
            translated(self._engine),
            self._engine.connect().execution_options(vertexq_reading=True) as connection,
        ):
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

    The claim may be on another record, as when the holder of a submission moves its batches. Raise
    ``LeaseLost`` or ``Conflict`` when somebody else was first; nothing is changed then.
    """
    if claim is not None:
        check_claim(connection, claim)
    table = TABLE_OF[record]
    row = (
        connection.execute(
            update(table)
            .where(table.c.id == record_id, table.c.version == version)
            .values(**columns(values), version=version + 1, updated_at=now)
            .returning(*table.c)
        )
        .mappings()
        .one_or_none()
    )
    if row is None:
        there = fetch(connection, record, record_id)
        raise Conflict(
            f"{record} {record_id} is {there['state']} at version {there['version']}, not at version "
            f"{version}: somebody else moved it; read it again"
        )
    return row


def check_claim(connection: Connection, claim: Claim) -> None:
    """Raise ``LeaseLost`` unless ``claim`` is the newest; it stays so until the transaction ends."""
    table = TABLE_OF[claim.record]
    query = select(table.c.fence, table.c.lease_owner).where(table.c.id == claim.id)
    newest = connection.execute(query.with_for_update(key_share=True)).one_or_none()
    if newest is None or newest.fence != claim.fence:
        holder = f"{newest.lease_owner} has token {newest.fence}" if newest else "the record is gone"
        raise LeaseLost(
            f"{claim.record} {claim.id}: token {claim.fence} of {claim.owner} was refused, {holder}; "
            "this worker should stop"
        )


def fetch(connection: Connection, record: Record, record_id: str, *, locked: bool = False) -> RowMapping:
    """Return a record's row; raise ``UnknownSubmission`` when the ledger has none.

    ``locked`` keeps others from writing to it until the transaction ends; on SQLite a writer is alone anyway.
    """
    table = TABLE_OF[record]
    query = select(table).where(table.c.id == record_id)
    row = (
        connection.execute(query.with_for_update(key_share=True) if locked else query)
        .mappings()
        .one_or_none()
    )
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
    """Add the line that says what was moved, when, by whom and why."""
    connection.execute(insert(audit), _audit_row(record, {**row}, came_from, now, actor))


def first_audit(record: Record, row: Mapping[str, Any], now: datetime, actor: str) -> dict[str, Any]:
    """Return the line that says how a record came into the ledger."""
    return _audit_row(record, {"reason": "", **row}, "", now, actor)


def _audit_row(
    record: Record, row: Mapping[str, Any], came_from: str, now: datetime, actor: str
) -> dict[str, Any]:
    return {
        "record": record,
        "record_id": row["id"],
        "at": now,
        "from_state": came_from,
        "to_state": row["state"],
        "version": row["version"],
        "actor": actor,
        "reason": row["reason"],
    }
