"""Outlook: which jobs are about to run into one of Google's own ends. No I/O.

A job waits in Google's queue for up to 72 hours and then expires; 24 hours after it began to run, what is not
finished is cancelled (Google's overview of Gemini batch inference, read 2026-11-21).
"""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from types import MappingProxyType
from typing import NamedTuple, Protocol

from vertexq.states import BatchState, JobState, job_state

HOUR_S = 3600.0


class _End(NamedTuple):
    """After ``warn_h`` hours in a state one is told, after ``most_h`` Google ends it."""

    warn_h: float
    most_h: float
    text: str


_QUEUED = _End(60.0, 72.0, "has waited in Google's queue for {for_h:.0f} h and expires {left}")
_RUNNING = _End(20.0, 24.0, "has run for {for_h:.0f} h; what it has not finished is cancelled {left}")
_ENDS: Mapping[str, _End] = MappingProxyType(
    {JobState.QUEUED: _QUEUED, JobState.PENDING: _QUEUED, JobState.RUNNING: _RUNNING}
)
_ODD_H = 1.0
"""After so many hours in a state that leads nowhere by itself one is told."""
_PAUSED = (
    "has been paused for {for_h:.0f} h and does not go on by itself; look at it in Google's console, or "
    "cancel the submission"
)
_UNKNOWN = "has been {state} for {for_h:.0f} h, a state that this version does not know; it is waited for"


class Waited(Protocol):
    """What is asked about: a batch, as it was when its job was last looked at."""

    @property
    def state(self) -> BatchState:
        """Where the batch stands."""
        ...

    @property
    def job_name(self) -> str:
        """The job's full name."""
        ...

    @property
    def job_state(self) -> str:
        """Google's word."""
        ...

    @property
    def job_state_since(self) -> datetime | None:
        """Since when it has been Google's word."""
        ...

    @property
    def updated_at(self) -> datetime:
        """When the job was last looked at."""
        ...


def warnings(batch: Waited, now: datetime) -> list[str]:
    """Return what is to be expected of a batch's job soon, a sentence each; nothing when all is well.

    ``job 123 has waited in Google's queue for 61 h and expires in 11 h``
    """
    if batch.state is not BatchState.BOUND or batch.job_state_since is None:
        return []
    for_h = (now - batch.job_state_since).total_seconds() / HOUR_S
    said = _end(batch.job_state, for_h) or _oddity(batch.job_state, for_h)
    return [f"job {batch.job_name.rpartition('/')[2]} {said}"] if said else []


def _end(state: str, for_h: float) -> str:
    end = _ENDS.get(state)
    if end is None or for_h < end.warn_h:
        return ""
    left_h = end.most_h - for_h
    left = f"in {left_h:.0f} h" if left_h >= 1.0 else ("within the hour" if left_h > 0.0 else "any moment")
    return end.text.format(for_h=for_h, left=left)


def _oddity(state: str, for_h: float) -> str:
    if for_h < _ODD_H:
        return ""
    if job_state(state) is None:
        return _UNKNOWN.format(for_h=for_h, state=state[:60])
    return _PAUSED.format(for_h=for_h) if state == JobState.PAUSED else ""


def new_warnings(before: Waited, after: Waited) -> list[str]:
    """Return what a look at a job has brought up: warnings that were not due at the look before it.

    So a log that is written at every look says each of them once.
    """
    return [] if warnings(before, before.updated_at) else warnings(after, after.updated_at)
