"""Ingest: a job's output objects into the store, exactly once, in bounded pieces.

Objects are listed under the directory that Google names, pinned to one generation, and read from the
position that the store has committed. Rows and position are one commit, so a crash at any point repeats
nothing and loses nothing.
"""

from __future__ import annotations

import time

import structlog

from vertexq.ledger import Claim, OutputRange, Record
from vertexq.model import Batch, GcsUri, ObjectInfo
from vertexq.names import TaskName
from vertexq.outputs import final_objects
from vertexq.states import BatchState
from vertexq.steps.leases import with_lease
from vertexq.steps.poll import wake
from vertexq.steps.ranges import RangeLoad
from vertexq.steps.services import Services

log = structlog.get_logger(__name__)


async def ingest(services: Services, batch_id: str) -> None:
    """Load what an ended batch has written; leave the rest for the next hint when the time slice is over."""

    async def work(claim: Claim) -> None:
        batch = services.ledger.batch(batch_id)
        if batch.state is BatchState.ENDED:
            await _ingest(services, batch, claim)

    await with_lease(services, Record.BATCH, batch_id, work)


async def _ingest(services: Services, batch: Batch, claim: Claim) -> None:
    ledger = services.ledger
    ends_at = time.monotonic() + services.options.slice_s
    for part in await _pinned(services, batch, claim):
        if part.done:
            continue
        load = await RangeLoad.begin(services, batch, part, claim)
        if not await load.run(ends_at):
            batch = ledger.update_batch(batch, claim=claim, next_action_at=ledger.now())
            services.hints.send(TaskName.INGEST, batch.id)
            return
        batch = ledger.finish_range(
            batch, part, claim=claim, found=load.packed(), counts=load.counts(),
            usage=batch.usage + load.reader.usage, cost_pusd=batch.cost_pusd + load.reader.cost_pusd,
            quarantined_lines=batch.quarantined_lines + load.quarantined_lines,
        )  # fmt: skip
    batch = ledger.move_batch(batch, BatchState.INGESTED, claim=claim, attempts=0, reason="")
    log.info("ingested", batch=batch.id, rows=batch.counts.total, quarantined=batch.quarantined_lines)
    wake(services, batch)


async def _pinned(services: Services, batch: Batch, claim: Claim) -> list[OutputRange]:
    """Return the batch's ranges; the first time, list the output and pin what is there.

    A job that wrote nothing (it failed before its first row) has no ranges.
    """
    pinned = services.ledger.ranges(batch.id)
    if pinned or not batch.output_directory:
        return pinned
    prefix = GcsUri.parse(batch.output_directory.rstrip("/") + "/")
    objects = [item async for item in services.storage.list(prefix)]
    chosen = final_objects([item.uri.name.removeprefix(prefix.name) for item in objects])
    by_name = {item.uri.name.removeprefix(prefix.name): item for item in objects}
    ranges = [_whole(batch, by_name[name]) for name in chosen if by_name[name].size_bytes]
    return services.ledger.pin_ranges(batch, ranges, claim=claim)


def _whole(batch: Batch, item: ObjectInfo) -> OutputRange:
    return OutputRange(
        batch_id=batch.id,
        object_name=str(item.uri),
        generation=item.generation,
        start=0,
        end=item.size_bytes,
        size_bytes=item.size_bytes,
        crc32c=item.crc32c,
        done=False,
    )
