"""Absent rows: what becomes of rows that have no answer in the store, and what is written about them."""

from __future__ import annotations

from contextlib import aclosing
from dataclasses import dataclass

from vertexq import ranks
from vertexq.deadlines import passed, was_cut
from vertexq.ledger import Claim
from vertexq.model import Batch, Counts, Submission
from vertexq.results import Chunk, Outcome, Progress, Row, SourceRange
from vertexq.rounds import difference
from vertexq.states import BatchState, JobState, SubmissionState
from vertexq.steps.manifest import entries
from vertexq.steps.parts import ManifestLine
from vertexq.steps.services import Services

_FINISHED = (JobState.SUCCEEDED, JobState.PARTIALLY_SUCCEEDED)
_NO_ANSWER = "the job ended without an answer for this row"
_EMPTY = Row._make([None] * len(Row._fields))


@dataclass(frozen=True, slots=True, kw_only=True)
class Fate:
    """What is written about each row of a batch that has no answer."""

    outcome: Outcome
    message: str
    code: int | None = None


def fate_of(submission: Submission, batch: Batch) -> Fate | None:
    """Return what becomes of a batch's rows without an answer; None when they are in nobody's account.

    That is so for rows that a cancel has withdrawn: they were never sent, unless earlier batches had them.
    """
    if batch.state is BatchState.WITHDRAWN:
        cancelled = submission.state is SubmissionState.CANCELLING and not batch.round
        return None if cancelled else Fate(outcome=Outcome.MISSING, message=batch.reason)
    if batch.state is BatchState.ASIDE:
        return Fate(outcome=Outcome.FAILED, message="the row was set aside by the check")
    if was_cut(submission, batch):
        return Fate(outcome=Outcome.MISSING, message=passed(submission))
    if batch.state is not BatchState.LOST and batch.job_state in _FINISHED:
        return Fate(outcome=Outcome.MISSING, message=_NO_ANSWER)
    error = batch.job_error
    message = error.message if error else (batch.reason or batch.job_state)
    return Fate(outcome=Outcome.FAILED, message=message, code=error.code if error else None)


async def account(
    services: Services, submission: Submission, batch: Batch, claim: Claim, *, gone: str = ""
) -> Counts:
    """Write a row for everything that did not come back, note it in the ledger, and return the counts.

    Such a row is not the batch's own answer, so that a later batch may do as well as it. ``gone`` says why
    no row of the batch can be tried again, also one whose error may pass.
    """
    found = ranks.unpack(batch.found, rows=batch.rows)
    reason = "; ".join(text for text in (difference(batch, found), gone) if text)
    fate = fate_of(submission, batch) if ranks.NOT_FOUND in found else None
    if fate is not None:
        for store in reversed(submission.stores):  # the account is kept by the first, so it comes last
            await _write(services, store, batch, found, fate, claim)
        absent = ranks.inherited(ranks.RANK_BYTE[fate.outcome])
        found = found.replace(bytes([ranks.NOT_FOUND]), bytes([absent]))
    if gone:
        found = ranks.closed(found)
    counts = ranks.counts(found)
    if fate is not None or reason != batch.reason:
        packed = ranks.pack(found, ranks.notes(batch.found, rows=batch.rows))
        services.ledger.update_batch(batch, claim=claim, found=packed, counts=counts, reason=reason)
    return counts


async def _write(
    services: Services, store: str, batch: Batch, found: bytearray, fate: Fate, claim: Claim
) -> None:
    """Commit the absent rows chunk by chunk; the position is the number of manifest lines accounted for."""
    source = SourceRange(
        submission_id=batch.submission_id, batch_id=batch.id, object_name=batch.manifest_uri, generation=0
    )
    at = (await services.stores.call(store, lambda opened: opened.progress(source))).position
    size = _chunk_rows(services, store)
    pending: list[Row] = []
    async with aclosing(entries(services, batch)) as rows:
        async for entry in rows:
            if entry.index >= at and found[entry.index] == ranks.NOT_FOUND:
                pending.append(_row(batch, entry, fate))
            if len(pending) >= size:
                at = await _commit(services, store, source, at, entry.index + 1, pending, claim)
                pending = []
    if at < batch.rows:
        await _commit(services, store, source, at, batch.rows, pending, claim)


def _chunk_rows(services: Services, store: str) -> int:
    """Return how many rows a chunk has; a store for which few are better than many, and is open, says so."""
    options = services.options
    most, _ = services.stores.chunk_limits([store], rows=options.chunk_rows, size_bytes=options.chunk_bytes)
    return most


async def _commit(
    services: Services, name: str, source: SourceRange, start: int, end: int, rows: list[Row], claim: Claim
) -> int:
    chunk = Chunk(source=source, start=start, progress=Progress(position=end), rows=tuple(rows))
    await services.stores.call(name, lambda store: store.write(chunk, fence=claim.fence))
    return end


def _row(batch: Batch, entry: ManifestLine, fate: Fate) -> Row:
    return _EMPTY._replace(
        submission_id=batch.submission_id,
        key=entry.key,
        batch_id=batch.id,
        outcome=fate.outcome,
        error_code=fate.code,
        error_message=entry.reason or fate.message,
        attempt=batch.round + 1,
    )
