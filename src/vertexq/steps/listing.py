"""What a job has written: listed under the directory that Google names, and pinned to its generations."""

from __future__ import annotations

from collections.abc import Sequence

from vertexq import outputs
from vertexq.families import family_for
from vertexq.ledger import Claim, OutputRange
from vertexq.model import Batch, GcsUri, ObjectInfo
from vertexq.sources.tables import is_table
from vertexq.steps.services import Services
from vertexq.steps.table_copies import pin_table


async def pin_early(services: Services, batch: Batch, claim: Claim) -> list[OutputRange]:
    """Pin what a running job has exported since the last look; return the batch's ranges.

    A table appears when its job has ended. Without keys nobody can tell an answer that comes again from that
    of another row with the same request, so that only what is final is read.
    """
    if is_table(batch.output_prefix) or not family_for(batch).wire.key:
        return services.ledger.ranges(batch.id)
    found = await _written(services, batch)
    chosen = outputs.early_objects(list(found))
    return _pin(services, batch, [found[name] for name in chosen], claim, early=True)


async def pin_final(services: Services, batch: Batch, claim: Claim) -> list[OutputRange]:
    """Pin what a job that has ended has left; return the batch's ranges.

    With a final file, exports that nobody has begun to read are dropped: it repeats them. Without one the
    exports are the output.
    """
    if is_table(batch.output_prefix):
        return await pin_table(services, batch, claim)
    found = await _written(services, batch)
    chosen = outputs.final_objects(list(found))
    pinned = _pin(services, batch, [found[name] for name in chosen], claim, early=False)
    if not chosen or any(map(outputs.is_early, chosen)):
        services.ledger.make_final(batch, claim=claim)
    elif any(part.early and not part.done for part in pinned):
        services.ledger.drop_early(batch, claim=claim)
    return services.ledger.ranges(batch.id)


async def _written(services: Services, batch: Batch) -> dict[str, ObjectInfo]:
    """List what is below the output directory, by relative name; all of the job's before it is named.

    No other attempt shares the batch's output prefix. Empty objects hold nothing.
    """
    place = batch.output_directory or batch.output_prefix
    if not place:
        return {}
    prefix = GcsUri.parse(place.rstrip("/") + "/")
    found = [item async for item in services.storage.list(prefix)]
    return {item.uri.name.removeprefix(prefix.name): item for item in found if item.size_bytes}


def _pin(
    services: Services, batch: Batch, objects: Sequence[ObjectInfo], claim: Claim, *, early: bool
) -> list[OutputRange]:
    """Pin objects that are not; one that is keeps its ranges, whatever the settings say now."""
    pinned = services.ledger.ranges(batch.id)
    known = {(part.object_name, part.generation) for part in pinned}
    new = [item for item in objects if (str(item.uri), item.generation) not in known]
    cut = [part for item in new for part in _ranges(batch, item, services.options.range_bytes, early=early)]
    return services.ledger.pin_ranges(batch, cut, claim=claim) if cut else pinned


def _ranges(batch: Batch, item: ObjectInfo, range_bytes: int, *, early: bool) -> list[OutputRange]:
    return [
        OutputRange(
            batch_id=batch.id, object_name=str(item.uri), generation=item.generation, start=start, end=end,
            size_bytes=item.size_bytes, crc32c=item.crc32c, early=early,
        )
        for start, end in outputs.cuts(item.size_bytes, range_bytes)
    ]  # fmt: skip
