"""What the tests of the paid call start from: a batch that is ready, being sent, or bound; and meddlers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace

from tests.fundamentals.house import House
from vertexq import Status
from vertexq.google.auth import default_tokens
from vertexq.google.messages import job_body
from vertexq.google.rest import Transport
from vertexq.google.vertex import Vertex
from vertexq.ledger import Bounds, Record
from vertexq.model import Batch, Job
from vertexq.retry import Backoff
from vertexq.states import BatchState

MODEL = "gemini-2.5-flash"
_JOBS = "aiplatform.projects.locations.batchPredictionJobs"
CREATE = f"{_JOBS}.create"
LIST = f"{_JOBS}.list"
CANCEL = f"{_JOBS}.cancel"
PROMPTS = [f"Say {number}" for number in range(5)]
ID = "one"
PATIENCE_S = 20.0


async def enqueued(house: House) -> Status:
    """Enqueue the prompts and go on until nothing more happens."""
    enqueue(house)
    return await house.until_rest(ID)


def enqueue(house: House) -> None:
    """Enqueue the prompts."""
    with house.client() as client:
        client.submit(PROMPTS, model=MODEL, store="results", id=ID)


def the_batch(house: House) -> Batch:
    """Return the submission's only batch."""
    (batch,) = house.services.ledger.batches(ID)
    return batch


def moves(house: House) -> list[str]:
    """Return the states that the only batch went through."""
    return [line.to_state for line in house.services.ledger.audit(Record.BATCH, the_batch(house).id)]


async def until_state(house: House, state: BatchState, *, attempt: int | None = None) -> Batch:
    """Go on until the only batch is in a state (and at an attempt)."""

    def there() -> bool:
        found = house.services.ledger.batches(ID)
        return bool(found) and found[0].state is state and attempt in (None, found[0].attempt)

    await house.until(there)
    return the_batch(house)


async def ready(house: House) -> Batch:
    """Enqueue the prompts and go on until they are staged."""
    enqueue(house)
    return await until_state(house, BatchState.READY)


async def left_sending(house: House) -> Batch:
    """Leave a batch as a worker does that dies right after it has written down what it intends to do."""
    batch, ledger = await ready(house), house.services.ledger
    claim = ledger.claim(Record.BATCH, batch.id, owner="dead", lease_s=60.0)
    assert claim is not None
    prefix = batch.manifest_uri.rpartition("/")[0] + "/a1-dead"
    sending = ledger.start_sending(batch, claim=claim, output_prefix=prefix, bounds=Bounds(jobs=1))
    assert isinstance(sending, Batch)
    ledger.release(claim)
    return sending


async def post_behind_our_back(house: House, batch: Batch) -> Job:
    """Make a job for a batch's current attempt of which the ledger hears nothing."""
    body = job_body(
        display_name=batch.id,
        labels={"vertexq": batch.id},
        model=batch.model,
        source=batch.input_uri,
        destination=batch.output_prefix,
    )
    return await house.services.vertex.create(batch.project, batch.location, body)


async def happens(what: Callable[[], bool]) -> None:
    """Wait until something has happened beside us, in the simulator; we do nothing meanwhile."""
    async with asyncio.timeout(PATIENCE_S):
        while not what():  # noqa: ASYNC110  (the simulator's oracle is a list)
            await asyncio.sleep(0.01)


def quick(house: House) -> House:
    """Return the house with so little patience that three failures park what they count for."""
    backoff = Backoff(first_s=0.01, longest_s=0.02, attempts=3)
    options = replace(house.services.options, backoff=backoff)
    return replace(house, services=replace(house.services, options=options))


@asynccontextmanager
async def away_from_google(house: House) -> AsyncGenerator[House]:
    """Yield the house with no way to Vertex AI: nobody listens where it calls."""
    async with Transport(await default_tokens(emulator=True), deadline_s=0.1) as transport:
        vertex = Vertex(transport, endpoint="http://127.0.0.1:9")
        yield replace(house, services=replace(house.services, vertex=vertex))
