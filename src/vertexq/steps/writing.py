"""Chunks on their way into a store, one at a time, while the next one is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import suppress
from types import TracebackType
from typing import Self

from vertexq.errors import VertexqError
from vertexq.results import Chunk
from vertexq.steps.services import Services

Refused = Callable[[frozenset[str]], None]
"""Told the keys of rows that the target could not hold, when there are any."""


class ChunkWriter:
    """Writes chunks in order; ``put`` waits for the chunk before, so that at most two are in memory.

    A context manager: leaving it waits for the last chunk, and raises what its write raised.
    """

    def __init__(self, services: Services, store: str, *, fence: int) -> None:
        self._services = services
        self._store = store
        self._fence = fence
        self._under_way: asyncio.Task[None] | None = None

    async def put(self, chunk: Chunk, refused: Refused) -> None:
        """Begin to commit ``chunk`` once the one before it is committed."""
        await self.drain()
        self._under_way = asyncio.create_task(self._write(chunk, refused))

    async def drain(self) -> None:
        """Return when everything that was put is committed."""
        task, self._under_way = self._under_way, None
        if task is not None:
            await task

    async def _write(self, chunk: Chunk, refused: Refused) -> None:
        keys = await self._services.stores.call(
            self._store, lambda store: store.write(chunk, fence=self._fence)
        )
        if keys:
            refused(keys)

    async def __aenter__(self) -> Self:
        """Return the writer."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Wait for the last chunk; the error that led here wins over one of its own."""
        if kind is None:
            await self.drain()
            return
        with suppress(VertexqError):
            await self.drain()
