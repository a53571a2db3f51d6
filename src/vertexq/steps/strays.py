"""Strays: jobs of a batch beside the one that is kept. Each is written down and cancelled until it stops."""

from __future__ import annotations

from collections.abc import Iterable

import structlog

from vertexq.errors import ApiError, NotFound, Refused, Unreachable
from vertexq.ledger import Stray
from vertexq.ledger.strays import GONE
from vertexq.model import Batch, Job
from vertexq.states import JOB_TERMINAL
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)


async def report(services: Services, batch: Batch, jobs: Iterable[Job]) -> None:
    """Write down jobs of a batch that nobody waits for, and ask Google to stop those that run."""
    for job in jobs:
        kept = job.job_id == batch.job_name.rpartition("/")[2]
        if kept or not services.ledger.note_stray(batch.id, job, actor=services.owner):
            continue
        log.error(
            "stray_job", submission=batch.submission_id, batch=batch.id, job=job.name, kept=batch.job_name
        )
        await _stop(services, job)


async def chase(services: Services, project: str, location: str) -> None:
    """Ask Google again to stop the strays of a place, until it says that each has stopped."""
    for stray in services.ledger.running_strays(project, location, quiet_s=services.options.poll_interval_s):
        try:
            await _stop(services, await services.vertex.get(stray.job_name))
        except NotFound:
            _missing(services, stray)
        except (ApiError, Unreachable) as error:
            log.warning("stray_look_failed", batch=stray.batch_id, error=type(error).__name__)


async def _stop(services: Services, job: Job) -> None:
    if job.state in JOB_TERMINAL:
        services.ledger.mark_stray(job.name, job.state_text, cancelled=False, actor=services.owner)
        log.info("stray_job_stopped", job=job.name, state=job.state_text)
        return
    try:
        await services.vertex.cancel(job.name)
    except (
        Refused
    ) as error:  # it stopped by itself a moment ago, or may not be cancelled: the next look tells
        log.warning("stray_job_not_cancelled", job=job.name, reason=str(error))
    except (ApiError, Unreachable) as error:
        log.warning("stray_job_not_cancelled", job=job.name, reason=str(error))
        return
    services.ledger.mark_stray(job.name, job.state_text, cancelled=True, actor=services.owner)


def _missing(services: Services, stray: Stray) -> None:
    """Give up a stray that Google does not know, once it is old enough for that to be an answer."""
    old = services.ledger.now() >= stray.found_at + seconds(services.options.settle_time_s)
    state = GONE if old else stray.job_state
    services.ledger.mark_stray(stray.job_name, state, cancelled=True, actor=services.owner)
