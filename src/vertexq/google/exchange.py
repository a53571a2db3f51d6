"""One exchange with Google: what is asked, and the answer, whole or as a stream."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace

import aiohttp
import orjson

from vertexq.errors import ApiError, Unavailable
from vertexq.google.envelope import api_error
from vertexq.google.failures import translated
from vertexq.google.hosts import without_query

_ANSWER_LIMIT_BYTES = 64 * 1024 * 1024  # a page of a list is far below; whole objects are streamed


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """A whole answer. ``tried`` names the call, ``tries`` counts how often it was sent."""

    status: int
    headers: Mapping[str, str]
    body: bytes
    tried: str
    tries: int = 1

    def json(self) -> object:
        """Read the body as JSON; raise ``Unavailable`` when it is none."""
        try:
            value: object = orjson.loads(self.body)
        except ValueError as error:
            raise self.unreadable("it is not JSON") from error
        return value

    def unreadable(self, why: str) -> Unavailable:
        """Return the error for a success that cannot be read."""
        return Unavailable(f"{self.tried} was answered with {self.status}, but {why}; try again later")

    def error(self) -> ApiError:
        """Return the error this answer stands for."""
        return api_error(self.status, self.body, self.headers, tried=self.tried)


@dataclass(frozen=True, slots=True, kw_only=True)
class Request:
    """A call to be made. With ``retry`` it may be repeated; a status in ``expect`` is a success."""

    url: str
    method: str = "GET"
    headers: Mapping[str, str]
    body: bytes | None = None
    expect: Collection[int]
    retry: bool
    raw: bool = False  # the body as it is stored, also when that is gzip
    secret_url: bool = False
    fresh_connection: bool = False
    paid: bool = False  # each request may cost money

    @property
    def tried(self) -> str:
        """Return what it is called in messages: without the query, which may hold what is not to be told."""
        return f"{self.method} {without_query(self.url)}"

    def translated(self) -> AbstractContextManager[None]:
        """Turn aiohttp's errors within into ours."""
        return translated(self.tried, replayable=self.retry, secret_url=self.secret_url)


class Stream:
    """An answer whose body is read piece by piece, as it was stored."""

    def __init__(self, response: aiohttp.ClientResponse, tried: str) -> None:
        self._response = response
        self.tried = tried
        self.status = response.status
        self.headers: Mapping[str, str] = response.headers
        self.hashes = ",".join(response.headers.getall("X-Goog-Hash", []))  # crc32c=…,md5=…

    async def chunks(self, limit_bytes: int) -> AsyncIterator[bytes]:
        """Yield the body in chunks of at most ``limit_bytes``; raise ``Unavailable`` when it breaks off."""
        pieces = self._response.content.iter_chunked(limit_bytes)
        while True:
            with translated(self.tried, replayable=True):
                piece = await anext(pieces, b"")
            if not piece:
                return
            yield piece


async def read_whole(response: aiohttp.ClientResponse, request: Request) -> Answer:
    """Read an answer to its end; raise ``Unavailable`` when it is longer than any answer should be."""
    body = bytearray()
    answer = Answer(status=response.status, headers=response.headers, body=b"", tried=request.tried)
    with request.translated():
        async for piece in response.content.iter_chunked(65_536):
            body += piece
            if len(body) > _ANSWER_LIMIT_BYTES:
                raise answer.unreadable(f"with more than {_ANSWER_LIMIT_BYTES} bytes")
    return replace(answer, body=bytes(body))
