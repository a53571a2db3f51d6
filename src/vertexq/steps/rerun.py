"""Rerun: another round of a submission. Rows that are tried again go into new batches.

::

    settling ──► rows without an answer, or whose error may pass: they rest for a while, then run again
             ──► rows that somebody wants to have tried again: they run at once
             ──► the last few, when that was asked for: they are answered online, at once
    late     ──► rows without an answer: they run at once, with a new deadline

One way for all: ``steps/successors.py`` makes the batches, the ledger says who has which row.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from itertools import chain, groupby

import structlog

from vertexq.deadlines import leaves_rest, runs_again
from vertexq.failpoints import Failpoint, reach
from vertexq.finishing import are_few, finishes_online, left_rows, nothing_else_runs
from vertexq.ledger import Claim, Record
from vertexq.model import Batch, Submission
from vertexq.money import together
from vertexq.names import TaskName
from vertexq.rounds import Rest, asked_for, has_rounds, left_pusd, open_rows, rest_s, unanswered
from vertexq.states import BATCH_TERMINAL, BatchState, SubmissionState
from vertexq.steps.absent import account
from vertexq.steps.deadline import before_it_was_sent, close, has_stopped, may_act
from vertexq.steps.dispatch import dispatch
from vertexq.steps.leases import with_lease
from vertexq.steps.services import Services, seconds
from vertexq.steps.stopping import stop
from vertexq.steps.successors import InputGone, online_share, run_again, share_of

log = structlog.get_logger(__name__)


async def rerun(services: Services, submission_id: str) -> None:
    """Begin another round of a submission: of one that is late, or of one whose rows have a rest."""

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        if submission.state is SubmissionState.SETTLING:
            reach(Failpoint.RERUN_CLAIMED)
            await _try_again(services, submission, claim)
            return
        running = submission.state is SubmissionState.RUNNING and runs_again(submission)
        if running and may_act(services, submission) and has_stopped(services, submission):
            await _after_deadline(services, submission, claim)

    await with_lease(services, Record.SUBMISSION, submission_id, work)


def rests_of(services: Services, submission: Submission) -> Iterator[Rest]:
    """Yield what a submission that settles has to try again now, batch by batch, the earlier rounds first.

    What a round may cost, by estimate, is within the budget: nobody asked for more to be spent.
    """
    retry, most = submission.retry, services.options.retry_rounds
    batches = services.ledger.batches(submission.id)
    if retry is not None:
        yield from _rests(services, batches, lambda batch: asked_for(batch, retry))
    elif last := last_rests(services, submission, batches):
        yield from last
    elif has_rounds(submission, services.ledger.now()):
        rests = _rests(services, batches, lambda batch: open_rows(batch, most=most))
        yield from _affordable(rests, left_pusd(submission, batches))


def last_rests(services: Services, submission: Submission, batches: Sequence[Batch]) -> list[Rest]:
    """Return what is to be answered online: the few rows that are left, when the budget allows it."""
    found = few_rests(services, submission, batches)
    return found if _affords(services, submission, batches, found) else []


def few_rests(services: Services, submission: Submission, batches: Sequence[Batch]) -> list[Rest]:
    """Return the rows that are left, when they are few enough to be answered online and that is asked for.

    Nothing while a job may still answer some.
    """
    if not finishes_online(submission) or not nothing_else_runs(batches):
        return []
    found, rows = list[Rest](), 0
    for rest in _rests(services, batches, lambda batch: left_rows(submission, batch)):
        found.append(replace(rest, online=True))
        rows += len(rest.rows)
        if not are_few(rows, submission):
            return []
    return found


def _affords(
    services: Services, submission: Submission, batches: Sequence[Batch], rests: Sequence[Rest]
) -> bool:
    left = left_pusd(submission, batches)
    cost = together(online_share(services, rest) for rest in rests)
    return left is None or (cost is not None and cost.cost_pusd is not None and cost.cost_pusd <= left)


def _rests(
    services: Services, batches: Iterable[Batch], rows_of: Callable[[Batch], frozenset[int]]
) -> Iterator[Rest]:
    for one in sorted(batches, key=lambda batch: (batch.round, batch.ordinal)):
        if one.state in BATCH_TERMINAL and one.counts.succeeded < one.rows:
            batch = services.ledger.batch(one.id)
            if rows := rows_of(batch):
                yield Rest(batch=batch, rows=rows)


def _affordable(rests: Iterable[Rest], left: int | None) -> Iterator[Rest]:
    """Yield the rests that fit into what is left; without an estimate nobody knows whether one does."""
    for rest in rests:
        share = share_of(rest)
        cost_pusd = share.cost_pusd if share else None
        if left is None:
            yield rest
        elif cost_pusd is not None and cost_pusd <= left:
            left -= cost_pusd
            yield rest


async def _try_again(services: Services, submission: Submission, claim: Claim) -> None:
    """Hand over every rest, then let the submission run; one that broke off goes on where it was."""
    ledger = services.ledger
    await _hand_over(services, submission, claim)
    if ledger.settle_ready(submission.id):
        return  # nothing is left to be tried again: it settles
    again_at = ledger.now() + seconds(services.options.resend_after_s)
    running = ledger.move_submission(
        submission, SubmissionState.RUNNING, claim=claim, retry=None, next_action_at=again_at
    )
    reach(Failpoint.RERUN_RUNNING)
    if running.cancel_requested:  # it was noted while rows were handed over
        ledger.request_cancel(submission.id)
        services.hints.send(TaskName.CANCEL, submission.id)
    await _dispatch(services, submission)


async def _hand_over(services: Services, submission: Submission, claim: Claim) -> None:
    """Make the new batches. Rows whose input is gone end as they are, unless somebody asked for them."""
    while (gone := await _all_begun(services, submission, claim)) is not None:
        if submission.retry is not None:
            raise gone
        log.warning("input_gone", batch=gone.batch.id)
        await account(services, submission, gone.batch, claim, gone=str(gone))


async def _all_begun(services: Services, submission: Submission, claim: Claim) -> InputGone | None:
    """Begin a round for the rests of each; return the first that cannot be begun."""
    try:
        for done, rests in _by_round(rests_of(services, submission)):
            await _begin(services, submission, done, rests, claim)
    except InputGone as error:
        return error
    return None


async def _begin(
    services: Services, submission: Submission, done: int, rests: Iterator[Rest], claim: Claim
) -> None:
    options, retry = services.options, submission.retry
    wait_s = rest_s(
        done, first_s=options.retry_wait_s, longest_s=options.retry_longest_s, luck=services.luck()
    )
    model, wait_s = (retry.model, 0.0) if retry else ("", wait_s)
    first = next(rests)
    wait_s = 0.0 if first.online else wait_s
    again = chain([first], rests)
    rows = await run_again(
        services, submission, again, claim, model=model, rest_s=wait_s, online=first.online
    )
    log.info("round", submission=submission.id, round=done + 1, rows=rows, rest_s=round(wait_s))


def _by_round(rests: Iterator[Rest]) -> Iterator[tuple[int, Iterator[Rest]]]:
    """Yield the rests of each round together; they come in that order, one at a time in memory."""
    yield from groupby(rests, key=lambda rest: rest.batch.round)


async def _after_deadline(services: Services, submission: Submission, claim: Claim) -> None:
    """Send what has no answer again, with a new deadline."""
    ledger = services.ledger
    if await _ends_online(services, submission, claim):
        return
    left = [batch for batch in ledger.batches(submission.id) if leaves_rest(batch)]
    rests = _rests(services, left, unanswered)
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


async def _ends_online(services: Services, submission: Submission, claim: Claim) -> bool:
    """Let a late submission settle when so few rows are left, sent or not, that they are answered online."""
    batches = services.ledger.batches(submission.id)
    waiting = [batch for batch in batches if batch.state is BatchState.READY]
    if not finishes_online(submission):
        return False
    rests = _rests(services, batches, lambda batch: left_rows(submission, batch))
    rows = sum(batch.rows for batch in waiting) + sum(len(rest.rows) for rest in rests)
    if not are_few(rows, submission):
        return False
    for batch in waiting:
        await stop(services, batch, claim, withdraw=before_it_was_sent(submission))
    if services.ledger.settle_ready(submission.id):
        close(services, submission, claim)
    return True


async def _dispatch(services: Services, submission: Submission) -> None:
    """Hand out slots in the places where batches of a submission wait."""
    waiting = [one for one in services.ledger.batches(submission.id) if one.state is BatchState.READY]
    for batch in waiting:
        if batch.online:
            services.hints.send(TaskName.ONLINE, batch.id)
    for project, location in sorted({(batch.project, batch.location) for batch in waiting}):
        await dispatch(services, project, location)
