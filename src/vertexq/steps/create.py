"""Create: the paid call. Intent first, one sender, and no second POST before the first one's fate is known.

::

    ready ──► sending ──► bound                 the answer names the job
                 │ ├────► refused               400 401 403 404: nothing runs; the submission is parked
                 │ └────► ambiguous ──► bound   anything else: the job is looked for by its label
                 │              └─────► ready   not there after the settle time and two looks
                 └ a worker died here: whoever finds the batch looks for the job, and never sends
"""

from __future__ import annotations

import asyncio

import structlog

from vertexq.errors import Ambiguous, BadInput, Refused, Unreachable
from vertexq.google.messages import job_body
from vertexq.google.vertex import NOT_SENT
from vertexq.ids import attempt_tag
from vertexq.ledger import Bounds, Claim, Held, Record
from vertexq.limits.base import CallClass
from vertexq.model import Batch, GcsUri, Job
from vertexq.names import TaskName
from vertexq.retry import spread
from vertexq.states import BatchState, SubmissionState
from vertexq.steps.leases import park, with_lease
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)

LOOKS = 2
"""Empty looks that are needed, besides the settle time, before a second POST."""
SLOT_WAIT_S = 15.0
"""How long a batch waits for a slot before it asks again; a job that ends wakes the next batch at once."""


PATIENCE_S = 5.0
"""The longest wait for the limit that a worker spends on the spot."""
SHORT_WAITS = 5
"""How often it does so before it lets others work."""


async def create(services: Services, batch_id: str) -> None:
    """Send a ready batch, or find out what became of one that was sent."""

    async def work(claim: Claim) -> None:
        batch = services.ledger.batch(batch_id)
        if batch.state is BatchState.READY:
            await _send(services, batch, claim)
        elif batch.state is BatchState.SENDING:
            await _reconcile(services, _ambiguous(services, batch, claim, "a worker stopped"), claim)
        elif batch.state is BatchState.AMBIGUOUS:
            await _reconcile(services, batch, claim)

    await with_lease(services, Record.BATCH, batch_id, work)


async def _send(services: Services, batch: Batch, claim: Claim) -> None:
    ledger, options = services.ledger, services.options
    submission = ledger.submission(batch.submission_id)
    if submission.state is not SubmissionState.RUNNING:
        ledger.update_batch(batch, claim=claim, next_action_at=None)  # cancelled or parked meanwhile
        return
    if wait_s := await _turn_in_s(services, batch):
        _later(services, batch, claim, wait_s)
        return
    prefix = GcsUri.parse(batch.input_uri.rpartition("/")[0]).join(attempt_tag(batch.attempt + 1))
    bounds = Bounds(
        jobs=options.running_jobs,
        rows=options.rows_in_flight,
        tokens=options.tokens_in_flight,
        daily_pusd=options.daily_cap_pusd,
        budget_pusd=submission.terms.budget_pusd,
    )
    sending = ledger.start_sending(batch, claim=claim, output_prefix=str(prefix), bounds=bounds)
    if isinstance(sending, Held):
        _later(services, batch, claim, SLOT_WAIT_S)
        return
    await _post(services, sending, claim)


async def _turn_in_s(services: Services, batch: Batch) -> float:
    """Ask the limit for one create: 0.0 when it is granted, else how long to stay away, in seconds.

    A short wait is spent here, so that waiting batches follow one another as fast as the limit lets them. A
    limit that cannot be asked means: not now.
    """
    wait_s = 0.0
    for _ in range(SHORT_WAITS):
        try:
            wait_s = await services.limits.take(batch.project, batch.location, CallClass.CREATE)
        except Unreachable as error:
            log.warning("limit_unreachable", batch=batch.id, reason=str(error))
            return SLOT_WAIT_S
        if not 0.0 < wait_s <= PATIENCE_S:
            break
        await asyncio.sleep(wait_s)
    return wait_s


async def _post(services: Services, batch: Batch, claim: Claim) -> None:
    """Make the one call; whatever happens, the ledger says afterwards what is known."""
    body = job_body(
        display_name=batch.id,
        labels={**batch.labels, "vertexq": batch.id},
        model=batch.model,
        input_uris=[batch.input_uri],
        output_prefix=batch.output_prefix,
    )
    deadline_s = services.options.request_deadline_s
    services.ledger.renew(claim, lease_s=services.options.lease_s)  # a worker that was asleep must not pay
    try:
        job = await services.vertex.create(batch.project, batch.location, body, deadline_s=deadline_s)
    except (Refused, BadInput) as error:  # our own side refuses before anything is sent
        refused = services.ledger.move_batch(batch, BatchState.REFUSED, claim=claim, reason=str(error))
        who = "Google" if isinstance(error, Refused) else "vertexq"
        park(services, refused, f"{who} refused the job: {error}", claim=claim)
    except Ambiguous as error:
        if error.code == NOT_SENT:
            _unsent(services, batch, claim, error)
            return
        await _reconcile(services, _ambiguous(services, batch, claim, str(error)), claim)
    else:
        _bind(services, batch, job, claim)


def _ambiguous(services: Services, batch: Batch, claim: Claim, why: str) -> Batch:
    reason = f"the create had no clear answer ({why}); looking for the job"
    return services.ledger.move_batch(
        batch, BatchState.AMBIGUOUS, claim=claim, reason=reason, next_action_at=services.ledger.now()
    )


def _unsent(services: Services, batch: Batch, claim: Claim, error: Ambiguous) -> None:
    """Take the batch back: there was no connection or no token, so that not a byte of the call went out."""
    ledger, backoff = services.ledger, services.options.backoff
    attempts = batch.attempts + 1
    unsent = _ambiguous(services, batch, claim, str(error))
    at = ledger.now() + seconds(backoff.wait_s(attempts, luck=services.luck()))
    ready = ledger.move_batch(
        unsent, BatchState.READY, claim=claim, attempts=attempts, next_action_at=at, reason=str(error)
    )
    if attempts >= backoff.attempts:
        park(services, ready, str(error), claim=claim)


async def _reconcile(services: Services, batch: Batch, claim: Claim) -> None:
    """Look for the job by its label; bind it, or wait, or allow another attempt."""
    mine, strays = await _look(services, batch)
    for stray in strays:
        log.error("stray_job_cancelled", batch=batch.id, job=stray.name)
        await services.vertex.cancel(stray.name)
    if mine is not None:
        _bind(services, batch, mine, claim)
        return
    ledger, options, now = services.ledger, services.options, services.ledger.now()
    settled = batch.sent_at is None or now >= batch.sent_at + seconds(options.settle_time_s)
    if settled and batch.looks + 1 >= LOOKS:
        ledger.move_batch(
            batch, BatchState.READY, claim=claim, next_action_at=now, reason="no job was made; sending again"
        )
        services.hints.send(TaskName.CREATE, batch.id)
        return
    wait_s = min(options.settle_time_s / 10, 30.0) + 1.0
    ledger.update_batch(batch, claim=claim, looks=batch.looks + 1, next_action_at=now + seconds(wait_s))


async def _look(services: Services, batch: Batch) -> tuple[Job | None, list[Job]]:
    """Return this attempt's job, and other jobs with the batch's label that nobody is waiting for.

    Each attempt has an output prefix of its own, so the prefix tells them apart. Of two jobs of one attempt
    the older is kept.
    """
    found = [
        job
        async for job in services.vertex.list(
            batch.project, batch.location, filter=f'labels.vertexq="{batch.id}"'
        )
    ]
    of_attempt = [job for job in found if job.output_prefix.rstrip("/") == batch.output_prefix.rstrip("/")]
    of_attempt.sort(key=lambda job: (job.create_time is None, job.create_time, job.job_id))
    mine = of_attempt[0] if of_attempt else None
    return mine, of_attempt[1:]


def _bind(services: Services, batch: Batch, job: Job, claim: Claim) -> None:
    now = services.ledger.now()
    wait_s = spread(services.options.poll_interval_s, luck=services.luck())
    services.ledger.move_batch(
        batch,
        BatchState.BOUND,
        claim=claim,
        reason="",
        job_name=job.name,
        job_state=job.state_text,
        job_state_since=now,
        attempts=0,
        next_action_at=now + seconds(wait_s),
    )
    log.info("bound", batch=batch.id, job=job.name)


def _later(services: Services, batch: Batch, claim: Claim, wait_s: float) -> None:
    at = services.ledger.now() + seconds(wait_s)
    services.ledger.update_batch(batch, claim=claim, next_action_at=at)
