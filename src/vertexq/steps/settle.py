"""Settle: when every batch has ended, account for every row and close the submission."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from vertexq.deadlines import is_late, passed, runs_again, was_cut
from vertexq.failpoints import Failpoint, reach
from vertexq.ledger import Claim, Record
from vertexq.model import Batch, Counts, Submission, Usage
from vertexq.names import TaskName
from vertexq.states import BatchState, SubmissionState
from vertexq.steps.absent import account
from vertexq.steps.leases import with_lease
from vertexq.steps.notify import announce
from vertexq.steps.rerun import rests_of
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)

_SETTLING = frozenset({SubmissionState.RUNNING, SubmissionState.SETTLING, SubmissionState.CANCELLING})


async def settle(services: Services, submission_id: str) -> None:
    """Close a submission all of whose batches have ended; look again later when one has not."""

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        if submission.state not in _SETTLING:
            return
        reach(Failpoint.SETTLE_CLAIMED)
        if _is_late(services, submission):
            services.hints.send(TaskName.DEADLINE, submission_id)
            _look_again(services, submission, claim)
        elif not services.ledger.settle_ready(submission_id):
            _wait(services, submission, claim)
        elif next(rests_of(services, submission), None) is not None:
            _run_again(services, submission, claim)
        else:
            await _settle(services, submission, claim)

    await with_lease(services, Record.SUBMISSION, submission_id, work)


def _is_late(services: Services, submission: Submission) -> bool:
    """Tell whether the deadline has something to say before the submission may settle."""
    running = submission.state is SubmissionState.RUNNING
    if not running or not is_late(submission, services.ledger.now()):
        return False
    return runs_again(submission) or not services.ledger.settle_ready(submission.id)


def _wait(services: Services, submission: Submission, claim: Claim) -> None:
    """Look again when more has ended; a round whose beginning broke off begins once more."""
    if submission.state is SubmissionState.SETTLING:
        services.hints.send(TaskName.RERUN, submission.id)
    else:
        services.ledger.rouse(submission.id)
    _look_again(services, submission, claim)


def _run_again(services: Services, submission: Submission, claim: Claim) -> None:
    """Let rows be handed over to new batches, which takes longer than this step may."""
    if submission.state is not SubmissionState.SETTLING:
        submission = services.ledger.move_submission(submission, SubmissionState.SETTLING, claim=claim)
    _look_again(services, submission, claim)
    services.hints.send(TaskName.RERUN, submission.id)


def _look_again(services: Services, submission: Submission, claim: Claim) -> None:
    at = services.ledger.now() + seconds(services.options.resend_after_s)
    services.ledger.update_submission(submission, claim=claim, next_action_at=at)


async def _settle(services: Services, submission: Submission, claim: Claim) -> None:
    ledger = services.ledger
    if submission.state is SubmissionState.RUNNING:
        submission = ledger.move_submission(
            submission, SubmissionState.SETTLING, claim=claim, next_action_at=ledger.now()
        )
    reach(Failpoint.SETTLE_SETTLING)
    batches = ledger.batches(submission.id)
    counts, usage, cost_pusd, quarantined = Counts(), Usage(), 0, 0
    for known in batches:
        batch = ledger.batch(known.id)
        counts += await account(services, submission, batch, claim)
        usage += batch.usage
        cost_pusd += batch.cost_pusd
        quarantined += batch.quarantined_lines
    reach(Failpoint.SETTLE_ACCOUNTED)
    repeats = any(batch.repeats for batch in batches)
    for name in submission.stores:
        await services.stores.call(name, lambda store: store.finish(submission.id, repeats=repeats))
        reach(Failpoint.SETTLE_FINISHED)
    reason = "; ".join(sorted(set(_reasons(submission, batches))))[:2000]
    ended = ledger.move_submission(
        submission, _end(submission, counts), claim=claim, counts=counts, usage=usage, cost_pusd=cost_pusd,
        quarantined_lines=quarantined, retry=None, reason=reason,
    )  # fmt: skip
    reach(Failpoint.SETTLE_DONE)
    announce(services, ended, claim)
    ledger.drop_spool(submission.id)  # there is one when it was cancelled before it was staged
    log.info("settled", submission=submission.id, succeeded=counts.succeeded, rows=counts.total)


def _end(submission: Submission, counts: Counts) -> SubmissionState:
    if submission.state is SubmissionState.CANCELLING:
        return SubmissionState.CANCELLED
    return SubmissionState.DONE if counts.succeeded or counts.blocked else SubmissionState.FAILED


def _reasons(submission: Submission, batches: list[Batch]) -> Iterator[str]:
    """Yield why rows have no answer: a deadline that passed, or what Google said about jobs that failed."""
    unanswered = {BatchState.LOST, BatchState.REFUSED}
    if submission.state is not SubmissionState.CANCELLING:
        unanswered.add(BatchState.WITHDRAWN)
    for batch in batches:
        if batch.successor:  # what is left of it has answers, or is told by the rows themselves
            continue
        if was_cut(submission, batch):
            yield passed(submission)
        elif batch.job_error:
            yield batch.job_error.message
        elif batch.state in unanswered:
            yield batch.reason
