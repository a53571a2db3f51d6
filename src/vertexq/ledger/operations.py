"""Operations: orders to endpoints, moved by compare-and-set, and which of them are due."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack

from sqlalchemy import Connection, RowMapping, insert, select

from vertexq.endpoint_orders import order_from
from vertexq.endpoints import (
    OPERATION_MOVES,
    OPERATION_RESTING,
    EndpointOrder,
    Operation,
    OperationKind,
    OperationState,
)
from vertexq.errors import IdConflict, UnknownOperation
from vertexq.ledger.base import LedgerPart, change, first_audit, insert_into, write_audit
from vertexq.ledger.due import taking
from vertexq.ledger.schema import audit, operations
from vertexq.ledger.times import database_now
from vertexq.ledger.values import Claim, Record

_FIELDS = [field.name for field in fields(Operation)]
_C = operations.c


class OperationFields(TypedDict, total=False):
    """What may be changed beside an operation's state."""

    project: str
    location: str
    call: str
    google_name: str
    stage: str
    looks: int
    reason: str
    sent_at: datetime | None
    attempts: int
    next_action_at: datetime | None


class Operations(LedgerPart):
    """The part of the ledger that knows what is to be done to endpoints."""

    def order(self, operation_id: str, order: EndpointOrder, *, actor: str) -> tuple[Operation, bool]:
        """Write an order down; return its operation, and whether it is a new one.

        The same id with the same order is the operation that is there; with another it is an ``IdConflict``.
        """
        with self._writing() as connection:
            row = _new_row(operation_id, order, database_now(connection))
            made = connection.execute(
                insert_into(connection, operations).values(row).on_conflict_do_nothing().returning(_C.id)
            ).first()
            if made:
                line = first_audit(Record.OPERATION, row, row["created_at"], actor)
                connection.execute(insert(audit), line)
            known = _fetch(connection, operation_id)
        if not made and asdict(known.order) != asdict(order):
            raise IdConflict(
                f"the operation {operation_id} is there and asks for something else; take another id"
            )
        return known, made is not None

    def operation(self, operation_id: str) -> Operation:
        """Return an operation; raise ``UnknownOperation``."""
        with self._reading() as connection:
            return _fetch(connection, operation_id)

    def operations(
        self, *, states: Collection[OperationState] = (), endpoint: str = "", limit: int = 100
    ) -> list[Operation]:
        """Return operations, the newest first; ``endpoint`` is the id of the one they are about."""
        query = select(operations).order_by(_C.created_at.desc(), _C.id).limit(limit)
        if states:
            query = query.where(_C.state.in_(sorted(states)))
        if endpoint:
            query = query.where(_C.endpoint == endpoint)
        with self._reading() as connection:
            return [_operation(row) for row in connection.execute(query).mappings()]

    def move_operation(
        self, operation: Operation, to: OperationState, *, claim: Claim, **values: Unpack[OperationFields]
    ) -> Operation:
        """Move an operation by compare-and-set; what has come to its end waits for nothing more."""
        if to not in OPERATION_MOVES[operation.state]:
            raise ValueError(f"an operation that is {operation.state} cannot become {to}")
        with self._writing() as connection:
            now = database_now(connection)
            plain: dict[str, Any] = {"next_action_at": now, **values, "state": to.value}
            if to in OPERATION_RESTING:
                plain |= {"next_action_at": None, "finished_at": now}
            row = _changed(connection, operation, plain, now, claim)
            write_audit(
                connection, Record.OPERATION, row, came_from=operation.state, now=now, actor=claim.owner
            )
            return _operation(row)

    def update_operation(
        self, operation: Operation, *, claim: Claim, **values: Unpack[OperationFields]
    ) -> Operation:
        """Change what is beside the state, by compare-and-set."""
        with self._writing() as connection:
            return _operation(_changed(connection, operation, dict(values), database_now(connection), claim))

    def due_operations(self, *, limit: int, resend_after_s: float) -> list[str]:
        """Return the ids of operations that wait for a hint, and note that one is being sent now."""
        with self._writing() as connection:
            now = database_now(connection)
            before = now - timedelta(seconds=max(resend_after_s, 0.0))
            taken = connection.execute(taking(operations, now, before, limit)).all()
            return [row.id for row in sorted(taken, key=lambda row: (row.next_action_at, row.id))]


def _changed(
    connection: Connection, operation: Operation, values: dict[str, Any], now: datetime, claim: Claim
) -> RowMapping:
    if "next_action_at" in values:
        values["hint_sent_at"] = None  # what is due next is due then, whatever hint led here
    return change(
        connection,
        Record.OPERATION,
        operation.id,
        version=operation.version,
        now=now,
        values=values,
        claim=claim,
    )


def _fetch(connection: Connection, operation_id: str) -> Operation:
    row = connection.execute(select(operations).where(_C.id == operation_id)).mappings().one_or_none()
    if row is None:
        raise UnknownOperation(
            f"the ledger has no operation called {operation_id!r}; `vertexq endpoints operations` lists them"
        )
    return _operation(row)


def _operation(row: RowMapping) -> Operation:
    values = {name: row[name] for name in _FIELDS}
    values |= {
        "kind": OperationKind(row["kind"]),
        "state": OperationState(row["state"]),
        "order": order_from(row["order"]),
    }
    return Operation(**values)


def _new_row(operation_id: str, order: EndpointOrder, now: datetime) -> dict[str, Any]:
    return {
        "id": operation_id,
        "kind": order.kind.value,
        "state": OperationState.QUEUED.value,
        "version": 1,
        "order": asdict(order),
        "project": order.project,
        "location": order.location,
        "endpoint": order.endpoint,
        "call": "",
        "google_name": "",
        "stage": "",
        "looks": 0,
        "reason": "",
        "created_at": now,
        "updated_at": now,
        "next_action_at": now,
        "fence": 0,
        "attempts": 0,
    }
