"""A bare HTTP server on loopback for tests: it does to connections what no web framework lets one do."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncGenerator, Callable, Iterable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

from vertexq.google.pace import Pace

QUICK = Pace(first_s=0.001, cap_s=0.002)


@dataclass(frozen=True, slots=True, kw_only=True)
class Heard:
    """A request that was read to its end. ``connection`` counts from 1."""

    method: str
    target: str
    headers: dict[str, str]
    body: bytes
    connection: int


Answering = Callable[[Heard], bytes | None]


@dataclass(slots=True)
class Loopback:
    """What a server heard, and where it is."""

    url: str = ""
    heard: list[Heard] = field(default_factory=list[Heard])
    connections: int = 0


@asynccontextmanager
async def listening(answering: Answering, *, tls: ssl.SSLContext | None = None) -> AsyncGenerator[Loopback]:
    """Serve until left. ``answering`` gives the raw answer; None closes the connection without one."""
    loopback = Loopback()
    writers: list[asyncio.StreamWriter] = []
    serving: set[asyncio.Task[None]] = set()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        loopback.connections += 1
        connection = loopback.connections
        try:
            while True:
                heard = await _read(reader, connection)
                loopback.heard.append(heard)
                said = answering(heard)
                if said is None:
                    break
                writer.write(said)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            pass
        finally:
            writer.close()

    def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writers.append(writer)
        serving.add(asyncio.create_task(serve(reader, writer)))

    server = await asyncio.start_server(connected, "127.0.0.1", 0, ssl=tls)
    loopback.url = f"{'https' if tls else 'http'}://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    try:
        yield loopback
    finally:
        server.close()
        for writer in writers:
            writer.transport.abort()
        await asyncio.gather(*serving)


async def _read(reader: asyncio.StreamReader, connection: int) -> Heard:
    head = await reader.readuntil(b"\r\n\r\n")
    start, *lines = head.decode().rstrip().split("\r\n")
    method, target, _ = start.split(" ")
    headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in lines)}
    body = await reader.readexactly(int(headers.get("content-length", "0")))
    return Heard(method=method, target=target, headers=headers, body=body, connection=connection)


def answer(status: int, body: bytes = b"", **headers: str) -> bytes:
    """Return a raw HTTP answer; ``Retry_After="1"`` becomes a header of that name."""
    lines = [f"HTTP/1.1 {status} Said", f"Content-Length: {len(body)}"]
    lines += [f"{name.replace('_', '-')}: {value}" for name, value in headers.items()]
    return ("\r\n".join(lines) + "\r\n\r\n").encode() + body


def json_answer(value: object, status: int = 200, **headers: str) -> bytes:
    """Return a raw HTTP answer with ``value`` as JSON."""
    return answer(status, json.dumps(value).encode(), Content_Type="application/json", **headers)


def in_turn(*answers: bytes | None) -> Answering:
    """Give these answers one after the other, the last one for ever."""
    left: Iterable[bytes | None] = iter(answers)
    last = answers[-1]
    return lambda _: next(iter(left), last)
