"""Poll: one filtered list call keeps many batches' job states fresh."""

from __future__ import annotations

from collections.abc import Mapping

import structlog

from vertexq.errors import Conflict, NotFound
from vertexq.ledger import Record
from vertexq.model import Batch, Job
from vertexq.names import TaskName
from vertexq.retry import poll_wait_s
from vertexq.states import JOB_TERMINAL, BatchState
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)

BATCHES_A_POLL = 500
SINGLE_GETS = 3
"""Up to this many due batches are asked for one by one; more of them are found in one list."""


async def poll(services: Services, project: str, location: str) -> None:
    """Look at the jobs of every batch that is due in one project and location.

    Running twice does no harm: each finding is a compare-and-set on the batch's version.
    """
    due = services.ledger.poll_due(project, location, limit=BATCHES_A_POLL)
    jobs = await _jobs(services, project, location, due)
    for batch in due:
        try:
            await _observe(services, batch, jobs.get(_job_id(batch.job_name)))
        except Conflict as error:
            log.info("poll_overtaken", batch=batch.id, reason=str(error))


async def _jobs(services: Services, project: str, location: str, due: list[Batch]) -> Mapping[str, Job]:
    """Return the jobs of the batches by job id; one that the list left out is asked for by name."""
    wanted = {_job_id(batch.job_name) for batch in due}
    found: dict[str, Job] = {}
    if len(due) > SINGLE_GETS:
        oldest = min(batch.created_at for batch in due) - seconds(86_400)
        created = oldest.strftime("%Y-%m-%dT%H:%M:%SZ")
        query = f'labels.vertexq:* AND create_time>="{created}"'
        async for job in services.vertex.list(project, location, filter=query):
            if job.job_id in wanted:
                found[job.job_id] = job
            if len(found) == len(wanted):
                break
    for batch in due:
        job_id = _job_id(batch.job_name)
        single = None if job_id in found else await _get(services, batch)
        if single is not None:
            found[job_id] = single
    return found


async def _get(services: Services, batch: Batch) -> Job | None:
    try:
        return await services.vertex.get(batch.job_name)
    except NotFound:
        return None


async def _observe(services: Services, batch: Batch, job: Job | None) -> None:
    """Write down what was seen; a job that is gone is asked for again and never made anew."""
    ledger, now = services.ledger, services.ledger.now()
    if job is None:
        _missed(services, batch)
        return
    since = batch.job_state_since if batch.job_state == job.state_text else now
    if job.state in JOB_TERMINAL:
        ledger.move_batch(
            batch, BatchState.ENDED, job_state=job.state_text, job_state_since=since, job_error=job.error,
            stats=job.stats, output_directory=job.output_directory, attempts=0, reason="", next_action_at=now,
        )  # fmt: skip
        log.info("job_ended", batch=batch.id, job=job.name, state=job.state_text)
        services.hints.send(TaskName.INGEST, batch.id)
        for waiting in ledger.ready_batches(batch.project, batch.location, limit=1):
            services.hints.send(TaskName.CREATE, waiting)
        return
    if job.state is None:
        log.warning("unknown_job_state", batch=batch.id, job=job.name, state=job.state_text)
    ledger.update_batch(
        batch, job_state=job.state_text, job_state_since=since, stats=job.stats,
        output_directory=job.output_directory, attempts=0,
        next_action_at=now + seconds(_wait_s(services, batch)),
    )  # fmt: skip


def _wait_s(services: Services, batch: Batch) -> float:
    sent_at = batch.sent_at or batch.created_at
    return poll_wait_s(
        (services.ledger.now() - sent_at).total_seconds(),
        first_s=services.options.poll_interval_s,
        longest_s=services.options.poll_longest_s,
        luck=services.luck(),
    )


def _missed(services: Services, batch: Batch) -> None:
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
        return
    wait_s = backoff.wait_s(attempts, luck=services.luck())
    ledger.update_batch(batch, attempts=attempts, next_action_at=ledger.now() + seconds(wait_s))


def wake(services: Services, batch: Batch) -> None:
    """Send the submission on when this was its last open batch; should the hint be lost, it is due."""
    if services.ledger.settle_ready(batch.submission_id):
        services.ledger.hasten(Record.SUBMISSION, batch.submission_id)
        services.hints.send(TaskName.SETTLE, batch.submission_id)


def _job_id(name: str) -> str:
    return name.rpartition("/")[2]
