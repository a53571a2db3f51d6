"""What polls need of the ledger: who is on duty, what a place waits for, many looks in one transaction."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, bindparam, delete, false, func, or_, select, update

from vertexq.ledger.base import LedgerPart, insert_into
from vertexq.ledger.convert import to_batch
from vertexq.ledger.schema import batches, beats
from vertexq.ledger.times import database_now
from vertexq.ledger.watched import Duty, Expected, Look, Watched, Window
from vertexq.model import Batch, JobStats
from vertexq.states import BatchState

_WHOLE = [column for column in batches.c if column.name not in {"found", "carried"}]


_SEEN = ("job_state", "job_state_since", "stats", "output_directory", "attempts", "reason")
_WATCHED = [batches.c[field.name] for field in fields(Watched) if field.name != "state"]


class Watching(LedgerPart):
    """The part of the ledger that polls work with."""

    def take_duty(self, name: str, *, lease_s: float) -> Duty | None:
        """Go on the duty called ``name``; None while somebody else is.

        It lasts ``lease_s`` seconds unless it is kept; who loses it may go on, to no harm but double work.
        """
        with self._writing() as connection:
            now = database_now(connection)
            statement = insert_into(connection, beats).values(name=name, at=now)
            taken = connection.execute(
                statement.on_conflict_do_update(
                    index_elements=[beats.c.name],
                    set_={"at": now},
                    where=beats.c.at < now - timedelta(seconds=lease_s),
                ).returning(beats.c.name)
            ).first()
        return Duty(name=name, at=now) if taken else None

    def keep_duty(self, duty: Duty) -> Duty | None:
        """Stay on duty; None when it ran out and another took over."""
        with self._writing() as connection:
            now = database_now(connection)
            kept = connection.execute(update(beats).where(_is(duty)).values(at=now))
        return Duty(name=duty.name, at=now) if kept.rowcount else None

    def end_duty(self, duty: Duty) -> None:
        """Go off duty; nothing happens when another has taken over."""
        with self._writing() as connection:
            connection.execute(delete(beats).where(_is(duty)))

    def poll_window(self, project: str, location: str, *, skew_s: float) -> Window | None:
        """Return what a poll of a place is about; None when nothing there is due.

        It begins ``skew_s`` seconds before the oldest due batch: clocks differ.
        """
        here = _bound_at(project, location)
        with self._reading() as connection:
            due = and_(here, batches.c.next_action_at <= database_now(connection))
            query = select(func.count(), func.min(batches.c.created_at)).where(due)
            count, oldest = connection.execute(query).one()
            if not count:
                return None
            since = oldest - timedelta(seconds=skew_s)
            bound = select(func.count()).where(here, batches.c.created_at >= since)
            return Window(
                project=project, location=location, since=since, due=count,
                bound=connection.execute(bound).scalar_one(),
            )  # fmt: skip

    def expected(self, window: Window) -> list[Expected]:
        """Return the batches of a window."""
        b = batches.c
        with self._reading() as connection:
            due = func.coalesce(b.next_action_at <= database_now(connection), false())
            query = (
                select(b.id, b.job_name, due.label("due"), or_(b.attempt > 1, b.looks > 0).label("uncertain"))
                .where(_bound_at(window.project, window.location), b.created_at >= window.since)
                .order_by(b.next_action_at)
            )
            return [
                Expected(id=row.id, job_name=row.job_name, due=bool(row.due), uncertain=bool(row.uncertain))
                for row in connection.execute(query)
            ]

    def watched(self, ids: Sequence[str]) -> list[Watched]:
        """Return those of the batches that are bound, as much of them as a look needs."""
        query = select(*_WATCHED).where(_bound_among(ids))
        with self._reading() as connection:
            return [_to_watched(row) for row in connection.execute(query).mappings()]

    def bound_batches(self, ids: Sequence[str]) -> list[Batch]:
        """Return those of the batches that are bound, whole but without ``found``."""
        query = select(*_WHOLE).where(_bound_among(ids)).order_by(batches.c.next_action_at)
        with self._reading() as connection:
            return [to_batch(row) for row in connection.execute(query).mappings()]

    def poll_due(self, project: str, location: str, *, limit: int) -> list[Batch]:
        """Return bound batches whose job is to be looked at now, without ``found``."""
        with self._reading() as connection:
            query = (
                select(*_WHOLE)
                .where(_bound_at(project, location), batches.c.next_action_at <= database_now(connection))
                .order_by(batches.c.next_action_at)
                .limit(limit)
            )
            return [to_batch(row) for row in connection.execute(query).mappings()]

    def note_looks(self, looks: Iterable[Look]) -> int:
        """Write down looks, all in one transaction; return how many came too late.

        A look at a batch that has changed since is left out, so it is looked at again. Only news count as a
        change: a look that brings none gets in nobody's way.
        """
        news, same = list[Look](), list[Look]()
        for look in looks:
            (news if look.news else same).append(look)
        with self._writing() as connection:
            now = database_now(connection)
            noted = 0
            if same:
                noted += connection.execute(_SAME, [_parameters(look, now) for look in same]).rowcount
            if news:
                noted += connection.execute(_NEWS, [_news(look, now) for look in news]).rowcount
        return len(news) + len(same) - noted


def _bound_at(project: str, location: str) -> ColumnElement[bool]:
    b = batches.c
    return and_(b.project == project, b.location == location, b.state == BatchState.BOUND.value)


def _bound_among(ids: Sequence[str]) -> ColumnElement[bool]:
    return and_(batches.c.id.in_(ids), batches.c.state == BatchState.BOUND.value)


def _is(duty: Duty) -> ColumnElement[bool]:
    return and_(beats.c.name == duty.name, beats.c.at == duty.at)


def _to_watched(row: RowMapping) -> Watched:
    values: dict[str, Any] = {**row, "stats": JobStats(**row["stats"])}
    return Watched(**values)


_AT = and_(
    batches.c.id == bindparam("look_id"),
    batches.c.version == bindparam("look_version"),
    batches.c.state == BatchState.BOUND.value,
)
_TIME: dict[str, Any] = {
    "next_action_at": bindparam("look_again"),
    "updated_at": bindparam("look_now"),
    "hint_sent_at": None,
}
_SAME = update(batches).where(_AT).values(**_TIME)
_NEWS = (
    update(batches)
    .where(_AT)
    .values(
        **_TIME,
        version=batches.c.version + 1,
        **{name: bindparam(f"look_{name}", type_=batches.c[name].type) for name in _SEEN},
    )
)


def _parameters(look: Look, now: datetime) -> dict[str, object]:
    return {
        "look_id": look.id,
        "look_version": look.version,
        "look_again": look.next_action_at,
        "look_now": now,
    }


def _news(look: Look, now: datetime) -> dict[str, object]:
    seen = {f"look_{name}": getattr(look, name) for name in _SEEN}
    return {**_parameters(look, now), **seen, "look_stats": asdict(look.stats)}
