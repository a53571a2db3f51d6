"""What the tests of reading share: a job whose output a test writes itself, and an account to be checked."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import orjson

from tests.fundamentals.house import House
from vertexq import Client, Outcome, steps
from vertexq.model import PUSD_PER_USD, Batch, GcsUri, ObjectInfo
from vertexq.results import Result
from vertexq.states import BatchState, JobState
from vertexq.steps.services import Services

MODEL = "gemini-2.5-flash"


def answer(index: int, text: str = "Yes.", *, prompt: int = 10, key: str | None = None) -> bytes:
    """Return an output line of row ``index`` that is an answer of two tokens."""
    usage = {"promptTokenCount": prompt, "candidatesTokenCount": 2, "totalTokenCount": prompt + 2}
    content = {"parts": [{"text": text}], "role": "model"}
    response = {"candidates": [{"content": content, "finishReason": "STOP"}], "usageMetadata": usage}
    return _line(index, key, {"status": "", "response": response})


def blocked(index: int, *, prompt: int = 100, key: str | None = None) -> bytes:
    """Return an output line of row ``index`` whose prompt was blocked, after its tokens were counted."""
    usage = {"promptTokenCount": prompt, "totalTokenCount": prompt}
    response = {"promptFeedback": {"blockReason": "SAFETY"}, "usageMetadata": usage}
    return _line(index, key, {"status": "", "response": response})


def failed(index: int, code: int = 400, *, key: str | None = None) -> bytes:
    """Return an output line of row ``index`` that says what went wrong."""
    error = orjson.dumps({"error": {"code": code, "message": "no"}}).decode()
    return _line(index, key, {"status": f"Bad Request: {error}", "response": {}})


def _line(index: int, key: str | None, fields: dict[str, object]) -> bytes:
    name = f"r{index}-{index if key is None else key}"
    return orjson.dumps({"key": name, "request": {"contents": []}, **fields}) + b"\n"


async def running_job(
    house: House,
    client: Client,
    *,
    rows: int,
    id: str = "read",  # noqa: A002
    store: str | Sequence[str] = "results",
) -> Batch:
    """Go on until the only job of a submission is known, and return its batch; tests write its output."""
    client.submit([f"Say {n}" for n in range(rows)], model=MODEL, store=store, id=id)
    ledger = house.services.ledger
    await house.until(lambda: bool(found := ledger.batches(id)) and found[0].state is BatchState.BOUND)
    batch = ledger.batches(id)[0]
    directory = f"{batch.output_prefix}/prediction-model-2026-11-21T10:00:00.000000Z"
    house.letters.waiting.clear()
    return ledger.update_batch(batch, output_directory=directory, job_state=JobState.RUNNING)


def ended(house: House, batch: Batch) -> Batch:
    """Have a job end."""
    ledger = house.services.ledger
    now = ledger.now()
    return ledger.move_batch(
        ledger.batch(batch.id), BatchState.ENDED, job_state=JobState.SUCCEEDED, job_state_since=now,
        next_action_at=now,
    )  # fmt: skip


async def ended_job(
    house: House,
    client: Client,
    *,
    rows: int,
    id: str = "read",  # noqa: A002
    store: str | Sequence[str] = "results",
) -> Batch:
    """Go on until the only job of a submission has ended, and return its batch; tests write its output."""
    return ended(house, await running_job(house, client, rows=rows, id=id, store=store))


async def write(house: House, batch: Batch, name: str, data: bytes) -> ObjectInfo:
    """Write an object below a batch's output directory."""
    uri = GcsUri.parse(f"{batch.output_directory}/{name}")
    return await house.services.storage.upload(uri, data)


async def read_by(house: House, batch: Batch, *, workers: int = 1) -> Batch:
    """Have so many workers ingest a batch at the same time until it is ingested."""
    ledger = house.services.ledger

    async def work(number: int) -> None:
        mine: Services = replace(house.services, owner=f"worker-{number}")
        while ledger.batch(batch.id).state is BatchState.ENDED:
            await steps.ingest(mine, batch.id)
            await asyncio.sleep(0.005)

    async with asyncio.timeout(60):
        await asyncio.gather(*map(work, range(workers)))
    return ledger.batch(batch.id)


def check_store(house: House, client: Client, batch: Batch, *, store: str = "") -> dict[str, Result]:
    """Compare a batch's account with the rows in the store, outcome by outcome and cent by cent."""
    del store
    found = list(client.results(batch.submission_id))
    rows = {one.key: one for one in found}
    assert len(rows) == len(found), "a key is there twice"
    said = Counter(one.outcome for one in found)
    assert {outcome: getattr(batch.counts, outcome.value) for outcome in said} == dict(said)
    assert batch.counts.total == len(found)
    spent = [round(one.cost_usd * PUSD_PER_USD) for one in found if one.cost_usd is not None]
    assert batch.cost_pusd == sum(spent)
    assert batch.usage.total_tokens == sum(one.total_tokens or 0 for one in found if one.cost_usd is not None)
    assert Outcome.SUCCEEDED in said or not found
    return rows
