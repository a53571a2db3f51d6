"""The way to Google as the settings say it, with the limits that all processes of a project share."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from typing import TYPE_CHECKING, TypeVar

from vertexq.settings import Settings

if TYPE_CHECKING:  # a producer that never asks Google never loads it
    from vertexq.google.rest import Transport
    from vertexq.limits.link import Link
    from vertexq.limits.shared import SharedLimits

T = TypeVar("T")


class Connection:
    """Puts questions to Google from a program that is not asynchronous, one at a time, from any thread.

    They are put on an event loop in a thread of its own, so that the caller may have one too. Connections are
    made for the first question and kept until ``close``.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vertexq-google")
        self._closed = False
        self._runner: asyncio.Runner | None = None
        self._opened: AbstractAsyncContextManager[Transport] | None = None
        self._transport: Transport | None = None

    def run(self, ask: Callable[[Transport], Awaitable[T]]) -> T:
        """Return the answer to a question; raise what it raises."""
        return self._thread.submit(self._run, ask).result()

    def close(self) -> None:
        """Close the connections. Safe to repeat."""
        if not self._closed:
            self._closed = True
            self._thread.submit(self._close).result()
            self._thread.shutdown()

    def _run(self, ask: Callable[[Transport], Awaitable[T]]) -> T:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner.run(self._asked(ask))

    def _close(self) -> None:
        runner, opened = self._runner, self._opened
        self._runner = self._opened = self._transport = None
        if runner is not None:
            if opened is not None:
                runner.run(_left(opened))
            runner.close()

    async def _asked(self, ask: Callable[[Transport], Awaitable[T]]) -> T:
        if self._transport is None:
            opened = connected(self._settings)
            self._transport = await opened.__aenter__()
            self._opened = opened
        return await ask(self._transport)


@asynccontextmanager
async def connected(settings: Settings) -> AsyncGenerator[Transport]:
    """Open a transport to Vertex AI that keeps to the workers' limits; a simulated one needs no credentials.

    While Redis does not answer, reads keep to a small limit of this process, and what is paid for waits.
    """
    from vertexq.google.auth import default_tokens  # noqa: PLC0415
    from vertexq.google.rest import Transport  # noqa: PLC0415
    from vertexq.limits.budget import RetryBudget  # noqa: PLC0415
    from vertexq.limits.link import Link  # noqa: PLC0415
    from vertexq.limits.restraint import SharedRestraint  # noqa: PLC0415

    async with AsyncExitStack() as stack:
        tokens = await default_tokens(emulator=bool(settings.vertex_endpoint))
        link = await stack.enter_async_context(Link(settings.broker_url, warn=False))
        limits = shared_limits(link, settings)
        restraint = SharedRestraint(limits, RetryBudget(link), project=settings.project)
        yield await stack.enter_async_context(
            Transport(tokens, deadline_s=settings.request_deadline_s, restraint=restraint)
        )


def shared_limits(link: Link, settings: Settings) -> SharedLimits:
    """Return the limits that all workers keep to."""
    from vertexq.limits.shape import shapes  # noqa: PLC0415
    from vertexq.limits.shared import SharedLimits  # noqa: PLC0415

    of_calls = shapes(
        creates_per_minute=settings.creates_per_minute,
        reads_per_minute=settings.reads_per_minute,
        online_per_minute=settings.online_per_minute,
        request_deadline_s=settings.request_deadline_s,
    )
    return SharedLimits(link, of_calls)


async def _left(opened: AbstractAsyncContextManager[Transport]) -> None:
    await opened.__aexit__(None, None, None)
