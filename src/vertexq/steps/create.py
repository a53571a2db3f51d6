"""Create: the paid call. Intent first, one sender, and no second POST before the first one's fate is known.

::

    ready ──► sending ──► bound                 the answer names the job
                 │ ├────► refused               400 401 403 404: nothing runs; the submission is parked
                 │ └────► ambiguous ──► bound   anything else: the job is looked for
                 │              └─────► ready   not there after the settle time and two looks
                 └ a worker died here: whoever finds the batch looks for the job, and never sends

What is only Google's, Redis's or the network's trouble (no connection, 429, 5xx) never parks a submission:
it waits, longer each time up to ``Backoff.longest_s``, says why in the ledger, and goes on by itself.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import NamedTuple

import structlog

from vertexq.deadlines import is_late
from vertexq.errors import (
    Ambiguous,
    ApiError,
    BadInput,
    Refused,
    Throttled,
    Unavailable,
    Unreachable,
    VertexqError,
)
from vertexq.failpoints import Failpoint, reach
from vertexq.families import family_for
from vertexq.google.messages import job_body
from vertexq.google.vertex import NOT_SENT
from vertexq.ids import attempt_tag
from vertexq.ledger import Bounds, Claim, Held, HeldBy, Record
from vertexq.limits.base import GRANT_GOOD_S, CallClass, Verdict, verdict_of
from vertexq.model import Batch, Job, Submission
from vertexq.money import held_sentence
from vertexq.rounds import RESTS
from vertexq.states import BatchState, SubmissionState
from vertexq.steps.dispatch import dispatch, in_flight_bounds
from vertexq.steps.leases import park, with_lease
from vertexq.steps.looking import folder
from vertexq.steps.reconcile import adopt, ambiguous, bind, reconcile
from vertexq.steps.services import Options, Services, seconds
from vertexq.steps.stage_as_is import replaced, unchanged
from vertexq.steps.table_names import output_of

log = structlog.get_logger(__name__)

LIMIT_WAIT_S = 15.0
"""How long a batch waits when the limits cannot be asked."""
PATIENCE_S = 5.0
"""The longest wait for the limit that a worker spends on the spot."""
SHORT_WAITS = 5
"""How often it does so before it lets others work."""


async def create(services: Services, batch_id: str) -> None:
    """Send a ready batch, or find out what became of one that was sent."""

    async def work(claim: Claim) -> None:
        reach(Failpoint.CREATE_CLAIMED)
        try:
            await _go_on(services, services.ledger.batch(batch_id), claim)
        except (Unreachable, Unavailable, Throttled) as error:
            _wait_out(services, services.ledger.batch(batch_id), claim, error)

    await with_lease(services, Record.BATCH, batch_id, work)


async def _go_on(services: Services, batch: Batch, claim: Claim) -> None:
    if batch.state is BatchState.READY:
        if not is_due(services, batch):
            return  # the hint came twice, or late: no turn and no wait may be jumped
        if batch.online:
            return  # no job: its rows are answered one by one
        if batch.attempts == RESTS:
            services.ledger.update_batch(batch, claim=claim, attempts=0, next_action_at=None)
            await dispatch(services, batch.project, batch.location)
        else:
            await _send(services, batch, claim)
    elif batch.state is BatchState.SENDING:
        await reconcile(services, ambiguous(services, batch, claim, "a worker stopped"), claim)
    elif batch.state is BatchState.AMBIGUOUS:
        await reconcile(services, batch, claim)


def is_due(services: Services, batch: Batch) -> bool:
    """Tell whether a batch's time has come."""
    return batch.next_action_at is not None and batch.next_action_at <= services.ledger.now()


async def _send(services: Services, batch: Batch, claim: Claim) -> None:
    ledger, options = services.ledger, services.options
    submission = ledger.submission(batch.submission_id)
    if submission.state is not SubmissionState.RUNNING or is_late(submission, ledger.now()):
        ledger.update_batch(batch, claim=claim, next_action_at=None)  # cancelled, parked or late meanwhile
        return
    if batch.attempt and await adopt(services, batch, claim, everywhere=True):
        return
    turn = await _turn(services, batch)
    if turn.wait_s:
        _later(services, batch, claim, turn.wait_s)
        return
    reach(Failpoint.CREATE_GRANTED)
    if not await unchanged(services, batch):
        park(services, batch, replaced(batch), claim=claim)
        return
    prefix = output_of(batch, submission, folder(batch), attempt_tag(batch.attempt + 1))
    bounds = _bounds(options, submission)
    sending = ledger.start_sending(batch, claim=claim, output_prefix=prefix, bounds=bounds)
    if isinstance(sending, Held):
        _wait_for_room(services, batch, claim, sending)
        return
    reach(Failpoint.CREATE_INTENDED)
    if not await _in_turn(services, batch, turn):
        late = Ambiguous("its turn was over before it was sent; it takes another", code=NOT_SENT)
        _unsent(services, sending, claim, late, before=batch)
        return
    await _post(services, sending, claim, before=batch)


def _bounds(options: Options, submission: Submission) -> Bounds:
    return replace(
        in_flight_bounds(options),
        daily_pusd=options.daily_cap_pusd,
        budget_pusd=submission.terms.budget_pusd,
    )


class _Turn(NamedTuple):
    """One create is granted (``wait_s`` is 0.0) until then on the loop's clock, or must wait so long."""

    wait_s: float
    good_until_s: float


async def _in_turn(services: Services, batch: Batch, turn: _Turn) -> bool:
    """Tell whether a create may go now; a turn that was lost over committing the intent is taken anew."""
    if asyncio.get_running_loop().time() <= turn.good_until_s:
        return True
    return not (await _turn(services, batch)).wait_s


async def _turn(services: Services, batch: Batch) -> _Turn:
    """Ask the limit for one create.

    A short wait is spent here, so that waiting batches follow one another as fast as the limit lets them. A
    limit that cannot be asked means: not now.
    """
    wait_s = good_until_s = 0.0
    for _ in range(SHORT_WAITS):
        good_until_s = asyncio.get_running_loop().time() + GRANT_GOOD_S
        try:
            wait_s = await services.limits.take(batch.project, batch.location, CallClass.CREATE)
        except Unreachable as error:
            log.debug("limit_unreachable", batch=batch.id, reason=str(error))  # the link warns, once
            return _Turn(LIMIT_WAIT_S, 0.0)
        if not 0.0 < wait_s <= PATIENCE_S:
            break
        await asyncio.sleep(wait_s)
    return _Turn(wait_s, good_until_s)


async def _post(services: Services, batch: Batch, claim: Claim, *, before: Batch) -> None:
    """Make the one call; whatever happens, the ledger says afterwards what is known."""
    services.ledger.renew(claim, lease_s=services.options.lease_s)  # a worker that was asleep must not pay
    answer = await _called(services, batch)
    reach(Failpoint.CREATE_ANSWERED)
    if isinstance(answer, Job):
        bind(services, batch, answer, claim, looks=0)
        await dispatch(services, batch.project, batch.location)  # keeps the pipeline filled between sweeps
    elif isinstance(answer, Refused | BadInput):
        await _refused(services, batch, claim, answer)
    elif answer.code == NOT_SENT:
        _unsent(services, batch, claim, answer, before=before)
    else:
        slow_down = verdict_of(answer) is Verdict.THROTTLED
        attempts = _counted(services, batch) if slow_down else batch.attempts
        unclear = ambiguous(services, batch, claim, str(answer), attempts=attempts)
        wait_s = _calm_s(services, batch, answer) if slow_down else None
        await reconcile(services, unclear, claim, again_in_s=wait_s)


async def _called(services: Services, batch: Batch) -> Job | Refused | BadInput | Ambiguous | Throttled:
    """Return the job, or the error instead of it; the limits hear how it went."""
    submission = services.ledger.submission(batch.submission_id)
    body = job_body(
        display_name=batch.id,
        labels={**batch.labels, "vertexq": batch.id},
        model=batch.model,
        source=batch.input_uri,
        destination=batch.output_prefix,
        parameters=family_for(batch).job_parameters(submission.parameters),
    )
    answer: Job | Refused | BadInput | Ambiguous | Throttled
    deadline_s = services.options.request_deadline_s
    try:
        answer = await services.vertex.create(batch.project, batch.location, body, deadline_s=deadline_s)
    except (Refused, BadInput, Ambiguous, Throttled) as error:
        answer = error
    if not isinstance(answer, BadInput):  # our own side refused: nothing was called
        asked_s = answer.retry_after_s if isinstance(answer, ApiError) else None
        place = (batch.project, batch.location, CallClass.CREATE)
        verdict = verdict_of(answer if isinstance(answer, ApiError) else None)
        await services.limits.tell(*place, verdict, retry_after_s=asked_s)
    return answer


async def _refused(services: Services, batch: Batch, claim: Claim, error: Refused | BadInput) -> None:
    refused = services.ledger.move_batch(batch, BatchState.REFUSED, claim=claim, reason=str(error))
    who = "Google" if isinstance(error, Refused) else "vertexq"
    park(services, refused, f"{who} refused the job: {error}", claim=claim)
    await dispatch(services, batch.project, batch.location)


def _unsent(services: Services, batch: Batch, claim: Claim, error: ApiError, *, before: Batch) -> None:
    """Take the attempt back: there was no connection or no token, so that not a byte of it went out."""
    unsent = ambiguous(services, batch, claim, str(error))
    services.ledger.move_batch(
        unsent,
        BatchState.READY,
        claim=claim,
        attempt=before.attempt,
        output_prefix=before.output_prefix,
        sent_at=before.sent_at,
        attempts=_counted(services, batch),
        next_action_at=services.ledger.now() + seconds(_calm_s(services, batch, error)),
        reason=str(error),
    )


def _wait_out(services: Services, batch: Batch, claim: Claim, error: VertexqError) -> None:
    """Come back later, however often it takes: neither the batch nor its submission is to blame."""
    log.warning("create_waits", batch=batch.id, state=batch.state, error=type(error).__name__)
    if batch.state not in (BatchState.READY, BatchState.SENDING, BatchState.AMBIGUOUS):
        return
    at = services.ledger.now() + seconds(_calm_s(services, batch, error))
    attempts = _counted(services, batch)
    services.ledger.update_batch(batch, claim=claim, attempts=attempts, next_action_at=at, reason=str(error))


def _calm_s(services: Services, batch: Batch, error: VertexqError) -> float:
    asked_s = error.retry_after_s if isinstance(error, ApiError) else None
    return services.options.backoff.wait_s(batch.attempts + 1, luck=services.luck(), asked_s=asked_s)


def _counted(services: Services, batch: Batch) -> int:
    """Count a failure that lengthens the wait, and never so far that the next other one would park."""
    return min(batch.attempts + 1, max(services.options.backoff.attempts - 2, 0))


def _wait_for_room(services: Services, batch: Batch, claim: Claim, held: Held) -> None:
    """Go back into the line, or let a person decide about the money."""
    if held.by in (HeldBy.JOBS, HeldBy.ROWS, HeldBy.TOKENS):
        services.ledger.update_batch(batch, claim=claim, next_action_at=None)
        return
    park(services, batch, held_sentence(held, batch), claim=claim)


def _later(services: Services, batch: Batch, claim: Claim, wait_s: float) -> None:
    at = services.ledger.now() + seconds(wait_s)
    services.ledger.update_batch(batch, claim=claim, next_action_at=at)
