"""Settle: when every batch has ended, account for every row and close the submission."""

from __future__ import annotations

from collections.abc import Iterator

import structlog

from vertexq.deadlines import is_late, passed, runs_again, was_cut
from vertexq.failpoints import Failpoint, reach
from vertexq.ledger import Claim, Record
from vertexq.model import Batch, Counts, Submission, Usage
from vertexq.names import TaskName
from vertexq.rounds import has_rounds, open_rows
from vertexq.states import BatchState, SubmissionState
from vertexq.steps.absent import account
from vertexq.steps.closing import closed
from vertexq.steps.leases import with_lease
from vertexq.steps.notify import announce
from vertexq.steps.rerun import few_rests, rests_of
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)

_SETTLING = frozenset({SubmissionState.RUNNING, SubmissionState.SETTLING, SubmissionState.CANCELLING})


async def settle(services: Services, submission_id: str) -> None:
    """Close a submission all of whose batches have ended; look again later when one has not.

    Rows that are to be tried again are handed over by ``rerun``, which may take longer than this step.
    """
    rerun: list[str] = []

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        if submission.state not in _SETTLING:
            return
        reach(Failpoint.SETTLE_CLAIMED)
        if _is_late(services, submission):
            services.hints.send(TaskName.DEADLINE, submission_id)
            _look_again(services, submission, claim)
        elif _may_run_again(services, submission):
            rerun.append(submission_id)
            _go_on(services, submission, claim)
        elif services.ledger.settle_ready(submission_id):
            await _settle(services, submission, claim)
        else:
            services.ledger.rouse(submission_id)
            _look_again(services, submission, claim)

    await with_lease(services, Record.SUBMISSION, submission_id, work)
    for one in rerun:  # now that the lease is free
        services.hints.send(TaskName.RERUN, one)


def _is_late(services: Services, submission: Submission) -> bool:
    """Tell whether the deadline has something to say before the submission may settle."""
    running = submission.state is SubmissionState.RUNNING
    if not running or not is_late(submission, services.ledger.now()):
        return False
    return runs_again(submission) or not services.ledger.settle_ready(submission.id)


def _may_run_again(services: Services, submission: Submission) -> bool:
    """Tell whether rows are to be handed over, or whether that broke off half way."""
    if services.ledger.settle_ready(submission.id):
        return next(rests_of(services, submission), None) is not None
    return submission.state is SubmissionState.SETTLING


def _go_on(services: Services, submission: Submission, claim: Claim) -> None:
    if submission.state is not SubmissionState.SETTLING:
        submission = services.ledger.move_submission(submission, SubmissionState.SETTLING, claim=claim)
    _look_again(services, submission, claim)


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
    counts, usage, cost_pusd, quarantined, repeats = Counts(), Usage(), 0, 0, False
    too_dear = _too_dear(services, submission, batches)
    for known in batches:
        batch = await closed(services, ledger.batch(known.id))
        counts += await account(services, submission, batch, claim)
        usage += batch.usage
        cost_pusd += batch.cost_pusd
        quarantined += batch.quarantined_lines
        repeats = repeats or batch.repeats
    reach(Failpoint.SETTLE_ACCOUNTED)
    for name in submission.stores:
        await services.stores.call(name, lambda store: store.finish(submission.id, repeats=repeats))
        reach(Failpoint.SETTLE_FINISHED)
    reasons = {*_reasons(submission, batches), *([_over_budget(too_dear)] if too_dear else [])}
    reason = "; ".join(sorted(reasons))[:2000]
    ended = ledger.move_submission(
        submission, _end(submission, counts), claim=claim, counts=counts, usage=usage, cost_pusd=cost_pusd,
        quarantined_lines=quarantined, retry=None, reason=reason,
    )  # fmt: skip
    reach(Failpoint.SETTLE_DONE)
    announce(services, ended)
    ledger.drop_spool(submission.id)  # there is one when it was cancelled before it was staged
    log.info("settled", submission=submission.id, succeeded=counts.succeeded, rows=counts.total)


def _too_dear(services: Services, submission: Submission, batches: list[Batch]) -> int:
    """Count the rows that would be tried again if there were more money; only a budget keeps rows here."""
    if submission.terms.budget_pusd is None:
        return 0
    if few := few_rests(services, submission, batches):
        return sum(len(rest.rows) for rest in few)
    if not has_rounds(submission, services.ledger.now()):
        return 0
    most = services.options.retry_rounds
    return sum(len(open_rows(services.ledger.batch(one.id), most=most)) for one in batches)


def _over_budget(rows: int) -> str:
    said = "1 row was" if rows == 1 else f"{rows:,} rows were"
    return f"{said} not tried again, as the budget does not allow it"


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
