"""Settle: when every batch has ended, account for every row and close the submission."""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from vertexq import ranks
from vertexq.ledger import Claim, Record
from vertexq.lines import Block, LineSplitter
from vertexq.model import Batch, Counts, GcsUri, Submission, Usage
from vertexq.results import Chunk, Outcome, Progress, Row, SourceRange
from vertexq.states import BatchState, JobState, SubmissionState
from vertexq.steps.leases import with_lease
from vertexq.steps.parts import read_manifest_line
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)

_SETTLING = frozenset({SubmissionState.RUNNING, SubmissionState.SETTLING, SubmissionState.CANCELLING})


async def settle(services: Services, submission_id: str) -> None:
    """Close a submission all of whose batches have ended; look again later when one has not."""

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        if submission.state not in _SETTLING:
            return
        if services.ledger.settle_ready(submission_id):
            await _settle(services, submission, claim)
        else:
            at = services.ledger.now() + seconds(services.options.resend_after_s)
            services.ledger.update_submission(submission, claim=claim, next_action_at=at)

    await with_lease(services, Record.SUBMISSION, submission_id, work)


async def _settle(services: Services, submission: Submission, claim: Claim) -> None:
    ledger = services.ledger
    if submission.state is SubmissionState.RUNNING:
        submission = ledger.move_submission(
            submission, SubmissionState.SETTLING, claim=claim, next_action_at=ledger.now()
        )
    counts, usage, cost_pusd, quarantined = Counts(), Usage(), 0, 0
    for known in ledger.batches(submission.id):
        batch = ledger.batch(known.id)
        counts += await _account(services, submission, batch, claim)
        usage += batch.usage
        cost_pusd += batch.cost_pusd
        quarantined += batch.quarantined_lines
    await services.stores.call(submission.store, lambda store: store.finish(submission.id))
    ledger.move_submission(
        submission, _end(submission, counts), claim=claim, counts=counts, usage=usage, cost_pusd=cost_pusd,
        quarantined_lines=quarantined, reason=_reason(services, submission),
    )  # fmt: skip
    log.info("settled", submission=submission.id, succeeded=counts.succeeded, rows=counts.total)


def _end(submission: Submission, counts: Counts) -> SubmissionState:
    if submission.state is SubmissionState.CANCELLING:
        return SubmissionState.CANCELLED
    return SubmissionState.DONE if counts.succeeded or counts.blocked else SubmissionState.FAILED


def _reason(services: Services, submission: Submission) -> str:
    """Return why jobs of the submission failed, as Google said it; empty when none did."""
    batches = services.ledger.batches(submission.id)
    said = {batch.job_error.message for batch in batches if batch.job_error}
    said |= {batch.reason for batch in batches if batch.state is BatchState.LOST}
    return "; ".join(sorted(said))[:2000]


async def _account(services: Services, submission: Submission, batch: Batch, claim: Claim) -> Counts:
    """Write a row for everything that did not come back, and return the batch's counts.

    Rows of a job that failed carry the job's error; rows a finished job left out are missing.
    """
    if batch.state is BatchState.WITHDRAWN:
        return Counts()
    found = ranks.unpack(batch.found, rows=batch.rows)
    if ranks.not_found(found) >= 0:
        source = SourceRange(
            submission_id=submission.id, batch_id=batch.id, object_name=batch.manifest_uri, generation=0
        )
        await _write_absent(services, submission, batch, source, found, claim)
    outcome = Outcome.FAILED if _job_failed(batch) else Outcome.MISSING
    absent = found.count(ranks.NOT_FOUND)
    return ranks.counts(found) + Counts(**{outcome.value: absent})


def _job_failed(batch: Batch) -> bool:
    finished = (JobState.SUCCEEDED, JobState.PARTIALLY_SUCCEEDED)
    return batch.state is BatchState.LOST or batch.job_state not in finished


async def _write_absent(
    services: Services,
    submission: Submission,
    batch: Batch,
    source: SourceRange,
    found: bytearray,
    claim: Claim,
) -> None:
    """Commit the absent rows chunk by chunk; the position is the number of manifest lines accounted for."""
    name, size = submission.store, services.options.chunk_rows
    at = (await services.stores.call(name, lambda store: store.progress(source))).position
    pending: list[Row] = []
    index = at
    async for index, key in _manifest(services, batch, at):
        if found[index] == ranks.NOT_FOUND:
            pending.append(_absent(submission, batch, key))
        if len(pending) >= size:
            at = await _commit(services, name, source, at, index + 1, pending, claim)
            pending = []
    if at < batch.rows:
        await _commit(services, name, source, at, batch.rows, pending, claim)


async def _commit(
    services: Services, name: str, source: SourceRange, start: int, end: int, rows: list[Row], claim: Claim
) -> int:
    chunk = Chunk(source=source, start=start, progress=Progress(position=end), rows=tuple(rows))
    await services.stores.call(name, lambda store: store.write(chunk, fence=claim.fence))
    return end


async def _manifest(services: Services, batch: Batch, start: int) -> AsyncIterator[tuple[int, str]]:
    """Yield (index, producer's key) of the rows that were sent, from row ``start`` on."""
    uri = GcsUri.parse(batch.manifest_uri)
    pinned = await services.storage.info(uri)
    splitter = LineSplitter()
    async for data in services.storage.download(uri, generation=pinned.generation):
        for item in splitter.feed(data):
            for line in item.lines if isinstance(item, Block) else []:
                index, key, _ = read_manifest_line(line)
                if index >= start:
                    yield index, key


def _absent(submission: Submission, batch: Batch, key: str) -> Row:
    failed = _job_failed(batch)
    error = batch.job_error
    message = error.message if error else (batch.reason or batch.job_state)
    empty = Row._make([None] * len(Row._fields))
    return empty._replace(
        submission_id=submission.id,
        key=key,
        batch_id=batch.id,
        outcome=Outcome.FAILED if failed else Outcome.MISSING,
        error_code=error.code if error and failed else None,
        error_message=message if failed else "the job ended without an answer for this row",
        attempt=batch.attempt,
    )
