"""Downloads from Cloud Storage: the bytes of one generation, continued at the exact byte after a failure."""

from __future__ import annotations

import re
from collections.abc import AsyncGenerator
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass

from vertexq.errors import NotFound, Refused, Throttled, Unavailable, Unreachable
from vertexq.google.checksum import crc32c_text, extend
from vertexq.google.rest import Stream, Transport
from vertexq.model import GcsUri

CHUNK_LIMIT_BYTES = 1024 * 1024
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+)")
_WHOLE, _PART, _NOTHING = 200, 206, 416


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """What an answer carries: bytes from ``start`` to ``end`` (exclusive) of ``total``."""

    start: int
    end: int
    total: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """The bytes from ``start`` to ``end`` (exclusive; None: to the end) of one generation."""

    url: str
    uri: GcsUri
    generation: int
    start: int
    end: int | None


class _Reading:
    """How far a download is."""

    def __init__(self, wanted: Wanted) -> None:
        self._wanted = wanted
        self.position = wanted.start
        self._end = wanted.end
        self._total: int | None = None
        self._crc32c = 0
        self._promised = ""

    @property
    def done(self) -> bool:
        return self._end is not None and self.position >= self._end

    def begin(self, stream: Stream) -> None:
        """Take note of what an answer brings."""
        span = span_of(stream, self.position, self._wanted)
        if self._total not in {None, span.total}:
            raise Unavailable(f"{stream.tried}: {self._total} bytes became {span.total}; try again later")
        self._total = span.total
        self._end = span.total if self._wanted.end is None else min(self._wanted.end, span.total)
        self._promised = stream.hashes

    def take(self, chunk: bytes) -> bytes:
        """Count a chunk and return what is wanted of it."""
        if self._end is not None:
            chunk = chunk[: max(0, self._end - self.position)]
        self.position += len(chunk)
        self._crc32c = extend(self._crc32c, chunk)
        return chunk

    def check(self) -> None:
        """Compare the sum of a whole object with Google's; raise ``Unavailable`` when they differ."""
        wanted, found = self._wanted, f"crc32c={crc32c_text(self._crc32c)}"
        promised = [word.strip() for word in self._promised.split(",") if "crc32c=" in word]
        if wanted.start == 0 and wanted.end is None and promised and found not in promised:
            raise Unavailable(
                f"{wanted.uri}: {promised[0]} was promised, {found} came; read the object again"
            )


async def fetch(transport: Transport, wanted: Wanted) -> AsyncGenerator[bytes]:
    """Yield the wanted bytes in order, each once.

    A cut, a stall or a 5xx is followed by another request from the next byte on; it fails when several in
    a row bring no byte. A whole object is summed: ``Unavailable`` after its last byte when the sum is wrong.
    """
    reading, failures = _Reading(wanted), 0
    while not reading.done:
        before = reading.position
        try:
            async with _opened(transport, wanted, before) as stream:
                reading.begin(stream)
                async for chunk in stream.chunks(CHUNK_LIMIT_BYTES):
                    yield reading.take(chunk)
            _require_bytes(reading, before, stream)
        except (Throttled, Unavailable, Unreachable) as error:
            failures = 1 if reading.position > before else failures + 1
            await transport.wait(error, failures)
        except NotFound as error:
            raise NotFound(
                f"{wanted.uri} has no generation {wanted.generation} any more: it was replaced or deleted",
                status=error.status,
                code=error.code,
            ) from error
    reading.check()


def _opened(transport: Transport, wanted: Wanted, position: int) -> AbstractAsyncContextManager[Stream]:
    last = "" if wanted.end is None else wanted.end - 1
    return transport.stream(
        wanted.url, headers={"Range": f"bytes={position}-{last}"}, expect=(_WHOLE, _PART, _NOTHING)
    )


def _require_bytes(reading: _Reading, before: int, stream: Stream) -> None:
    if reading.position == before and not reading.done:
        raise Unavailable(f"{stream.tried} brought no byte at {before}; try again later")


def span_of(stream: Stream, position: int, wanted: Wanted) -> Span:
    """Return what the answer says it carries; raise when that does not begin at ``position``.

    Raise ``Refused`` when ``position`` lies behind the end, or the bytes are of another generation.
    """
    _check_generation(stream, wanted)
    said = stream.headers.get("Content-Range", "")
    found = _CONTENT_RANGE.fullmatch(said)
    if stream.status == _WHOLE and position == 0 and stream.headers.get("Content-Length", "").isdigit():
        size_bytes = int(stream.headers["Content-Length"])
        return Span(start=0, end=size_bytes, total=size_bytes)
    if stream.status == _NOTHING:
        return _nothing_left(position, int(found[3]) if found else position, wanted)
    if found is None or found[1] is None:
        raise Unavailable(f"{stream.tried} was answered with no readable Content-Range; try again later")
    first, last, total = found.groups()
    if int(first) != position or not position <= int(last) < int(total):
        raise Unavailable(f"{stream.tried}: asked for byte {position}, got {said!r}; try again later")
    return Span(start=position, end=int(last) + 1, total=int(total))


def _nothing_left(position: int, total: int, wanted: Wanted) -> Span:
    """Return the empty span of a 416: there is nothing from ``position`` on (RFC 9110, section 15.5.17)."""
    if position > total:
        raise Refused(
            f"{wanted.uri} has {total} bytes; there is no byte {position}; check the start",
            status=_NOTHING,
        )
    return Span(start=position, end=position, total=position)


def _check_generation(stream: Stream, wanted: Wanted) -> None:
    generation = stream.headers.get("X-Goog-Generation")
    if generation not in {None, str(wanted.generation)}:
        raise Refused(
            f"{stream.tried} answered with generation {generation} instead of {wanted.generation}",
            status=stream.status,
        )
