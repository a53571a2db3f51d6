"""Keeping the states of thousands of active jobs fresh: a poll of ours against google-genai's list and get.

Requests are counted at the simulator. CPU is that of the calling thread: ours contains reading the ledger and
writing each finding into it, google-genai's is the calls alone. Its single gets are made for a thousand jobs;
the requests for all of them are reckoned from that, as each job is one.
"""

from __future__ import annotations

import asyncio
import importlib
import tempfile
import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from random import Random
from typing import Any

from sqlalchemy import Engine, insert, select, update

from benchmarks.measure import Measured
from benchmarks.thousand import MODEL, OPTIONS, STAGED, Letters, enter
from vertexq import steps
from vertexq.google.auth import default_tokens
from vertexq.google.bigquery import BigQuery
from vertexq.google.endpoints import Endpoints
from vertexq.google.messages import job_body
from vertexq.google.online import Online
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.google.vertex import Vertex
from vertexq.ledger import Ledger
from vertexq.ledger.engine import open_engine
from vertexq.ledger.schema import batches
from vertexq.model import ObjectInfo
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing
from vertexq.states import BatchState
from vertexq.steps.services import Services
from vertexq.steps.storebook import StoreBook
from vertexq.testing.limits import NoLimits
from vertexq.testing.simulator import running_simulator

SIZES = (2_000, 10_000)
ROUNDS = 3
SINGLE_GETS = 1_000
CREATORS = 16
FOREVER_S = 1e6
PATIENT = replace(OPTIONS, poll_interval_s=600.0, poll_longest_s=600.0)
PLACE = (OPTIONS.project, OPTIONS.location)


@dataclass(frozen=True, slots=True, kw_only=True)
class Sweep:
    """What one look at all jobs cost."""

    jobs: int
    requests: int
    cpu_s: float

    @property
    def ms_per_1000(self) -> float:
        """Return the CPU for a thousand jobs, in milliseconds."""
        return self.cpu_s * 1e6 / self.jobs


def run() -> Iterator[Measured]:
    """Sweep so many active jobs, ours and theirs, on the same simulator."""
    for jobs in SIZES:
        with (
            tempfile.TemporaryDirectory() as home,
            running_simulator(seed=1, timing=Timing(pending_s=FOREVER_S), buckets=["staging"]) as simulator,
        ):
            yield from _compared(Path(home), simulator, jobs)


def _compared(home: Path, simulator: Simulator, jobs: int) -> Iterator[Measured]:
    mine = asyncio.run(_ours(home, simulator, jobs))
    client = _client(simulator.url)
    listed = _median([_measured(simulator, lambda: _list_all(client)) for _ in range(ROUNDS)])
    names = [create.name for create in simulator.accepted[:SINGLE_GETS]]
    got = _measured(simulator, lambda: _get_each(client, names))
    client.close()
    aim = f"<= {jobs // 100}"
    yield _line(f"poll {jobs} active jobs: requests a sweep (google-genai get)",
                mine.requests, got.requests * jobs / got.jobs, "requests", aim)  # fmt: skip
    yield _line(f"poll {jobs} active jobs: requests a sweep (google-genai list)",
                mine.requests, listed.requests, "requests", aim)  # fmt: skip
    for name, theirs in (("list", listed), ("get", got)):
        yield _line(f"poll {jobs} active jobs: CPU per 1,000 (google-genai {name})",
                    mine.ms_per_1000, theirs.ms_per_1000, "ms", "printed")  # fmt: skip


def _line(name: str, ours: float, peer: float, unit: str, aim: str) -> Measured:
    return Measured(name=name, ours=ours, peer=peer, ratio=peer / ours, unit=unit, aim=aim)


def _median(sweeps: list[Sweep]) -> Sweep:
    return sorted(sweeps, key=lambda sweep: sweep.cpu_s)[len(sweeps) // 2]


def _measured(simulator: Simulator, sweep: Callable[[], int]) -> Sweep:
    asked, began_s = _requests(simulator), time.thread_time()
    jobs = sweep()
    return Sweep(jobs=jobs, cpu_s=time.thread_time() - began_s, requests=_requests(simulator) - asked)


def _requests(simulator: Simulator) -> int:
    return len(simulator.faults.log("aiplatform.*"))


async def _ours(home: Path, simulator: Simulator, jobs: int) -> Sweep:
    """Return the median of some polls, each of which finds all jobs due."""
    async with _services(home, simulator.url) as (services, engine):
        await _with_jobs(services, engine, jobs)
        sweeps = list[Sweep]()
        for _ in range(ROUNDS + 1):
            _make_due(engine)
            asked, began_s = _requests(simulator), time.thread_time()
            await steps.poll(services, *PLACE)
            cpu_s = time.thread_time() - began_s
            sweeps.append(Sweep(jobs=jobs, requests=_requests(simulator) - asked, cpu_s=cpu_s))
            assert services.ledger.poll_window(*PLACE, skew_s=0.0) is None, "a job was not looked at"
        return _median(sweeps[1:])


@asynccontextmanager
async def _services(home: Path, endpoint: str) -> AsyncGenerator[tuple[Services, Engine]]:
    url = f"sqlite:///{home}/ledger.db"
    ledger, engine = Ledger.open(url), open_engine(url)
    try:
        async with Transport(await default_tokens(emulator=True)) as transport:
            yield Services(
                ledger=ledger, vertex=Vertex(transport, endpoint=endpoint),
                storage=Storage(transport, endpoint=endpoint),
                bigquery=BigQuery(transport, endpoint=endpoint),
                endpoints=Endpoints(transport, endpoint=endpoint),
                online=Online(transport, endpoint=endpoint), stores=StoreBook({}), hints=Letters(),
                limits=NoLimits(), options=PATIENT, owner="bench", luck=Random(1).random,
            ), engine  # fmt: skip
    finally:
        engine.dispose()
        ledger.close()


async def _with_jobs(services: Services, engine: Engine, count: int) -> None:
    """Enter so many bound batches, copies of one, and make a job for each."""
    source = STAGED.join("input.jsonl")
    enter(services.ledger, "s", ObjectInfo(uri=source, generation=1, size_bytes=1, crc32c="AAAAAA=="))
    gate = asyncio.Semaphore(CREATORS)

    async def make(number: int) -> str:
        async with gate:
            label = f"b-{number}"
            body = job_body(
                display_name=label, labels={"vertexq": label}, model=MODEL, source=str(source),
                destination=f"gs://staging/thousand/s/{number:05}/a1-abcdefgh",
            )  # fmt: skip
            return (await services.vertex.create(*PLACE, body)).name

    names = await asyncio.gather(*(make(number) for number in range(count)))
    with engine.begin() as connection:
        row = dict(connection.execute(select(batches)).mappings().one())
        bound = {"state": BatchState.BOUND.value, "attempt": 1, "sent_at": row["created_at"]}
        copies = [
            {**row, **bound, "id": f"b-{number}", "ordinal": number + 1, "job_name": name}
            for number, name in enumerate(names)
        ]
        connection.execute(insert(batches), copies)


def _make_due(engine: Engine) -> None:
    with engine.begin() as connection:
        connection.execute(update(batches).values(next_action_at=batches.c.created_at, hint_sent_at=None))


def _client(url: str) -> Any:
    """Return a client that calls the simulator only, with credentials that nobody checks."""
    genai: Any = importlib.import_module("google.genai")  # its types are incomplete
    credentials: Any = importlib.import_module("google.oauth2.credentials")
    return genai.Client(
        vertexai=True, project=PLACE[0], location=PLACE[1],
        credentials=credentials.Credentials(token="fake"),  # noqa: S106  (nobody checks it)
        http_options={"base_url": url, "api_version": "v1"},
    )  # fmt: skip


def _list_all(client: Any) -> int:
    config = {"page_size": 100, "filter": 'state!="JOB_STATE_SUCCEEDED" AND state!="JOB_STATE_FAILED"'}
    return sum(bool(job.state) for job in client.batches.list(config=config))


def _get_each(client: Any, names: list[str]) -> int:
    return sum(bool(client.batches.get(name=name).state) for name in names)
