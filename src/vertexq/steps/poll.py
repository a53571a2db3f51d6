"""Poll: one filtered list call keeps many batches' job states fresh."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

import structlog

from vertexq.errors import Conflict, NotFound, VertexqError
from vertexq.ledger import Record
from vertexq.model import Batch, Job
from vertexq.names import TaskName
from vertexq.outlook import new_warnings
from vertexq.retry import poll_wait_s
from vertexq.states import JOB_TERMINAL, BatchState, JobState
from vertexq.steps.dispatch import dispatch
from vertexq.steps.looking import is_of, uncertain
from vertexq.steps.services import Services, seconds
from vertexq.steps.strays import chase, report

log = structlog.get_logger(__name__)

BATCHES_A_POLL = 500
_WAITING = frozenset({JobState.PENDING, JobState.QUEUED})
FEW = 3
"""Up to this many due batches are listed one by one; more of them are found in one list of their place.

As many calls for single jobs may fail before a poll asks for no more of them.
"""


async def poll(services: Services, project: str, location: str) -> None:
    """Look at the jobs of every batch that is due in one project and location.

    Running twice does no harm: each finding is a compare-and-set on the batch's version.
    """
    await chase(services, project, location)
    due = services.ledger.poll_due(project, location, limit=BATCHES_A_POLL)
    jobs = await _jobs(services, due)
    slots = False
    for batch in due:
        try:
            slots = _observe(services, batch, jobs[_job_id(batch.job_name)]) or slots
        except Conflict as error:
            log.info("poll_overtaken", batch=batch.id, reason=str(error))
    if slots:
        await dispatch(services, project, location)


async def _jobs(services: Services, due: list[Batch]) -> Mapping[str, Job | VertexqError]:
    """Return the jobs of the batches by job id; one that the lists left out is asked for by name.

    A job that cannot be had comes with the reason, as it must not keep the others from being seen. Few are
    listed by their labels, many together. On the way, other jobs of these batches are reported.
    """
    found: dict[str, Job | VertexqError] = {}
    if len(due) > FEW:
        created = (min(batch.created_at for batch in due) - seconds(86_400)).strftime("%Y-%m-%dT%H:%M:%SZ")
        query = f'labels.vertexq:* AND create_time>="{created}"'
        found |= await _listed(services, due, query, to_the_end=any(uncertain(batch) for batch in due))
    else:
        for batch in due:
            found |= await _listed(services, [batch], f'labels.vertexq="{batch.id}"', to_the_end=True)
    failures: list[VertexqError] = []
    for batch in due:
        job_id = _job_id(batch.job_name)
        if job_id not in found:
            one = found[job_id] = await _get(services, batch) if len(failures) < FEW else failures[-1]
            failures += [one] if isinstance(one, VertexqError) and one.retryable else []
    return found


async def _listed(services: Services, due: list[Batch], query: str, *, to_the_end: bool) -> dict[str, Job]:
    """List jobs of batches of one place until all are found, or to the end, where others may turn up."""
    by_label = {batch.id: batch for batch in due}
    wanted = {_job_id(batch.job_name) for batch in due}
    found: dict[str, Job] = {}
    async for job in services.vertex.list(due[0].project, due[0].location, filter=query):
        batch = by_label.get(job.labels.get("vertexq", ""))
        if job.job_id in wanted:
            found[job.job_id] = job
        elif batch is not None and is_of(job, batch):
            await report(services, batch, [job])
        if len(found) == len(wanted) and not to_the_end:
            break
    return found


async def _get(services: Services, batch: Batch) -> Job | VertexqError:
    try:
        return await services.vertex.get(batch.job_name)
    except VertexqError as error:
        return error


def _observe(services: Services, batch: Batch, job: Job | VertexqError) -> bool:
    """Write down what was seen, and tell whether a slot is free now.

    A job that is gone is asked for again and never made anew.
    """
    ledger, now = services.ledger, services.ledger.now()
    if isinstance(job, VertexqError):
        return _missed(services, batch) if isinstance(job, NotFound) else _put_off(services, batch, job)
    since = state_since(batch, job, now)
    if job.state in JOB_TERMINAL:
        ledger.move_batch(
            batch, BatchState.ENDED, job_state=job.state_text, job_state_since=since, job_error=job.error,
            stats=job.stats, output_directory=job.output_directory, attempts=0, reason="", next_action_at=now,
        )  # fmt: skip
        log.info("job_ended", batch=batch.id, job=job.name, state=job.state_text)
        services.hints.send(TaskName.INGEST, batch.id)
        return True
    if job.state is None:
        log.warning("unknown_job_state", batch=batch.id, job=job.name, state=job.state_text)
    seen = ledger.update_batch(
        batch, job_state=job.state_text, job_state_since=since, stats=job.stats,
        output_directory=job.output_directory, attempts=0, reason="",
        next_action_at=now + seconds(_wait_s(services, batch)),
    )  # fmt: skip
    for text in new_warnings(batch, seen):
        log.warning("job_near_its_end", submission=batch.submission_id, batch=batch.id, reason=text)
    return False


def state_since(batch: Batch, job: Job, now: datetime) -> datetime:
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


def _wait_s(services: Services, batch: Batch) -> float:
    sent_at = batch.sent_at or batch.created_at
    return poll_wait_s(
        (services.ledger.now() - sent_at).total_seconds(),
        first_s=services.options.poll_interval_s,
        longest_s=services.options.poll_longest_s,
        luck=services.luck(),
    )


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


def _put_off(services: Services, batch: Batch, error: VertexqError) -> bool:
    """Look at a job later that cannot be looked at now, and say why; it is not missing."""
    log.warning("job_not_seen", batch=batch.id, job=batch.job_name, error=type(error).__name__)
    at = services.ledger.now() + seconds(_wait_s(services, batch))
    services.ledger.update_batch(batch, next_action_at=at, reason=str(error))
    return False


def wake(services: Services, batch: Batch) -> None:
    """Send the submission on when this was its last open batch; should the hint be lost, it is due."""
    if services.ledger.settle_ready(batch.submission_id):
        services.ledger.hasten(Record.SUBMISSION, batch.submission_id)
        services.hints.send(TaskName.SETTLE, batch.submission_id)


def _job_id(name: str) -> str:
    return name.rpartition("/")[2]
