"""A simulator in a process of its own that holds the lines to be read."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import lines
from benchmarks.load import OUTPUT
from vertexq.embedded.process import Child, Command, await_ready, free_port
from vertexq.google.auth import default_tokens
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage


@contextmanager
def serving(home: Path, rows: int) -> Generator[str]:
    """Serve ``predictions.jsonl`` with ``rows`` rows over HTTP; yield the endpoint."""
    port = free_port()
    log = home / "simulator.log"
    args = (sys.executable, "-m", "vertexq.simulator", "--port", str(port), "--bucket", OUTPUT.bucket)
    child = Child(
        Command(args=[*args, "--data-dir", str(home / "google")], log=log, cwd=home, env=os.environ)
    )
    try:
        await_ready(child, lambda: b"export" in log.read_bytes(), what="the simulator", timeout_s=30)
        endpoint = f"http://127.0.0.1:{port}"
        asyncio.run(_upload(endpoint, rows))
        yield endpoint
    finally:
        child.stop()


async def _upload(endpoint: str, rows: int) -> None:
    async with Transport(await default_tokens(emulator=True), deadline_s=600) as transport:
        await Storage(transport, endpoint=endpoint).upload(OUTPUT.join("predictions.jsonl"), _stream(rows))


async def _stream(rows: int) -> AsyncIterator[bytes]:
    for block in lines.blocks(rows):
        yield block
