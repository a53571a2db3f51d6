"""A whole vertexq in one process: real ledger, real HTTP, real store; only the messages stay at home."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random

from vertexq import Client, Status, steps
from vertexq.google.auth import default_tokens
from vertexq.google.bigquery import BigQuery
from vertexq.google.endpoints import Endpoints
from vertexq.google.online import Online
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex
from vertexq.ledger import Ledger
from vertexq.model import GcsUri
from vertexq.names import TaskName
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing
from vertexq.steps.services import Options, Services
from vertexq.steps.storebook import StoreBook
from vertexq.testing.limits import NoLimits

OPTIONS = Options(
    project="demo",
    location="us-central1",
    staging=GcsUri(bucket="staging", name="vertexq"),
    poll_interval_s=0.02,
    poll_longest_s=0.1,
    settle_time_s=0.2,
    resend_after_s=0.2,
    request_deadline_s=2.0,
    output_wait_s=0.5,  # tests of output that comes late wait longer
    retry_rounds=0,  # tests of rounds turn them on, with short waits
)
STEPS: dict[TaskName, Callable[..., Awaitable[None]]] = {
    TaskName.STAGE: steps.stage,
    TaskName.CREATE: steps.create,
    TaskName.POLL: steps.poll,
    TaskName.ONLINE: steps.online,
    TaskName.INGEST: steps.ingest,
    TaskName.SETTLE: steps.settle,
    TaskName.CANCEL: steps.cancel,
    TaskName.DEADLINE: steps.deadline,
    TaskName.RERUN: steps.rerun,
    TaskName.DELIVER: steps.deliver,
    TaskName.OPERATE: steps.operate,
}


@dataclass
class Letterbox:
    """Keeps hints in a queue of this process, where a test may lose, double or reorder them."""

    waiting: deque[tuple[TaskName, tuple[str, ...]]] = field(
        default_factory=deque[tuple[TaskName, tuple[str, ...]]]
    )

    def send(self, task: TaskName, *args: str) -> None:
        """Keep a hint."""
        self.waiting.append((task, args))


@dataclass
class MuddledLetterbox(Letterbox):
    """Delivers every hint twice, in an order of its own."""

    rng: Random = field(default_factory=Random)

    def send(self, task: TaskName, *args: str) -> None:
        """Keep a hint, twice, anywhere in the queue."""
        for _ in range(2):
            self.waiting.insert(self.rng.randrange(len(self.waiting) + 1), (task, args))


@dataclass
class House:
    """Everything one needs to watch a submission from beginning to end."""

    home: Path
    simulator: Simulator
    services: Services
    letters: Letterbox

    def client(self) -> Client:
        """Return a client of this house; the broker does not answer, so the sweeper must find its work."""
        return Client(environ=self.environ())

    def environ(self) -> dict[str, str]:
        """Return what a producer of this house has in its environment."""
        return {
            "VERTEXQ_LEDGER_URL": f"sqlite:///{self.home}/ledger.db",
            "VERTEXQ_BROKER_URL": f"redis+socket://{self.home}/nobody.sock",
            "VERTEXQ_STORE_RESULTS": f"sqlite:///{self.home}/results.db",
            "VERTEXQ_STORE_LINES": f"jsonl:///{self.home}/lines",
            "VERTEXQ_STORE_DUCK": f"duckdb:///{self.home}/results.duckdb",
            "VERTEXQ_STORE_PARQUET": f"parquet:///{self.home}/parquet",
        }

    def with_options(self, **changes: float) -> House:
        """Return the same house with other options."""
        options = replace(self.services.options, **changes)  # type: ignore[arg-type]
        return replace(self, services=replace(self.services, options=options))

    def forgetful(self) -> House:
        """Return the same house; every hint that a step sends is lost, only the sweeper's arrive."""
        return replace(self, letters=Letterbox(), services=replace(self.services, hints=Letterbox()))

    def muddled(self, rng: Random) -> House:
        """Return the same house; every hint comes twice, and in any order."""
        letters = MuddledLetterbox(rng=rng)
        return replace(self, letters=letters, services=replace(self.services, hints=letters))

    async def step(self) -> None:
        """Take up one hint, or sweep when there is none."""
        if not self.letters.waiting:
            await steps.sweep(replace(self.services, hints=self.letters))
            return
        task, args = self.letters.waiting.popleft()
        await STEPS[task](self.services, *args)

    async def until(self, happened: Callable[[], bool], *, most: int = 3000) -> None:
        """Go on step by step until something has happened."""
        for _ in range(most):
            if happened():
                return
            await self.step()
        raise AssertionError(f"it did not happen within {most} steps")

    async def until_rest(self, submission_id: str) -> Status:
        """Go on until nothing more will happen to a submission by itself."""
        with self.client() as client:
            await self.until(lambda: client.get(submission_id).resting)
            return client.get(submission_id)


@asynccontextmanager
async def built(home: Path, timing: Timing) -> AsyncGenerator[House]:
    """Build a house with one bucket, and take it down again."""
    async with AsyncExitStack() as stack:
        simulator = await stack.enter_async_context(Simulator(seed=1, timing=timing, buckets=["staging"]))
        transport = await stack.enter_async_context(Transport(await default_tokens(emulator=True)))
        ledger = Ledger.open(f"sqlite:///{home}/ledger.db")
        stack.callback(ledger.close)
        urls = {
            "results": f"sqlite:///{home}/results.db",
            "lines": f"jsonl:///{home}/lines",
            "duck": f"duckdb:///{home}/results.duckdb",
            "parquet": f"parquet:///{home}/parquet",
            "cloud": "jsonl+gs://staging/results",
        }
        stores = StoreBook(urls, storage_endpoint=simulator.url, ledger_url=f"sqlite:///{home}/ledger.db")
        stack.push_async_callback(stores.close)
        letters = Letterbox()
        services = Services(
            ledger=ledger,
            vertex=Vertex(transport, endpoint=simulator.url),
            storage=Storage(transport, endpoint=simulator.url),
            bigquery=BigQuery(transport, endpoint=simulator.url),
            endpoints=Endpoints(transport, endpoint=simulator.url, deadline_s=OPTIONS.request_deadline_s),
            online=Online(transport, endpoint=simulator.url),
            stores=stores,
            hints=letters,
            limits=NoLimits(),
            options=OPTIONS,
            owner="test",
            luck=Random(1).random,
        )
        yield House(home, simulator, services, letters)
