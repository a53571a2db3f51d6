"""Observing: what follows from a look at a batch's job: it goes on, has ended, is gone, or cannot be seen."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime

import structlog

from vertexq.errors import ApiError, Conflict, VertexqError
from vertexq.ledger import Record
from vertexq.ledger.watched import Look, Watched
from vertexq.model import Batch, Job
from vertexq.names import TaskName
from vertexq.retry import poll_wait_s
from vertexq.states import JOB_TERMINAL, BatchState, JobState
from vertexq.steps.services import Services, seconds
from vertexq.steps.sightings import brought_up, put_off, sighting, state_since

log = structlog.get_logger(__name__)


def observe(services: Services, batch: Batch, job: Job | VertexqError | None) -> bool:
    """Write down what one look at one job has brought, and tell whether a slot is free now.

    A job that is gone (None) is asked for again and never made anew.
    """
    try:
        if job is None:
            return _missed(services, batch)
        if isinstance(job, VertexqError):
            not_seen(services, [Watched.of(batch)], job)
            return False
        if job.state in JOB_TERMINAL:
            return _ended(services, batch, job)
    except Conflict as error:
        log.info("poll_overtaken", batch=batch.id, reason=str(error))
        return False
    going_on(services, [(Watched.of(batch), job)])
    return False


def going_on(services: Services, seen: Sequence[tuple[Watched, Job]]) -> None:
    """Write down jobs that go on, in one transaction; look at what those that run have written."""
    now = services.ledger.now()
    looks = [sighting(batch, job, now, again_at=_again_at(services, batch, now)) for batch, job in seen]
    _note(services, looks)
    for (batch, job), look in zip(seen, looks, strict=True):
        _tell(batch, job, look, now)
        if job.state is JobState.RUNNING and services.options.early_results:
            services.hints.send(TaskName.INGEST, batch.id)


def not_seen(services: Services, batches: Iterable[Watched], error: VertexqError) -> None:
    """Look later at jobs that cannot be looked at now, and say why; they are not missing.

    When Google says how long it wants to be left alone, it is.
    """
    now = services.ledger.now()
    asked_s = error.retry_after_s if isinstance(error, ApiError) else None
    soonest = now + seconds(min(asked_s or 0.0, services.options.poll_longest_s))
    looks = [
        put_off(batch, str(error), again_at=max(_again_at(services, batch, now), soonest))
        for batch in batches
    ]
    log.warning("jobs_not_seen", jobs=len(looks), error=type(error).__name__, reason=str(error))
    _note(services, looks)


def _ended(services: Services, batch: Batch, job: Job) -> bool:
    ledger, now = services.ledger, services.ledger.now()
    ledger.move_batch(
        batch, BatchState.ENDED, job_state=job.state_text,
        job_state_since=state_since(Watched.of(batch), job, now), job_error=job.error, stats=job.stats,
        output_directory=job.output_directory or batch.output_directory, attempts=0, reason="",
        next_action_at=now,
    )  # fmt: skip
    log.info("job_ended", batch=batch.id, job=job.name, state=job.state_text)
    services.hints.send(TaskName.INGEST, batch.id)
    return True


def _missed(services: Services, batch: Batch) -> bool:
    """Note a job that Google no longer knows; after enough looks a person must decide."""
    ledger, backoff = services.ledger, services.options.backoff
    attempts = batch.attempts + 1
    log.warning("job_not_found", batch=batch.id, job=batch.job_name, attempts=attempts)
    if attempts >= backoff.attempts:
        lost = ledger.move_batch(
            batch,
            BatchState.LOST,
            reason=f"Google does not know {batch.job_name} any more",
            attempts=attempts,
        )
        wake(services, lost)
        return True
    wait_s = backoff.wait_s(attempts, luck=services.luck())
    ledger.update_batch(batch, attempts=attempts, next_action_at=ledger.now() + seconds(wait_s))
    return False


def wake(services: Services, batch: Batch) -> None:
    """Send the submission on when this was its last open batch; should the hint be lost, it is due."""
    if services.ledger.settle_ready(batch.submission_id):
        services.ledger.hasten(Record.SUBMISSION, batch.submission_id)
        services.hints.send(TaskName.SETTLE, batch.submission_id)


def _note(services: Services, looks: Sequence[Look]) -> None:
    if late := services.ledger.note_looks(looks):
        log.info("poll_overtaken", looks=late)


def _tell(batch: Watched, job: Job, look: Look, now: datetime) -> None:
    """Say once what somebody should know."""
    if job.state is None and batch.job_state != job.state_text:
        log.warning("unknown_job_state", batch=batch.id, job=job.name, state=job.state_text)
    for text in brought_up(batch, look, now):
        log.warning("job_near_its_end", submission=batch.submission_id, batch=batch.id, reason=text)


def _again_at(services: Services, batch: Watched, now: datetime) -> datetime:
    wait_s = poll_wait_s(
        (now - (batch.sent_at or batch.created_at)).total_seconds(),
        first_s=services.options.poll_interval_s,
        longest_s=services.options.poll_longest_s,
        luck=services.luck(),
    )
    return now + seconds(wait_s)
