"""Chunks on their way into the stores of a submission, one at a time, while the next one is read."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from types import TracebackType
from typing import Self

from vertexq.errors import StoreRefused, VertexqError
from vertexq.failpoints import Failpoint, reach
from vertexq.results import Chunk, Progress, SourceRange
from vertexq.steps.services import Services

Refused = Callable[[frozenset[str]], None]
"""Told the keys of rows that the target could not hold, when there are any."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How far a range is in each of a submission's stores, by name; the first is the primary.

    The primary is written last, so that no store is ever behind it; ``done`` is the primary's progress, which
    holds the account, and another store may be ahead of it by the one chunk that a crash cut off.
    """

    done: Progress
    positions: Mapping[str, int]

    @property
    def stops(self) -> list[int]:
        """Return where a chunk must end, so that a store that is ahead is met exactly."""
        return sorted({at for at in self.positions.values() if at > self.done.position})


async def standing(services: Services, names: Sequence[str], source: SourceRange) -> Standing:
    """Ask each store how far a range is; raise ``StoreRefused`` when one has lost what it had."""
    found: dict[str, Progress] = {}
    for name in names:
        found[name] = await services.stores.call(name, lambda store: store.progress(source))
    done = found[names[0]]
    for name, progress in found.items():
        if progress.position < done.position:
            raise StoreRefused(
                f"the store {name!r} is at byte {progress.position} of {source.object_name}, behind the "
                f"store {names[0]!r} at {done.position}: it was emptied or replaced while the submission "
                "ran; bring it back, or run the submission again under another id"
            )
    return Standing(done=done, positions={name: progress.position for name, progress in found.items()})


class ChunkWriter:
    """Writes chunks in order; ``put`` waits for the chunk before, so that at most two are in memory.

    A store that has a chunk already is passed over. A context manager: leaving it waits for the last chunk,
    and raises what its write raised.
    """

    def __init__(self, services: Services, at: Standing, *, fence: int) -> None:
        self._services = services
        self._positions = dict(at.positions)
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
        """Commit to the other stores first; what the primary refuses of the rows is what counts."""
        keys: frozenset[str] = frozenset()
        for name in reversed(self._positions):
            if chunk.start < self._positions[name] < chunk.progress.position:
                raise StoreRefused(
                    f"the store {name!r} is at byte {self._positions[name]} of {chunk.source.object_name}, "
                    f"within a chunk; it holds what was read otherwise, run the submission under another id"
                )
            if self._positions[name] == chunk.start:
                reach(Failpoint.INGEST_COMMITTING)
                keys = await self._services.stores.call(
                    name, lambda store: store.write(chunk, fence=self._fence)
                )
                reach(Failpoint.INGEST_COMMITTED)
                self._positions[name] = chunk.progress.position
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
