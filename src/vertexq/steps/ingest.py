"""Ingest: a job's output into the stores, exactly once, in bounded pieces, also while the job still runs.

Objects are listed under the directory that Google names, pinned to one generation, and cut into ranges that
any number of workers read at the same time, each from the position that the store has committed. Rows and
position are one commit, so a crash at any point repeats nothing and loses nothing.
"""

from __future__ import annotations

import time
from functools import partial

import structlog

from vertexq.errors import Conflict, NotFound, VertexqError
from vertexq.failpoints import Failpoint, reach
from vertexq.ledger import Claim, OutputRange, Record
from vertexq.model import Batch
from vertexq.names import TaskName
from vertexq.states import BatchState
from vertexq.steps.leases import judged, park, under, with_lease
from vertexq.steps.listing import pin_early, pin_final
from vertexq.steps.merging import finish, lacks_output
from vertexq.steps.poll import wake
from vertexq.steps.ranges import NotYet, RangeLoad
from vertexq.steps.services import Services

log = structlog.get_logger(__name__)

MOST_HELPERS = 16
_TURN_S, _TRIES = 0.2, 20


async def ingest(services: Services, batch_id: str) -> None:
    """Load what a batch's job has written; leave the rest for the next hint when the time slice is over.

    Running twice, or on several machines at once, does no harm: each takes ranges that nobody else holds.
    """
    ends_at = time.monotonic() + services.options.slice_s
    batch = services.ledger.batch(batch_id)
    if batch.state is BatchState.ENDED:
        if services.ledger.take_turn(batch_id, again_s=services.options.lease_s):
            await with_lease(services, Record.BATCH, batch_id, partial(_look, services, batch_id))
    elif batch.state is not BatchState.BOUND or not services.options.early_results:
        return
    elif not services.ledger.free_ranges(batch_id):
        await _look_early(services, batch)
    await _read_ranges(services, batch_id, ends_at)


async def _look(services: Services, batch_id: str, claim: Claim) -> None:
    """See what an ended job has left to read: pin it, ask for helpers, or move the batch on."""
    ledger, batch = services.ledger, services.ledger.batch(batch_id)
    if batch.state is not BatchState.ENDED:
        return
    reach(Failpoint.INGEST_CLAIMED)
    parts = ledger.ranges(batch_id)
    waiting = any(not part.done for part in parts)
    if not waiting or all(part.early for part in parts):
        parts = await pin_final(services, batch, claim)
        reach(Failpoint.INGEST_PINNED)
    if any(not part.done for part in parts):
        _call_helpers(services, batch_id)
    elif wait_s := lacks_output(services, batch):
        ledger.see_again(batch_id, wait_s=wait_s)
    else:
        _note_end(services, ledger.move_batch(batch, BatchState.INGESTED, claim=claim, attempts=0))


async def _look_early(services: Services, batch: Batch) -> None:
    """Pin what a running job has exported since the last look; the next poll makes up for a failure."""
    ledger, options = services.ledger, services.options
    claim = ledger.claim(Record.BATCH, batch.id, owner=services.owner, lease_s=options.lease_s)
    if claim is None:
        return
    try:
        await pin_early(services, batch, claim)
        reach(Failpoint.INGEST_PINNED)
    except VertexqError as error:
        log.warning("early_results_not_seen", batch=batch.id, error=type(error).__name__)
    finally:
        ledger.release(claim)
    _call_helpers(services, batch.id)


def _call_helpers(services: Services, batch_id: str) -> None:
    """Send a hint for each range that this worker will not get to first."""
    for _ in range(min(MOST_HELPERS, services.ledger.free_ranges(batch_id) - 1)):
        services.hints.send(TaskName.INGEST, batch_id)


async def _read_ranges(services: Services, batch_id: str, ends_at: float) -> None:
    """Read one range after the other that nobody else holds, until there is none or the time is over."""
    ledger, options = services.ledger, services.options
    parked = False
    while taken := ledger.take_range(batch_id, owner=services.owner, lease_s=options.lease_s):
        claim, part = taken
        reach(Failpoint.INGEST_RANGE_TAKEN)

        def put_off(error: Exception, claim: Claim = claim, part: OutputRange = part) -> None:
            nonlocal parked
            parked = _put_off(services, part, claim, error)

        await under(services, claim, partial(_read, services, part, ends_at), put_off)
        if parked:
            return
        if time.monotonic() >= ends_at:
            break
    else:
        return
    if ledger.free_ranges(batch_id):
        ledger.see_again(batch_id, wait_s=0.0)
        services.hints.send(TaskName.INGEST, batch_id)


async def _read(services: Services, part: OutputRange, ends_at: float, claim: Claim) -> None:
    batch = services.ledger.batch(part.batch_id)
    load = await RangeLoad.begin(services, batch, part, claim)
    try:
        if not await load.run(ends_at):
            return
    except NotYet:
        services.ledger.put_off_range(part, claim=claim, wait_s=_TURN_S, attempts=0)
        services.ledger.see_again(part.batch_id, wait_s=_TURN_S)
        return
    except NotFound:
        if not part.early:
            raise
        log.info("early_object_gone", batch=part.batch_id, object=part.object_name)
        load = await RangeLoad.begin(services, batch, part, claim)  # as far as it was committed
    reach(Failpoint.INGEST_RANGE_READ)
    batch = await finish(services, load, claim)
    reach(Failpoint.INGEST_RANGE_FINISHED)
    if batch.state is BatchState.INGESTED:
        _note_end(services, batch)
    elif wait_s := lacks_output(services, batch):
        services.ledger.see_again(batch.id, wait_s=wait_s)


def _note_end(services: Services, batch: Batch) -> None:
    reach(Failpoint.INGEST_DONE)
    log.info("ingested", batch=batch.id, rows=batch.counts.total, quarantined=batch.quarantined_lines)
    wake(services, batch)


def _put_off(services: Services, part: OutputRange, claim: Claim, error: Exception) -> bool:
    """Have a range read again later; when that cannot help and the job has ended, a person must decide.

    Tell whether the submission was parked: the range is then free at once, for when it goes on.
    """
    ledger, backoff = services.ledger, services.options.backoff
    attempts = ledger.failures(part) + 1
    may_pass, reason = judged(error)
    log.warning("range_failed", range=part.id, attempts=attempts, error=type(error).__name__, reason=reason)
    gives_up = not may_pass or attempts >= backoff.attempts
    if gives_up and ledger.batch(part.batch_id).state is BatchState.ENDED:
        ledger.put_off_range(part, claim=claim, wait_s=0.0, attempts=0)
        _park(services, part.batch_id, reason, claim)
        return True
    wait_s = backoff.longest_s if gives_up else backoff.wait_s(attempts, luck=services.luck())
    ledger.put_off_range(part, claim=claim, wait_s=wait_s, attempts=attempts, reason=reason)
    ledger.see_again(part.batch_id, wait_s=wait_s)
    return False


def _park(services: Services, batch_id: str, reason: str, claim: Claim) -> None:
    """Park the submission although others may be finishing ranges of the same batch."""
    for _ in range(_TRIES):
        try:
            park(services, services.ledger.batch(batch_id), reason, claim=claim)
        except Conflict as error:
            log.info("park_overtaken", batch=batch_id, reason=str(error))
        else:
            return
