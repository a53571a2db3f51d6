"""Where the lines to be read are: behind a simulator in a process of its own, or in a local file."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Generator
from contextlib import contextmanager
from pathlib import Path

from benchmarks import lines
from benchmarks.load import OUTPUT
from vertexq.embedded.process import Child, Command, await_ready, free_port
from vertexq.google.auth import default_tokens
from vertexq.google.checksum import crc32c_text, extend
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.model import GcsUri, ObjectInfo

PIECE_BYTES = 256 * 1024


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


class LocalObject:
    """One file in the place of Cloud Storage, for measuring a load without the cost of another server."""

    def __init__(self, path: Path) -> None:
        self._path = path
        checksum = 0
        with path.open("rb") as file:
            while piece := file.read(PIECE_BYTES):
                checksum = extend(checksum, piece)
        self._info = ObjectInfo(
            uri=OUTPUT.join(path.name),
            generation=1,
            size_bytes=path.stat().st_size,
            crc32c=crc32c_text(checksum),
        )

    async def list(self, prefix: GcsUri) -> AsyncGenerator[ObjectInfo]:
        """Yield the one object."""
        assert self._info.uri.name.startswith(prefix.name)
        yield self._info

    async def download(
        self, uri: GcsUri, *, generation: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Yield the file's bytes from ``start`` to ``end``, or to its own end."""
        assert (uri, generation) == (self._info.uri, 1)
        left = (self._info.size_bytes if end is None else end) - start
        with self._path.open("rb") as file:
            file.seek(start)
            while piece := file.read(min(left, PIECE_BYTES)):
                left -= len(piece)
                yield piece
