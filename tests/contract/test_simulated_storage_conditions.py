"""Preconditions in the simulated Cloud Storage: every condition, on every verb."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager

import aiohttp
import pytest

from vertexq.simulator.server import Simulator

OBJECT = "/storage/v1/b/prompts/o"
UPLOAD = "/upload/storage/v1/b/prompts/o"
Call = Callable[[aiohttp.ClientSession, str], AbstractAsyncContextManager[aiohttp.ClientResponse]]

# Each is called with the precondition as a query; all concern the object `a`.
READS: dict[str, Call] = {
    "get": lambda http, query: http.get(f"{OBJECT}/a?{query}"),
    "download": lambda http, query: http.get(f"/download{OBJECT}/a?alt=media&{query}"),
}
WRITES: dict[str, Call] = {
    "media": lambda http, query: http.post(f"{UPLOAD}?uploadType=media&name=a&{query}", data=b"n"),
    "multipart": lambda http, query: http.post(
        f"{UPLOAD}?uploadType=multipart&{query}",
        data=b'--x\r\n\r\n{"name": "a"}\r\n--x\r\n\r\nnew\r\n--x--',
        headers={"Content-Type": "multipart/related; boundary=x"},
    ),
    "resumable": lambda http, query: http.post(f"{UPLOAD}?uploadType=resumable&name=a&{query}"),
    "compose": lambda http, query: http.post(
        f"{OBJECT}/a/compose?{query}", json={"sourceObjects": [{"name": "b"}]}
    ),
    "rewrite": lambda http, query: http.post(f"{OBJECT}/b/rewriteTo/b/prompts/o/a?{query}"),
    "copy": lambda http, query: http.post(f"{OBJECT}/b/copyTo/b/prompts/o/a?{query}"),
}
CHANGES: dict[str, Call] = {
    "patch": lambda http, query: http.patch(f"{OBJECT}/a?{query}", json={}),
    "update": lambda http, query: http.put(f"{OBJECT}/a?{query}", json={}),
    "delete": lambda http, query: http.delete(f"{OBJECT}/a?{query}"),
    "source": lambda http, query: http.post(
        f"{OBJECT}/a/rewriteTo/b/prompts/o/c?{query.replace('if', 'ifSource', 1)}"
    ),
}
OK = {200, 204}


@pytest.fixture
async def http() -> AsyncIterator[aiohttp.ClientSession]:
    """Give a plain HTTP client for a simulator with the objects ``a`` and ``b``."""
    async with Simulator(buckets=["prompts"]) as simulator, aiohttp.ClientSession(simulator.url) as session:
        for name in "ab":
            async with session.post(f"{UPLOAD}?uploadType=media&name={name}", data=b"old") as answer:
                assert answer.status == 200
        yield session


async def generation(http: aiohttp.ClientSession, name: str = "a") -> str:
    """Return the generation of an object."""
    async with http.get(f"{OBJECT}/{name}") as answer:
        return str((await answer.json())["generation"])


@pytest.mark.parametrize("name", [*READS, *WRITES, *CHANGES])
async def test_a_condition_that_holds_lets_pass(http: aiohttp.ClientSession, name: str) -> None:
    """The right generation and metageneration are let through, as is another one that must not match."""
    call = (READS | WRITES | CHANGES)[name]
    right = f"ifGenerationMatch={await generation(http)}"

    async with call(http, right) as answer:
        assert answer.status in OK


@pytest.mark.parametrize("name", [*READS, *WRITES, *CHANGES])
@pytest.mark.parametrize("query", ["ifGenerationMatch=1", "ifGenerationMatch=0", "ifMetagenerationMatch=7"])
async def test_a_condition_that_fails_stops_every_verb(
    http: aiohttp.ClientSession, name: str, query: str
) -> None:
    """412 ``conditionNotMet``, and the object is as it was."""
    before = await generation(http)

    async with (READS | WRITES | CHANGES)[name](http, query) as answer:
        said = await answer.text()

    assert answer.status == 412
    assert ("conditionNotMet" in said) == (name != "download")  # content is refused in plain text
    assert await generation(http) == before


@pytest.mark.parametrize("name", [*READS, *WRITES, *CHANGES])
async def test_what_must_differ_and_does_not_stops_every_verb(http: aiohttp.ClientSession, name: str) -> None:
    """A read is answered "not modified" (304), without a body; everything else 412."""
    call = (READS | WRITES | CHANGES)[name]

    for query in (f"ifGenerationNotMatch={await generation(http)}", "ifMetagenerationNotMatch=1"):
        async with call(http, query) as answer:
            assert answer.status == (304 if name in READS else 412)
            assert bool(await answer.read()) == (name not in READS)


@pytest.mark.parametrize("name", [*READS, *WRITES, *CHANGES])
async def test_what_must_differ_and_does_lets_pass(http: aiohttp.ClientSession, name: str) -> None:
    """Another generation than the one named is fine."""
    async with (READS | WRITES | CHANGES)[name](http, "ifGenerationNotMatch=1") as answer:
        assert answer.status in OK


@pytest.mark.parametrize("name", [name for name in WRITES if name != "resumable"])
async def test_generation_zero_creates_and_nothing_else(http: aiohttp.ClientSession, name: str) -> None:
    """``ifGenerationMatch=0`` makes an object that is not there, once."""
    async with http.delete(f"{OBJECT}/a") as deleted:
        assert deleted.status == 204
    statuses: list[int] = []

    for _ in range(2):
        async with WRITES[name](http, "ifGenerationMatch=0") as answer:
            statuses.append(answer.status)

    assert statuses == [200, 412]


async def test_an_object_that_is_not_there_is_not_found_before_all_else(http: aiohttp.ClientSession) -> None:
    """Reading or deleting nothing is 404, whatever the condition."""
    for call in (http.get, http.delete):
        async with call(f"{OBJECT}/missing?ifGenerationMatch=0") as answer:
            assert answer.status == 404


@pytest.mark.parametrize("name", ["media", "multipart", "compose", "rewrite"])
async def test_of_sixteen_that_create_one_wins(http: aiohttp.ClientSession, name: str) -> None:
    """Calls at the same time do not slip past the condition."""
    async with http.delete(f"{OBJECT}/a") as deleted:
        assert deleted.status == 204

    async def create() -> int:
        async with WRITES[name](http, "ifGenerationMatch=0") as answer:
            return answer.status

    statuses = await asyncio.gather(*[create() for _ in range(16)])

    assert sorted(statuses) == [200] + [412] * 15
