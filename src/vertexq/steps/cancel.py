"""Cancel: withdraw what was not sent, ask Google to stop what runs, keep every finished row."""

from __future__ import annotations

import structlog

from vertexq.errors import Conflict, Refused
from vertexq.ledger import Claim, Record
from vertexq.model import Batch
from vertexq.names import TaskName
from vertexq.states import BatchState, SubmissionState
from vertexq.steps.leases import with_lease
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)


async def cancel(services: Services, submission_id: str) -> None:
    """Carry out a requested cancel; repeated until every batch has ended, then the submission settles.

    A batch that is being sent is left alone until it is known whether its job exists; a finished job's rows
    are collected like any other's.
    """

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        if submission.state is not SubmissionState.CANCELLING:
            return
        for batch in services.ledger.batches(submission_id):
            await _stop(services, batch, claim)
        if services.ledger.settle_ready(submission_id):
            services.ledger.update_submission(submission, claim=claim, next_action_at=services.ledger.now())
            services.hints.send(TaskName.SETTLE, submission_id)
        else:
            again = services.ledger.now() + seconds(services.options.poll_interval_s)
            services.ledger.update_submission(submission, claim=claim, next_action_at=again)

    await with_lease(services, Record.SUBMISSION, submission_id, work)


async def _stop(services: Services, batch: Batch, claim: Claim) -> None:
    if batch.state is BatchState.READY:
        try:
            services.ledger.move_batch(
                batch,
                BatchState.WITHDRAWN,
                claim=claim,
                reason="the submission was cancelled before this batch was sent",
            )
        except Conflict:
            log.info("cancel_overtaken", batch=batch.id)
    elif batch.state is BatchState.BOUND:
        try:
            await services.vertex.cancel(batch.job_name)
        except Refused as error:
            log.info("cancel_came_late", batch=batch.id, reason=str(error))
        services.ledger.hasten(Record.BATCH, batch.id)
