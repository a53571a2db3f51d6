"""Cancel: withdraw what was not sent, ask Google to stop what runs, keep every finished row."""

from __future__ import annotations

from vertexq.ledger import Claim, Record
from vertexq.model import Submission
from vertexq.names import TaskName
from vertexq.states import SubmissionState
from vertexq.steps.dispatch import dispatch
from vertexq.steps.leases import with_lease
from vertexq.steps.services import Services, seconds
from vertexq.steps.stopping import stop

_REASON = "the submission was cancelled before this batch was sent"


async def cancel(services: Services, submission_id: str) -> None:
    """Carry out a requested cancel; repeated until every batch has ended, then the submission settles.

    A finished job's rows are collected like any other's, also when the cancel came too late to stop it.
    Batches that waited for a person, as their submission was parked, go on: their end is wanted now.
    """

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        if submission.state is SubmissionState.CANCELLING:
            await _cancel(services, submission, claim)

    await with_lease(services, Record.SUBMISSION, submission_id, work)


async def _cancel(services: Services, submission: Submission, claim: Claim) -> None:
    ledger = services.ledger
    batches = ledger.batches(submission.id)
    for batch in batches:
        await stop(services, batch, claim, withdraw=_REASON)
    ledger.rouse(submission.id)
    if ledger.settle_ready(submission.id):
        ledger.update_submission(submission, claim=claim, next_action_at=ledger.now())
        services.hints.send(TaskName.SETTLE, submission.id)
    else:
        again = ledger.now() + seconds(services.options.poll_interval_s)
        ledger.update_submission(submission, claim=claim, next_action_at=again)
    for project, location in sorted({(batch.project, batch.location) for batch in batches}):
        await dispatch(services, project, location)  # what was handed out to them is free again
