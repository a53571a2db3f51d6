"""Deliveries: what others are to be told, one worker at a time, until they have taken it."""

from __future__ import annotations

import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, exists, func, or_, select, update

from vertexq.errors import LeaseLost
from vertexq.ledger.base import LedgerPart, insert_into
from vertexq.ledger.schema import deliveries, rests
from vertexq.ledger.times import database_now
from vertexq.recipients import Told

_D = deliveries.c
_TAKEN = [column for column in deliveries.c if column.name != "body"]
HINTS_AT_ONCE = 1_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Delivery:
    """A delivery in the hands of one worker. ``attempts`` were made before; the body has ``size_bytes``."""

    id: str
    kind: str
    target: str
    submission_id: str
    size_bytes: int
    created_at: datetime
    attempts: int
    fence: int


class Deliveries(LedgerPart):
    """The part of the ledger that knows what others are to be told."""

    def remind_deliveries(self, *, resend_after_s: float) -> list[str]:
        """Return the targets that something is due for, and note that a hint is being sent for it now."""
        with self._writing() as connection:
            now = database_now(connection)
            before = now - timedelta(seconds=max(resend_after_s, 0.0))
            hint, lease = _D.hint_sent_at, _D.lease_until
            chosen = (
                select(_D.id)
                .where(_is_due(now), or_(hint.is_(None), hint < before, hint < lease))
                .limit(HINTS_AT_ONCE)
                .with_for_update(skip_locked=True)
                .cte("chosen")
            )
            found = connection.execute(
                update(deliveries)
                .where(_D.id.in_(select(chosen.c.id)))
                .values(hint_sent_at=now)
                .returning(_D.target)
            )
            return sorted(set(found.scalars()))

    def take_deliveries(self, target: str, *, owner: str, lease_s: float, limit: int) -> list[Delivery]:
        """Take what is due for a target and in nobody's hands, the oldest first, for ``lease_s`` seconds.

        Workers at the same time get different deliveries.
        """
        with self._writing() as connection:
            now = database_now(connection)
            chosen = (
                select(_D.id)
                .where(_D.target == target, _is_due(now))
                .order_by(_D.next_action_at, _D.id)
                .limit(limit)
                .with_for_update(skip_locked=True)
                .cte("chosen")
            )
            taken = connection.execute(
                update(deliveries)
                .where(_D.id.in_(select(chosen.c.id)))
                .values(lease_owner=owner, lease_until=now + timedelta(seconds=lease_s), fence=_D.fence + 1)
                .returning(*_TAKEN)
            ).mappings()
            return sorted((_delivery(row) for row in taken), key=lambda one: (one.created_at, one.id))

    def delivery_body(self, one: Delivery) -> bytes:
        """Return the body of a delivery in hand; raise ``LeaseLost`` when somebody else has delivered it."""
        with self._reading() as connection:
            packed = connection.execute(select(_D.body).where(_D.id == one.id)).scalar_one()
        if packed is None:
            raise LeaseLost(f"delivery {one.id} was taken over and delivered; this worker should stop")
        return zlib.decompress(packed)

    def note_delivered(self, one: Delivery) -> None:
        """Note that somebody has taken a delivery, and drop its body."""
        with self._writing() as connection:
            now = database_now(connection)
            done = {"delivered_at": now, "body": None, "next_action_at": None, "reason": ""}
            _note(connection, one, {**done, "attempts": one.attempts + 1})

    def put_off_delivery(self, one: Delivery, *, wait_s: float, reason: str) -> None:
        """Note that a try failed; the next one is in ``wait_s`` seconds."""
        with self._writing() as connection:
            now = database_now(connection)
            at = now + timedelta(seconds=wait_s)
            failed = {"attempts": one.attempts + 1, "reason": reason, "failed_at": now}
            _note(connection, one, {"next_action_at": at, "hint_sent_at": None, **failed})

    def abandon_delivery(self, one: Delivery, *, reason: str, gone: bool = False) -> None:
        """Give a delivery up; its body stays, for ``deliver_again``.

        With ``gone`` nothing more of its submission is sent to this target.
        """
        with self._writing() as connection:
            given_up = {"next_action_at": None, "reason": reason, "failed_at": database_now(connection)}
            _note(connection, one, {**given_up, "gone": gone, "attempts": one.attempts + 1})
            if gone:
                connection.execute(
                    update(deliveries)
                    .where(
                        _D.submission_id == one.submission_id,
                        _D.target == one.target,
                        _D.next_action_at.is_not(None),
                    )
                    .values(given_up)
                )

    def let_go_of(self, taken: Iterable[Delivery]) -> None:
        """Give back what was taken and not tried."""
        with self._writing() as connection:
            for one in taken:
                _note(connection, one, {"hint_sent_at": None})

    def hold_target(self, target: str, *, wait_s: float) -> None:
        """Let nothing go to a target for ``wait_s`` seconds: it does not answer, or asks for that."""
        with self._writing() as connection:
            until = database_now(connection) + timedelta(seconds=wait_s)
            rest = insert_into(connection, rests).values(target=target, until=until)
            connection.execute(
                rest.on_conflict_do_update(index_elements=[rests.c.target], set_={"until": until})
            )

    def deliver_again(self, submission_id: str) -> int:
        """Make due again what was given up or waits for its next try; return how much that is."""
        with self._writing() as connection:
            again = update(deliveries).where(
                _D.submission_id == submission_id, _D.delivered_at.is_(None), _D.body.is_not(None)
            )
            now = database_now(connection)
            values = {"next_action_at": now, "attempts": 0, "gone": False, "reason": "", "hint_sent_at": None}
            return connection.execute(again.values(values)).rowcount

    def told(self, submission_id: str) -> list[Told]:
        """Return how the deliveries of a submission stand, by target; the reason is the latest failure's."""
        waits, is_delivered = _D.next_action_at.is_not(None), _D.delivered_at.is_not(None)
        query = (
            select(
                _D.target,
                func.count().filter(waits),
                func.count().filter(is_delivered),
                func.count().filter(~waits, ~is_delivered),
            )
            .where(_D.submission_id == submission_id)
            .group_by(_D.target)
            .order_by(_D.target)
        )
        with self._reading() as connection:
            reasons = _latest_reasons(connection, submission_id)
            return [
                Told(
                    target=row[0],
                    waiting=row[1],
                    delivered=row[2],
                    abandoned=row[3],
                    reason=reasons.get(row[0], ""),
                )
                for row in connection.execute(query)
            ]


def _is_due(now: datetime) -> ColumnElement[bool]:
    """Tell what is due, in nobody's hands, and for a target that does not rest."""
    resting = exists().where(rests.c.target == _D.target, rests.c.until > now)
    return and_(_D.next_action_at <= now, or_(_D.lease_until.is_(None), _D.lease_until < now), ~resting)


def _latest_reasons(connection: Connection, submission_id: str) -> dict[str, str]:
    """Return, for each target that something could not be delivered to, why the last try failed."""
    newest = func.row_number().over(
        partition_by=_D.target, order_by=(_D.failed_at.desc().nulls_last(), _D.id.desc())
    )
    failed = select(_D.target, _D.reason, newest.label("place")).where(
        _D.submission_id == submission_id, _D.reason != ""
    )
    ranked = failed.subquery()
    rows = connection.execute(select(ranked.c.target, ranked.c.reason).where(ranked.c.place == 1))
    return {row[0]: row[1] for row in rows}


def _note(connection: Connection, one: Delivery, values: dict[str, Any]) -> None:
    """Change a delivery that is still in our hands, and let go of it; whoever has it now knows better."""
    free = {"lease_owner": None, "lease_until": None}
    still_ours = and_(_D.id == one.id, _D.fence == one.fence, _D.lease_until.is_not(None))
    connection.execute(update(deliveries).where(still_ours).values({**values, **free}))


def _delivery(row: Any) -> Delivery:
    return Delivery(
        id=row["id"],
        kind=row["kind"],
        target=row["target"],
        submission_id=row["submission_id"],
        size_bytes=row["size_bytes"],
        created_at=row["created_at"],
        attempts=row["attempts"],
        fence=row["fence"],
    )
