"""The files of a file store in Cloud Storage.

The layout is that of a local directory. A record is replaced only in the generation that was read, so of two
writers one wins and the other one looks again; a part's name carries the fencing token and the checksum of
its bytes, so that nothing committed is ever overwritten by other bytes.
"""

from __future__ import annotations

import base64
from collections.abc import AsyncIterator, Coroutine, Generator, Iterator
from contextlib import AbstractContextManager, aclosing, contextmanager, nullcontext
from io import BytesIO
from tempfile import SpooledTemporaryFile
from typing import Any, BinaryIO, TypeVar, cast

from vertexq.errors import BadSettings, NotFound, PreconditionFailed, StoreRefused, Unreachable
from vertexq.google.storage import Storage
from vertexq.model import GcsUri, ObjectInfo
from vertexq.stores.base import without_secrets
from vertexq.stores.google_loop import GoogleLoop
from vertexq.stores.shelf import FileGone, Seen, Shelf

_T = TypeVar("_T")

_RECORDS = ".progress"
_TYPES = {
    ".jsonl": "application/x-ndjson",
    ".jsonl.zst": "application/zstd",
    ".parquet": "application/vnd.apache.parquet",
}
_BLOCK_BYTES = 1 << 20
_IN_MEMORY_BYTES = 8 << 20
"""How much of an object is read into memory; a larger one goes to a temporary file."""
_TRIES = 5
"""How often a record that changes while it is read is looked up again."""


def prefix_in(url: str, scheme: str) -> GcsUri:
    """Return the bucket and prefix that ``url`` names; raise ``BadSettings`` when it names none."""
    try:
        if "?" not in url:
            return GcsUri.parse(url.removeprefix(f"{scheme}+"))
    except ValueError:
        pass
    raise BadSettings(
        f"the store's URL {without_secrets(url)} names no bucket, or a ?setting is not known; "
        f"write {scheme}+gs://bucket/prefix"
    )


class GcsShelf(Shelf):
    """Objects below ``root``. It runs an event loop of its own: call it from a thread without one."""

    def __init__(self, root: GcsUri, *, storage_endpoint: str = "") -> None:
        self._root = root
        self._endpoint = storage_endpoint
        self._loop = GoogleLoop(emulator=bool(storage_endpoint))

    def prepare(self) -> None:
        """Look whether the bucket is there and may be listed; nothing is created."""
        self._run(self._first_name())

    def close(self) -> None:
        """Close the connections and the event loop."""
        self._loop.close()

    def address(self, folder: str, name: str = "") -> str:
        """Return the gs:// address."""
        return str(self._uri(folder, name))

    def file_name(self, stem: str, ending: str, *, fence: int, crc32c: str) -> str:
        """Return a name that only these bytes ever get."""
        return f"{stem}-f{fence}-{crc32c}{ending}"

    def put(self, folder: str, name: str, data: BinaryIO) -> int:
        """Upload the object unless it is there: its name says that it has the same bytes."""
        return self._run(self._put(self._uri(folder, name), data))

    def publish(self, folder: str, name: str, data: bytes) -> None:
        """Upload the object over what is there."""
        self._run(self._publish(self._uri(folder, name), data))

    @contextmanager
    def open(self, folder: str, name: str, *, generation: int) -> Generator[BinaryIO]:
        """Download the generation that was committed."""
        with SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES) as spooled:
            file = cast("BinaryIO", spooled)
            self._run(self._fetch(self._uri(folder, name), generation, file))
            file.seek(0)
            yield file

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
        return self._loop.run(_or_gone(work))

    async def _storage(self) -> Storage:
        return Storage(await self._loop.transport(), endpoint=self._endpoint)

    async def _first_name(self) -> None:
        storage = await self._storage()
        async with aclosing(storage.list(self._root)) as found:
            await anext(found, None)

    async def _put(self, uri: GcsUri, data: BinaryIO) -> int:
        storage = await self._storage()
        kind = next((kind for end, kind in _TYPES.items() if uri.name.endswith(end)), _TYPES[".jsonl"])
        try:
            stored = await storage.upload(uri, _blocks(data), if_generation_match=0, content_type=kind)
        except PreconditionFailed:
            stored = _same(await storage.info(uri))
        return stored.generation

    async def _publish(self, uri: GcsUri, data: bytes) -> None:
        await (await self._storage()).upload(uri, data, content_type="application/json")

    async def _fetch(self, uri: GcsUri, generation: int, file: BinaryIO) -> None:
        storage = await self._storage()
        async with aclosing(storage.download(uri, generation=generation)) as chunks:
            async for chunk in chunks:
                file.write(chunk)

    async def _download(self, uri: GcsUri, generation: int) -> bytes:
        with BytesIO() as file:
            await self._fetch(uri, generation, file)
            return file.getvalue()

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


async def _or_gone(work: Coroutine[Any, Any, _T]) -> _T:
    try:
        return await work
    except NotFound as error:
        raise FileGone(str(error)) from error


async def _blocks(data: BinaryIO) -> AsyncIterator[bytes]:
    while block := data.read(_BLOCK_BYTES):
        yield block


def _same(stored: ObjectInfo) -> ObjectInfo:
    """Return ``stored`` if it holds the bytes that its name tells of."""
    crc32c = base64.b64decode(stored.crc32c).hex()
    if f"-{crc32c}." not in stored.uri.name:
        raise StoreRefused(f"{stored.uri} holds other bytes than its name says; move it away")
    return stored
