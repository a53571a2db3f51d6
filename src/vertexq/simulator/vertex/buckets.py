"""The simulated Vertex AI's own calls to Cloud Storage: plain HTTP, as Google's service would make them."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from fnmatch import fnmatchcase
from typing import cast
from urllib.parse import quote

import orjson

from vertexq.lines import Block, LineSplitter
from vertexq.model import GcsUri
from vertexq.simulator.vertex.inner_calls import InnerCalls

_READ_BYTES = 1024 * 1024
PART_BYTES = 1024 * 1024  # of a resumable upload; a multiple of 256 KiB


class BucketCalls(InnerCalls):
    """Calls to the Cloud Storage at ``url``."""

    def __init__(self, url: str, *, token: str = "") -> None:
        super().__init__(token=token)
        self._url = url.rstrip("/")

    async def has_bucket(self, bucket: str) -> bool:
        """Say whether there is such a bucket."""
        async with self._http.get(f"{self._url}/storage/v1/b/{quote(bucket, safe='')}") as answer:
            return answer.status == 200  # noqa: PLR2004

    async def matching(self, uri: str) -> list[GcsUri]:
        """Return the objects that ``uri`` names, in the order of their names; ``*`` matches anything."""
        wanted = GcsUri.parse(uri)
        if "*" not in wanted.name:
            return [wanted] if await self._has_object(wanted) else []
        found = [name async for name in self._names(wanted.bucket, wanted.name.partition("*")[0])]
        return [GcsUri(bucket=wanted.bucket, name=name) for name in found if fnmatchcase(name, wanted.name)]

    async def _has_object(self, uri: GcsUri) -> bool:
        async with self._http.get(self._object_url(uri)) as answer:
            return answer.status == 200  # noqa: PLR2004

    async def _names(self, bucket: str, prefix: str) -> AsyncGenerator[str]:
        params = {"prefix": prefix, "fields": "items(name),nextPageToken"}
        while True:
            async with self._http.get(f"{self._url}/storage/v1/b/{bucket}/o", params=params) as answer:
                answer.raise_for_status()
                page = cast("dict[str, object]", orjson.loads(await answer.read()))
            for item in cast("list[dict[str, str]]", page.get("items", [])):
                yield item["name"]
            if not page.get("nextPageToken"):
                return
            params["pageToken"] = str(page["nextPageToken"])

    async def lines(self, uris: list[GcsUri]) -> AsyncGenerator[bytes]:
        """Yield the lines of these objects one after the other; blank ones are passed over."""
        for uri in uris:
            splitter = LineSplitter()
            async with self._http.get(self._object_url(uri), params={"alt": "media"}) as answer:
                answer.raise_for_status()
                async for chunk in answer.content.iter_chunked(_READ_BYTES):
                    for block in splitter.feed(chunk):
                        for line in _lines_of(block):
                            yield line
            for block in splitter.close():
                for line in _lines_of(block):
                    yield line

    async def content(self, uri: GcsUri) -> AsyncGenerator[bytes]:
        """Yield the bytes of an object."""
        async with self._http.get(self._object_url(uri), params={"alt": "media"}) as answer:
            answer.raise_for_status()
            async for chunk in answer.content.iter_chunked(_READ_BYTES):
                yield chunk

    async def begin_upload(self, uri: GcsUri) -> str:
        """Open a resumable upload; return where its parts go."""
        params = {"uploadType": "resumable", "name": uri.name}
        url = f"{self._url}/upload/storage/v1/b/{quote(uri.bucket, safe='')}/o"
        async with self._http.post(
            url, params=params, json={"contentType": "application/octet-stream"}
        ) as answer:
            answer.raise_for_status()
            return answer.headers["Location"]

    async def put_empty(self, uri: GcsUri) -> None:
        """Write an object of no bytes."""
        params = {"uploadType": "media", "name": uri.name}
        url = f"{self._url}/upload/storage/v1/b/{quote(uri.bucket, safe='')}/o"
        async with self._http.post(url, params=params, data=b"") as answer:
            answer.raise_for_status()

    async def upload_part(self, session: str, data: bytes, *, start: int, last: bool) -> None:
        """Send the next part; all but the last have a multiple of 256 KiB bytes."""
        total = str(start + len(data)) if last else "*"
        span = f"{start}-{start + len(data) - 1}" if data else "*"
        headers = {"Content-Range": f"bytes {span}/{total}"}
        async with self._http.put(session, data=data, headers=headers, allow_redirects=False) as answer:
            if answer.status not in {200, 201, 308}:
                answer.raise_for_status()

    def _object_url(self, uri: GcsUri) -> str:
        return f"{self._url}/storage/v1/b/{quote(uri.bucket, safe='')}/o/{quote(uri.name, safe='')}"


def _lines_of(block: object) -> list[bytes]:
    return [line for line in block.lines if line.strip()] if isinstance(block, Block) else []


class ObjectWriter:
    """One object, written as it grows; it is there when ``close`` returns and not before."""

    def __init__(self, calls: BucketCalls, uri: GcsUri) -> None:
        self._calls = calls
        self._uri = uri
        self._session = ""
        self._sent_bytes = 0
        self._waiting = bytearray()

    async def write(self, data: bytes) -> None:
        """Take more bytes; at most one part and ``data`` are held."""
        self._waiting += data
        while len(self._waiting) > PART_BYTES:
            await self._send(PART_BYTES, last=False)

    async def close(self) -> None:
        """Finish the object."""
        await self._send(len(self._waiting), last=True)

    async def _send(self, size_bytes: int, *, last: bool) -> None:
        if last and not self._session and not self._waiting:
            await self._calls.put_empty(self._uri)
            return
        if not self._session:
            self._session = await self._calls.begin_upload(self._uri)
        part = bytes(self._waiting[:size_bytes])
        await self._calls.upload_part(self._session, part, start=self._sent_bytes, last=last)
        del self._waiting[:size_bytes]
        self._sent_bytes += size_bytes
