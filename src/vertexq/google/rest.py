"""The one HTTP transport to Google: deadlines, credentials, retries; every failure is an error of ours."""

from __future__ import annotations

import asyncio
import io
import random
from collections.abc import AsyncGenerator, Collection, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from importlib.metadata import version
from types import TracebackType
from typing import Self
from urllib.parse import quote, urlencode

import aiohttp
import orjson
from yarl import URL

from vertexq.errors import ApiError, Unavailable, Unreachable, VertexqError
from vertexq.google.auth import Tokens
from vertexq.google.exchange import Answer, Request, Stream, read_whole
from vertexq.google.hosts import is_google, origin
from vertexq.google.pace import Pace, Restraint, Unrestrained

__all__ = ["Answer", "Stream", "Transport"]

_CONNECT_S = 10.0
_SILENCE_S = 30.0  # how long the socket of a call that may be repeated stays silent
_UNAUTHENTICATED = 401
_PAID_TRIES = 3

NOT_MADE = "NOT_MADE"
"""The ``code`` of an ``Unavailable`` error when the limits let no call through: nothing was sent."""


class Transport:
    """What every call to Google goes through. One for a process and its event loop; close it with ``aclose``.

    It follows no redirects, knows no cookies and takes no proxy from the environment. The token goes to
    Google's hosts and to endpoints given to ``trust``, to nobody else. Every try of a call that may be
    repeated asks ``restraint`` first and tells it how it went.
    """

    def __init__(
        self,
        tokens: Tokens,
        *,
        deadline_s: float = 60.0,
        pace: Pace | None = None,
        restraint: Restraint | None = None,
    ) -> None:
        self.pace = pace or Pace()
        self._restraint = restraint or Unrestrained()
        self._tokens = tokens
        self._deadline_s = deadline_s
        self._trusted: set[str] = set()
        self._sessions: dict[bool, aiohttp.ClientSession] = {}

    def trust(self, url: str) -> None:
        """Let the token go to the host of ``url`` too: an endpoint from the settings."""
        self._trusted.add(origin(url))

    async def call(
        self,
        method: str,
        url: str,
        *,
        params: Mapping[str, str] | None = None,
        json: object = None,
        data: bytes | None = None,
        headers: Mapping[str, str] | None = None,
        deadline_s: float | None = None,
        expect: Collection[int] = (200,),
        retry: bool,
        secret_url: bool = False,
        fresh_connection: bool = False,
        paid: bool = False,
    ) -> Answer:
        """Make a call and return its answer, whose status is in ``expect``.

        With ``retry`` the call must be safe to repeat: a lost answer, 408, 429, 5xx and (once, with a new
        token) 401 are tried again within the deadline. Without it exactly one request is made. Raise the
        ``ApiError`` for any other status, ``Unreachable`` when nothing was sent, and without an answer
        ``Unavailable`` (``retry``) or ``Ambiguous``. The deadline, in seconds, covers all tries. A call that
        is ``paid`` is repeated twice at most, and its answer may take as long as the deadline.
        """
        request = Request(
            method=method,
            url=_with_query(url, params),
            headers=_headers(headers, json=json),
            body=data if json is None else orjson.dumps(json),
            expect=expect,
            retry=retry,
            secret_url=secret_url,
            fresh_connection=fresh_connection,
            paid=paid,
        )
        until_s = asyncio.get_running_loop().time() + (deadline_s or self._deadline_s)
        if retry:
            return await self._until(request, until_s)
        return await self._send(request, until_s, await self._token(request, until_s))

    async def _until(self, request: Request, until_s: float) -> Answer:
        """Repeat until it works, cannot work, or the next wait would end after the deadline."""
        renewed, tries = False, 0
        while True:
            tries += 1
            token: dict[str, str] = {}
            await self._turn(request, until_s)
            try:
                token = await self._token(request, until_s)
                return replace(await self._tried(request, until_s, token), tries=tries)
            except VertexqError as error:
                if not renewed and _unauthenticated(error) and self._tokens.reject(token):
                    renewed = True
                    continue
                if request.paid and tries >= _PAID_TRIES:
                    raise
                await self.wait(error, tries, until_s, url=request.url)

    async def _turn(self, request: Request, until_s: float) -> None:
        """Wait until the restraint lets the call go; raise ``Unavailable`` when that is past the deadline."""
        while wait_s := await self._restraint.before(request.url):
            if asyncio.get_running_loop().time() + wait_s >= until_s:
                raise Unavailable(
                    f"{request.tried} was not made: the limits on calls let none through for {wait_s:.0f} s "
                    "(`vertexq status --limits` says why); it is made again later",
                    code=NOT_MADE,
                    retry_after_s=wait_s,
                )
            await asyncio.sleep(wait_s)

    async def _tried(self, request: Request, until_s: float, token: Mapping[str, str]) -> Answer:
        try:
            answer = await self._send(request, until_s, token)
        except VertexqError as error:
            await self._restraint.after(request.url, error)
            raise
        await self._restraint.after(request.url, None)
        return answer

    async def wait(
        self, error: VertexqError, tries: int, until_s: float | None = None, *, url: str = ""
    ) -> None:
        """Wait after failure number ``tries``; raise ``error`` when another try is useless or too late.

        So it is when the restraint on calls to ``url`` allows no repeat. Without ``until_s`` (the loop's
        clock) the wait alone must be shorter than the deadline of a call.
        """
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        wait_s = self.pace.wait_s(tries, dice=random.random(), retry_after_s=asked_s)
        now_s = asyncio.get_running_loop().time()
        last_s = now_s + self._deadline_s if until_s is None else until_s
        if not error.retryable or wait_s is None or now_s + wait_s >= last_s:
            raise error
        if not await self._restraint.may_repeat(url, error):
            raise error
        await asyncio.sleep(wait_s)

    @asynccontextmanager
    async def stream(
        self,
        url: str,
        *,
        headers: Mapping[str, str],
        expect: Collection[int],
        deadline_s: float | None = None,
    ) -> AsyncGenerator[Stream]:
        """GET ``url`` and give its answer as a stream of the stored bytes; one request, not repeated.

        The deadline, in seconds, covers the whole body. Raise as ``call`` does with ``retry``.
        """
        request = Request(
            url=url, headers={**headers, "Accept-Encoding": "gzip"}, expect=expect, retry=True, raw=True
        )
        until_s = asyncio.get_running_loop().time() + (deadline_s or self._deadline_s)
        for renewed in (False, True):
            token = await self._token(request, until_s)
            async with self._open(request, until_s, token) as response:
                if response.status == _UNAUTHENTICATED and not renewed and self._tokens.reject(token):
                    continue
                if response.status not in expect:
                    raise (await read_whole(response, request)).error()
                await self._restraint.after(url, None)
                yield Stream(response, request.tried)
                return

    async def aclose(self) -> None:
        """Close every connection. Safe to repeat."""
        sessions, self._sessions = self._sessions, {}
        for session in sessions.values():
            await session.close()

    async def __aenter__(self) -> Self:
        """Open nothing yet: connections are made when they are needed."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close."""
        await self.aclose()

    async def _send(self, request: Request, until_s: float, token: Mapping[str, str]) -> Answer:
        async with self._open(request, until_s, token) as response:
            answer = await read_whole(response, request)
        if answer.status not in request.expect:
            raise answer.error()
        return answer

    async def _token(self, request: Request, until_s: float) -> dict[str, str]:
        if not is_google(request.url) and origin(request.url) not in self._trusted:
            return {}
        try:
            async with asyncio.timeout_at(until_s):
                return await self._tokens.header()
        except TimeoutError as error:
            raise Unreachable(f"{request.tried}: no access token in time; try again later") from error

    @asynccontextmanager
    async def _open(
        self, request: Request, until_s: float, token: Mapping[str, str]
    ) -> AsyncGenerator[aiohttp.ClientResponse]:
        left_s = max(0.001, until_s - asyncio.get_running_loop().time())  # 0 would mean no limit at all
        quick = request.retry and not request.paid
        silence_s = _SILENCE_S if quick else None  # giving up early on a paid call gains nothing
        with request.translated():
            response = await self._session(fresh=request.fresh_connection).request(
                request.method,
                URL(request.url, encoded=True),
                headers={**request.headers, **token},
                data=None if request.body is None else io.BytesIO(request.body),
                timeout=aiohttp.ClientTimeout(total=left_s, sock_connect=_CONNECT_S, sock_read=silence_s),
                allow_redirects=False,
                auto_decompress=not request.raw,
            )
        try:
            yield response
        finally:
            response.release()

    def _session(self, *, fresh: bool) -> aiohttp.ClientSession:
        """Return the session for kept (or for fresh) connections; it belongs to the running loop."""
        if fresh not in self._sessions:
            self._sessions[fresh] = aiohttp.ClientSession(
                connector=aiohttp.TCPConnector(force_close=fresh),
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"vertexq/{version('vertexq')}"},
                trust_env=False,
            )
        return self._sessions[fresh]


def _unauthenticated(error: VertexqError) -> bool:
    return isinstance(error, ApiError) and error.status == _UNAUTHENTICATED


def _with_query(url: str, params: Mapping[str, str] | None) -> str:
    return f"{url}?{urlencode(params, quote_via=quote)}" if params else url


def _headers(headers: Mapping[str, str] | None, *, json: object) -> dict[str, str]:
    content_type = {} if json is None else {"Content-Type": "application/json; charset=UTF-8"}
    return {**content_type, **(headers or {})}
