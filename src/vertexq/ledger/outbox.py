"""The outbox: messages go in with what they are about, in one transaction, each id once."""

from __future__ import annotations

import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, select, update

from vertexq.ledger.base import LedgerPart, insert_into
from vertexq.ledger.schema import deliveries, webhook_progress
from vertexq.ledger.times import database_now
from vertexq.results import SourceRange

_D, _P = deliveries.c, webhook_progress.c


@dataclass(frozen=True, slots=True, kw_only=True)
class NewDelivery:
    """What somebody is to be told. The same ``id`` always has the same ``body``, which is JSON."""

    id: str
    kind: str  # vertexq.rows, vertexq.submission.done, …
    target: str  # webhook:STORE or task:NAME@QUEUE, never an address or a secret
    submission_id: str
    body: bytes = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class OutboxRange:
    """How far a webhook store has put a range into the outbox, and the highest token that wrote it."""

    position: int
    fence: int
    state: bytes = b""


class Outbox(LedgerPart):
    """The part of the ledger that takes in what others are to be told; and how far webhook stores are."""

    def outbox_range(self, store: str, range_id: str) -> OutboxRange | None:
        """Return how far a range is in the outbox of a webhook store; None when it was never written."""
        with self._reading() as connection:
            return _known(connection, store, range_id)

    def post(
        self,
        store: str,
        source: SourceRange,
        after: OutboxRange,
        messages: Sequence[NewDelivery],
        *,
        admit: Callable[[OutboxRange | None], None],
    ) -> None:
        """Put messages into the outbox and move their range's position, in one transaction.

        ``admit`` is given what is known of the range, which nobody else can write meanwhile, and raises when
        the messages must not go in.
        """
        with self._writing() as connection:
            begin = {"submission_id": source.submission_id, "batch_id": source.batch_id}
            begin |= {"store": store, "range_id": source.id}
            start = {"position": source.start, "fence": 0, "state": b""}
            connection.execute(_insert_once(connection, webhook_progress, [begin | start]))
            admit(_known(connection, store, source.id, locked=True))
            insert_deliveries(connection, messages, database_now(connection))
            connection.execute(
                update(webhook_progress)
                .where(_P.store == store, _P.range_id == source.id)
                .values(position=after.position, fence=after.fence, state=after.state)
            )


def insert_deliveries(connection: Connection, messages: Sequence[NewDelivery], now: datetime) -> None:
    """Put messages into the outbox, each id once, in the caller's transaction.

    A target that is gone for a submission gets nothing more of it.
    """
    if not messages:
        return
    gone: dict[tuple[str, str], bool] = {}
    rows = [_row(connection, one, now, gone) for one in messages]
    connection.execute(_insert_once(connection, deliveries, rows))


def _row(
    connection: Connection, one: NewDelivery, now: datetime, gone: dict[tuple[str, str], bool]
) -> dict[str, Any]:
    to = (one.submission_id, one.target)
    if to not in gone:
        query = select(_D.id).where(_D.submission_id == to[0], _D.target == to[1], _D.gone).limit(1)
        gone[to] = connection.execute(query).first() is not None
    return {
        "id": one.id,
        "kind": one.kind,
        "target": one.target,
        "submission_id": one.submission_id,
        "body": zlib.compress(one.body, 1),
        "size_bytes": len(one.body),
        "created_at": now,
        "next_action_at": None if gone[to] else now,
        "reason": "this target is gone for this submission" if gone[to] else "",
        "fence": 0,
        "attempts": 0,
    }


def _insert_once(connection: Connection, table: Any, rows: list[dict[str, Any]]) -> Any:
    return insert_into(connection, table).values(rows).on_conflict_do_nothing()


def _known(connection: Connection, store: str, range_id: str, *, locked: bool = False) -> OutboxRange | None:
    query = select(_P.position, _P.fence, _P.state).where(_P.store == store, _P.range_id == range_id)
    row = connection.execute(query.with_for_update() if locked else query).one_or_none()
    return None if row is None else OutboxRange(position=row[0], fence=row[1], state=bytes(row[2]))
