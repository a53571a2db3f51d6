"""Telling the producer: rows and ends reach webhooks and Celery tasks, exactly what is in the ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from random import Random
from typing import Any

import pytest
import pytest_asyncio

from tests.fundamentals.house import House, built
from tests.receiving import SECRET, Receiver, receiving
from vertexq import AsyncClient, BadInput, Client, Event, EventKind, SubmissionState, UnknownStore
from vertexq.errors import Unreachable
from vertexq.simulator.timing import Timing
from vertexq.steps.storebook import StoreBook
from vertexq.webhooks.address import webhook_of

MODEL = "gemini-2.5-flash"
PROMPTS = [{"key": f"k{number}", "prompt": f"Say {number}"} for number in range(40)]


@dataclass
class Broker:
    """The producers' broker: it refuses a few times, then keeps what it is given."""

    refuses: int = 0
    told: list[tuple[str, str, str, dict[str, Any]]] = field(
        default_factory=list[tuple[str, str, str, dict[str, Any]]]
    )

    def tell(self, task: str, queue: str, message_id: str, event: dict[str, Any]) -> None:
        """Keep a message, or be away."""
        if self.refuses:
            self.refuses -= 1
            raise Unreachable("the broker is away")
        self.told.append((task, queue, message_id, event))


@pytest_asyncio.fixture
async def receiver() -> AsyncIterator[Receiver]:
    """Receive and take everything."""
    async with receiving() as ready:
        yield ready


@pytest_asyncio.fixture
async def told_house(tmp_path: Path, receiver: Receiver) -> AsyncIterator[House]:
    """Build a house whose store ``hook`` is the receiver."""
    async with built(tmp_path, Timing.fast()) as house:
        url = receiver.store_url()
        urls = {"results": f"sqlite:///{tmp_path}/results.db", "hook": url}
        stores = StoreBook(urls, ledger_url=f"sqlite:///{tmp_path}/ledger.db")
        options = replace(house.services.options, webhook_waits_s=(0.01,) * 9)
        hook = webhook_of(url, {"HOOK_SECRET": SECRET})
        yield replace(
            house,
            services=replace(
                house.services, options=options, stores=stores, webhooks={"hook": hook}, producers=Broker()
            ),
        )
        await stores.close()


def client(house: House, receiver: Receiver) -> Client:
    """Return a client that knows the webhook store too."""
    return Client(environ=house.environ() | {"VERTEXQ_STORE_HOOK": receiver.store_url()})


async def until_told(house: House, submission_id: str) -> None:
    """Go on until nothing waits to be told."""
    told = house.services.ledger.told
    await house.until(
        lambda: bool(told(submission_id)) and not any(one.waiting for one in told(submission_id))
    )


def ends(receiver: Receiver) -> list[dict[str, Any]]:
    """Return the events of submissions' ends, each id once."""
    messages = [one.message for one in receiver.by_id.values()]
    return [message for message in messages if message["type"].startswith("vertexq.submission.")]


def rows(receiver: Receiver) -> dict[str, dict[str, Any]]:
    """Return the rows by key; none may come twice."""
    messages = [one.message for one in receiver.by_id.values()]
    found = [
        row for message in messages if message["type"] == "vertexq.rows" for row in message["data"]["rows"]
    ]
    assert len({row["key"] for row in found}) == len(found)
    return {row["key"]: row for row in found}


@pytest.mark.parametrize("muddled", [False, True])
async def test_rows_and_the_end_arrive_at_a_webhook(
    told_house: House, receiver: Receiver, *, muddled: bool
) -> None:
    """Every row once, signed, then counts and cost as the ledger has them; also when hints come twice."""
    house = told_house.muddled(Random(3)) if muddled else told_house
    with client(house, receiver) as mine:
        sent = mine.submit(PROMPTS, model=MODEL, store="hook", on_complete="webhook:hook")
        status = await house.until_rest(sent.id)
        await until_told(house, sent.id)

    assert set(rows(receiver)) == {row["key"] for row in PROMPTS}
    assert all(one.is_signed_with(SECRET) for one in receiver.requests)
    (end,) = ends(receiver)
    assert end["type"] == "vertexq.submission.done"
    assert end["data"]["rows"]["succeeded"] == status.counts.succeeded == 40
    assert end["data"]["cost_usd"] == status.cost_usd
    assert end["data"]["stores"] == ["hook"]


async def test_what_a_webhook_store_was_sent_cannot_be_read_back(
    told_house: House, receiver: Receiver
) -> None:
    """The error says whom to ask instead, and does not show the address's path."""
    with client(told_house, receiver) as mine:
        sent = mine.submit(PROMPTS[:1], model=MODEL, store="hook")
        await told_house.until_rest(sent.id)

        with pytest.raises(BadInput, match="keeps no results") as refused:
            list(mine.results(sent.id))
        where = mine.where(sent.id)

    assert "/hook?" not in str(refused.value)
    assert where == f"webhook hook at 127.0.0.1 ({sent.id})"


async def test_a_celery_task_is_told_once_the_broker_is_back(told_house: House, receiver: Receiver) -> None:
    """It is tried until the broker takes it; the message's id is the event's."""
    broker = Broker(refuses=3)
    backoff = replace(told_house.services.options.backoff, first_s=0.01)
    options = replace(told_house.services.options, backoff=backoff)
    house = replace(told_house, services=replace(told_house.services, producers=broker, options=options))
    with client(house, receiver) as mine:
        sent = mine.submit(PROMPTS[:2], model=MODEL, store="results", on_complete="app.tasks.done@reports")
        await house.until_rest(sent.id)
        await until_told(house, sent.id)

    ((task, queue, message_id, event),) = broker.told
    assert (task, queue, event["id"]) == ("app.tasks.done", "reports", message_id)
    assert (event["type"], event["data"]["id"]) == ("vertexq.submission.done", sent.id)


async def test_a_cancelled_submission_is_told_too(told_house: House, receiver: Receiver) -> None:
    """Whatever the end is, somebody waits for it."""
    with client(told_house, receiver) as mine:
        sent = mine.submit(PROMPTS[:2], model=MODEL, store="results", on_complete="webhook:hook")
        mine.cancel(sent.id)
        await told_house.until_rest(sent.id)
        await until_told(told_house, sent.id)

    assert [end["type"] for end in ends(receiver)] == ["vertexq.submission.cancelled"]


async def test_no_prompt_and_no_answer_is_in_the_end_of_a_submission(
    told_house: House, receiver: Receiver
) -> None:
    """A message through the broker may be read by others."""
    with client(told_house, receiver) as mine:
        sent = mine.submit(
            [{"key": "k", "prompt": "canary-prompt"}], model=MODEL, store="results", on_complete="app.done"
        )
        await told_house.until_rest(sent.id)
        await until_told(told_house, sent.id)
        (answer,) = mine.results(sent.id)

    assert isinstance(told_house.services.producers, Broker)
    (told,) = told_house.services.producers.told
    assert answer.text
    assert answer.text not in str(told)
    assert "canary" not in str(told)


def test_whom_nobody_can_tell_is_refused_when_enqueueing(house: House, receiver: Receiver) -> None:
    """Nothing is enqueued."""
    with client(house, receiver) as mine:
        for wrong, error in [
            ("webhook:nobody", UnknownStore),
            ("webhook:results", BadInput),
            ("vertexq.sweep", BadInput),
            ("no task", BadInput),
        ]:
            with pytest.raises(error):
                mine.submit(["x"], model=MODEL, store="results", on_complete=wrong)
        assert mine.list() == []


async def test_a_parked_submission_is_told_with_its_reason_and_its_end_later(
    told_house: House, receiver: Receiver
) -> None:
    """Both are events of their own: a person must decide, and then it is done."""
    with client(told_house, receiver) as mine:
        args = {"model": MODEL, "store": "results", "on_complete": "webhook:hook", "id": "poor"}
        mine.submit(PROMPTS[:2], budget_usd="0.000001", **args)  # type: ignore[arg-type]
        parked = await told_house.until_rest("poor")
        await until_told(told_house, "poor")
        mine.submit(PROMPTS[:2], budget_usd=5, **args)  # type: ignore[arg-type]
        await told_house.until(lambda: mine.get("poor").state is SubmissionState.DONE)
        await until_told(told_house, "poor")

    assert [end["data"]["state"] for end in ends(receiver)] == ["parked", "done"]
    assert ends(receiver)[0]["data"]["reason"] == parked.reason[:500]


async def test_rows_land_in_a_table_and_at_a_webhook(told_house: House, receiver: Receiver) -> None:
    """One submission, two stores: the same rows in both, and the table can be read."""
    with client(told_house, receiver) as mine:
        sent = mine.submit(PROMPTS, model=MODEL, store=["results", "hook"])
        await told_house.until_rest(sent.id)
        await until_told(told_house, sent.id)
        read = {result.key: result.text for result in mine.results(sent.id)}

    assert read == {key: row["text"] for key, row in rows(receiver).items()}
    assert len(read) == len(PROMPTS)


async def test_events_can_be_followed_while_it_runs(told_house: House, receiver: Receiver) -> None:
    """An asynchronous reader sees the story as it unfolds, stops half way, and goes on where it was."""
    environ = told_house.environ() | {"VERTEXQ_STORE_HOOK": receiver.store_url()}
    async with AsyncClient(environ=environ) as mine:
        sent = await mine.submit(PROMPTS, model=MODEL, store="results")
        running = asyncio.ensure_future(told_house.until_rest(sent.id))
        first = [event async for event in _up_to(mine.events(sent.id), "running")]
        rest = [event async for event in mine.events(sent.id, after=first[-1].cursor)]
        status = await running
        waited = await mine.wait(sent.id, timeout_s=60)

    moved = [event.state for event in [*first, *rest] if event.kind is EventKind.SUBMISSION]
    assert moved == ["queued", "staging", "running", "settling", "done"]
    assert rest[-1].counts == status.counts
    assert waited.state is SubmissionState.DONE


async def _up_to(events: AsyncIterator[Event], state: str) -> AsyncIterator[Event]:
    async for event in events:
        yield event
        if event.state == state:
            return
