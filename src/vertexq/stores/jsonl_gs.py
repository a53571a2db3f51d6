"""Results as JSON Lines in Cloud Storage: ``jsonl+gs://bucket/prefix``.

The layout is that of a local directory. A record is replaced only in the generation that was read, so of two
writers one wins and the other one looks again; a part's name carries the fencing token and the checksum of
its bytes, so that nothing committed is ever overwritten by other bytes.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Generator, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from typing import Any, ClassVar, TypeVar

from vertexq.errors import (
    ApiError,
    BadSettings,
    NotFound,
    PreconditionFailed,
    Refused,
    StoreRefused,
    Unreachable,
)
from vertexq.google.auth import default_tokens
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.model import GcsUri
from vertexq.stores.parts_store import PartsStore
from vertexq.stores.shelf import FileGone, Seen, Shelf

_T = TypeVar("_T")

_RECORDS = ".progress"
_LINES = "application/x-ndjson"
_TRIES = 5
"""How often a record that changes while it is read is looked up again."""


class JsonlGcsStore(PartsStore):
    """Objects below a prefix of a bucket; workers anywhere may write it."""

    takes_storage_endpoint: ClassVar[bool] = True

    def __init__(self, url: str, *, storage_endpoint: str = "") -> None:
        try:
            root = GcsUri.parse(url.removeprefix("jsonl+"))
        except ValueError as error:
            raise BadSettings(f"{url!r} names no bucket; write jsonl+gs://bucket/prefix") from error
        super().__init__(url, GcsShelf(root, storage_endpoint=storage_endpoint))


class GcsShelf(Shelf):
    """Objects below ``root``. It runs an event loop of its own: call it from a thread without one."""

    def __init__(self, root: GcsUri, *, storage_endpoint: str = "") -> None:
        self._root = root
        self._endpoint = storage_endpoint
        self._runner: asyncio.Runner | None = None
        self._transport: Transport | None = None

    def prepare(self) -> None:
        """Look whether the bucket is there and may be listed; nothing is created."""
        self._run(self._first_name())

    def close(self) -> None:
        """Close the connections and the event loop."""
        if self._runner is not None:
            if self._transport is not None:
                self._runner.run(self._transport.aclose())
            self._runner.close()
        self._runner = self._transport = None

    def address(self, folder: str, name: str = "") -> str:
        """Return the gs:// address."""
        return str(self._uri(folder, name))

    def file_name(self, stem: str, *, fence: int, crc32c: str) -> str:
        """Return a name that only these bytes ever get."""
        return f"{stem}-f{fence}-{crc32c}.jsonl"

    def put(self, folder: str, name: str, data: bytes) -> int:
        """Upload the object unless it is there: its name says that it has the same bytes."""
        return self._run(self._put(self._uri(folder, name), data))

    def publish(self, folder: str, name: str, data: bytes) -> None:
        """Upload the object over what is there."""
        self._run(self._publish(self._uri(folder, name), data))

    def read(self, folder: str, name: str, *, generation: int) -> bytes:
        """Download the generation that was committed."""
        return self._run(self._download(self._uri(folder, name), generation))

    def names(self, folder: str) -> list[str]:
        """List the folder."""
        names = self._run(self._names(self._uri(folder, "")))
        return [name for name in names if "/" not in name]

    def remove(self, folder: str, name: str) -> None:
        """Delete the object."""
        self._run(self._remove(self._uri(folder, name)))

    def records(self, folder: str) -> Iterator[bytes]:
        """Download one record after the other."""
        for name in sorted(self._run(self._names(self._uri(folder, f"{_RECORDS}/")))):
            seen = self._run(self._newest(self._uri(folder, f"{_RECORDS}/{name}")))
            if seen.data is not None:
                yield seen.data

    def hold(self, folder: str, record: str) -> AbstractContextManager[None]:  # noqa: ARG002
        """Do nothing: ``swap`` compares generations."""
        return nullcontext()

    def seen(self, folder: str, record: str) -> Seen:
        """Download the record; its version is its generation, 0 for none."""
        return self._run(self._newest(self._record(folder, record)))

    def swap(self, folder: str, record: str, data: bytes, *, version: int) -> bool:
        """Upload the record if the generation read is still the newest."""
        return self._run(self._swap(self._record(folder, record), data, version))

    def _uri(self, folder: str, name: str) -> GcsUri:
        return self._root.join(f"{folder}/{name}")

    def _record(self, folder: str, record: str) -> GcsUri:
        return self._uri(folder, f"{_RECORDS}/{record}.json")

    def _run(self, work: Coroutine[Any, Any, _T]) -> _T:
        if self._runner is None:
            self._runner = asyncio.Runner()
        with self._translated():
            return self._runner.run(work)

    async def _storage(self) -> Storage:
        if self._transport is None:
            self._transport = Transport(await default_tokens(emulator=bool(self._endpoint)))
        return Storage(self._transport, endpoint=self._endpoint)

    async def _first_name(self) -> None:
        storage = await self._storage()
        async with aclosing(storage.list(self._root)) as found:
            await anext(found, None)

    async def _put(self, uri: GcsUri, data: bytes) -> int:
        storage = await self._storage()
        try:
            return (await storage.upload(uri, data, if_generation_match=0, content_type=_LINES)).generation
        except PreconditionFailed:
            return (await storage.info(uri)).generation

    async def _publish(self, uri: GcsUri, data: bytes) -> None:
        await (await self._storage()).upload(uri, data, content_type="application/json")

    async def _download(self, uri: GcsUri, generation: int) -> bytes:
        storage = await self._storage()
        async with aclosing(storage.download(uri, generation=generation)) as chunks:
            return b"".join([chunk async for chunk in chunks])

    async def _names(self, prefix: GcsUri) -> list[str]:
        storage = await self._storage()
        async with aclosing(storage.list(prefix)) as found:
            return [info.uri.name.removeprefix(prefix.name) async for info in found]

    async def _remove(self, uri: GcsUri) -> None:
        await (await self._storage()).delete(uri)

    async def _newest(self, uri: GcsUri) -> Seen:
        storage = await self._storage()
        for _ in range(_TRIES):
            try:
                generation = (await storage.info(uri)).generation
            except NotFound:
                return Seen(None, 0)
            try:
                return Seen(await self._download(uri, generation), generation)
            except NotFound:
                continue  # replaced in between
        raise Unreachable(f"{uri} was replaced {_TRIES} times while it was read; try again")

    async def _swap(self, uri: GcsUri, data: bytes, version: int) -> bool:
        storage = await self._storage()
        try:
            await storage.upload(uri, data, if_generation_match=version, content_type="application/json")
        except PreconditionFailed:
            return False
        return True

    @contextmanager
    def _translated(self) -> Generator[None]:
        try:
            yield
        except NotFound as error:
            raise FileGone(str(error)) from error
        except Refused as error:
            raise StoreRefused(str(error)) from error
        except ApiError as error:
            raise Unreachable(str(error)) from error
