"""The BigQuery store's way to BigQuery: an event loop, connections and errors of its own."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable, Generator, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from vertexq.errors import ApiError, NotFound, Refused, StoreRefused, Unreachable
from vertexq.google.auth import default_tokens
from vertexq.google.bigquery import BigQuery
from vertexq.google.bigquery_messages import Page, TableRef
from vertexq.google.hosts import is_google
from vertexq.google.rest import Transport

T = TypeVar("T")

QUOTA = "quotaExceeded"


class Link:
    """BigQuery for one table's dataset. Use it from one thread at a time, one without an event loop."""

    def __init__(self, table: TableRef, *, endpoint: str = "") -> None:
        self.table = table
        self._endpoint = endpoint
        self._runner: asyncio.Runner | None = None
        self._transport: Transport | None = None
        self._location = ""

    def run(self, work: Callable[[BigQuery, str], Awaitable[T]]) -> T:
        """Run ``work`` with the client and the dataset's location; Google's errors become a store's."""

        async def with_client() -> T:
            client = BigQuery(await self._connected(), endpoint=self._endpoint)
            return await work(client, await self._placed(client))

        with self._translated():
            return self._loop().run(with_client())

    def rows(
        self, sql: str, parameters: Sequence[Mapping[str, object]], *, page_rows: int
    ) -> Iterator[tuple[Any, ...]]:
        """Yield what a query finds; a page of it is in memory."""
        pages = self.run(lambda client, location: self._pages(client, location, sql, parameters, page_rows))
        try:
            while (page := self.run(lambda _, __: _next(pages))) is not None:
                yield from page.rows
        finally:
            if self._runner is not None:  # else it is closed, and whatever the query held with it
                self._runner.run(pages.aclose())

    def close(self) -> None:
        """Close the connections and the event loop. Safe to repeat."""
        runner, self._runner = self._runner, None
        transport, self._transport = self._transport, None
        if runner is not None:
            if transport is not None:
                runner.run(transport.aclose())
            runner.close()

    async def _pages(
        self, client: BigQuery, location: str, sql: str, parameters: Sequence[Mapping[str, object]], rows: int
    ) -> AsyncGenerator[Page]:
        return client.query(self.table.project, location, sql, parameters, page_rows=rows)

    def _loop(self) -> asyncio.Runner:
        if self._runner is None:
            self._runner = asyncio.Runner()
        return self._runner

    async def _connected(self) -> Transport:
        if self._transport is None:
            emulator = bool(self._endpoint) and not is_google(self._endpoint)
            self._transport = Transport(await default_tokens(emulator=emulator))
        return self._transport

    async def _placed(self, client: BigQuery) -> str:
        if not self._location:
            try:
                self._location = await client.location(self.table)
            except NotFound as error:
                raise StoreRefused(
                    f"there is no dataset {self.table.project}.{self.table.dataset} in BigQuery, or these "
                    "credentials may not see it; create it where results shall be (bq mk --location=PLACE "
                    f"{self.table.project}:{self.table.dataset}); its tables are made for you"
                ) from error
        return self._location

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except Refused as error:
            if error.code == QUOTA:
                raise Unreachable(f"{error}; tried again later") from error
            raise StoreRefused(str(error)) from error
        except ApiError as error:
            raise Unreachable(str(error)) from error


async def _next(pages: AsyncGenerator[Page]) -> Page | None:
    return await anext(pages, None)
