"""Strays: jobs of a batch beside the one that is kept. They cost money until they have stopped."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, RowMapping, and_, insert, or_, select, update

from vertexq.ledger.base import LedgerPart, insert_into
from vertexq.ledger.schema import audit, batches, strays
from vertexq.ledger.times import database_now
from vertexq.model import Job
from vertexq.states import JOB_TERMINAL

GONE = "GONE"
"""The state of a stray that Google does not know any more."""

_STOPPED = sorted({GONE, *(state.value for state in JOB_TERMINAL)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Stray:
    """A job that nobody waits for. ``cancelled_at`` is when Google was last asked to stop it."""

    job_name: str
    batch_id: str
    job_state: str
    found_at: datetime
    cancelled_at: datetime | None

    @property
    def stopped(self) -> bool:
        """Tell whether it costs nothing more."""
        return self.job_state in _STOPPED


class Strays(LedgerPart):
    """The part of the ledger that knows jobs which should not be."""

    def note_stray(self, batch_id: str, job: Job, *, actor: str = "poll") -> bool:
        """Write down a stray and a line of the audit trail; False when it is known already."""
        with self._writing() as connection:
            now = database_now(connection)
            row = {"job_name": job.name, "batch_id": batch_id, "job_state": job.state_text, "found_at": now}
            statement = insert_into(connection, strays).values(**row).on_conflict_do_nothing()
            if connection.execute(statement.returning(strays.c.job_name)).first() is None:
                return False
            why = f"another job of batch {batch_id} is kept"
            connection.execute(insert(audit).values(**_line(job.name, now, "", job.state_text, actor, why)))
            return True

    def mark_stray(self, job_name: str, job_state: str, *, cancelled: bool, actor: str = "poll") -> None:
        """Note what Google says of a stray now, and whether it was just asked to stop it."""
        with self._writing() as connection:
            now = database_now(connection)
            query = select(strays.c.job_state).where(strays.c.job_name == job_name)
            before = connection.execute(query).scalar_one_or_none()
            values: dict[str, Any] = {"job_state": job_state} | ({"cancelled_at": now} if cancelled else {})
            connection.execute(update(strays).where(strays.c.job_name == job_name).values(**values))
            if before is not None and before != job_state and job_state in _STOPPED:
                line = _line(job_name, now, before, job_state, actor, "")
                connection.execute(insert(audit).values(**line))

    def strays(self, submission_id: str) -> list[Stray]:
        """Return the strays of a submission, the oldest first."""
        query = (
            select(strays)
            .join(batches, batches.c.id == strays.c.batch_id)
            .where(batches.c.submission_id == submission_id)
            .order_by(strays.c.found_at, strays.c.job_name)
        )
        with self._reading() as connection:
            return [_to_stray(row) for row in connection.execute(query).mappings()]

    def running_strays(self, project: str, location: str, *, quiet_s: float) -> list[Stray]:
        """Return strays of a place that run and whose cancel was last asked for ``quiet_s`` seconds ago."""
        with self._reading() as connection:
            asked = database_now(connection) - timedelta(seconds=quiet_s)
            query = (
                select(strays)
                .join(batches, batches.c.id == strays.c.batch_id)
                .where(_running(asked), batches.c.project == project, batches.c.location == location)
                .order_by(strays.c.found_at)
            )
            return [_to_stray(row) for row in connection.execute(query).mappings()]

    def stray_places(self, *, quiet_s: float) -> list[tuple[str, str]]:
        """Return the (project, location) pairs for which ``running_strays`` has something."""
        with self._reading() as connection:
            asked = database_now(connection) - timedelta(seconds=quiet_s)
            query = (
                select(batches.c.project, batches.c.location)
                .join(strays, batches.c.id == strays.c.batch_id)
                .where(_running(asked))
                .distinct()
            )
            return [(row.project, row.location) for row in connection.execute(query)]


def _running(asked: datetime) -> ColumnElement[bool]:
    quiet = or_(strays.c.cancelled_at.is_(None), strays.c.cancelled_at <= asked)
    return and_(strays.c.job_state.not_in(_STOPPED), quiet)


def _line(job_name: str, at: datetime, came_from: str, to: str, actor: str, reason: str) -> dict[str, Any]:
    return {
        "record": "stray", "record_id": job_name, "at": at, "from_state": came_from, "to_state": to,
        "version": 1, "actor": actor, "reason": reason,
    }  # fmt: skip


def _to_stray(row: RowMapping) -> Stray:
    return Stray(**{field.name: row[field.name] for field in fields(Stray)})
