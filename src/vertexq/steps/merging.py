"""What a range has brought becomes part of its batch's account; the last range moves the batch on."""

from __future__ import annotations

import asyncio
from contextlib import aclosing
from dataclasses import replace

import structlog

from vertexq import accounts, outputs, ranks
from vertexq.accounts import Merged, Spent
from vertexq.errors import Conflict, LeaseLost, NotFound
from vertexq.ledger import Claim, OutputRange
from vertexq.model import Batch
from vertexq.rows import Reading
from vertexq.states import BatchState, JobState
from vertexq.steps.checksum import verify_whole
from vertexq.steps.ranges import RangeLoad, coming_of, match_of, reader_of, source_of
from vertexq.steps.services import Services
from vertexq.steps.writing import standing

log = structlog.get_logger(__name__)

_TRIES = 200
_PAUSE_S = 0.02
"""Between two tries, on average: as many workers may finish ranges of one batch at once."""
_WRITES_ALL = (JobState.SUCCEEDED, JobState.PARTIALLY_SUCCEEDED, JobState.CANCELLED)
_READ = (BatchState.BOUND, BatchState.ENDED, BatchState.LOST)
_DONE = 255


async def finish(services: Services, load: RangeLoad, claim: Claim) -> Batch:
    """Note that a range is done and what it has brought; return the batch, moved if it was the last.

    Done twice it does no harm: the ledger takes a range only under its newest lease.
    """
    await _verify(services, load)
    recounted: dict[frozenset[int], Spent] = {}
    for _ in range(_TRIES):
        batch = services.ledger.batch(load.batch_id)
        if batch.state not in _READ:
            raise Conflict(f"batch {batch.id} is {batch.state}; its output is not read any more")
        twice = accounts.doubly_answered(ranks.unpack(batch.found, rows=batch.rows), load.account.own)
        if twice not in recounted:
            recounted[twice] = await _recount(services, batch, load.part, twice)
        try:
            return _merge(services, batch, load, claim, recounted[twice])
        except LeaseLost:
            raise
        except Conflict:
            await asyncio.sleep(_PAUSE_S * 2 * services.luck())
    raise Conflict(f"batch {load.batch_id} is being changed by others; its range is merged next time")


def _merge(services: Services, batch: Batch, load: RangeLoad, claim: Claim, recounted: Spent) -> Batch:
    known = Merged(
        found=batch.found, counts=batch.counts, usage=batch.usage, cost_pusd=batch.cost_pusd,
        quarantined_lines=batch.quarantined_lines, repeats=batch.repeats,
    )  # fmt: skip
    merged = accounts.merge(known, load.account, rows=batch.rows, recounted=recounted)
    after = replace(batch, found=merged.found)
    return services.ledger.finish_range(
        batch, load.part, claim=claim, settles=not lacks_output(services, after),
        found=merged.found, counts=merged.counts, usage=merged.usage, cost_pusd=merged.cost_pusd,
        quarantined_lines=merged.quarantined_lines, repeats=merged.repeats,
    )  # fmt: skip


def lacks_output(services: Services, batch: Batch) -> float:
    """Return in how many seconds to look for output that a job has counted and not shown; 0 for none.

    A job that failed may have counted what it could not write. A bad line may be an answer, or the copy of
    one; so it stands for none here, at worst for a wait that was not needed.
    """
    if batch.job_state not in _WRITES_ALL or batch.job_state_since is None:
        return 0.0
    shown = ranks.answered(ranks.unpack(batch.found, rows=batch.rows))
    if not outputs.lacking_rows(batch.stats, shown):
        return 0.0
    waited_s = (services.ledger.now() - batch.job_state_since).total_seconds()
    return outputs.late_wait_s(waited_s, longest_s=services.options.output_wait_s)


async def _verify(services: Services, load: RangeLoad) -> None:
    """Compare an object's checksum when the last of its ranges has been read, whoever read the others.

    Each asks after its own last commit, so that of two that end at once at least one sees both. Nothing is
    known of an early object some of whose ranges were dropped.
    """
    part = load.part
    if not part.crc32c or (part.start == 0 and part.end == part.size_bytes):
        return  # there is none, or it was compared before its last rows went in
    batch = services.ledger.batch(load.batch_id)
    primary = services.ledger.submission(batch.submission_id).stores[0]
    mine = [
        one
        for one in services.ledger.ranges(batch.id)
        if (one.object_name, one.generation) == (part.object_name, part.generation)
    ]
    if sum(one.end - one.start for one in mine) < part.size_bytes:
        return
    values: list[int] = []
    for one in mine:
        done = (await standing(services, [primary], source_of(batch, one))).done
        if done.position < one.end:
            return
        values.append(accounts.decode(done.state, rows=batch.rows).crc32c)
    verify_whole(mine, values)


async def _recount(services: Services, batch: Batch, part: OutputRange, rows: frozenset[int]) -> Spent:
    """Read a range again for what some of its rows have cost; nobody notes that of each answered row.

    When the object is gone nobody can tell any more, and the rows count twice in tokens and cost.
    """
    if not rows:
        return Spent()
    try:
        return await _spent(services, batch, part, rows)
    except NotFound:
        log.warning("counted_twice", batch=batch.id, object=part.object_name, rows=len(rows))
        return Spent()


async def _spent(services: Services, batch: Batch, part: OutputRange, rows: frozenset[int]) -> Spent:
    known = bytearray([_DONE]) * batch.rows
    for index in rows:
        known[index] = ranks.NOT_FOUND
    submission = services.ledger.submission(batch.submission_id)
    match = match_of(services, batch, submission)
    reader = reader_of(services, batch, submission, part, match, known)
    coming = coming_of(services, part, part.start)
    async with aclosing(coming.pieces(())) as pieces:
        async for piece in pieces:
            for item in piece.items:
                if not match.loaded and match.is_needed(item):
                    await match.load(known)
                reader.read(item, Reading())
    for item in coming.last().items:
        reader.read(item, Reading())
    return Spent(usage=reader.usage, cost_pusd=reader.cost_pusd)
