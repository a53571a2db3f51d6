"""A webhook receiver on loopback, as its owner would write it: it verifies signatures and remembers ids.

The verification is written from the Standard Webhooks specification alone and shares nothing with the sender.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import hmac
import json
import threading
from collections.abc import AsyncGenerator, Callable, Generator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import Any

from aiohttp import web

SECRET = "whsec_" + base64.b64encode(b"a secret of at least 24 bytes").decode()
OLD_SECRET = "whsec_" + base64.b64encode(b"the secret of last year 2025").decode()
LIMIT_BYTES = 64 * 2**20


@dataclass(frozen=True, slots=True, kw_only=True)
class Received:
    """One request."""

    id: str
    timestamp: int
    signatures: list[str]
    body: bytes

    @property
    def message(self) -> dict[str, Any]:
        """Return the body as a value."""
        found: dict[str, Any] = json.loads(self.body)
        return found

    def is_signed_with(self, secret: str) -> bool:
        """Tell whether one of the signatures is right."""
        key = base64.b64decode(secret.split("_", 1)[1])
        signed = f"{self.id}.{self.timestamp}.".encode() + self.body
        right = base64.b64encode(hmac.new(key, signed, hashlib.sha256).digest()).decode()
        return f"v1,{right}" in self.signatures


Answering = Callable[[Received, int], web.StreamResponse | float | None]
"""Gives the answer to a request and its number (from 1): a response, seconds of silence, None to hang up."""


def taking(_received: Received, _number: int) -> web.StreamResponse:
    """Take everything."""
    return web.Response(status=204)


@dataclass(slots=True)
class Receiver:
    """What a receiver got, and how it answers."""

    answering: Answering = taking
    requests: list[Received] = field(default_factory=list[Received])
    url: str = ""

    @property
    def by_id(self) -> dict[str, Received]:
        """Return the first request of each id, as a receiver that remembers ids takes them in."""
        found: dict[str, Received] = {}
        for one in self.requests:
            found.setdefault(one.id, one)
        return found

    def store_url(self, *options: str) -> str:
        """Return this receiver as the URL of a store."""
        return "&".join(
            [f"webhook+{self.url}?secret_env=HOOK_SECRET", "allow_http=true", "allow_private=true", *options]
        )

    async def take(self, request: web.Request) -> web.StreamResponse:
        """Note a request and answer it."""
        received = Received(
            id=request.headers["webhook-id"],
            timestamp=int(request.headers["webhook-timestamp"]),
            signatures=request.headers["webhook-signature"].split(" "),
            body=await request.read(),
        )
        assert request.method == "POST"
        assert request.content_type == "application/json"
        self.requests.append(received)
        answer = self.answering(received, len(self.requests))
        if isinstance(answer, int | float):
            await asyncio.sleep(answer)  # the silence is what is tested
            return web.Response(status=204)
        if answer is None:
            assert request.transport is not None
            request.transport.abort()
            return web.Response()
        return answer


@asynccontextmanager
async def receiving(answering: Answering = taking) -> AsyncGenerator[Receiver]:
    """Receive on a free port of the loopback until left."""
    receiver = Receiver(answering)
    app = web.Application(client_max_size=LIMIT_BYTES)
    app.router.add_route("*", "/hook", receiver.take)
    runner = web.AppRunner(app, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    receiver.url = f"http://127.0.0.1:{runner.addresses[0][1]}/hook"
    try:
        yield receiver
    finally:
        await runner.cleanup()


@contextmanager
def receiving_beside(answering: Answering = taking) -> Generator[Receiver]:
    """Receive on a thread, for tests that are not asynchronous."""
    loop, over = asyncio.new_event_loop(), asyncio.Event()
    started: list[Receiver] = []
    ready = threading.Event()

    async def run() -> None:
        async with receiving(answering) as receiver:
            started.append(receiver)
            ready.set()
            await over.wait()

    def work() -> None:
        loop.run_until_complete(run())
        loop.close()

    thread = threading.Thread(target=work, name="receiver")
    thread.start()
    assert ready.wait(30)
    try:
        yield started[0]
    finally:
        loop.call_soon_threadsafe(over.set)
        thread.join()
