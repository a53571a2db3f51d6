"""Online: rows of a batch are answered one by one, and written as a job would have written them.

::

    ready ──► online ──► ended      every row has a line below the batch's output prefix
                 └ a worker died here: the next one asks for the rows that have none

A part of some rows is written once they are answered. A crash repeats the calls of the part under way, no
others: so many rows may be paid for twice.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass

import structlog

from vertexq.bounds import Bounds, Held
from vertexq.deadlines import is_late, runs_again
from vertexq.errors import Throttled, Unavailable, Unreachable
from vertexq.failpoints import Failpoint, reach
from vertexq.finishing import PASSES
from vertexq.ids import attempt_tag
from vertexq.ledger import Claim, Record
from vertexq.model import Batch, JobStats, Submission
from vertexq.money import held_sentence
from vertexq.names import TaskName
from vertexq.states import BatchState, JobState, SubmissionState
from vertexq.steps.create import is_due
from vertexq.steps.leases import park, with_lease
from vertexq.steps.looking import folder
from vertexq.steps.manifest import staged
from vertexq.steps.online_calls import Outcome, Target, answered
from vertexq.steps.online_names import target_of
from vertexq.steps.online_parts import WrittenParts
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)

OUTAGE_WAIT_S = 15.0
"""How long a batch waits when nothing could be sent."""


@dataclass(slots=True)
class _Pass:
    """One way through a batch's rows: those that must be asked for again, and what stood in the way."""

    written: int = 0
    later: int = 0
    held: int = 0
    why: str = ""
    over: bool = False  # the time slice, or the submission
    cancelled: bool = False


async def online(services: Services, batch_id: str) -> None:
    """Have the rows of a batch answered one by one; what a time slice leaves is for the next hint."""

    async def work(claim: Claim) -> None:
        reach(Failpoint.ONLINE_CLAIMED)
        batch = services.ledger.batch(batch_id)
        if batch.online and batch.state is BatchState.READY and is_due(services, batch):
            batch = _begin(services, batch, claim)
        if batch.state is BatchState.ONLINE:
            try:
                await _go_on(services, batch, claim)
            except (Unreachable, Unavailable, Throttled) as error:
                _wait(services, services.ledger.batch(batch_id), claim, OUTAGE_WAIT_S, str(error))

    await with_lease(services, Record.BATCH, batch_id, work)


def _begin(services: Services, batch: Batch, claim: Claim) -> Batch:
    """Commit the intent under the bounds on money; a batch that must wait, or a person decide, stays."""
    ledger, options = services.ledger, services.options
    submission = ledger.submission(batch.submission_id)
    if submission.state is not SubmissionState.RUNNING:
        return _put_aside(services, batch, submission, claim)
    bounds = Bounds(
        jobs=options.running_jobs,
        daily_pusd=options.daily_cap_pusd,
        budget_pusd=submission.terms.budget_pusd,
    )
    prefix = folder(batch) + attempt_tag(batch.attempt + 1)
    begun = ledger.start_online(batch, claim=claim, output_prefix=prefix, bounds=bounds)
    if isinstance(begun, Held):
        park(services, batch, held_sentence(begun, batch), claim=claim)
        return batch
    reach(Failpoint.ONLINE_BEGUN)
    log.info("online_begun", batch=batch.id, rows=batch.rows)
    return begun


def _put_aside(services: Services, batch: Batch, submission: Submission, claim: Claim) -> Batch:
    """Look again soon, as rows may still be handed over; who decides about a parked one makes it due."""
    parked = submission.state is SubmissionState.PARKED
    again_at = services.ledger.now() + seconds(services.options.resend_after_s)
    return services.ledger.update_batch(batch, claim=claim, next_action_at=None if parked else again_at)


async def _go_on(services: Services, batch: Batch, claim: Claim) -> None:
    """Go through the rows that have no line, and say what comes next."""
    if _is_over(services, batch):
        _end(services, batch, claim, JobState.CANCELLED)
        return
    target = await target_of(services, batch)
    written = await WrittenParts.of(services, batch)
    done = await _gone_through(services, batch, claim, target, written)
    batch = services.ledger.batch(batch.id)
    if done.cancelled:
        _end(services, batch, claim, JobState.CANCELLED)
    elif done.held:
        _wait(services, batch, claim, OUTAGE_WAIT_S, done.why)
    elif done.over and (done.written or not done.later):
        _wait(services, batch, claim, 0.0, "")
        services.hints.send(TaskName.ONLINE, batch.id)
    elif done.later:
        wait_s = services.options.backoff.wait_s(batch.attempts + 1, luck=services.luck())
        _wait(services, batch, claim, wait_s, done.why, attempts=batch.attempts + 1)
    else:
        _end(services, batch, claim, JobState.SUCCEEDED)


async def _gone_through(
    services: Services, batch: Batch, claim: Claim, target: Target, written: WrittenParts
) -> _Pass:
    ends_at = time.monotonic() + services.options.slice_s
    last, done = batch.attempts + 1 >= PASSES, _Pass()
    async with aclosing(_parts(services, batch, written.rows)) as parts:
        async for rows in parts:
            if _is_over(services, batch):
                done.cancelled = True
                return done
            said = await answered(target, rows, last=last, some_were=bool(written.rows))
            await _write(services, batch, claim, written, said)
            _note(done, said)
            done.over = time.monotonic() >= ends_at
            if done.held or done.over:
                return done
    done.cancelled = bool(done.later) and _is_over(services, batch)
    return done


async def _parts(services: Services, batch: Batch, known: set[int]) -> AsyncGenerator[Mapping[int, bytes]]:
    """Yield the staged lines of rows that have no line of output, by index, some at a time."""
    rows: dict[int, bytes] = {}
    async with aclosing(staged(services, batch)) as lines:
        async for entry, line in lines:
            if entry.index in known:
                continue
            rows[entry.index] = line
            if len(rows) >= services.options.online_part_rows:
                yield rows
                rows = {}
    if rows:
        yield rows


async def _write(
    services: Services, batch: Batch, claim: Claim, written: WrittenParts, said: Sequence[Outcome]
) -> None:
    """Write the lines of a part, and note how far the batch is."""
    lines = {one.index: one.line for one in said if one.line}
    if not lines:
        return
    reach(Failpoint.ONLINE_ANSWERED)
    services.ledger.renew(claim, lease_s=services.options.lease_s)  # a worker that was asleep must not write
    await written.add(services, lines)
    reach(Failpoint.ONLINE_WRITTEN)
    known = services.ledger.batch(batch.id)
    stats = JobStats(successful=len(written.rows))
    services.ledger.update_batch(known, claim=claim, stats=stats, next_action_at=services.ledger.now())
    log.info("online_part", batch=batch.id, rows=len(lines), requests=sum(one.tries for one in said))


def _note(done: _Pass, said: Sequence[Outcome]) -> None:
    for one in said:
        done.written += bool(one.line)
        if one.error is not None:
            done.held += one.is_held
            done.later += not one.is_held
            done.why = str(one.error)


def _is_over(services: Services, batch: Batch) -> bool:
    """Tell whether no more rows are to be asked for: a cancel, or a deadline that passed in a parked one."""
    submission = services.ledger.submission(batch.submission_id)
    late = is_late(submission, services.ledger.now()) and not runs_again(submission)
    parked = submission.state is SubmissionState.PARKED
    return submission.state is SubmissionState.CANCELLING or (parked and late)


def _wait(
    services: Services, batch: Batch, claim: Claim, wait_s: float, why: str, *, attempts: int | None = None
) -> None:
    """Go on later; neither the batch nor its submission is to blame."""
    if why:
        log.warning("online_waits", batch=batch.id, wait_s=round(wait_s, 1))
    at = services.ledger.now() + seconds(wait_s)
    counted = batch.attempts if attempts is None else attempts
    services.ledger.update_batch(batch, claim=claim, attempts=counted, next_action_at=at, reason=why)


def _end(services: Services, batch: Batch, claim: Claim, state: JobState) -> None:
    """Let what was written be read like a job's output."""
    now = services.ledger.now()
    services.ledger.move_batch(
        batch, BatchState.ENDED, claim=claim, job_state=state.value, job_state_since=now, stats=JobStats(),
        output_directory=batch.output_prefix, attempts=0, next_action_at=now,
    )  # fmt: skip
    reach(Failpoint.ONLINE_ENDED)
    log.info("online_ended", batch=batch.id, state=state.value)
    services.hints.send(TaskName.INGEST, batch.id)
