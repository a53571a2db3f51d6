"""Batches whose jobs have ended, and processes that read them and die at a point of our choice.

A process is forked from a server that has imported everything, so that one life costs little more than what
it does. It runs the real steps, on hints that it sends itself; only the broker is left out.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import os
from collections import Counter, deque
from collections.abc import Mapping, Sequence
from contextlib import AsyncExitStack, closing, suppress
from dataclasses import dataclass, field
from multiprocessing.context import ForkServerProcess
from random import Random

import orjson

from vertexq import failpoints, steps
from vertexq.google.auth import default_tokens
from vertexq.google.bigquery import BigQuery
from vertexq.google.endpoints import Endpoints
from vertexq.google.online import Online
from vertexq.google.pace import Pace
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex
from vertexq.ledger import Bounds, Ledger, NewBatch, Record
from vertexq.model import Batch, GcsUri, NewSubmission, SourceKind
from vertexq.names import TaskName
from vertexq.results import Outcome
from vertexq.retry import Backoff
from vertexq.states import BatchState, JobState, SubmissionState
from vertexq.steps.services import Options, Services
from vertexq.steps.storebook import StoreBook
from vertexq.stores import open_store
from vertexq.testing.batches import enter_batches
from vertexq.testing.limits import NoLimits

MODEL = "gemini-2.5-flash"
BUCKET = "reading"
OUTPUT = GcsUri(bucket=BUCKET, name="out")
MANIFEST = GcsUri(bucket=BUCKET, name="manifest.jsonl")
LIFE_S = 60.0
LONG_LIFE_S = 600.0
_STEPS = {
    TaskName.INGEST: steps.ingest,
    TaskName.SETTLE: steps.settle,
    TaskName.RERUN: steps.rerun,
}

processes = multiprocessing.get_context("forkserver")
processes.set_forkserver_preload(["tests.acceptance.reading"])


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """Where a reader finds everything."""

    ledger_url: str
    endpoint: str
    stores: Mapping[str, str]
    options: Mapping[str, float] = field(default_factory=dict[str, float])

    def open_options(self) -> Options:
        """Return options with leases that a test can wait for."""
        quick: dict[str, object] = {
            "lease_s": 0.5, "heartbeat_s": 0.1, "resend_after_s": 0.05, "retry_rounds": 0,
            "output_wait_s": 0.0,
            "backoff": Backoff(first_s=0.05, longest_s=0.5, attempts=50), **self.options,
        }  # fmt: skip
        return Options(project="p", location="l", staging=GcsUri(bucket=BUCKET, name="in"), **quick)  # type: ignore[arg-type]


class Letters:
    """Hints of one process about some submissions; with ``rng`` each comes twice, in any order."""

    def __init__(self, names: Sequence[str], rng: Random | None = None) -> None:
        self.waiting: deque[tuple[TaskName, tuple[str, ...]]] = deque()
        self._names = tuple(names)
        self._rng = rng
        self._arrived = asyncio.Event()

    async def next(self, *, within_s: float) -> None:
        """Return when a hint comes, or after some seconds: then others may have left something to do."""
        self._arrived.clear()
        with suppress(TimeoutError):
            await asyncio.wait_for(self._arrived.wait(), within_s)

    def send(self, task: TaskName, *args: str) -> None:
        """Keep a hint."""
        if not any(args[0] == name or args[0].startswith(f"b-{name}-") for name in self._names):
            return
        for _ in range(2 if self._rng else 1):
            at = self._rng.randrange(len(self.waiting) + 1) if self._rng else len(self.waiting)
            self.waiting.insert(at, (task, args))
            self._arrived.set()


def start(site: Site, *names: str, failpoint: str = "", hands: int = 1, seed: int = 0) -> ForkServerProcess:
    """Start a process that reads until all submissions have ended, or until it dies at ``failpoint``."""
    process = processes.Process(target=_live, args=(site, names, failpoint, hands, seed))
    process.start()
    return process


def _live(site: Site, names: Sequence[str], failpoint: str, hands: int, seed: int) -> None:
    os.setpgid(0, 0)  # a failpoint kills its process group
    failpoints.arm(failpoint)
    letters = Letters(names, Random(seed) if seed else None)
    life_s = LIFE_S if failpoint or seed or len(names) > 1 else LONG_LIFE_S
    asyncio.run(asyncio.wait_for(_read(site, names, letters, hands), life_s))


async def _read(site: Site, names: Sequence[str], letters: Letters, hands: int) -> None:
    async with AsyncExitStack() as stack:
        services = await opened(site, letters, stack)

        async def work() -> None:
            while any(services.ledger.submission(name).finished_at is None for name in names):
                if letters.waiting:
                    task, args = letters.waiting.popleft()
                    await _STEPS[task](services, *args)
                else:
                    await steps.sweep(services)
                    await letters.next(within_s=0.01)

        await asyncio.gather(*(work() for _ in range(hands)))


async def opened(site: Site, letters: Letters, stack: AsyncExitStack) -> Services:
    """Open what the steps need."""
    ledger = Ledger.open(site.ledger_url, migrate=False)
    stack.callback(ledger.close)
    pace = Pace(first_s=0.02, cap_s=0.1)
    transport = await stack.enter_async_context(Transport(await default_tokens(emulator=True), pace=pace))
    stores = StoreBook(site.stores, storage_endpoint=site.endpoint, ledger_url=site.ledger_url)
    stack.push_async_callback(stores.close)
    return Services(
        ledger=ledger, vertex=Vertex(transport, endpoint=site.endpoint),
        storage=Storage(transport, endpoint=site.endpoint),
        bigquery=BigQuery(transport, endpoint=site.endpoint),
        online=Online(transport, endpoint=site.endpoint), stores=stores, hints=letters, limits=NoLimits(),
        endpoints=Endpoints(transport, endpoint=site.endpoint),
        options=site.open_options(), owner=f"reader-{os.getpid()}", luck=Random().random,
    )  # fmt: skip


async def upload(endpoint: str, objects: Mapping[GcsUri, bytes]) -> None:
    """Write objects into the simulator."""
    async with Transport(await default_tokens(emulator=True), deadline_s=60) as transport:
        storage = Storage(transport, endpoint=endpoint)
        for uri, data in objects.items():
            await storage.upload(uri, data)


def manifest(rows: int) -> bytes:
    """Return the manifest of a batch whose keys are ``k0``, ``k1`` and so on."""
    lines = (orjson.dumps([n, f"k{n}", f"{n:016x}", n + 1]) + b"\n" for n in range(rows))
    return b"".join(lines)


def enter(
    ledger: Ledger, submission_id: str, *, rows: int, store: str, directories: Sequence[str] = (str(OUTPUT),)
) -> list[Batch]:
    """Walk a submission through the ledger to where its jobs have ended: one for each output directory."""
    new = NewSubmission(
        id=submission_id, fingerprint="f", model=MODEL, store=store, source_kind=SourceKind.GCS,
        source="gs://b/x",
    )  # fmt: skip
    ledger.enqueue(new)
    claim = ledger.claim(Record.SUBMISSION, submission_id, owner="test", lease_s=60)
    assert claim is not None
    submission = ledger.move_submission(
        ledger.submission(submission_id), SubmissionState.STAGING, claim=claim
    )
    batches = [
        NewBatch(
            id=f"b-{submission_id}-{n}", ordinal=n, rows=rows, input_uri="gs://reading/in.jsonl",
            input_generation=1, input_bytes=1, manifest_uri=str(MANIFEST), project="p", location="l",
            model=MODEL,
        )
        for n in range(len(directories))
    ]  # fmt: skip
    enter_batches(ledger, submission, batches, claim=claim)
    ledger.release(claim)
    return [_end(ledger, one.id, directory) for one, directory in zip(batches, directories, strict=True)]


def _end(ledger: Ledger, batch_id: str, directory: str) -> Batch:
    held = ledger.claim(Record.BATCH, batch_id, owner="test", lease_s=60)
    assert held is not None
    sending = ledger.start_sending(
        ledger.batch(batch_id), claim=held, output_prefix=directory, bounds=Bounds(jobs=100_000)
    )
    assert isinstance(sending, Batch)
    bound = ledger.move_batch(sending, BatchState.BOUND, claim=held, job_name="projects/1/locations/l/jobs/1")
    ended = ledger.move_batch(
        bound, BatchState.ENDED, claim=held, job_state=JobState.SUCCEEDED, output_directory=directory,
        job_state_since=ledger.now(), next_action_at=ledger.now(),
    )  # fmt: skip
    ledger.release(held)
    return ended


def faults_of(
    site: Site, submission_id: str, wanted: Mapping[str, Outcome], stores: Sequence[str]
) -> list[str]:
    """Return what is wrong: keys not stored exactly once, or an account that is not the store's."""
    found: list[str] = []
    with closing(Ledger.open(site.ledger_url, migrate=False)) as ledger:
        submission = ledger.submission(submission_id)
    for name in stores:
        with open_store(
            site.stores[name], storage_endpoint=site.endpoint, ledger_url=site.ledger_url
        ) as store:
            rows = list(store.results(submission_id))
            lines = len(list(store.quarantine(submission_id)))
        times = Counter(row.key for row in rows)
        found += [f"{name}: {key} is stored {times[key]} times" for key in wanted if times[key] != 1]
        found += [f"{name}: {row.key} is {row.outcome}" for row in rows if wanted.get(row.key) != row.outcome]
        cost_pusd = sum(round(row.cost_usd * 10**12) for row in rows if row.cost_usd is not None)
        said = Counter(row.outcome for row in rows)
        counted = {one: getattr(submission.counts, one.value) for one in Outcome}
        found += [f"{name}: {said} is not {counted}" for one in Outcome if said[one] != counted[one]]
        if (cost_pusd, lines) != (submission.cost_pusd, submission.quarantined_lines):
            found.append(f"{name}: {cost_pusd} and {lines} lines are not {submission}")
    return found if submission.state is SubmissionState.DONE else [f"it is {submission.state}", *found]
