"""Stage: check a submission's rows, split them into batches, and put each batch's input in Cloud Storage.

Safe to repeat at any point: parts have the same names and bytes every time, and the batches enter the ledger
in one transaction at the end. Until then nothing has been paid for.
"""

from __future__ import annotations

from collections.abc import AsyncIterator

import structlog

from vertexq.errors import BadInput, NotFound, PreconditionFailed
from vertexq.families import Family, family_of
from vertexq.ids import batch_id
from vertexq.intake import Intake, Prepared
from vertexq.ledger import Claim, NewBatch, Record
from vertexq.lines import LineSplitter
from vertexq.model import GcsUri, ObjectInfo, SourceKind, Submission
from vertexq.names import TaskName
from vertexq.spool import unpack
from vertexq.states import SubmissionState
from vertexq.steps.leases import park, with_lease
from vertexq.steps.parts import Part, PartWriter, StagedFile
from vertexq.steps.services import Services
from vertexq.uniqueness import KeyLog

log = structlog.get_logger(__name__)


async def stage(services: Services, submission_id: str) -> None:
    """Stage a submission that is queued, or whose staging was interrupted."""

    async def work(claim: Claim) -> None:
        submission = services.ledger.submission(submission_id)
        if submission.state in (SubmissionState.QUEUED, SubmissionState.STAGING):
            await _stage(services, submission, claim)

    await with_lease(services, Record.SUBMISSION, submission_id, work)


async def _stage(services: Services, submission: Submission, claim: Claim) -> None:
    ledger = services.ledger
    if submission.state is SubmissionState.QUEUED:
        submission = ledger.move_submission(
            submission, SubmissionState.STAGING, claim=claim, next_action_at=ledger.now()
        )
    try:
        await services.stores.call(submission.store, lambda store: store.location(submission.id))
        batches = await _parts_to_batches(services, submission, family_of(submission.model))
    except BadInput as error:
        ledger.move_submission(submission, SubmissionState.REJECTED, claim=claim, reason=str(error))
        ledger.drop_spool(submission.id)
        return
    except NotFound as error:
        park(services, submission, str(error), claim=claim)
        return
    submission = ledger.submission(submission.id)  # a cancel may have come in meanwhile
    submission = ledger.add_batches(submission, batches, claim=claim)
    log.info("staged", submission=submission.id, batches=len(batches), rows=submission.rows)
    if submission.cancel_requested:
        ledger.request_cancel(submission.id)
        services.hints.send(TaskName.CANCEL, submission.id)
        return
    for batch in batches:
        services.hints.send(TaskName.CREATE, batch.id)


async def _parts_to_batches(services: Services, submission: Submission, family: Family) -> list[NewBatch]:
    options = services.options
    await services.storage.bucket_location(options.staging.bucket)
    writer = PartWriter(
        rows_limit=min(options.batch_rows, family.rows_limit),
        bytes_limit=min(options.batch_bytes, family.input_limit_bytes),
    )
    batches: list[NewBatch] = []
    async for row in _prepared(services, submission, family):
        if full := writer.add(row):
            batches.append(await _upload(services, submission, full, len(batches)))
    if last := writer.close():
        batches.append(await _upload(services, submission, last, len(batches)))
    return batches


async def _prepared(services: Services, submission: Submission, family: Family) -> AsyncIterator[Prepared]:
    """Yield the submission's rows: from the spool, or from its object, checked."""
    if submission.source_kind is SourceKind.SPOOL:
        for chunk in services.ledger.spool(submission.id):
            for row in unpack(chunk):
                yield row
        return
    source = await services.storage.info(GcsUri.parse(submission.source))
    await _check_object(services, submission, family, source)
    async for row in _object_rows(services, source, _intake(submission, family)):
        yield row


async def _check_object(
    services: Services, submission: Submission, family: Family, source: ObjectInfo
) -> None:
    """Read the object once to its end before anything is uploaded, so that a bad line costs nothing."""
    intake, keys = _intake(submission, family), KeyLog()
    async for row in _object_rows(services, source, intake):
        keys.add(row.key, row.line)
    for line, earlier in keys.duplicates():
        intake.duplicate(line, earlier)
    keys.close()
    intake.close()


def _intake(submission: Submission, family: Family) -> Intake:
    return Intake(family, name=submission.source, key_field=submission.key_field)


async def _object_rows(services: Services, source: ObjectInfo, intake: Intake) -> AsyncIterator[Prepared]:
    """Yield the rows of one generation of an object; faults are noted in ``intake``."""
    splitter = LineSplitter(limit_bytes=services.options.line_limit_bytes)
    async for chunk in services.storage.download(source.uri, generation=source.generation):
        for item in splitter.feed(chunk):
            for row in intake.block(item):
                yield row
    for item in splitter.close():
        for row in intake.block(item):
            yield row


async def _upload(services: Services, submission: Submission, part: Part, ordinal: int) -> NewBatch:
    options = services.options
    prefix = options.staging.join(f"{submission.id}/{ordinal:05d}")
    try:
        staged = await _put(services, prefix.join("input.jsonl"), part.input)
        manifest = await _put(services, prefix.join("manifest.jsonl"), part.manifest)
    finally:
        part.close()
    return NewBatch(
        id=batch_id(submission.id, submission.fingerprint, ordinal),
        ordinal=ordinal,
        rows=part.rows,
        input_uri=str(staged.uri),
        input_generation=staged.generation,
        input_bytes=staged.size_bytes,
        manifest_uri=str(manifest.uri),
        project=submission.project or options.project,
        location=submission.location or options.location,
        model=submission.model,
        family=family_of(submission.model).name,
        tenant=submission.tenant,
        priority=submission.terms.priority,
        labels=submission.labels,
    )


async def _put(services: Services, uri: GcsUri, file: StagedFile) -> ObjectInfo:
    """Upload a file once: the same bytes stay, other bytes (of an unfinished try) are replaced."""
    expected = 0
    for _ in range(3):
        try:
            return await services.storage.upload(
                uri, file.chunks(), if_generation_match=expected, content_type="application/jsonl"
            )
        except PreconditionFailed:
            there = await services.storage.info(uri)
            if there.crc32c == file.crc32c():
                return there
            expected = there.generation
    raise PreconditionFailed(
        f"{uri} keeps changing while it is staged; does another ledger use this staging?"
    )
