"""A proxy on loopback that writes down every request and answer of a client that is pointed at it."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Generator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import aiohttp
from aiohttp import web

_NOT_PASSED_ON = frozenset({"host", "content-length", "transfer-encoding", "accept-encoding", "connection"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Exchange:
    """One request and its answer; bodies are parsed JSON, None when there was none."""

    verb: str
    path: str
    query: dict[str, str]
    sent: Any
    status: int
    said: Any


@dataclass(slots=True)
class Recording:
    """Where the proxy is, and what it heard, oldest first."""

    url: str = ""
    exchanges: list[Exchange] = field(default_factory=list[Exchange])


@contextmanager
def recording(target: str) -> Generator[Recording]:
    """Run a proxy to ``target`` on a thread of its own, for clients of every kind."""
    record, loop = Recording(), asyncio.new_event_loop()
    thread = threading.Thread(target=loop.run_forever, name="recording-proxy")
    thread.start()
    runner = asyncio.run_coroutine_threadsafe(_start(record, target), loop).result()
    try:
        yield record
    finally:
        asyncio.run_coroutine_threadsafe(runner.cleanup(), loop).result()
        loop.call_soon_threadsafe(loop.stop)
        thread.join()
        loop.close()


async def _start(record: Recording, target: str) -> web.AppRunner:
    async def relay(request: web.Request) -> web.Response:
        body = await request.read()
        headers = {
            name: value for name, value in request.headers.items() if name.lower() not in _NOT_PASSED_ON
        }
        url = f"{target}{request.raw_path}"
        async with (
            aiohttp.ClientSession() as http,
            http.request(request.method, url, data=body or None, headers=headers) as answer,
        ):
            said = await answer.read()
        record.exchanges.append(_exchange(request, body, answer.status, said))
        kind = answer.headers.get("Content-Type", "application/json")
        return web.Response(status=answer.status, body=said, headers={"Content-Type": kind})

    app = web.Application()
    app.router.add_route("*", "/{path:.*}", relay)
    runner = web.AppRunner(app, access_log=None, shutdown_timeout=0.1)
    await runner.setup()
    site = web.TCPSite(runner, "127.0.0.1", 0)
    await site.start()
    record.url = f"http://127.0.0.1:{runner.addresses[0][1]}"
    return runner


def _exchange(request: web.Request, sent: bytes, status: int, said: bytes) -> Exchange:
    return Exchange(
        verb=request.method,
        path=request.path,
        query=dict(request.query),
        sent=json.loads(sent) if sent else None,
        status=status,
        said=json.loads(said) if said else None,
    )
