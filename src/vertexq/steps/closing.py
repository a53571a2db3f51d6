"""Ranges that will not be read to their end: what of them is in the stores belongs in the account."""

from __future__ import annotations

from vertexq.errors import Conflict
from vertexq.model import Batch
from vertexq.states import BatchState
from vertexq.steps.merging import finish
from vertexq.steps.ranges import RangeLoad
from vertexq.steps.services import Services


async def closed(services: Services, batch: Batch) -> Batch:
    """Close the ranges of a lost batch where the stores stand, before its rows are accounted for.

    Raise ``Conflict`` while somebody reads one of them: his lease ends soon.
    """
    ledger, options = services.ledger, services.options
    if batch.state is not BatchState.LOST:
        return batch
    while taken := ledger.take_range(batch.id, owner=services.owner, lease_s=options.lease_s):
        claim, part = taken
        try:
            await finish(services, await RangeLoad.begin(services, batch, part, claim), claim)
        finally:
            ledger.release(claim)
    if any(not part.done for part in ledger.ranges(batch.id)):
        raise Conflict(f"output of batch {batch.id} is still being read; its rows are counted after that")
    return ledger.batch(batch.id)
