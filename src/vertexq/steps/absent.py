"""Absent rows: what becomes of rows that have no answer in the store, and what is written about them."""

from __future__ import annotations

from collections.abc import Collection
from contextlib import aclosing
from dataclasses import dataclass

from vertexq import ranks
from vertexq.deadlines import passed, was_cut
from vertexq.ledger import Claim
from vertexq.model import Batch, Counts, Submission
from vertexq.results import Chunk, Outcome, Progress, Row, SourceRange
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


def fate_of(submission: Submission, batch: Batch, *, took_over: Collection[str] = ()) -> Fate | None:
    """Return what becomes of a batch's rows without an answer; None when they are accounted for elsewhere.

    Rows that a successor has taken over are in its account. Rows that a cancel has withdrawn were never sent
    and are in nobody's, unless their batch ``took_over`` rows of an earlier one.
    """
    if batch.successor:
        return None
    if batch.state is BatchState.WITHDRAWN:
        cancelled = submission.state is SubmissionState.CANCELLING and batch.id not in took_over
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
    services: Services, submission: Submission, batch: Batch, claim: Claim, *, took_over: Collection[str] = ()
) -> Counts:
    """Write a row for everything that did not come back, and return the batch's counts."""
    found = ranks.unpack(batch.found, rows=batch.rows)
    absent = found.count(ranks.NOT_FOUND)
    fate = fate_of(submission, batch, took_over=took_over)
    if not absent or fate is None:
        return ranks.counts(found)
    await _write(services, submission, batch, found, fate, claim)
    return ranks.counts(found) + Counts(**{fate.outcome.value: absent})


async def _write(
    services: Services, submission: Submission, batch: Batch, found: bytearray, fate: Fate, claim: Claim
) -> None:
    """Commit the absent rows chunk by chunk; the position is the number of manifest lines accounted for."""
    name, size = submission.store, services.options.chunk_rows
    source = SourceRange(
        submission_id=submission.id, batch_id=batch.id, object_name=batch.manifest_uri, generation=0
    )
    at = (await services.stores.call(name, lambda store: store.progress(source))).position
    pending: list[Row] = []
    async with aclosing(entries(services, batch)) as rows:
        async for entry in rows:
            if entry.index >= at and found[entry.index] == ranks.NOT_FOUND:
                pending.append(_row(submission, batch, entry, fate))
            if len(pending) >= size:
                at = await _commit(services, name, source, at, entry.index + 1, pending, claim)
                pending = []
    if at < batch.rows:
        await _commit(services, name, source, at, batch.rows, pending, claim)


async def _commit(
    services: Services, name: str, source: SourceRange, start: int, end: int, rows: list[Row], claim: Claim
) -> int:
    chunk = Chunk(source=source, start=start, progress=Progress(position=end), rows=tuple(rows))
    await services.stores.call(name, lambda store: store.write(chunk, fence=claim.fence))
    return end


def _row(submission: Submission, batch: Batch, entry: ManifestLine, fate: Fate) -> Row:
    return _EMPTY._replace(
        submission_id=submission.id,
        key=entry.key,
        batch_id=batch.id,
        outcome=fate.outcome,
        error_code=fate.code,
        error_message=entry.reason or fate.message,
        attempt=batch.attempt,
    )
