"""The stores of this process by name, each opened once and used by one thread of its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from vertexq.errors import UnknownStore
from vertexq.stores import open_store
from vertexq.stores.base import Store
from vertexq.stores.layout import take_options
from vertexq.stores.vectors import Vector

T = TypeVar("T")


class StoreBook:
    """Opens stores by name. ``urls`` is what the worker's environment says (``VERTEXQ_STORE_<NAME>``)."""

    def __init__(
        self,
        urls: Mapping[str, str],
        *,
        storage_endpoint: str = "",
        bigquery_endpoint: str = "",
        ledger_url: str = "",
    ) -> None:
        self._urls = dict(urls)
        self._options = {
            "storage_endpoint": storage_endpoint,
            "bigquery_endpoint": bigquery_endpoint,
            "ledger_url": ledger_url,
        }
        self._open: dict[str, _OpenStore] = {}

    async def call(self, name: str, use: Callable[[Store], T]) -> T:
        """Run ``use`` with the store called ``name``, in that store's thread; prepare it the first time."""
        opened = self._open.get(name) or self._open.setdefault(name, _OpenStore())
        return await asyncio.get_running_loop().run_in_executor(
            opened.thread, lambda: use(self._prepared(name, opened))
        )

    def check(self, name: str) -> None:
        """Raise ``UnknownStore`` when no store of this name is configured."""
        if name not in self._urls:
            known = ", ".join(sorted(self._urls)) or "none at all"
            raise UnknownStore(
                f"no store is called {name!r} here (known: {known}); "
                f"set VERTEXQ_STORE_{name.upper()} to its URL, for example sqlite:///results.db"
            )

    def dimensions(self, name: str) -> int:
        """Return how many numbers each vector of a store has; 0 when its URL does not say."""
        _, options = take_options(self._urls.get(name, ""), "vector")
        return Vector.parse(options["vector"], halves=True).dimensions if "vector" in options else 0

    def chunk_limits(self, names: Iterable[str], *, rows: int, size_bytes: int) -> tuple[int, int]:
        """Return how many rows and bytes end a chunk for stores in use: ``rows`` and ``size_bytes``, or more.

        A store for which few large commits are better than many says so.
        """
        stores = [opened.store for name in names if (opened := self._open.get(name)) and opened.store]
        most_rows = max([rows, *(store.chunk_rows or 0 for store in stores)])
        return most_rows, max([size_bytes, *(store.chunk_bytes or 0 for store in stores)])

    async def close(self) -> None:
        """Close every store, each in its own thread."""
        for opened in self._open.values():
            store = opened.store
            if store is not None:
                await asyncio.get_running_loop().run_in_executor(opened.thread, store.close)
            opened.thread.shutdown()
        self._open.clear()

    def _prepared(self, name: str, opened: _OpenStore) -> Store:
        if opened.store is None:
            self.check(name)
            opened.store = open_store(self._urls[name], name=name, **self._options).prepared()
        return opened.store


class _OpenStore:
    """A store and its thread; the store is None until it has been prepared."""

    def __init__(self) -> None:
        self.thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="vertexq-store")
        self.store: Store | None = None
