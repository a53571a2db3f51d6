"""The bytes of one range of an object, as whole lines; a line belongs to the range in which it starts."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Sequence
from contextlib import aclosing

from vertexq.google.storage import Storage
from vertexq.ledger import OutputRange
from vertexq.lines import RangeSplitter
from vertexq.model import GcsUri
from vertexq.steps.checksum import RunningChecksum
from vertexq.steps.coming import Piece


class ObjectBytes:
    """Reads a range of a pinned generation from ``position`` on; ``checksum`` is of what lies before."""

    def __init__(
        self, storage: Storage, part: OutputRange, *, position: int, checksum: int, limit_bytes: int
    ) -> None:
        midway = part.start > 0 and position == part.start
        self._storage, self._part = storage, part
        self._start = position - midway
        self._lines = RangeSplitter(start=position, midway=midway, limit_bytes=limit_bytes)
        self._checksum = RunningChecksum(part, checksum)

    @property
    def checksum(self) -> int:
        """Return the crc32c of the range up to the last whole line."""
        return self._checksum.value

    async def pieces(self, stops: Sequence[int]) -> AsyncGenerator[Piece]:
        """Yield the lines as they arrive."""
        position, lines = self._lines.position, self._lines
        async with aclosing(self._arriving()) as arriving:
            async for start, data in arriving:
                for at, piece in _cut(start, data, stops):
                    items = lines.feed(piece)
                    self._checksum.follow(piece, piece_start=at, position=lines.position)
                    yield Piece(items, lines.position, lines.position - position)
                    position = lines.position

    def check(self, *, is_stored: bool) -> None:
        """Compare the checksum of a range that is a whole object."""
        self._checksum.verify(is_stored=is_stored)

    def last(self) -> Piece:
        """Return the last line, if the object ends within it."""
        self._checksum.complete()
        items = self._lines.close()
        return Piece(items, min(max(self._lines.position, self._part.end), self._part.size_bytes), 0)

    async def _arriving(self) -> AsyncGenerator[tuple[int, bytes]]:
        """Yield the range's bytes with their offsets, and then what its last line still lacks."""
        part, start = self._part, self._start
        uri = GcsUri.parse(part.object_name)
        main = self._storage.download(uri, generation=part.generation, start=start, end=part.end)
        async with aclosing(main):
            async for data in main:
                yield start, data
                start += len(data)
        if not self._lines.is_within or start >= part.size_bytes:
            return
        behind = self._storage.download(uri, generation=part.generation, start=start, end=part.size_bytes)
        async with aclosing(behind):
            async for data in behind:
                ends = data.find(b"\n") + 1
                yield start, data[: ends or None]
                start += len(data)
                if ends:
                    return


def _cut(start: int, data: bytes, stops: Sequence[int]) -> Iterator[tuple[int, bytes]]:
    """Yield ``data`` in pieces that end at each stop within it."""
    at = start
    for stop in stops:
        if at < stop < start + len(data):
            yield at, data[at - start : stop - start]
            at = stop
    yield at, data[at - start :] if at > start else data
