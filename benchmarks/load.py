"""A batch whose job has ended, ready to be ingested by the worker's own step."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import cast

from vertexq import steps
from vertexq.google.auth import default_tokens
from vertexq.google.bigquery import BigQuery
from vertexq.google.endpoints import Endpoints
from vertexq.google.online import Online
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex
from vertexq.ledger import Bounds, Ledger, NewBatch, Record
from vertexq.model import Batch, GcsUri, NewSubmission, SourceKind
from vertexq.names import TaskName
from vertexq.states import BatchState, SubmissionState
from vertexq.steps.services import Options, Services
from vertexq.steps.storebook import StoreBook
from vertexq.testing.batches import enter_batches
from vertexq.testing.limits import NoLimits

MODEL = "gemini-2.5-flash-lite"
BATCH = "b-bench-0"
OUTPUT = GcsUri(bucket="bench", name="out")


class NoHints:
    """Sends nothing: the benchmark calls the step itself."""

    def send(self, task: TaskName, *args: str) -> None:
        """Drop the hint."""
        del task, args


def ingest(
    home: Path, *, store_url: str, rows: int, endpoint: str = "http://127.0.0.1:9", storage: object = None
) -> float:
    """Ingest the objects below ``OUTPUT`` into the store; return how long the step took, in seconds.

    They are behind ``endpoint``, or in what stands in for Cloud Storage.
    """
    return asyncio.run(_ingest(home, endpoint, store_url, rows, storage))


async def _ingest(home: Path, endpoint: str, store_url: str, rows: int, storage: object) -> float:
    async with services(home, endpoint, store_url) as opened:
        ready = opened if storage is None else replace(opened, storage=cast("Storage", storage))
        enter_batch(ready.ledger, rows)
        await ready.stores.call("results", lambda store: store.location(BATCH))  # opens it
        started = time.perf_counter()
        while ready.ledger.batch(BATCH).state is BatchState.ENDED:
            await steps.ingest(ready, BATCH)
        took_s = time.perf_counter() - started
        assert ready.ledger.batch(BATCH).counts.total == rows
        return took_s


@asynccontextmanager
async def services(home: Path, endpoint: str, store_url: str) -> AsyncGenerator[Services]:
    """Open what a step needs: a ledger of its own, Cloud Storage at ``endpoint``, one store."""
    async with AsyncExitStack() as stack:
        ledger = Ledger.open(f"sqlite:///{home}/ledger.db")
        stack.callback(ledger.close)
        transport = await stack.enter_async_context(Transport(await default_tokens(emulator=True)))
        stores = StoreBook({"results": store_url})
        stack.push_async_callback(stores.close)
        yield Services(
            ledger=ledger,
            vertex=Vertex(transport, endpoint=endpoint),
            storage=Storage(transport, endpoint=endpoint),
            bigquery=BigQuery(transport, endpoint=endpoint),
            endpoints=Endpoints(transport, endpoint=endpoint),
            online=Online(transport, endpoint=endpoint),
            stores=stores,
            hints=NoHints(),
            limits=NoLimits(),
            options=Options(project="p", location="us-central1", staging=GcsUri(bucket="bench")),
            owner="benchmark",
            luck=lambda: 0.5,
        )


def enter_batch(ledger: Ledger, rows: int) -> None:
    """Walk a submission through the ledger to where its one job has ended."""
    new = NewSubmission(
        id="bench",
        fingerprint="f",
        model=MODEL,
        store="results",
        source_kind=SourceKind.GCS,
        source="gs://b/x",
    )
    ledger.enqueue(new)
    claim = ledger.claim(Record.SUBMISSION, "bench", owner="benchmark", lease_s=60)
    assert claim is not None
    submission = ledger.move_submission(ledger.submission("bench"), SubmissionState.STAGING, claim=claim)
    batch = NewBatch(
        id=BATCH, ordinal=0, rows=rows, input_uri="gs://bench/in.jsonl", input_generation=1, input_bytes=1,
        manifest_uri="gs://bench/manifest.jsonl", project="p", location="us-central1", model=MODEL,
    )  # fmt: skip
    enter_batches(ledger, submission, [batch], claim=claim)
    ledger.release(claim)
    held = ledger.claim(Record.BATCH, BATCH, owner="benchmark", lease_s=60)
    assert held is not None
    sending = ledger.start_sending(
        ledger.batch(BATCH), claim=held, output_prefix=str(OUTPUT), bounds=Bounds(jobs=1)
    )
    assert isinstance(sending, Batch)
    bound = ledger.move_batch(sending, BatchState.BOUND, claim=held, job_name="projects/1/locations/l/jobs/1")
    ledger.move_batch(
        bound, BatchState.ENDED, claim=held, job_state="JOB_STATE_SUCCEEDED", output_directory=str(OUTPUT)
    )
    ledger.release(held)
