"""Successors: rows that are tried again go into new batches, taken from the input staged for the old ones.

Safe to repeat at any point: the new batch's name and bytes are the same every time, and it enters the ledger
together with the notes in the old ones that say who took over.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import aclosing
from dataclasses import dataclass, field, replace

import structlog

from vertexq import carried, ranks
from vertexq.check.verdict import Prepared
from vertexq.errors import NotFound, VertexqError
from vertexq.failpoints import Failpoint, reach
from vertexq.families import family_for
from vertexq.google.bigquery_messages import TableRef
from vertexq.ids import batch_id
from vertexq.ledger import Claim, NewBatch
from vertexq.ledger.values import BatchFields
from vertexq.model import Batch, Estimate, GcsUri, ObjectInfo, Submission
from vertexq.money import priced, together
from vertexq.rounds import Rest, difference
from vertexq.sources.tables import is_table
from vertexq.steps.looking import folder
from vertexq.steps.manifest import InputChanged, entries, staged
from vertexq.steps.parts import ManifestLine, Part
from vertexq.steps.putting import put
from vertexq.steps.services import Services
from vertexq.steps.stage_parts import Staged
from vertexq.steps.table_inputs import gone, handed_over

log = structlog.get_logger(__name__)


class InputGone(VertexqError):
    """The input of rows that are to be tried again is not what was staged any more."""

    def __init__(self, batch: Batch, why: VertexqError) -> None:
        super().__init__(f"the input of {batch.id} is gone, so its rows cannot be tried again: {why}")
        self.batch = batch


@dataclass(slots=True)
class _Filling:
    """A new batch that is being put together from the rests of one batch or of several."""

    part: Part
    rests: list[Rest] = field(default_factory=list[Rest])
    handed: list[tuple[Batch, list[int]]] = field(default_factory=list[tuple[Batch, list[int]]])  # of tables

    def takes(self, rest: Rest, services: Services, submission: Submission) -> bool:
        """Tell whether a rest may share the batch: of the same round, in the same place, and few rows.

        Rows that Google's import may not be able to load together never share one.
        """
        if not self.rests:
            return True
        if submission.policy.split_conflicts or submission.policy.in_place:
            return False
        options, first = services.options, self.rests[0].batch
        small = self.part.input.size_bytes <= options.batch_bytes // 2
        few = self.part.rows + len(rest.rows) <= options.batch_rows
        return few and small and _kin(rest.batch) == _kin(first)


def _kin(batch: Batch) -> tuple[object, ...]:
    return batch.round, batch.model, batch.project, batch.location, batch.tenant, dict(batch.labels)


async def run_again(
    services: Services,
    submission: Submission,
    rests: Iterable[Rest],
    claim: Claim,
    *,
    model: str = "",
    rest_s: float = 0.0,
    online: bool = False,
) -> int:
    """Stage rows as new batches, the successors of theirs, ready to be sent; return how many rows.

    Each input and manifest is streamed once. Which rows and why is the caller's business; rows that were
    handed over are accounted for by who took them over. ``model`` is another one of the same family;
    ``online`` rows are answered one by one. Raise ``InputGone`` when what was staged for a batch is gone.
    """

    def change(new: NewBatch) -> NewBatch:
        new = _for_model(services, new, model) if model and model != new.model else new
        estimate = online_estimate(services, new.estimate, new.model) if online else new.estimate
        return replace(new, rest_s=rest_s, online=online, estimate=estimate)

    wire = family_for(submission).wire
    filling, rows = _Filling(Part(wire)), 0
    try:
        for rest in rests:
            if not filling.takes(rest, services, submission):
                await _enter(services, submission, filling, claim, change)
                filling.part.close()
                filling = _Filling(Part(wire))
            await _fill(services, filling, rest)
            rows += len(rest.rows)
        if filling.rests:
            await _enter(services, submission, filling, claim, change)
    finally:
        filling.part.close()
    return rows


async def _fill(services: Services, filling: _Filling, rest: Rest) -> None:
    try:
        if is_table(rest.batch.input_uri):
            await _fill_from_table(services, filling, rest)
        else:
            async for entry, line in staged(services, rest.batch):
                if entry.index in rest.rows:
                    _append(filling.part, entry, line)
    except (NotFound, InputChanged) as error:
        raise InputGone(rest.batch, error) from error
    filling.rests.append(rest)


async def _fill_from_table(services: Services, filling: _Filling, rest: Rest) -> None:
    """Note rows of a staged table; a statement will take them over, so that only the manifest is written."""
    if await services.bigquery.table(TableRef.at(rest.batch.input_uri)) is None:
        raise gone(rest.batch)
    indexes = list[int]()
    async with aclosing(entries(services, rest.batch)) as rows:
        async for entry in rows:
            if entry.index in rest.rows:
                filling.part.add_again(entry)
                indexes.append(entry.index)
    filling.handed.append((rest.batch, indexes))


def _append(part: Part, entry: ManifestLine, line: bytes) -> None:
    """Add a row under its new index, with a key of ours, also when its line was the producer's own."""
    line = part.wire.renamed(line, entry.key, old=entry.index, new=part.rows)
    part.input.write(line)
    part.add_staged(Prepared(entry.key, entry.fingerprint, b"", entry.line), line)


async def _enter(
    services: Services,
    submission: Submission,
    filling: _Filling,
    claim: Claim,
    change: Callable[[NewBatch], NewBatch],
) -> None:
    """Upload what was put together, and let it enter the ledger in the place of its rows' batches."""
    ordinal = 1 + max(known.ordinal for known in services.ledger.batches(submission.id))
    prefix = GcsUri.parse(folder(filling.rests[0].batch).rstrip("/").rpartition("/")[0]).join(
        f"{ordinal:05d}"
    )
    source = await _input(services, filling, batch_id(submission.id, submission.fingerprint, ordinal), prefix)
    manifest = await put(services, prefix.join("manifest.jsonl"), filling.part.manifest)
    reach(Failpoint.RERUN_UPLOADED)
    new = change(_successor(submission, filling, ordinal, source, manifest))
    left = [(rest.batch, _left(rest)) for rest in filling.rests]
    services.ledger.succeed(left, new, claim=claim)
    reach(Failpoint.RERUN_HANDED_OVER)
    log.info("runs_again", successor=new.id, rows=new.rows, round=new.round, batches=len(left))


async def _input(services: Services, filling: _Filling, new_id: str, prefix: GcsUri) -> Staged:
    """Put what was put together where its job will read it."""
    if not filling.handed:
        return await put(services, prefix.join("input.jsonl"), filling.part.input)
    made = await handed_over(services, new_id, filling.handed)
    reach(Failpoint.TABLE_SUCCESSOR_MADE)
    return made


def _left(rest: Rest) -> BatchFields:
    """Return the account of a batch without the rows that are handed over; what they cost stays in it."""
    left = rest.left()
    packed = ranks.pack(left, ranks.notes(rest.batch.found, rows=rest.batch.rows))
    reason = difference(rest.batch, rest.found)
    return BatchFields(found=packed, counts=ranks.counts(left), reason=reason)


def _successor(
    submission: Submission,
    filling: _Filling,
    ordinal: int,
    source: Staged,
    manifest: ObjectInfo,
) -> NewBatch:
    batch = filling.rests[0].batch
    return NewBatch(
        id=batch_id(submission.id, submission.fingerprint, ordinal),
        ordinal=ordinal,
        rows=filling.part.rows,
        input_uri=str(source.uri),
        input_generation=source.generation,
        input_bytes=source.size_bytes,
        manifest_uri=str(manifest.uri),
        project=batch.project,
        location=batch.location,
        model=batch.model,
        family=batch.family,
        tenant=batch.tenant,
        priority=submission.terms.priority,
        estimate=together(map(share_of, filling.rests)),
        labels=batch.labels,
        round=batch.round + 1,
        priced_as=batch.priced_as,
        found=ranks.pack(b"".join(rest.inherited() for rest in filling.rests)),
    )


def share_of(rest: Rest) -> Estimate | None:
    """Return what rows of a batch may take; its estimate knows no rows whose answer came with the input."""
    batch = rest.batch
    return part_of(batch.estimate, rows=len(rest.rows), of=batch.rows - carried.count(batch.carried))


def _for_model(services: Services, new: NewBatch, model: str) -> NewBatch:
    """Let another model answer: its family takes the same lines, its price may be another one."""
    known = new.estimate
    if known is not None:  # its output tokens hold the assumed ones already
        today = services.ledger.now().date()
        cost_pusd = priced(replace(known, assumed_rows=0), model, today, services.prices, 0).cost_pusd
        known = replace(known, cost_pusd=cost_pusd)
    return replace(new, model=model, estimate=known, priced_as="")


def online_share(services: Services, rest: Rest) -> Estimate | None:
    """Return what rows of a batch may cost when they are answered online; None without an estimate."""
    prices = services.prices.with_base(rest.batch.model, rest.batch.priced_as)
    return online_estimate(replace(services, prices=prices), share_of(rest), rest.batch.model)


def online_estimate(services: Services, known: Estimate | None, model: str) -> Estimate | None:
    """Return an estimate at the online price; its output tokens hold the assumed ones already."""
    if known is None:
        return None
    today, assumed = services.ledger.now().date(), known.assumed_rows
    priced_so = priced(replace(known, assumed_rows=0), model, today, services.prices, 0, online=True)
    return replace(priced_so, assumed_rows=assumed)


def part_of(estimate: Estimate | None, *, rows: int, of: int) -> Estimate | None:
    """Return the share of an estimate that ``rows`` of its ``of`` rows have, rounded up."""
    if estimate is None or not of:
        return None

    def share(whole: int) -> int:
        return -(-whole * rows // of)

    cost_pusd = None if estimate.cost_pusd is None else share(estimate.cost_pusd)
    return replace(
        estimate,
        rows=rows,
        input_tokens=share(estimate.input_tokens),
        output_tokens=share(estimate.output_tokens),
        assumed_rows=share(estimate.assumed_rows),
        cost_pusd=cost_pusd,
    )
