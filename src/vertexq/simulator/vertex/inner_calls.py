"""What the simulated Vertex AI calls other services of Google with, as Google's own would."""

from __future__ import annotations

import aiohttp

from vertexq.simulator._suffer import INTERNAL


class InnerCalls:
    """Calls of Vertex AI's own; they suffer none of the faults that are armed."""

    def __init__(self, *, token: str = "") -> None:
        self._headers = {INTERNAL: "vertex"} | ({"Authorization": f"Bearer {token}"} if token else {})
        self._session: aiohttp.ClientSession | None = None

    async def open(self) -> None:
        """Make ready to call."""
        unlimited = aiohttp.TCPConnector(limit=0)  # a job that reads also writes: a limit could lock all up
        timeout = aiohttp.ClientTimeout(total=None, sock_connect=30, sock_read=60)
        self._session = aiohttp.ClientSession(connector=unlimited, headers=self._headers, timeout=timeout)

    async def close(self) -> None:
        """End every call."""
        if self._session is not None:
            await self._session.close()

    @property
    def _http(self) -> aiohttp.ClientSession:
        if self._session is None:
            raise RuntimeError("the calls of the simulated Vertex AI are not open")
        return self._session
