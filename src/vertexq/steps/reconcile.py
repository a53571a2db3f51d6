"""Reconcile: find out what became of a create that had no clear answer, and never pay twice for it.

::

    look ──► found      the oldest job is bound, with its own output prefix; all others are strays
      └────► nothing    look again, until the settle time is over and two looks found nothing:
                        then it is ready to be sent again (withdrawn, if a cancel was asked for meanwhile)

Accepted late or listed late: a job of an earlier attempt is found whenever it turns up, by the look before
every later POST and by the looks that polls make while the batch's job runs.
"""

from __future__ import annotations

from datetime import datetime

import structlog

from vertexq.failpoints import Failpoint, reach
from vertexq.ledger import Claim, Record
from vertexq.model import Batch, Job
from vertexq.names import TaskName
from vertexq.retry import spread
from vertexq.states import BatchState, SubmissionState
from vertexq.steps.looking import look, works_here
from vertexq.steps.poll import wake
from vertexq.steps.services import Services, seconds
from vertexq.steps.sightings import state_since
from vertexq.steps.strays import report

log = structlog.get_logger(__name__)

LOOKS = 2
"""Empty looks that are needed, besides the settle time, before a second POST."""
LOOK_WAIT_S = 60.0
"""The longest time between two looks."""
LAG_S = 30.0
"""What Google's list is granted to show a job that a 429 hid, before the last look and another POST."""
SLOW_DOWN = "Google asked to slow down (429), and no job was made; it is sent again"


def ambiguous(
    services: Services, batch: Batch, claim: Claim, why: str, *, attempts: int | None = None
) -> Batch:
    """Note that nobody knows what became of the create."""
    moved = services.ledger.move_batch(
        batch,
        BatchState.AMBIGUOUS,
        claim=claim,
        reason=f"the create had no clear answer ({why}); looking for the job",
        attempts=batch.attempts if attempts is None else attempts,
        next_action_at=services.ledger.now(),
    )
    reach(Failpoint.RECONCILE_AMBIGUOUS)
    return moved


async def reconcile(
    services: Services, batch: Batch, claim: Claim, *, again_in_s: float | None = None
) -> None:
    """Look for an ambiguous batch's job: bind it, or wait, or let the batch be sent again.

    With ``again_in_s`` one empty look is enough, as after a 429, which hardly ever hides a job; the batch may
    be sent again after that many seconds, half a minute at least, and is looked for once more before that.
    """
    ledger, now = services.ledger, services.ledger.now()  # before the look: what comes later it cannot see
    if await adopt(services, batch, claim, everywhere=batch.looks > 0):
        return
    looks, left_s = batch.looks + 1, settle_left_s(batch, now, settle_time_s=services.options.settle_time_s)
    if again_in_s is not None:
        wait_s = max(again_in_s, lag_s(services.options.settle_time_s))
        _send_back(services, batch, claim, wait_s=wait_s, reason=SLOW_DOWN)
    elif left_s <= 0.0 and looks >= LOOKS:
        _send_back(services, batch, claim, wait_s=0.0, reason="no job was made; it is sent again")
    else:
        wait_s = look_wait_s(looks, left_s, settle_time_s=services.options.settle_time_s)
        ledger.update_batch(batch, claim=claim, looks=looks, next_action_at=now + seconds(wait_s))


async def adopt(services: Services, batch: Batch, claim: Claim, *, everywhere: bool) -> bool:
    """Look for jobs of a batch that has none; bind the one to keep and report the others.

    Only a job that works in the batch's folder is kept; any other with its label was not made by us.
    """
    jobs = await look(services, batch, everywhere=everywhere)
    reach(Failpoint.RECONCILE_LOOKED)
    keep = next((job for job in jobs if works_here(job, batch)), None)
    if keep is None:
        return False
    bound = bind(services, batch, keep, claim, looks=batch.looks + 1)
    await report(services, bound, jobs)
    return True


def bind(services: Services, batch: Batch, job: Job, claim: Claim, *, looks: int) -> Batch:
    """Note which job is the batch's and where it writes; a cancel that was asked for goes on at once."""
    ledger, now = services.ledger, services.ledger.now()
    bound = ledger.move_batch(
        batch,
        BatchState.BOUND,
        claim=claim,
        job_name=job.name,
        job_state=job.state_text,
        job_state_since=state_since(batch, job, now),
        output_prefix=job.output_prefix or batch.output_prefix,
        looks=looks,
        attempts=0,
        next_action_at=now + seconds(spread(services.options.poll_interval_s, luck=services.luck())),
    )
    log.info("bound", batch=batch.id, job=job.name, looks=looks)
    reach(Failpoint.CREATE_BOUND)
    if ledger.submission(batch.submission_id).state is SubmissionState.CANCELLING:
        ledger.hasten(Record.SUBMISSION, batch.submission_id)
        services.hints.send(TaskName.CANCEL, batch.submission_id)
    return bound


def settle_left_s(batch: Batch, now: datetime, *, settle_time_s: float) -> float:
    """Return how much of the settle time is left, in seconds; it began when the intent was written."""
    return settle_time_s - (now - (batch.sent_at or batch.created_at)).total_seconds()


def look_wait_s(looks: int, left_s: float, *, settle_time_s: float) -> float:
    """Return how long to wait after look number ``looks``: 2, 4, 8, 16, 32, 60, 60, ... seconds.

    A tenth of the settle time is the most, and one look is made when it is over.
    """
    wait_s = min(2.0 ** min(looks, 6), LOOK_WAIT_S, settle_time_s / 10)
    return min(wait_s, left_s) if left_s > 0.0 else wait_s


def lag_s(settle_time_s: float) -> float:
    """Return how long Google's list may take to show a job of a create that was answered 429."""
    return min(LAG_S, settle_time_s / 30)


def _send_back(services: Services, batch: Batch, claim: Claim, *, wait_s: float, reason: str) -> None:
    """Let a batch without a job be sent again; withdraw it when its submission is being cancelled.

    One that has to wait is withdrawn by the cancel itself, when Google's list has had its time.
    """
    ledger = services.ledger
    cancelling = ledger.submission(batch.submission_id).state is SubmissionState.CANCELLING
    if cancelling and not wait_s:
        why = "the submission was cancelled, and no job turned up"
        wake(services, ledger.move_batch(batch, BatchState.WITHDRAWN, claim=claim, reason=why))
        return
    at = ledger.now() + seconds(wait_s)
    ledger.move_batch(batch, BatchState.READY, claim=claim, next_action_at=at, reason=reason)
    reach(Failpoint.RECONCILE_SENT_BACK)
    if not wait_s:
        services.hints.send(TaskName.CREATE, batch.id)
