"""Posts one message to a webhook: one request, no redirects, no cookies, no proxy, bounded in time.

Bodies of answers are not read. Nothing here raises for what a receiver does: that is an ``Answer``.
"""

from __future__ import annotations

import io
import time
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from importlib.metadata import version
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from vertexq.retry import asked_s
from vertexq.webhooks.address import Webhook
from vertexq.webhooks.guard import AddressRefused, GuardedResolver, guarded_socket
from vertexq.webhooks.signature import signed_headers
from vertexq.webhooks.verdict import Answer

_CONNECT_S = 10.0


class Sender:
    """Connections to one webhook; an asynchronous context manager."""

    def __init__(self, webhook: Webhook, *, timeout_s: float) -> None:
        self._webhook = webhook
        self._timeout_s = timeout_s
        self._open = AsyncExitStack()
        self._session: aiohttp.ClientSession | None = None

    async def post(self, message_id: str, body: bytes) -> Answer:
        """Post a JSON body; say what came back within ``timeout_s`` seconds."""
        if self._session is None:
            raise RuntimeError("open the sender first: async with Sender(…)")
        webhook = self._webhook
        headers = signed_headers(message_id, body, at_s=int(time.time()), secrets=webhook.secrets)
        try:
            async with self._session.post(
                URL(webhook.url, encoded=True),
                data=io.BytesIO(body),
                headers=headers | {"content-type": "application/json"},
                allow_redirects=False,
            ) as response:
                wait_s = asked_s(response.headers.get("retry-after"), datetime.now(UTC))
                return Answer(status=response.status, retry_after_s=wait_s)
        except (aiohttp.ClientError, OSError) as error:  # TimeoutError is an OSError
            return Answer(failure=f"{webhook.host}: {_why(error)}")

    async def __aenter__(self) -> Self:
        """Make the session; connections are made when they are needed."""
        allow_private = self._webhook.allow_private
        resolver = GuardedResolver(allow_private=allow_private)
        guarded = guarded_socket(allow_private=allow_private)
        connector = aiohttp.TCPConnector(resolver=resolver, use_dns_cache=False, socket_factory=guarded)
        self._session = await self._open.enter_async_context(
            aiohttp.ClientSession(
                connector=connector,
                cookie_jar=aiohttp.DummyCookieJar(),
                headers={"User-Agent": f"vertexq/{version('vertexq')}"},
                timeout=aiohttp.ClientTimeout(total=self._timeout_s, sock_connect=_CONNECT_S),
                trust_env=False,
                auto_decompress=False,
            )
        )
        self._open.push_async_callback(resolver.close)
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close every connection."""
        self._session = None
        await self._open.aclose()


def _why(error: BaseException) -> str:
    """Say what went wrong; an address is refused inside of aiohttp's own error."""
    inner: BaseException | None = error
    while inner is not None:
        if isinstance(inner, AddressRefused):
            return str(inner)
        inner = inner.__cause__ or inner.__context__
    if isinstance(error, TimeoutError):
        return "no answer in time"
    return f"no answer ({type(error).__name__})"
