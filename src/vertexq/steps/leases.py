"""Work under a lease: claim, keep it alive while working, let go, and note what went wrong."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress
from functools import partial

import structlog

from vertexq.errors import ApiError, Conflict, LeaseLost, VertexqError
from vertexq.ledger import Claim, Record
from vertexq.model import Batch, Submission
from vertexq.names import TaskName
from vertexq.states import BATCH_TERMINAL, SubmissionState, may_follow
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)

Work = Callable[[Claim], Awaitable[None]]
PutOff = Callable[[Exception], None]
_TRIES = 20
"""How often a record that others are changing is read again."""


async def with_lease(services: Services, record: Record, record_id: str, work: Work) -> None:
    """Do ``work`` on a record that nobody else holds; do nothing when somebody does.

    An error that may pass puts the record off; one that will not, or one time too many, parks the
    submission and says why. Losing the lease stops the work at once: somebody else has it.
    """
    claim = services.ledger.claim(record, record_id, owner=services.owner, lease_s=services.options.lease_s)
    if claim is not None:
        await under(services, claim, work, partial(_put_off, services, claim))


async def under(services: Services, claim: Claim, work: Work, put_off: PutOff) -> None:
    """Do ``work`` under a lease that was taken, and let go of it; ``put_off`` is told what went wrong."""
    try:
        await _with_heartbeat(services, claim, work)
    except Conflict as error:
        log.info("step_overtaken", record=claim.record, id=claim.id, reason=str(error))
    except VertexqError as error:
        put_off(error)
    except Exception as error:
        put_off(error)
        raise
    finally:
        services.ledger.release(claim)


async def _with_heartbeat(services: Services, claim: Claim, work: Work) -> None:
    """Run ``work`` and renew the lease beside it; cancel the work when the lease is gone."""
    task = asyncio.ensure_future(work(claim))
    try:
        while True:
            done, _ = await asyncio.wait({task}, timeout=services.options.heartbeat_s)
            if done:
                return task.result()
            services.ledger.renew(claim, lease_s=services.options.lease_s)
    except LeaseLost:
        log.warning("lease_lost", record=claim.record, id=claim.id)
        raise
    finally:
        if not task.done():
            task.cancel()
            with suppress(asyncio.CancelledError, VertexqError):
                await task


def judged(error: Exception) -> tuple[bool, str]:
    """Return whether another attempt may help, and why this one failed; what we did not foresee may pass.

    Nothing of an error that is not ours is told: it may quote a row.
    """
    if isinstance(error, VertexqError):
        return error.retryable, str(error)
    return True, f"unexpected {type(error).__name__}"


def _put_off(services: Services, claim: Claim, error: Exception) -> None:
    """Schedule the next attempt, or park the submission when another attempt cannot help."""
    ledger, backoff = services.ledger, services.options.backoff
    subject: Submission | Batch
    subject = ledger.submission(claim.id) if claim.record is Record.SUBMISSION else ledger.batch(claim.id)
    attempts = subject.attempts + 1
    may_pass, reason = judged(error)
    log.warning(
        "step_failed", record=claim.record, id=claim.id, attempts=attempts, error=type(error).__name__
    )
    with suppress(Conflict):
        if isinstance(subject, Submission) and _stops_instead(services, subject, claim):
            return
        if not may_pass or attempts >= backoff.attempts:
            park(services, subject, reason, claim=claim)
            return
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        wait_s = backoff.wait_s(attempts, luck=services.luck(), asked_s=asked_s)
        at = ledger.now() + seconds(wait_s)
        if isinstance(subject, Submission):
            ledger.update_submission(
                subject, claim=claim, attempts=attempts, next_action_at=at, reason=reason
            )
        else:
            ledger.update_batch(subject, claim=claim, attempts=attempts, next_action_at=at, reason=reason)


def _stops_instead(services: Services, submission: Submission, claim: Claim) -> bool:
    """Let a cancel that was noted while a submission was staged take effect when staging has broken off."""
    if submission.state is not SubmissionState.STAGING or not submission.cancel_requested:
        return False
    now = services.ledger.now()
    services.ledger.move_submission(submission, SubmissionState.CANCELLING, claim=claim, next_action_at=now)
    services.hints.send(TaskName.CANCEL, submission.id)
    return True


def park(services: Services, subject: Submission | Batch, reason: str, *, claim: Claim) -> None:
    """Stop asking for work on a record and let a person decide; enqueueing the same id again goes on.

    What is being cancelled is not parked but tried again, now and then: its end is wanted already.
    """
    ledger = services.ledger
    submission = subject if isinstance(subject, Submission) else ledger.submission(subject.submission_id)
    stopping = submission.state is SubmissionState.CANCELLING
    again = ledger.now() + seconds(services.options.backoff.longest_s) if stopping else None
    if isinstance(subject, Batch):
        waits = again if subject.state not in BATCH_TERMINAL else None
        ledger.update_batch(subject, claim=claim, next_action_at=waits, reason=reason)
    elif stopping:
        ledger.update_submission(submission, claim=claim, next_action_at=again, reason=reason)
    if not stopping:
        _park(services, submission.id, reason, claim)


def _park(services: Services, submission_id: str, reason: str, claim: Claim) -> None:
    """Park a submission although others may be changing it, as its other batches go on meanwhile.

    One that is to be cancelled (it was noted while somebody staged it) is stopped instead.
    """
    ledger = services.ledger
    for _ in range(_TRIES):
        submission = ledger.submission(submission_id)
        if not may_follow(submission.state, SubmissionState.PARKED):
            return
        try:
            ledger.move_submission(submission, SubmissionState.PARKED, claim=claim, reason=reason)
        except LeaseLost:
            raise
        except Conflict:
            continue
        if submission.cancel_requested:
            ledger.request_cancel(submission_id)
            services.hints.send(TaskName.CANCEL, submission_id)
        return
    raise Conflict(f"submission {submission_id} is being changed by others; it is parked next time")
