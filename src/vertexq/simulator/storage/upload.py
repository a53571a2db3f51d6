"""Uploads in one request: ``uploadType=media`` and ``uploadType=multipart``."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Generator
from contextlib import contextmanager
from typing import cast

import orjson
from aiohttp import BodyPartReader, MultipartReader, web

from vertexq.errors import Refused, Unavailable
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.objects import Json, StoredObject, about_from, check_name
from vertexq.simulator.storage.conditions import conditions_from
from vertexq.simulator.storage.objects import ObjectStore
from vertexq.simulator.storage.staging import CHUNK_BYTES, Hashes, hashes_from_header

MayCreate = Callable[[str], None]
"""Refuses the names that a caller may not write."""


async def media_upload(
    store: ObjectStore, request: web.Request, fault: Fault | None, may_create: MayCreate
) -> StoredObject:
    """Store the body under the name in the query."""
    said: dict[str, object] = {"contentType": request.headers.get("Content-Type")}
    encoding = request.query.get("contentEncoding") or request.headers.get("Content-Encoding")
    if encoding:
        said["contentEncoding"] = encoding
    return await _store(store, request, said, body_chunks(request, fault), may_create)


async def multipart_upload(
    store: ObjectStore, request: web.Request, fault: Fault | None, may_create: MayCreate
) -> StoredObject:
    """Store the second part of the body; the first is its resource in JSON."""
    with _well_formed():
        reader = MultipartReader(request.headers, request.content)
        said = read_resource(await (await _part(reader)).read())
        body = await _part(reader)
    content_type = body.headers.get("Content-Type")
    if content_type and not said.get("contentType"):
        said = {**said, "contentType": content_type}
    chunks = cut_off(_last_part(reader, body), request, fault)
    return await _store(store, request, said, chunks, may_create)


async def _part(reader: MultipartReader) -> BodyPartReader:
    part = await reader.next()
    if not isinstance(part, BodyPartReader):
        raise Refused(
            "A multipart upload has two parts: metadata and content.", status=400, code="badContent"
        )
    return part


async def _store(
    store: ObjectStore,
    request: web.Request,
    said: Json,
    chunks: AsyncIterator[bytes],
    may_create: MayCreate,
) -> StoredObject:
    bucket = request.match_info["bucket"]
    name = name_from(request, said, may_create)
    conditions = conditions_from(request.query)
    conditions.check(store.find(bucket, name))  # once more when it is published
    staged = store.stage()
    try:
        await staged.fill(chunks)
        return store.publish(
            staged,
            bucket=bucket,
            name=name,
            about=about_from(said),
            conditions=conditions,
            expected=expected_hashes(request, said),
        )
    except ConnectionError as error:
        raise Unavailable("the caller went away in the middle of an upload", status=503) from error
    finally:
        staged.discard()


def name_from(request: web.Request, said: Json, may_create: MayCreate) -> str:
    """Return the name of the object to be; raise ``Refused`` for one that is bad, or denied to the caller."""
    name = check_name(request.query.get("name") or str(said.get("name") or ""))
    may_create(name)
    return name


def read_resource(body: bytes) -> Json:
    """Read a JSON object; nothing at all is an empty one. Raise ``Refused`` (400) otherwise."""
    try:
        value: object = orjson.loads(body) if body.strip() else {}
    except orjson.JSONDecodeError as error:
        raise Refused(f"Parse Error: {error}", status=400, code="parseError") from error
    if not isinstance(value, dict):
        raise Refused("Parse Error: expected a JSON object", status=400, code="parseError")
    return cast("Json", value)


def expected_hashes(request: web.Request, said: Json) -> Hashes:
    """Return the checksums the caller sent along, in headers or in the resource."""
    header = hashes_from_header(request.headers.get("X-Goog-Hash", ""))
    return Hashes(
        crc32c=str(said.get("crc32c") or header.crc32c),
        md5=str(said.get("md5Hash") or header.md5 or request.headers.get("Content-MD5", "")),
    )


def body_chunks(request: web.Request, fault: Fault | None) -> AsyncIterator[bytes]:
    """Yield the body as it comes; a ``CUT`` breaks the connection in the middle of it."""
    return cut_off(request.content.iter_chunked(CHUNK_BYTES), request, fault)


async def _last_part(reader: MultipartReader, part: BodyPartReader) -> AsyncIterator[bytes]:
    """Yield the content; raise unless the closing boundary follows it."""
    with _well_formed():
        while chunk := await part.read_chunk(CHUNK_BYTES):
            yield bytes(chunk)
        if await reader.next() is not None:
            raise ValueError("more than two parts")


@contextmanager
def _well_formed() -> Generator[None]:
    try:
        yield
    except (ValueError, AssertionError, KeyError) as error:
        raise Refused(f"Bad multipart upload: {error}", status=400, code="badContent") from error


async def cut_off(
    chunks: AsyncIterator[bytes], request: web.Request, fault: Fault | None
) -> AsyncIterator[bytes]:
    """Yield ``chunks``; a ``CUT`` breaks the connection in the middle of them."""
    left = fault.after_bytes if fault and fault.action is Action.CUT else None
    async for chunk in chunks:
        if left is not None and len(chunk) > left:
            yield chunk[:left]
            if request.transport is not None:
                request.transport.abort()
            raise ConnectionResetError
        left = None if left is None else left - len(chunk)
        yield chunk
