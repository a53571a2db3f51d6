"""What polls know and note of the batches whose jobs they look at: frozen values. No I/O."""

from __future__ import annotations

from dataclasses import dataclass, fields
from datetime import datetime
from typing import Self

from vertexq.model import Batch, JobStats
from vertexq.states import BatchState


@dataclass(frozen=True, slots=True, kw_only=True)
class Duty:
    """What one process at a time should do. ``at`` is when whoever is on duty last said so."""

    name: str
    at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Window:
    """The batches of a place that a poll is about: those bound that entered the ledger at ``since`` or later.

    The oldest that is due is the oldest of them. ``due`` are to be looked at now, ``bound`` are all.
    """

    project: str
    location: str
    since: datetime
    due: int
    bound: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Expected:
    """A bound batch whose job is expected to be seen; ``uncertain`` when it may have more than one."""

    id: str
    job_name: str
    due: bool
    uncertain: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Watched:
    """As much of a bound batch as a look at its job needs."""

    id: str
    submission_id: str
    version: int
    job_name: str
    job_state: str
    job_state_since: datetime | None
    stats: JobStats
    output_directory: str
    attempts: int
    reason: str
    sent_at: datetime | None
    created_at: datetime
    updated_at: datetime
    state: BatchState = BatchState.BOUND

    @classmethod
    def of(cls, batch: Batch) -> Self:
        """Return what a look needs of a whole batch."""
        return cls(**{field.name: getattr(batch, field.name) for field in fields(cls)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Look:
    """What a look at a batch's job has brought, and when to look again; the batch stays bound.

    ``news`` tells whether anything but the time differs from what the ledger has at ``version``.
    """

    id: str
    version: int
    next_action_at: datetime
    job_state: str
    job_state_since: datetime | None
    stats: JobStats
    output_directory: str
    attempts: int
    reason: str
    news: bool
