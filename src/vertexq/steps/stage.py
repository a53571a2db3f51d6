"""Stage: check a submission's rows, split them into batches, and put each batch's input in Cloud Storage.

Safe to repeat at any point: objects are pinned to their generations, parts have the same names and bytes
every time, and what an earlier try uploaded and entered is found and left alone. Batches enter the ledger
one by one; none of them can be sent before the submission runs, which is the last thing that happens here.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import closing
from dataclasses import dataclass, replace

import structlog

from vertexq.check.verdict import Prepared, Verdict
from vertexq.errors import BadInput, BadSource, NotFound
from vertexq.failpoints import Failpoint, reach
from vertexq.families import family_for
from vertexq.ledger import Claim, Record
from vertexq.model import Estimate, ObjectInfo, SourceKind, Submission
from vertexq.money import over_budget, priced
from vertexq.names import TaskName
from vertexq.sources.kept import KeptRows
from vertexq.spool import unpack
from vertexq.states import SubmissionState
from vertexq.steps.collecting import not_collecting
from vertexq.steps.destinations import check_dataset
from vertexq.steps.dispatch import dispatch
from vertexq.steps.leases import park, with_lease
from vertexq.steps.parts import PartWriter
from vertexq.steps.preflight import preflight
from vertexq.steps.services import Services
from vertexq.steps.stage_as_is import checked_as_is, enter_as_is
from vertexq.steps.stage_model import staged_model
from vertexq.steps.stage_parts import Cancelled, Entering
from vertexq.steps.stage_sources import Replaced, checked, forget_pins, pinned, sifted
from vertexq.steps.stage_stores import check_stores
from vertexq.steps.stage_tables import drop_plan, enter_tables, staged_plan

log = structlog.get_logger(__name__)

TRIES = 3
"""How often staging begins anew because an object was replaced under it."""


class OverBudget(Exception):
    """The estimate is over the submission's budget; the text has the numbers."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Rows:
    """A submission's rows, checked: where they come from and what they show together."""

    pins: list[ObjectInfo]  # empty for a spool
    verdict: Verdict | None  # None for a spool, which was checked when it was enqueued
    estimate: Estimate | None
    kept: KeptRows  # of the first reading


async def stage(services: Services, submission_id: str) -> None:
    """Stage a submission that is queued, or whose staging was interrupted."""

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        if submission.state in (SubmissionState.QUEUED, SubmissionState.STAGING):
            await _stage(services, submission, claim)

    await with_lease(services, Record.SUBMISSION, submission_id, work)


async def _stage(services: Services, submission: Submission, claim: Claim) -> None:
    again = submission.state is SubmissionState.STAGING
    if not again:
        submission = _begun(services, submission, claim)
    reach(Failpoint.STAGE_CLAIMED)
    try:
        await check_stores(services, submission)
        model = await staged_model(services, submission)
        submission = replace(submission, model=model.name)
        services = replace(services, prices=services.prices.with_base(model.name, model.priced_as))
        await preflight(services, submission)
        await check_dataset(services, submission)
        entry = await _entered(services, submission, claim, again=again)
    except BadInput as error:
        _reject(services, submission, str(error), claim)
    except (NotFound, OverBudget) as error:
        park(services, services.ledger.submission(submission.id), str(error), claim=claim)
    except Cancelled:
        _cancel(services, submission, claim)
        await _tidy(services, submission)
    else:
        await _run(services, submission, entry, claim)
        await _tidy(services, submission)


async def _tidy(services: Services, submission: Submission) -> None:
    """Delete what nobody needs when a submission is staged, or will not be."""
    if submission.source_kind is SourceKind.BIGQUERY:
        await drop_plan(services, submission)


def _begun(services: Services, submission: Submission, claim: Claim) -> Submission:
    ledger = services.ledger
    return ledger.move_submission(
        submission, SubmissionState.STAGING, claim=claim, next_action_at=ledger.now()
    )


async def _entered(services: Services, submission: Submission, claim: Claim, *, again: bool) -> Entering:
    """Enter every part; begin anew when an object, or the way of splitting, is not what it was."""
    for _ in range(TRIES):
        try:
            entering = Entering(services, submission, claim, again=again)
            with not_collecting():
                return await _enter(services, submission, entering)
        except Replaced as error:
            log.info("staged_anew", submission=submission.id, reason=str(error))
            services.ledger.drop_batches(submission, claim=claim)
            await forget_pins(services, submission)
            again = True
    raise BadSource(
        f"{submission.sources[0] if submission.sources else 'the source'} keeps being replaced while it is "
        "read; nothing was sent. Enqueue it when it is complete."
    )


async def _enter(services: Services, submission: Submission, entry: Entering) -> Entering:
    if submission.source_kind is SourceKind.BIGQUERY:
        await _enter_table(services, submission, entry)
        entry.close()
        return entry
    with closing(KeptRows(limit_bytes=services.options.batch_bytes)) as kept:
        rows = await _checked(services, submission, kept)
        reach(Failpoint.STAGE_CHECKED)
        _check_budget(services, submission, rows.estimate)
        if submission.policy.in_place:
            await enter_as_is(services, submission, rows.pins, entry)
        else:
            await _write(services, submission, rows, entry)
    entry.close()
    return entry


async def _enter_table(services: Services, submission: Submission, entry: Entering) -> None:
    staging = await staged_plan(services, submission)
    assumed = services.options.assumed_output_tokens
    _check_budget(services, submission, _priced(services, submission, staging.estimate, assumed))
    await enter_tables(services, submission, staging, entry)


async def _checked(services: Services, submission: Submission, kept: KeptRows) -> Rows:
    if submission.source_kind is SourceKind.SPOOL:
        return Rows(pins=[], verdict=None, estimate=submission.estimate, kept=kept)
    pins = await pinned(services, submission)
    if submission.policy.in_place:
        verdict = await checked_as_is(services, submission, pins)
    else:
        verdict = await checked(services, submission, pins, kept)
    assumed = services.options.assumed_output_tokens
    estimate = _priced(services, submission, verdict.estimate, assumed)
    return Rows(pins=pins, verdict=verdict, estimate=estimate, kept=kept)


def _priced(services: Services, submission: Submission, estimate: Estimate, assumed: int) -> Estimate:
    return priced(estimate, submission.model, services.ledger.now().date(), services.prices, assumed)


def _check_budget(services: Services, submission: Submission, estimate: Estimate | None) -> None:
    """Raise ``OverBudget`` before anything is uploaded; money is reckoned with this worker's prices."""
    if estimate is None or submission.terms.budget_pusd is None:
        return
    known = _priced(services, submission, estimate, assumed=0)  # its output holds what was assumed already
    if said := over_budget(known, submission.terms.budget_pusd, model=submission.model):
        raise OverBudget(said)


async def _write(services: Services, submission: Submission, rows: Rows, entry: Entering) -> None:
    """Split the rows into parts, on disk, and enter each when it is full."""
    options, family = services.options, family_for(submission)
    writer = PartWriter(
        family.wire,
        rows_limit=min(options.batch_rows, family.rows_limit),
        bytes_limit=min(options.batch_bytes, family.input_limit_bytes),
    )
    try:
        async for some in _blocks(services, submission, rows):
            for part in writer.add(some):
                await entry.put(part)
        for part in writer.close():
            await entry.put(part)
    finally:
        writer.discard()


async def _blocks(services: Services, submission: Submission, rows: Rows) -> AsyncIterator[list[Prepared]]:
    """Yield the rows as they are to be staged, a block at a time."""
    if rows.verdict is None:
        for chunk in services.ledger.spool(submission.id):
            await asyncio.sleep(0)  # the heartbeat must beat
            yield list(unpack(chunk))
        return
    async for some in sifted(services, submission, rows.pins, rows.verdict, rows.kept):
        yield some


async def _run(services: Services, submission: Submission, entry: Entering, claim: Claim) -> None:
    """Let the submission run: from here on its batches may be sent."""
    ledger = services.ledger
    submission = ledger.submission(submission.id)  # a cancel or other terms may have come in meanwhile
    submission = ledger.finish_staging(submission, claim=claim, rows=entry.rows, estimate=entry.estimate)
    reach(Failpoint.STAGE_DONE)
    log.info("staged", submission=submission.id, batches=entry.batches, rows=submission.rows)
    if submission.cancel_requested:
        ledger.request_cancel(submission.id)
        services.hints.send(TaskName.CANCEL, submission.id)
        return
    options = services.options
    await dispatch(services, submission.project or options.project, submission.location or options.location)


def _reject(services: Services, submission: Submission, reason: str, claim: Claim) -> None:
    ledger = services.ledger
    ledger.drop_batches(submission, claim=claim)  # of an earlier try; none of them was sent
    known = ledger.submission(submission.id)
    ledger.move_submission(known, SubmissionState.REJECTED, claim=claim, reason=reason)
    ledger.drop_spool(submission.id)


def _cancel(services: Services, submission: Submission, claim: Claim) -> None:
    """Stop half way: what is staged so far is withdrawn by the cancel."""
    ledger = services.ledger
    known = ledger.submission(submission.id)
    ledger.move_submission(known, SubmissionState.CANCELLING, claim=claim, next_action_at=ledger.now())
    ledger.drop_spool(submission.id)
    services.hints.send(TaskName.CANCEL, submission.id)
