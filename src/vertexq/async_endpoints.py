"""Endpoints for asyncio programs: the same verbs, with waiting left to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from typing import Any, Concatenate, ParamSpec, Protocol, TypeVar

from vertexq.endpoint_desk import EndpointDesk, OnOperation
from vertexq.endpoints import Operation
from vertexq.errors import NotDone
from vertexq.retry import look_wait_s

P = ParamSpec("P")
T = TypeVar("T")


class InThread(Protocol):
    """Does a piece of work in the client's thread."""

    def __call__(self, work: Callable[[], T]) -> Awaitable[T]:
        """Return what the work returns."""
        ...


def _forwarded(
    method: Callable[Concatenate[EndpointDesk, P], T],
) -> Callable[Concatenate[AsyncEndpointDesk, P], Coroutine[Any, Any, T]]:
    async def call(self: AsyncEndpointDesk, /, *args: P.args, **options: P.kwargs) -> T:
        return await self.in_thread(lambda: method(self.desk, *args, **options))

    call.__doc__ = method.__doc__
    return call


class AsyncEndpointDesk:
    """What ``EndpointDesk`` does, done in the client's thread."""

    create = _forwarded(EndpointDesk.create)
    deploy = _forwarded(EndpointDesk.deploy)
    undeploy = _forwarded(EndpointDesk.undeploy)
    delete = _forwarded(EndpointDesk.delete)
    operation = _forwarded(EndpointDesk.operation)
    operations = _forwarded(EndpointDesk.operations)
    list = _forwarded(EndpointDesk.list)
    get = _forwarded(EndpointDesk.get)
    predict = _forwarded(EndpointDesk.predict)
    generate = _forwarded(EndpointDesk.generate)
    embed = _forwarded(EndpointDesk.embed)

    def __init__(self, desk: EndpointDesk, in_thread: InThread) -> None:
        self.desk = desk
        self.in_thread = in_thread

    async def wait(
        self,
        id: str,  # noqa: A002
        *,
        timeout_s: float | None = None,
        on_progress: OnOperation | None = None,
    ) -> Operation:
        """Return an operation when it is done or has failed; see ``EndpointDesk.wait``."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._watch(id, on_progress)
        except TimeoutError:
            raise NotDone(
                f"operation {id} had not ended after {timeout_s:g} s; it goes on, wait again"
            ) from None

    async def _watch(self, operation_id: str, on_progress: OnOperation | None) -> Operation:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        while True:
            operation = await self.operation(operation_id)
            if on_progress is not None:
                on_progress(operation)
            if operation.resting:
                return operation
            await asyncio.sleep(look_wait_s(loop.time() - began_s, longest_s=1.0))
