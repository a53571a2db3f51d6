"""Rerun: rows that have no answer go into a new batch, taken from the input that was staged for the old one.

Safe to repeat at any point: the new batch's name and bytes are the same every time, and it enters the ledger
together with the note in the old one that says who took over.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace

import orjson
import structlog

from vertexq import ranks
from vertexq.check.verdict import Prepared
from vertexq.deadlines import leaves_rest, runs_again
from vertexq.ids import batch_id
from vertexq.keys import wire_key
from vertexq.ledger import Claim, NewBatch, Record
from vertexq.model import Batch, Estimate, GcsUri, ObjectInfo, Submission
from vertexq.names import TaskName
from vertexq.states import BatchState, SubmissionState
from vertexq.steps.deadline import close, has_stopped, may_act
from vertexq.steps.dispatch import dispatch
from vertexq.steps.leases import with_lease
from vertexq.steps.looking import folder
from vertexq.steps.manifest import staged
from vertexq.steps.parts import ManifestLine, Part
from vertexq.steps.putting import put
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)


async def rerun(services: Services, submission_id: str) -> None:
    """Begin another round of a late submission: what has no answer is sent again, with a new deadline."""

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        running = submission.state is SubmissionState.RUNNING and runs_again(submission)
        if running and may_act(services, submission) and has_stopped(services, submission):
            await _next_round(services, submission, claim)

    await with_lease(services, Record.SUBMISSION, submission_id, work)


async def _next_round(services: Services, submission: Submission, claim: Claim) -> None:
    ledger = services.ledger
    for batch in ledger.batches(submission.id):
        if leaves_rest(batch):
            found = ranks.unpack(ledger.batch(batch.id).found, rows=batch.rows)
            rest = frozenset(index for index, rank in enumerate(found) if rank == ranks.NOT_FOUND)
            if rest:
                await run_again(services, submission, batch, rest, claim)
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
    for project, location in sorted({(batch.project, batch.location) for batch in waiting}):
        await dispatch(services, project, location)
    services.hints.send(TaskName.SETTLE, submission.id)


async def run_again(
    services: Services, submission: Submission, batch: Batch, rows: Collection[int], claim: Claim
) -> NewBatch:
    """Stage the rows of ``batch`` with these indexes as a new batch, its successor, ready to be sent.

    The input and the manifest are streamed once. Which rows and why is the caller's business; a batch has
    one successor, and rows that were handed over are accounted for there.
    """
    ordinal = 1 + max(known.ordinal for known in services.ledger.batches(submission.id))
    part = await _part(services, batch, rows)
    try:
        prefix = GcsUri.parse(folder(batch).rstrip("/").rpartition("/")[0]).join(f"{ordinal:05d}")
        source = await put(services, prefix.join("input.jsonl"), part.input)
        manifest = await put(services, prefix.join("manifest.jsonl"), part.manifest)
    finally:
        part.close()
    new = _successor(submission, batch, ordinal, part.rows, source, manifest)
    services.ledger.succeed(batch, new, claim=claim)
    log.info("runs_again", batch=batch.id, successor=new.id, rows=new.rows)
    return new


async def _part(services: Services, batch: Batch, rows: Collection[int]) -> Part:
    part = Part()
    try:
        async for entry, line in staged(services, batch):
            if entry.index in rows:
                _append(part, entry, line)
    except BaseException:
        part.close()
        raise
    return part


def _append(part: Part, entry: ManifestLine, line: bytes) -> None:
    """Add a row under its new index, with a key of ours, also when its line was the producer's own."""
    old, new = (b'{"key":%b' % orjson.dumps(wire_key(n, entry.key)) for n in (entry.index, part.rows))
    if line.startswith(old):
        line = new + line[len(old) :] + b"\n"
    else:
        line = b'%b,"request":%b}\n' % (new, orjson.dumps(orjson.loads(line)["request"]))
    part.input.write(line)
    part.add_staged(Prepared(entry.key, entry.fingerprint, b"", entry.line), line)


def _successor(
    submission: Submission, batch: Batch, ordinal: int, rows: int, source: ObjectInfo, manifest: ObjectInfo
) -> NewBatch:
    return NewBatch(
        id=batch_id(submission.id, submission.fingerprint, ordinal),
        ordinal=ordinal,
        rows=rows,
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
        estimate=part_of(batch.estimate, rows=rows, of=batch.rows),
        labels=batch.labels,
    )


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
