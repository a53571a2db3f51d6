"""Uploads to Cloud Storage: one request for what is small, a resumable session for what is large.

Both protocols: https://docs.cloud.google.com/storage/docs/uploads-downloads (read 2026-11).
"""

from __future__ import annotations

import re
import secrets
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from dataclasses import dataclass
from urllib.parse import urlsplit

import orjson

from vertexq.errors import Ambiguous, Refused, Throttled, Unavailable, Unreachable
from vertexq.google.checksum import crc32c_text, extend
from vertexq.google.hosts import origin
from vertexq.google.rest import Answer, Transport
from vertexq.model import GcsUri

QUANTUM_BYTES = 256 * 1024  # every piece but the last is a multiple of it
_RANGE = re.compile(r"bytes=0-(\d+)")
_MORE = 308  # "Resume Incomplete"; no redirect here
_DONE = (200, 201)
_GONE = (404, 410)
_CANCELLED = (204, 404, 410, 499)


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What is to be stored, and under which condition."""

    url: str  # …/upload/storage/v1/b/BUCKET/o
    uri: GcsUri
    params: Mapping[str, str]
    content_type: str
    metadata: Mapping[str, str]

    def resource(self) -> dict[str, object]:
        """Return the object's metadata as the first part of either protocol."""
        said: dict[str, object] = {"name": self.uri.name, "contentType": self.content_type}
        return {**said, "metadata": dict(self.metadata)} if self.metadata else said


async def send_whole(transport: Transport, upload: Upload, content: bytes) -> Answer:
    """Store ``content`` in one multipart request, repeated when its answer is lost.

    The answer may have status 412: the caller finds out whether an earlier try was the one that stored it.
    """
    boundary = secrets.token_hex(16)
    head = (
        f"--{boundary}\r\nContent-Type: application/json; charset=UTF-8\r\n\r\n".encode()
        + orjson.dumps(upload.resource())
        + f"\r\n--{boundary}\r\nContent-Type: {upload.content_type}\r\n\r\n".encode()
    )
    return await transport.call(
        "POST",
        upload.url,
        params={**upload.params, "uploadType": "multipart"},
        data=b"".join((head, content, f"\r\n--{boundary}--\r\n".encode())),
        headers={"Content-Type": f"multipart/related; boundary={boundary}"},
        expect=(200, 412),
        retry=True,
    )


async def pieces(data: AsyncIterator[bytes], piece_bytes: int) -> AsyncGenerator[tuple[bytes, bool]]:
    """Cut a stream into pieces of ``piece_bytes``; the last is shorter or equal and comes with True.

    At most one piece and one chunk of the stream are in memory.
    """
    held = bytearray()
    async for chunk in data:
        held += chunk
        while len(held) > piece_bytes:
            yield bytes(memoryview(held)[:piece_bytes]), False
            del held[:piece_bytes]
    yield bytes(held), True


class Session:
    """One resumable upload. Its URL is a secret: whoever has it may write the object."""

    def __init__(self, transport: Transport, upload: Upload, url: str) -> None:
        self._transport = transport
        self._upload = upload
        self._url = url
        self._kept = 0  # bytes Google has confirmed

    @classmethod
    async def open(cls, transport: Transport, upload: Upload) -> Session:
        """Open a session; raise ``PreconditionFailed`` when the condition fails already."""
        answer = await transport.call(
            "POST",
            upload.url,
            params={**upload.params, "uploadType": "resumable"},
            json=upload.resource(),
            headers={"X-Upload-Content-Type": upload.content_type},
            expect=_DONE,
            retry=True,
        )
        return cls(transport, upload, _session_url(answer, upload))

    async def give_up(self) -> None:
        """End the session without an object; Google answers 499 to that."""
        await self._transport.call("DELETE", self._url, expect=_CANCELLED, retry=True, secret_url=True)

    async def put(self, piece: bytes, *, last: bool) -> Answer:
        """Store the next piece, whatever it takes; return the last answer, after the last piece the object.

        That answer may have status 412. Raise the last error when no byte gets through any more.
        """
        start, failures = self._kept, 0
        end = start + len(piece)
        total = str(end) if last else "*"
        while True:
            before = self._kept
            answer = await self._sent_or_asked(piece[before - start :], total, failures)
            if answer.status != _MORE:
                return self._end(answer, last=last)
            self._advance(answer, start, end)
            if self._kept == end and not last:
                return answer
            failures = 0 if self._kept > before else failures + 1
            if failures >= self._transport.pace.tries:
                raise answer.unreadable(f"no byte after {self._kept} is kept")

    async def _sent_or_asked(self, rest: bytes, total: str, failures: int) -> Answer:
        """Send bytes; without a good answer wait, then ask how much was kept."""
        try:
            return await self._send(rest, total)
        except (Ambiguous, Throttled, Unavailable, Unreachable) as error:
            await self._transport.wait(error, failures + 1)
        return await self._ask(total)

    async def _send(self, rest: bytes, total: str) -> Answer:
        span = f"{self._kept}-{self._kept + len(rest) - 1}" if rest else "*"
        return await self._call(rest, f"bytes {span}/{total}", retry=False)

    async def _ask(self, total: str) -> Answer:
        """Ask how much is kept; the answer is that of a piece."""
        try:
            return await self._call(b"", f"bytes */{total}", retry=True)
        except Refused as error:
            if error.status not in _GONE:
                raise
            raise Unavailable(
                f"the upload of {self._upload.uri} was given up by Cloud Storage after {self._kept} bytes; "
                "start it again"
            ) from error

    async def _call(self, data: bytes, content_range: str, *, retry: bool) -> Answer:
        return await self._transport.call(
            "PUT",
            self._url,
            data=data,
            headers={"Content-Range": content_range, "Content-Type": self._upload.content_type},
            expect=(*_DONE, _MORE, 412),
            retry=retry,
            secret_url=True,
        )

    def _advance(self, answer: Answer, start: int, end: int) -> None:
        found = _RANGE.fullmatch(answer.headers.get("Range", ""))
        kept = int(found[1]) + 1 if found else 0
        if not start <= kept <= end:
            raise answer.unreadable(f"{kept} bytes are kept where {start} were confirmed before")
        self._kept = kept

    @staticmethod
    def _end(answer: Answer, *, last: bool) -> Answer:
        if answer.status in _DONE and not last:
            raise answer.unreadable("the upload ended before its last piece")
        return answer


def _session_url(answer: Answer, upload: Upload) -> str:
    """Return the session's URL on the host we were told to use, whatever host the answer names."""
    parts = urlsplit(answer.headers.get("Location", ""))
    if not parts.path or not parts.query:
        raise answer.unreadable("it names no upload session")
    return f"{origin(upload.url)}{parts.path}?{parts.query}"


class Checked:
    """A stream that is counted and summed while somebody else reads it."""

    def __init__(self, data: AsyncIterator[bytes]) -> None:
        self._data = data
        self._sum = 0
        self.size_bytes = 0

    @property
    def crc32c(self) -> str:
        """The checksum of what was read so far."""
        return crc32c_text(self._sum)

    async def __aiter__(self) -> AsyncIterator[bytes]:
        """Yield the chunks as they are."""
        async for chunk in self._data:
            self._sum = extend(self._sum, chunk)
            self.size_bytes += len(chunk)
            yield chunk
