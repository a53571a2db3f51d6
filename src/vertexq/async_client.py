"""The client for asyncio programs: the same verbs, with waiting left to the event loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterable, AsyncIterator, Callable, Collection, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import TYPE_CHECKING, Any, Self, TypeVar

from vertexq.client import NO_POLICY, Client, OnProgress, Source, TemplateSource
from vertexq.errors import NotDone
from vertexq.model import Policy, Submission
from vertexq.results import Outcome, QuarantinedLine, Result
from vertexq.retry import look_wait_s
from vertexq.status import Status
from vertexq.terms import Deadline

if TYPE_CHECKING:  # it brings the ledger along
    from vertexq.async_endpoints import AsyncEndpointDesk
    from vertexq.events import Event
    from vertexq.recipients import Told

T = TypeVar("T")

ROWS_AT_ONCE = 1_000
"""How many rows or results cross between the event loop and the client's thread at a time."""


class AsyncClient:
    """Enqueues submissions and reads their results without blocking the event loop.

    Takes the arguments of ``Client``; the work is done by one ``Client`` in a thread of its own.
    """

    def __init__(
        self,
        *,
        ledger_url: str | None = None,
        broker_url: str | None = None,
        stores: Mapping[str, str] | None = None,
        environ: Mapping[str, str] | None = None,
    ) -> None:
        self._client = Client(ledger_url=ledger_url, broker_url=broker_url, stores=stores, environ=environ)
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vertexq-client")

    async def submit(
        self,
        source: Source | AsyncIterable[object],
        *,
        model: str,
        store: str | Sequence[str],
        id: str | None = None,  # noqa: A002
        key: str = "key",
        labels: Mapping[str, str] | None = None,
        project: str = "",
        location: str = "",
        policy: Policy = NO_POLICY,
        template: TemplateSource | None = None,
        priority: int = 0,
        budget_usd: float | str | None = None,
        deadline: Deadline | None = None,
        on_deadline: str = "report",
        tenant: str = "",
        on_complete: str = "",
        family: str = "",
        parameters: Mapping[str, Any] | None = None,
        destination: str = "",
        finish_online: int = 0,
    ) -> Submission:
        """Enqueue rows, which may come from an async iterable; see ``Client.submit``."""
        rows = _pulled(source, asyncio.get_running_loop()) if isinstance(source, AsyncIterable) else source
        return await self._call(
            lambda: self._client.submit(
                rows, model=model, store=store, id=id, key=key, labels=labels,
                project=project, location=location, policy=policy, template=template, priority=priority,
                budget_usd=budget_usd, deadline=deadline, on_deadline=on_deadline, tenant=tenant,
                on_complete=on_complete, family=family, parameters=parameters, destination=destination,
                finish_online=finish_online,
            )
        )  # fmt: skip

    @property
    def endpoints(self) -> AsyncEndpointDesk:
        """Endpoints that serve models online; see ``Client.endpoints``."""
        from vertexq.async_endpoints import AsyncEndpointDesk  # noqa: PLC0415

        return AsyncEndpointDesk(self._client.endpoints, self._call)

    async def get(self, id: str) -> Status:  # noqa: A002
        """Return how a submission stands; raise ``UnknownSubmission``."""
        return await self._call(lambda: self._client.get(id))

    async def wait(
        self,
        id: str,  # noqa: A002
        *,
        timeout_s: float | None = None,
        on_progress: OnProgress | None = None,
        interval_s: float | None = None,
    ) -> Status:
        """Return when the submission has ended or is parked; see ``Client.wait``."""
        try:
            async with asyncio.timeout(timeout_s):
                return await self._watch(id, on_progress, interval_s)
        except TimeoutError:
            raise NotDone(
                f"submission {id} had not ended after {timeout_s:g} s; it goes on, wait again"
            ) from None

    async def _watch(
        self, submission_id: str, on_progress: OnProgress | None, interval_s: float | None
    ) -> Status:
        loop = asyncio.get_running_loop()
        began_s, longest_s = loop.time(), 2.0 if on_progress is None else 0.5
        while True:
            status = await self.get(submission_id)
            if on_progress is not None:
                on_progress(status)
            if status.resting:
                return status
            await asyncio.sleep(interval_s or look_wait_s(loop.time() - began_s, longest_s=longest_s))

    async def events(
        self,
        id: str,  # noqa: A002
        *,
        after: str = "",
        follow: bool = True,
    ) -> AsyncIterator[Event]:
        """Yield what happens to a submission; see ``Client.events``."""
        stream, quiet_s = await self._call(lambda: self._client.event_stream(id, after)), 0.0
        while True:
            found = await self._call(stream.look)
            for event in found:
                yield event
            if stream.ended or not (follow or stream.has_more):
                return
            if not stream.has_more:
                wait_s = look_wait_s(quiet_s)
                quiet_s = 0.0 if found else quiet_s + wait_s
                await asyncio.sleep(wait_s)

    async def results(
        self,
        id: str,  # noqa: A002
        *,
        outcomes: Collection[Outcome] | None = None,
        store: str | None = None,
    ) -> AsyncIterator[Result]:
        """Stream the results of a submission, also while it runs; rows come in no order."""
        rows = self._client.results(id, outcomes=outcomes, store=store)
        while batch := await self._call(lambda: _take(rows)):
            for row in batch:
                yield row

    async def cancel(self, id: str) -> Status:  # noqa: A002
        """Ask to stop a submission; finished rows are kept and paid for."""
        return await self._call(lambda: self._client.cancel(id))

    async def retry(
        self,
        id: str,  # noqa: A002
        *,
        outcomes: Collection[str],
        model: str | None = None,
    ) -> Status:
        """Have rows of a submission that has ended tried again; see ``Client.retry``."""
        return await self._call(lambda: self._client.retry(id, outcomes=outcomes, model=model))

    async def deliveries(self, id: str, *, again: bool = False) -> Sequence[Told]:  # noqa: A002
        """Return what webhooks and Celery tasks were told; see ``Client.deliveries``."""
        return await self._call(lambda: self._client.deliveries(id, again=again))

    async def quarantine(
        self,
        id: str,  # noqa: A002
        *,
        store: str | None = None,
    ) -> AsyncIterator[QuarantinedLine]:
        """Stream the lines of Google's output that are in no row."""
        lines = self._client.quarantine(id, store=store)
        while batch := await self._call(lambda: _take(lines)):
            for line in batch:
                yield line

    async def close(self) -> None:
        """Close the connections and the thread."""
        await self._call(self._client.close)
        self._thread.shutdown()

    async def __aenter__(self) -> Self:
        """Return the client."""
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        """Close the client."""
        await self.close()

    async def _call(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)


def _take(rows: Iterator[T]) -> list[T]:
    return [row for _, row in zip(range(ROWS_AT_ONCE), rows, strict=False)]


def _pulled(source: AsyncIterable[object], loop: asyncio.AbstractEventLoop) -> Iterator[object]:
    """Turn an async iterable of ``loop`` into an iterator for the client's thread, some rows at a time."""
    rows = aiter(source)

    async def some() -> list[object]:
        found: list[object] = []
        async for row in rows:
            found.append(row)
            if len(found) == ROWS_AT_ONCE:
                break
        return found

    while batch := asyncio.run_coroutine_threadsafe(some(), loop).result():
        yield from batch
