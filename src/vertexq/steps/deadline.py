"""Deadline: when a submission is late, stop what still runs, keep every finished row, and go on as asked.

::

    late ──► jobs are asked to stop, until each has ended and its output is in the store
               ├── report: what was not sent is withdrawn; rows without an answer end as missing
               └── rerun:  what was not sent waits; rows without an answer go into new batches (``rerun``)

A deadline that passes before everything is staged has to wait: only then each row has a place where it can be
accounted for. Nothing is sent meanwhile, and a parked submission stays parked when its rows are to run again.
"""

from __future__ import annotations

import structlog

from vertexq.deadlines import is_late, passed, runs_again
from vertexq.ledger import Claim, Record
from vertexq.model import Submission
from vertexq.names import TaskName
from vertexq.states import BATCH_TERMINAL, BatchState, SubmissionState
from vertexq.steps.leases import with_lease
from vertexq.steps.services import Services
from vertexq.steps.stopping import stop

log = structlog.get_logger(__name__)


async def deadline(services: Services, submission_id: str) -> None:
    """Stop a submission that is late; repeated by the sweeper until everything has ended."""

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        if may_act(services, submission):
            await _act(services, submission, claim)

    await with_lease(services, Record.SUBMISSION, submission_id, work)


def may_act(services: Services, submission: Submission) -> bool:
    """Tell whether a deadline has passed that somebody must act on now."""
    if not is_late(submission, services.ledger.now()):
        return False
    if submission.state is SubmissionState.PARKED:
        return services.ledger.is_staged(submission)
    return submission.state is SubmissionState.RUNNING


async def _act(services: Services, submission: Submission, claim: Claim) -> None:
    ledger, again = services.ledger, runs_again(submission)
    over = submission.state is SubmissionState.PARKED and not again
    reason = "" if again else before_it_was_sent(submission)
    for batch in ledger.batches(submission.id):
        if over or not batch.online:  # rows that are asked online are what comes after a deadline
            await stop(services, batch, claim, withdraw=reason)
    if not has_stopped(services, submission):
        log.info("deadline_passed", submission=submission.id, rounds=submission.rounds)
    elif not again:
        close(services, submission, claim)
    elif submission.state is SubmissionState.RUNNING:
        services.hints.send(TaskName.RERUN, submission.id)


def has_stopped(services: Services, submission: Submission) -> bool:
    """Tell whether nothing of a late submission is under way any more; what will run again may wait."""
    waits = {BatchState.READY} if runs_again(submission) else set[BatchState]()
    return all(
        batch.state in BATCH_TERMINAL or (batch.state in waits and not batch.online)
        for batch in services.ledger.batches(submission.id)
    )


def before_it_was_sent(submission: Submission) -> str:
    """Return why a batch is withdrawn."""
    return f"{passed(submission)} before this batch was sent"


def close(services: Services, submission: Submission, claim: Claim) -> None:
    """Send a late submission on to be settled as it is."""
    services.ledger.move_submission(
        submission,
        SubmissionState.SETTLING,
        claim=claim,
        next_action_at=services.ledger.now(),
        reason=passed(submission),
    )
    log.warning("deadline_closed", submission=submission.id, rounds=submission.rounds)
    services.hints.send(TaskName.SETTLE, submission.id)
