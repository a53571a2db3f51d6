"""The online client asks models and endpoints, repeats little, and keeps to the limit of all workers."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from urllib.parse import urlsplit

import pytest

from tests.contract.loopback import QUICK, answer, in_turn, json_answer, listening
from vertexq.embedded import Valkey
from vertexq.errors import BadInput, Refused, Throttled, Unavailable
from vertexq.google.auth import Tokens
from vertexq.google.online import Online, online_name
from vertexq.google.rest import Transport
from vertexq.limits.base import CallClass
from vertexq.limits.budget import RetryBudget
from vertexq.limits.link import Link
from vertexq.limits.restraint import SharedRestraint
from vertexq.limits.shape import Shape, shapes
from vertexq.limits.shared import SharedLimits, gate_key

MODEL = online_name("p", "us-central1", "gemini-2.5-flash")
REQUEST = {"contents": [{"role": "user", "parts": [{"text": "Say it."}]}]}
ENDPOINT = "projects/p/locations/us-central1/endpoints/e-1"


@pytest.fixture
async def transport() -> AsyncIterator[Transport]:
    """Give a transport that does not wait long."""
    async with Transport(Tokens(), pace=QUICK) as transport:
        yield transport


@pytest.fixture
async def link(valkey_url: str) -> AsyncIterator[Link]:
    """Open a way to an empty Redis."""
    async with Link(valkey_url) as link:
        yield link


def restraint(link: Link, per_minute: int = 60) -> SharedRestraint:
    """Return what transports of a worker keep to."""
    limits = shapes(
        creates_per_minute=60, reads_per_minute=600, online_per_minute=per_minute, request_deadline_s=60.0
    )
    return SharedRestraint(SharedLimits(link, limits), RetryBudget(link), project="p")


async def test_each_call_is_one_post_to_the_name(transport: Transport) -> None:
    """Models and endpoints are asked where the discovery document has them."""
    answers = in_turn(*[json_answer({"n": number}) for number in range(3)])
    async with listening(answers) as server:
        online = Online(transport, endpoint=server.url)
        said = [
            await online.generate(MODEL, REQUEST),
            await online.embed(online_name("p", "us-central1", "gemini-embedding-001"), {"content": {}}),
            await online.predict(ENDPOINT, [{"content": "x"}], {"maxPredictions": 2}),
        ]

    assert [one.body for one in said] == [{"n": 0}, {"n": 1}, {"n": 2}]
    assert [urlsplit(heard.target).path for heard in server.heard] == [
        f"/v1/{MODEL}:generateContent",
        "/v1/projects/p/locations/us-central1/publishers/google/models/gemini-embedding-001:embedContent",
        f"/v1/{ENDPOINT}:predict",
    ]


@pytest.mark.parametrize(
    ("said", "kind"), [(answer(503), Unavailable), (answer(429), Throttled), (None, Unavailable)]
)
async def test_a_call_is_made_three_times_at_most(
    transport: Transport, said: bytes | None, kind: type[Exception]
) -> None:
    """An answer that was lost may have been paid for."""
    async with listening(in_turn(said, said, said, said)) as server:
        with pytest.raises(kind):
            await Online(transport, endpoint=server.url).generate(MODEL, REQUEST)

    assert len(server.heard) == 3


async def test_a_refusal_keeps_what_google_said(transport: Transport) -> None:
    """Once, and its own sentence apart from ours."""
    body = {"error": {"code": 400, "message": "Please use a valid role.", "status": "INVALID_ARGUMENT"}}
    async with listening(in_turn(json_answer(body, 400))) as server:
        with pytest.raises(Refused) as caught:
            await Online(transport, endpoint=server.url).generate(MODEL, REQUEST)

    assert (caught.value.status, caught.value.said, len(server.heard)) == (400, "Please use a valid role.", 1)


async def test_a_long_body_is_not_sent(transport: Transport) -> None:
    """A prediction takes 1.5 MB."""
    async with listening(in_turn(json_answer({}))) as server:
        with pytest.raises(BadInput, match="at most 1,500,000"):
            await Online(transport, endpoint=server.url).predict(ENDPOINT, ["x" * 1_500_000])

    assert server.heard == []


@pytest.mark.parametrize("name", ["projects/p/locations/l/models/1", "publishers/google/models/a:b", "a b"])
def test_a_name_that_answers_nothing_is_refused(name: str) -> None:
    """A model of one's own answers through an endpoint only."""
    with pytest.raises(BadInput, match="endpoint"):
        online_name("p", "us-central1", name)


async def test_calls_keep_to_the_limit_of_all_workers(link: Link, valkey: Valkey) -> None:
    """A 429 halves the rate in Redis, and the next call waits for it."""
    answers = in_turn(answer(429, Retry_After="1"), json_answer({}))
    async with (
        listening(answers) as server,
        Transport(Tokens(), pace=QUICK, restraint=restraint(link, per_minute=30_000)) as transport,
    ):
        said = await Online(transport, endpoint=server.url).generate(MODEL, REQUEST)

    with valkey.connect() as client:
        rate = client.hget(gate_key("p", "us-central1", CallClass.ONLINE), "rate")
    assert said.tries == 2
    assert 0 < int(rate or 0) < 30_000 * 1_000_000


async def test_nothing_is_paid_for_while_the_limits_cannot_be_asked() -> None:
    """Without Redis a call is not made; it says that it waits."""
    async with (
        Link("redis+socket:///nowhere/valkey.sock", warn=False) as away,
        listening(in_turn(json_answer({}))) as server,
        Transport(Tokens(), restraint=restraint(away)) as transport,
    ):
        with pytest.raises(Unavailable, match="was not made"):
            await Online(transport, endpoint=server.url).generate(MODEL, REQUEST, deadline_s=1.0)

    assert server.heard == []


def test_the_limit_is_careful_and_its_probe_outlives_a_call() -> None:
    """As for creates, a Redis that forgot lets no call through too early."""
    shape: Shape = shapes(creates_per_minute=1, reads_per_minute=1, request_deadline_s=1.0)[CallClass.ONLINE]

    assert (shape.per_minute, shape.burst, shape.careful) == (300, 10, True)
    assert shape.probe_s > 300.0


async def test_two_workers_together_make_no_more_calls_than_one_may(link: Link, valkey_url: str) -> None:
    """Sixty a minute, three of them at once: in a second and a half no more than five are made."""

    async def worker(own: Link, url: str) -> None:
        async with Transport(Tokens(), pace=QUICK, restraint=restraint(own)) as transport:
            online = Online(transport, endpoint=url)
            calls = (online.generate(MODEL, REQUEST, deadline_s=1.5) for _ in range(8))
            await asyncio.gather(*calls, return_exceptions=True)

    async with Link(valkey_url) as other, listening(in_turn(*[json_answer({})] * 16)) as server:
        await asyncio.gather(worker(link, server.url), worker(other, server.url))

    assert 1 <= len(server.heard) <= 5
