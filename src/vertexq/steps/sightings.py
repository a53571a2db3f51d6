"""Sightings: what one look at a job says of its batch, and when to look again. No I/O."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime

from vertexq.ledger.watched import Look, Watched
from vertexq.model import Batch, Job
from vertexq.outlook import new_warnings
from vertexq.states import JobState

_WAITING = frozenset({JobState.PENDING, JobState.QUEUED})


def sighting(batch: Watched, job: Job, now: datetime, *, again_at: datetime) -> Look:
    """Return what is to be written down of a job that goes on."""
    since = state_since(batch, job, now)
    seen = (job.state_text, since, job.stats, job.output_directory or batch.output_directory, 0, "")
    known = (
        batch.job_state, batch.job_state_since, batch.stats, batch.output_directory,
        batch.attempts, batch.reason,
    )  # fmt: skip
    return Look(
        id=batch.id, version=batch.version, next_action_at=again_at, job_state=job.state_text,
        job_state_since=since, stats=job.stats, output_directory=seen[3], attempts=0, reason="",
        news=seen != known,
    )  # fmt: skip


def put_off(batch: Watched, why: str, *, again_at: datetime) -> Look:
    """Return what is to be written down of a job that cannot be looked at now; it is not missing."""
    return Look(
        id=batch.id, version=batch.version, next_action_at=again_at, job_state=batch.job_state,
        job_state_since=batch.job_state_since, stats=batch.stats, output_directory=batch.output_directory,
        attempts=batch.attempts, reason=why, news=why != batch.reason,
    )  # fmt: skip


def brought_up(batch: Watched, look: Look, now: datetime) -> list[str]:
    """Return warnings that this look has brought up, and none that an earlier one has."""
    after = replace(batch, job_state=look.job_state, job_state_since=look.job_state_since, updated_at=now)
    return new_warnings(batch, after)


def state_since(batch: Batch | Watched, job: Job, now: datetime) -> datetime:
    """Return since when a job has been in its state, by Google's own times where it gives them.

    A job that waits has done so since it was created, one that runs since it first ran; for any other state
    it is when we first saw it.
    """
    if job.state in _WAITING and job.create_time is not None:
        return job.create_time
    if job.state is JobState.RUNNING and job.start_time is not None:
        return job.start_time
    unchanged = batch.job_state == job.state_text and batch.job_name == job.name
    return batch.job_state_since if unchanged and batch.job_state_since else now
