"""A simulator with a bucket, and batch jobs on it over plain HTTP, for tests of the simulator itself."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import quote

import aiohttp

from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Faults
from vertexq.simulator.server import Simulator
from vertexq.simulator.timing import Timing

Json = dict[str, Any]
JOBS = "/v1/projects/my-project/locations/us-central1/batchPredictionJobs"
BUCKET = "prompts"
_LONGEST_S = 20.0
_PAUSE_S = 0.005
_UNDER_WAY = {"QUEUED", "PENDING", "RUNNING", "CANCELLING", "PAUSED", "UPDATING"}
SLOW = Timing(pending_s=0, rows_per_s=50, run_s=0, bad_bucket_s=0, cancelling_s=0.05, operation_s=0)


def prompt(text: str, **siblings: object) -> Json:
    """Return an input row with one prompt, and whatever stands beside its request."""
    return {**siblings, "request": {"contents": [{"role": "user", "parts": [{"text": text}]}]}}


def keyed(count: int) -> list[Json]:
    """Return so many rows with a key each."""
    return [prompt(f"Say {number}", key=f"r{number}-x") for number in range(count)]


def body(**changes: object) -> Json:
    """Return the body of a create from ``gs://prompts/in.jsonl`` to ``gs://prompts/out``."""
    source = {"instancesFormat": "jsonl", "gcsSource": {"uris": [f"gs://{BUCKET}/in.jsonl"]}}
    target = {"predictionsFormat": "jsonl", "gcsDestination": {"outputUriPrefix": f"gs://{BUCKET}/out"}}
    whole: Json = {
        "displayName": "b1",
        "model": "publishers/google/models/gemini-2.5-flash",
        "inputConfig": source,
        "outputConfig": target,
    }
    return {name: value for name, value in {**whole, **changes}.items() if value is not None}


def state_of(job: Json) -> str:
    """Return the state without Google's prefix."""
    return str(job["state"]).removeprefix("JOB_STATE_")


@dataclass(frozen=True, slots=True, kw_only=True)
class Desk:
    """A running simulator and a client for it."""

    simulator: Simulator
    http: aiohttp.ClientSession

    async def put(self, rows: Sequence[Mapping[str, object]] | bytes, name: str = "in.jsonl") -> None:
        """Write rows, or bytes as they are, to an object of the bucket."""
        data = rows if isinstance(rows, bytes) else b"".join(json.dumps(row).encode() + b"\n" for row in rows)
        url = f"/upload/storage/v1/b/{BUCKET}/o"
        async with self.http.post(url, params={"uploadType": "media", "name": name}, data=data) as answer:
            assert answer.status == 200

    async def call(self, verb: str, path: str, **options: Any) -> tuple[int, Json]:
        """Make a call; return the status and the JSON of the answer."""
        async with self.http.request(verb, path, **options) as answer:
            return answer.status, json.loads(await answer.read())

    async def create(self, **changes: object) -> Json:
        """Create a job; return the answer."""
        status, job = await self.call("POST", JOBS, json=body(**changes))
        assert status == 200, job
        return job

    async def get(self, name: str) -> Json:
        """Return a job."""
        status, job = await self.call("GET", f"/v1/{name}")
        assert status == 200, job
        return job

    async def when(self, name: str, condition: Callable[[Json], bool]) -> Json:
        """Return the job as soon as ``condition`` holds; fail with its last sight after 20 s."""
        async with asyncio.timeout(_LONGEST_S):
            # what there is to wait for is behind HTTP, which has no events
            while not condition(job := await self.get(name)):  # noqa: ASYNC110
                await asyncio.sleep(_PAUSE_S)
        return job

    async def ended(self, name: str) -> Json:
        """Return the job when it is in a final state."""
        return await self.when(name, lambda job: state_of(job) not in _UNDER_WAY)

    async def ran(self, **changes: object) -> Json:
        """Create a job and return it when it has ended."""
        return await self.ended((await self.create(**changes))["name"])

    async def files(self, job: Json) -> dict[str, bytes]:
        """Return the job's output files, by their names below its output directory."""
        prefix = job["outputInfo"]["gcsOutputDirectory"].removeprefix(f"gs://{BUCKET}/") + "/"
        _, page = await self.call("GET", f"/storage/v1/b/{BUCKET}/o", params={"prefix": prefix})
        names = [item["name"] for item in page.get("items", [])]
        return {name.removeprefix(prefix): await self._content(name) for name in names}

    async def _content(self, name: str) -> bytes:
        url = f"/storage/v1/b/{BUCKET}/o/{quote(name, safe='')}?alt=media"
        async with self.http.get(url) as answer:
            return await answer.read()

    async def rows(self, job: Json) -> list[Json]:
        """Return the rows of a job's ``predictions.jsonl``."""
        return [json.loads(line) for line in (await self.files(job))["predictions.jsonl"].splitlines()]

    async def rows_of_run(self, **changes: object) -> list[Json]:
        """Run a job to its end and return its rows."""
        return await self.rows(await self.ran(**changes))


@asynccontextmanager
async def desk(
    *,
    rows: Sequence[Mapping[str, object]] | bytes = (),
    seed: int = 0,
    timing: Timing | None = None,
    behaviour: Behaviour | None = None,
    faults: Faults | None = None,
    data_dir: Path | None = None,
    record_exchanges: bool = False,
) -> AsyncGenerator[Desk]:
    """Run a simulator with ``rows`` in ``gs://prompts/in.jsonl``."""
    simulator = Simulator(
        seed=seed,
        timing=timing or Timing.fast(),
        behaviour=behaviour,
        faults=faults,
        data_dir=data_dir,
        buckets=(BUCKET,),
        record_exchanges=record_exchanges,
    )
    async with simulator, aiohttp.ClientSession(simulator.url) as http:
        made = Desk(simulator=simulator, http=http)
        if rows:
            await made.put(rows)
        yield made
