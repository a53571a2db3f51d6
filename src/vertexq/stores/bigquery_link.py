"""The BigQuery store's way to BigQuery: its client, where its dataset is, and queries page by page."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from typing import Any, TypeVar

from vertexq.errors import NotFound, StoreRefused
from vertexq.google.bigquery import BigQuery
from vertexq.google.bigquery_messages import Page, TableRef
from vertexq.google.hosts import is_google
from vertexq.stores.google_loop import GoogleLoop

T = TypeVar("T")


class Link:
    """BigQuery for one table's dataset. Use it from one thread at a time, one without an event loop."""

    def __init__(self, table: TableRef, *, endpoint: str = "") -> None:
        self.table = table
        self._endpoint = endpoint
        self._loop = GoogleLoop(emulator=bool(endpoint) and not is_google(endpoint))
        self._location = ""

    def run(self, work: Callable[[BigQuery, str], Awaitable[T]]) -> T:
        """Run ``work`` with the client and the dataset's location; Google's errors become a store's."""

        async def with_client() -> T:
            client = BigQuery(await self._loop.transport(), endpoint=self._endpoint)
            return await work(client, await self._placed(client))

        return self._loop.run(with_client())

    def rows(
        self, sql: str, parameters: Sequence[Mapping[str, object]], *, page_rows: int
    ) -> Iterator[tuple[Any, ...]]:
        """Yield what a query finds; a page of it is in memory."""
        pages = self.run(lambda client, location: self._pages(client, location, sql, parameters, page_rows))
        try:
            while (page := self.run(lambda _, __: _next(pages))) is not None:
                yield from page.rows
        finally:
            if self._loop.is_open:  # else whatever the query held is closed with it
                self._loop.run(pages.aclose())

    def close(self) -> None:
        """Close the connections and the event loop. Safe to repeat."""
        self._loop.close()

    async def _pages(
        self, client: BigQuery, location: str, sql: str, parameters: Sequence[Mapping[str, object]], rows: int
    ) -> AsyncGenerator[Page]:
        return client.query(self.table.project, location, sql, parameters, page_rows=rows)

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


async def _next(pages: AsyncGenerator[Page]) -> Page | None:
    return await anext(pages, None)
