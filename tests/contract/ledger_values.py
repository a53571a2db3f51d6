"""What the ledger's tests start from: a submission, its batches, and a ledger in a given state."""

from __future__ import annotations

from vertexq.ledger import Bounds, Claim, Ledger, NewBatch, OutputRange, Record
from vertexq.model import Batch, NewSubmission, SourceKind, Submission
from vertexq.states import BatchState, SubmissionState
from vertexq.testing.batches import enter_batches

S, B = SubmissionState, BatchState
LONG_S = 600.0
"""A lease that outlives any test, in seconds."""
RUN_OUT_S = -1.0
"""A lease that ran out a second before it began, so that no test has to wait for it."""


def new_submission(id: str = "s-1", *, fingerprint: str = "f" * 64) -> NewSubmission:  # noqa: A002
    """Return what a producer enqueues."""
    return NewSubmission(
        id=id,
        fingerprint=fingerprint,
        model="gemini-2.5-flash",
        store="answers",
        source_kind=SourceKind.SPOOL,
        rows=2,
        labels={"team": "search", "word": "naïve"},
    )


def new_batch(
    ordinal: int = 0,
    *,
    of: str = "s-1",
    model: str = "gemini-2.5-flash",
    family: str = "gemini",
    location: str = "europe-west4",
) -> NewBatch:
    """Return a staged batch of two rows."""
    return NewBatch(
        id=f"b-{of}-{ordinal}",
        ordinal=ordinal,
        rows=2,
        input_uri=f"gs://bucket/{of}/{ordinal}/input.jsonl",
        input_generation=1_700_000_000_000_000 + ordinal,
        input_bytes=5_000_000_000,
        manifest_uri=f"gs://bucket/{of}/{ordinal}/manifest.jsonl",
        project="p",
        location=location,
        model=model,
        family=family,
        labels={"team": "search"},
    )


def output_range(batch: Batch, name: str = "predictions.jsonl", *, start: int = 0) -> OutputRange:
    """Return a range of an output object that is larger than 4 GiB."""
    return OutputRange(
        batch_id=batch.id,
        object_name=f"gs://bucket/out/{name}",
        generation=1_700_000_000_000_001,
        start=start,
        end=6_000_000_000,
        size_bytes=6_000_000_000,
        crc32c="AAAAAA==",
        done=False,
    )


def held(ledger: Ledger, record: Record, id: str, *, owner: str = "worker-1") -> Claim:  # noqa: A002
    """Claim a record that nobody holds, for as long as the test takes."""
    claim = ledger.claim(record, id, owner=owner, lease_s=LONG_S)
    assert claim is not None
    return claim


def staging(ledger: Ledger, id: str = "s-1") -> tuple[Submission, Claim]:  # noqa: A002
    """Enqueue a submission and let a worker begin to stage it."""
    ledger.enqueue(new_submission(id), [b"rows"])
    claim = held(ledger, Record.SUBMISSION, id)
    return ledger.move_submission(ledger.submission(id), S.STAGING, claim=claim), claim


def running(ledger: Ledger, id: str = "s-1", *, batches: int = 1) -> list[Batch]:  # noqa: A002
    """Take a submission to where its batches are ready to be sent; return them."""
    submission, claim = staging(ledger, id)
    enter_batches(ledger, submission, [new_batch(ordinal, of=id) for ordinal in range(batches)], claim=claim)
    ledger.release(claim)
    return ledger.batches(id)


def bound(ledger: Ledger, batch: Batch) -> Batch:
    """Take a ready batch to where its job is known."""
    claim = held(ledger, Record.BATCH, batch.id)
    sent = ledger.start_sending(
        batch, claim=claim, output_prefix="gs://bucket/out/1", bounds=Bounds(jobs=100)
    )
    assert isinstance(sent, Batch)
    done = ledger.move_batch(
        sent, B.BOUND, claim=claim, job_name="projects/1/locations/l/batchPredictionJobs/9"
    )
    ledger.release(claim)
    return done
