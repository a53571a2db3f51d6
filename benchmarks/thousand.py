"""Many submissions through the worker's own steps while Google's answers to creates get lost.

What is counted comes from the simulator's own log of accepted creates, not from our ledger.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

import orjson

from vertexq import steps
from vertexq.google.auth import default_tokens
from vertexq.google.bigquery import BigQuery
from vertexq.google.endpoints import Endpoints
from vertexq.google.online import Online
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex
from vertexq.ids import batch_id
from vertexq.ledger import Ledger, NewBatch, Record
from vertexq.model import GcsUri, NewSubmission, ObjectInfo, SourceKind
from vertexq.names import TaskName
from vertexq.simulator.creates import AcceptedCreate
from vertexq.simulator.faults import Action, Fault, Faults
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing
from vertexq.states import SUBMISSION_RESTING, SubmissionState
from vertexq.steps.services import Options, Services
from vertexq.steps.storebook import StoreBook
from vertexq.testing.batches import enter_batches
from vertexq.testing.limits import NoLimits

CREATE = "aiplatform.projects.locations.batchPredictionJobs.create"
MODEL = "gemini-2.5-flash"
STAGED = GcsUri(bucket="staging", name="thousand")
OPTIONS = Options(
    project="demo",
    location="us-central1",
    staging=STAGED,
    poll_interval_s=2.0,
    poll_longest_s=4.0,
    settle_time_s=60.0,
    request_deadline_s=5.0,
    resend_after_s=10.0,
    running_jobs=100_000,
)
STEPPERS = 16
LONGEST_S = 300.0
_STEPS: dict[TaskName, Callable[..., Awaitable[None]]] = {
    TaskName.CREATE: steps.create,
    TaskName.POLL: steps.poll,
    TaskName.INGEST: steps.ingest,
    TaskName.SETTLE: steps.settle,
}


def losses(share: float) -> tuple[Fault, ...]:
    """Return the faults: of the accepted creates so many are cut off, answered 503, and never answered."""
    return (
        Fault(method=CREATE, action=Action.ACCEPT_THEN_DROP, times=None, probability=share),
        Fault(method=CREATE, action=Action.ACCEPT_THEN_REFUSE, status=503, times=None, probability=share),
        Fault(method=CREATE, action=Action.ACCEPT_THEN_STALL, delay_s=60.0, times=None, probability=share),
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class Tally:
    """What came of it. ``lost`` counts jobs that run, cost money, and whose name their caller never knew."""

    wanted: int
    accepted: int
    duplicates: int
    lost: int
    fired: Counter[str]
    done: int

    @property
    def paid_per_wanted(self) -> float:
        """Return how many jobs are paid for, for each that was wanted."""
        return self.accepted / self.wanted


def tally(
    wanted: int, accepted: Iterable[AcceptedCreate], known: Iterable[str], faults: Faults, *, done: int
) -> Tally:
    """Compare the simulator's log with the names of jobs that callers know."""
    made = list(accepted)
    known_ids = {name.rpartition("/")[2] for name in known}
    return Tally(
        wanted=wanted,
        accepted=len(made),
        duplicates=len(made) - len({create.display_name for create in made}),
        lost=sum(create.name.rpartition("/")[2] not in known_ids for create in made),
        fired=Counter(entry.fault for entry in faults.log(CREATE) if entry.fault),
        done=done,
    )


@dataclass
class Letters:
    """Keeps hints in this process."""

    waiting: deque[tuple[TaskName, tuple[str, ...]]] = field(
        default_factory=deque[tuple[TaskName, tuple[str, ...]]]
    )

    def send(self, task: TaskName, *args: str) -> None:
        """Keep a hint."""
        self.waiting.append((task, args))


async def ours(home: Path, *, submissions: int, share: float, seed: int = 1) -> Tally:
    """Take staged submissions of one row through create, poll, ingest and settle; say what was paid for."""
    faults = Faults(*losses(share), seed=seed)
    async with Simulator(
        seed=seed, timing=Timing.fast(), faults=faults, buckets=[STAGED.bucket]
    ) as simulator:
        letters = Letters()
        async with _services(home, simulator.url, letters) as services:
            ids = await _staged(services, submissions)
            await _all_at_rest(services, letters, submissions)
            ledger = services.ledger
            done = ledger.submissions(states={SubmissionState.DONE}, limit=submissions + 1)
            known = [batch.job_name for one in ids for batch in ledger.batches(one)]
            return tally(submissions, simulator.accepted, known, faults, done=len(done))


@asynccontextmanager
async def _services(home: Path, endpoint: str, letters: Letters) -> AsyncGenerator[Services]:
    async with AsyncExitStack() as stack:
        ledger = Ledger.open(f"sqlite:///{home}/ledger.db")
        stack.callback(ledger.close)
        transport = await stack.enter_async_context(Transport(await default_tokens(emulator=True)))
        stores = StoreBook({"results": f"sqlite:///{home}/results.db"})
        stack.push_async_callback(stores.close)
        yield Services(
            ledger=ledger,
            vertex=Vertex(transport, endpoint=endpoint),
            storage=Storage(transport, endpoint=endpoint),
            bigquery=BigQuery(transport, endpoint=endpoint),
            endpoints=Endpoints(transport, endpoint=endpoint),
            online=Online(transport, endpoint=endpoint),
            stores=stores,
            hints=letters,
            limits=NoLimits(),
            options=OPTIONS,
            owner="steppers",
            luck=Random(1).random,
        )


async def _staged(services: Services, count: int) -> list[str]:
    """Enter submissions whose one batch is ready; they share one input, as staging is not the point."""
    line = {"key": "r0-k", "request": {"contents": [{"role": "user", "parts": [{"text": "Say hello"}]}]}}
    staged = await services.storage.upload(STAGED.join("input.jsonl"), orjson.dumps(line) + b"\n")
    await services.storage.upload(STAGED.join("manifest.jsonl"), b'[0,"k","",0,0]\n')
    ids = [f"s-{number}" for number in range(count)]
    for one in ids:
        enter(services.ledger, one, staged)
        await asyncio.sleep(0)
    return ids


def enter(ledger: Ledger, submission_id: str, staged: ObjectInfo) -> None:
    """Enter a submission whose one batch is ready."""
    new = NewSubmission(
        id=submission_id, fingerprint="f", model=MODEL, store="results",
        source_kind=SourceKind.GCS, source=str(staged.uri), rows=1,
    )  # fmt: skip
    batch = NewBatch(
        id=batch_id(submission_id, "f", 0), ordinal=0, rows=1, model=MODEL,
        input_uri=str(staged.uri), input_generation=staged.generation, input_bytes=staged.size_bytes,
        manifest_uri=str(STAGED.join("manifest.jsonl")), project=OPTIONS.project, location=OPTIONS.location,
    )  # fmt: skip
    submission, _ = ledger.enqueue(new)
    claim = ledger.claim(Record.SUBMISSION, submission_id, owner="stager", lease_s=60.0)
    assert claim is not None
    staging = ledger.move_submission(submission, SubmissionState.STAGING, claim=claim)
    enter_batches(ledger, staging, [batch], claim=claim)
    ledger.release(claim)


async def _all_at_rest(services: Services, letters: Letters, count: int) -> None:
    """Let several steppers take up hints at the same time until nothing is left to do."""
    ended = asyncio.Event()

    async def step() -> None:
        while not ended.is_set():
            if letters.waiting:
                task, args = letters.waiting.popleft()
                await _STEPS[task](services, *args)
            await asyncio.sleep(0 if letters.waiting else 0.02)

    async def watch() -> None:
        while len(services.ledger.submissions(states=SUBMISSION_RESTING, limit=count + 1)) < count:
            await steps.sweep(services)
            while letters.waiting:  # noqa: ASYNC110  (hints are what steppers take, one by one)
                await asyncio.sleep(0.1)
            await asyncio.sleep(0.5)
        ended.set()

    async with asyncio.timeout(LONGEST_S):
        await asyncio.gather(watch(), *(step() for _ in range(STEPPERS)))
