"""Rerun: another round of a submission. Rows that are tried again go into new batches.

::

    settling ──► rows without an answer, or whose error may pass: they rest for a while, then run again
             ──► rows that somebody wants to have tried again: they run at once
    late     ──► rows without an answer: they run at once, with a new deadline

One way for all: ``steps/successors.py`` makes the batches, the ledger says who has which row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import groupby

import structlog

from vertexq.deadlines import leaves_rest, runs_again
from vertexq.ledger import Claim, Record
from vertexq.model import Batch, Submission
from vertexq.names import TaskName
from vertexq.rounds import Rest, asked_for, has_rounds, open_rows, rest_s, unanswered
from vertexq.states import BATCH_TERMINAL, BatchState, SubmissionState
from vertexq.steps.deadline import close, has_stopped, may_act
from vertexq.steps.dispatch import dispatch
from vertexq.steps.leases import with_lease
from vertexq.steps.services import Services, seconds
from vertexq.steps.successors import run_again

log = structlog.get_logger(__name__)


async def rerun(services: Services, submission_id: str) -> None:
    """Begin another round of a submission: of one that is late, or of one whose rows have a rest."""

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        if submission.state is SubmissionState.SETTLING:
            await _try_again(services, submission, claim)
            return
        running = submission.state is SubmissionState.RUNNING and runs_again(submission)
        if running and may_act(services, submission) and has_stopped(services, submission):
            await _after_deadline(services, submission, claim)

    await with_lease(services, Record.SUBMISSION, submission_id, work)


def rests_of(services: Services, submission: Submission) -> Iterator[Rest]:
    """Yield what a submission that settles has to try again now, batch by batch, the earlier rounds first."""
    retry, most = submission.retry, services.options.retry_rounds
    if retry is not None:
        yield from _rests(services, submission, lambda batch: asked_for(batch, retry))
    elif has_rounds(submission, services.ledger.now()):
        yield from _rests(services, submission, lambda batch: open_rows(batch, most=most))


def _rests(
    services: Services, submission: Submission, rows_of: Callable[[Batch], frozenset[int]]
) -> Iterator[Rest]:
    known = services.ledger.batches(submission.id)
    for one in sorted(known, key=lambda batch: (batch.round, batch.ordinal)):
        if one.state in BATCH_TERMINAL:
            batch = services.ledger.batch(one.id)
            if rows := rows_of(batch):
                yield Rest(batch=batch, rows=rows)


async def _try_again(services: Services, submission: Submission, claim: Claim) -> None:
    """Hand over every rest, then let the submission run; one that broke off goes on where it was."""
    ledger, options, retry = services.ledger, services.options, submission.retry
    for done, rests in _by_round(rests_of(services, submission)):
        wait_s = rest_s(
            done, first_s=options.retry_wait_s, longest_s=options.retry_longest_s, luck=services.luck()
        )
        model, wait_s = (retry.model, 0.0) if retry else ("", wait_s)
        rows = await run_again(services, submission, rests, claim, model=model, rest_s=wait_s)
        log.info("round", submission=submission.id, round=done + 1, rows=rows, rest_s=round(wait_s))
    if ledger.settle_ready(submission.id):
        return  # nothing is left to be tried again: it settles
    again_at = ledger.now() + seconds(options.resend_after_s)
    running = ledger.move_submission(
        submission, SubmissionState.RUNNING, claim=claim, retry=None, next_action_at=again_at
    )
    if running.cancel_requested:  # it was noted while rows were handed over
        ledger.request_cancel(submission.id)
        services.hints.send(TaskName.CANCEL, submission.id)
    await _dispatch(services, submission)


def _by_round(rests: Iterator[Rest]) -> Iterator[tuple[int, Iterator[Rest]]]:
    """Yield the rests of each round together; they come in that order, one at a time in memory."""
    yield from groupby(rests, key=lambda rest: rest.batch.round)


async def _after_deadline(services: Services, submission: Submission, claim: Claim) -> None:
    """Send what has no answer again, with a new deadline."""
    ledger = services.ledger
    rests = _rests(
        services, submission, lambda batch: unanswered(batch) if leaves_rest(batch) else frozenset()
    )
    await run_again(services, submission, rests, claim)
    waiting = [batch for batch in ledger.batches(submission.id) if batch.state is BatchState.READY]
    if not waiting:
        close(services, submission, claim)
        return
    now = ledger.now()
    ledger.update_submission(
        submission,
        claim=claim,
        rounds=submission.rounds + 1,
        deadline_at=now + seconds(submission.terms.deadline_s or 0.0),
        next_action_at=now + seconds(services.options.resend_after_s),
    )
    rows = sum(batch.rows for batch in waiting)
    log.warning("deadline_round", submission=submission.id, round=submission.rounds + 1, rows=rows)
    await _dispatch(services, submission)
    services.hints.send(TaskName.SETTLE, submission.id)


async def _dispatch(services: Services, submission: Submission) -> None:
    """Hand out slots in the places where batches of a submission wait."""
    waiting = [one for one in services.ledger.batches(submission.id) if one.state is BatchState.READY]
    for project, location in sorted({(batch.project, batch.location) for batch in waiting}):
        await dispatch(services, project, location)
