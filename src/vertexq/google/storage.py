"""Cloud Storage over its JSON API: upload, download, list, compose, delete; all pinned to generations."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Collection, Iterator, Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import replace
from urllib.parse import quote, urlencode

from vertexq.errors import ApiError, NotFound, Refused, Unavailable, Unreachable
from vertexq.google.download import Wanted, fetch
from vertexq.google.hosts import storage_url
from vertexq.google.messages import (
    BUCKET_FIELDS,
    OBJECT_FIELDS,
    BucketInfo,
    Unreadable,
    bucket_from,
    items,
    mapping,
    members_from,
    object_from,
    object_path,
    text,
)
from vertexq.google.rest import Answer, Transport
from vertexq.google.upload import QUANTUM_BYTES, Checked, Session, Upload, pieces, send_whole
from vertexq.model import GcsUri, ObjectInfo

PIECE_BYTES = 8 * 1024 * 1024
COMPOSE_LIMIT = 32  # sources a call
_FORBIDDEN = 403
_REFUSED_CONDITION = 412


class Storage:
    """The objects of every bucket. ``endpoint`` is the base URL of an emulator.

    ``piece_bytes`` is how much a resumable upload sends at once and holds in memory: a multiple of 256 KiB.
    """

    def __init__(self, transport: Transport, *, endpoint: str = "", piece_bytes: int = PIECE_BYTES) -> None:
        if piece_bytes <= 0 or piece_bytes % QUANTUM_BYTES:
            raise ValueError(f"piece_bytes must be a multiple of {QUANTUM_BYTES}, not {piece_bytes}")
        self._transport = transport
        self._base = storage_url(endpoint)
        self._piece_bytes = piece_bytes
        if endpoint:
            transport.trust(self._base)

    async def upload(
        self,
        uri: GcsUri,
        data: bytes | AsyncIterator[bytes],
        *,
        if_generation_match: int | None = None,
        content_type: str = "application/octet-stream",
        metadata: Mapping[str, str] | None = None,
    ) -> ObjectInfo:
        """Store ``data`` and return the new generation, whose crc32c is that of what was read.

        Up to ``piece_bytes`` go in one request, more in a resumable session that survives cuts. With
        ``if_generation_match`` (0: must not exist) raise ``PreconditionFailed`` unless it was this very call
        that stored it. Raise ``Unavailable`` when the stored bytes differ from the sent ones, or when the
        session was lost; start again then.
        """
        upload = self._upload(uri, if_generation_match, content_type, metadata or {})
        checked = Checked(_once(data) if isinstance(data, bytes) else data)
        answer = await self._send(upload, checked)
        if answer.status == _REFUSED_CONDITION:
            if answer.tries == 1:
                raise answer.error()
            return await self._stored_before(uri, checked, answer.error())
        try:
            stored = _object(answer)
        except Unavailable as error:
            return await self._stored_before(uri, checked, error)
        return await self._verified(stored, checked)

    def _upload(
        self, uri: GcsUri, generation: int | None, content_type: str, metadata: Mapping[str, str]
    ) -> Upload:
        return Upload(
            url=f"{self._base}/upload/storage/v1/b/{quote(uri.bucket, safe='')}/o",
            uri=uri,
            params={"name": uri.name, "fields": OBJECT_FIELDS, **_condition(generation)},
            content_type=content_type,
            metadata=metadata,
        )

    async def may_create(self, uri: GcsUri) -> bool:
        """Tell whether this name may be written: an upload is begun and given up, no object is made."""
        try:
            session = await Session.open(self._transport, self._upload(uri, None, "text/plain", {}))
        except Refused as error:
            if error.status == _FORBIDDEN:
                return False
            raise
        await session.give_up()
        return True

    async def info(self, uri: GcsUri, *, generation: int | None = None) -> ObjectInfo:
        """Return the newest generation of an object, or the one asked for; raise ``NotFound``."""
        pinned = {} if generation is None else {"generation": str(generation)}
        return _object(
            await self._transport.call(
                "GET", self._url(uri), params={"fields": OBJECT_FIELDS, **pinned}, retry=True
            )
        )

    async def download(
        self, uri: GcsUri, *, generation: int, start: int = 0, end: int | None = None
    ) -> AsyncGenerator[bytes]:
        """Yield the stored bytes from ``start`` to ``end`` (exclusive) of one generation, at most 1 MiB each.

        Cuts are mended at the exact byte. An ``end`` behind the last byte means the last byte. Raise
        ``NotFound`` when the generation is gone, also in the middle.
        """
        query = urlencode({"alt": "media", "generation": generation})
        wanted = Wanted(url=f"{self._url(uri)}?{query}", uri=uri, generation=generation, start=start, end=end)
        async with aclosing(fetch(self._transport, wanted)) as chunks:
            async for chunk in chunks:
                yield chunk

    async def list(self, prefix: GcsUri, *, glob: str = "") -> AsyncGenerator[ObjectInfo]:
        """Yield the objects whose names begin with the prefix, by name, to the end; end a folder with ``/``.

        ``glob`` (``**/*.jsonl``) must match the whole name:
        https://cloud.google.com/storage/docs/json_api/v1/objects/list#list-objects-and-prefixes-using-glob
        """
        params = {"prefix": prefix.name, "fields": f"nextPageToken,items({OBJECT_FIELDS})"}
        if glob:
            params["matchGlob"] = glob
        url = f"{self._base}/storage/v1/b/{quote(prefix.bucket, safe='')}/o"
        while True:
            answer = await self._transport.call("GET", url, params=params, retry=True)
            page = mapping(answer.json())
            for value in items(page.get("items")):
                yield _object_in(answer, value)
            if not text(page, "nextPageToken"):
                return
            params = {**params, "pageToken": text(page, "nextPageToken")}

    async def compose(
        self, target: GcsUri, sources: Sequence[ObjectInfo], *, if_generation_match: int | None = None
    ) -> ObjectInfo:
        """Join the generations of ``sources``, in order, into ``target``, in the same bucket.

        More than 32 go through objects named ``TARGET.compose-…``, which are deleted again. Raise
        ``NotFound`` when a source is gone, ``PreconditionFailed`` as ``upload`` does.
        """
        if not sources or any(source.uri.bucket != target.bucket for source in sources):
            raise ValueError("compose needs at least one source, and all in the bucket of the target")
        parts: list[ObjectInfo] = []
        level = list(sources)
        try:
            while len(level) > COMPOSE_LIMIT:
                above: list[ObjectInfo] = []
                for some in _groups(level):
                    name = f"{target.name}.compose-{len(parts)}"
                    above.append(await self._compose(replace(target, name=name), some, None))
                    parts.append(above[-1])
                level = above
            return await self._compose(target, level, if_generation_match)
        finally:
            await self._tidy(parts)

    async def delete(self, uri: GcsUri, *, if_generation_match: int | None = None) -> None:
        """Delete an object; one that is gone already is fine. Raise ``PreconditionFailed``."""
        await self._transport.call(
            "DELETE",
            self._url(uri),
            params=_condition(if_generation_match),
            expect=(200, 204, 404),
            retry=True,
        )

    async def bucket(self, name: str) -> BucketInfo:
        """Return where a bucket is and whose; raise ``NotFound``, ``Refused`` without storage.buckets.get."""
        return bucket_from(await self._of_bucket(name, params={"fields": BUCKET_FIELDS}))

    async def granted(self, bucket: str, permissions: Collection[str]) -> frozenset[str]:
        """Return which of ``permissions`` (``storage.objects.get``) this caller has on the whole bucket.

        Asking needs no permission. One that is granted for some names only, by a condition, is not said:
        https://cloud.google.com/storage/docs/json_api/v1/buckets/testIamPermissions (read 2026-11).
        Raise ``NotFound`` when there is no such bucket.
        """
        query = urlencode([("permissions", one) for one in sorted(permissions)])
        said = mapping(await self._of_bucket(bucket, f"/iam/testPermissions?{query}"))
        return frozenset(str(one) for one in items(said.get("permissions")))

    async def members(self, bucket: str) -> frozenset[str]:
        """Return whom the bucket's own policy names; raise ``Refused`` without storage.buckets.getIamPolicy.

        Rights that come from the project or the folder above are not in it.
        """
        params = {"optionsRequestedPolicyVersion": "3"}  # the version that knows conditions
        return members_from(await self._of_bucket(bucket, "/iam", params=params))

    async def _of_bucket(
        self, bucket: str, tail: str = "", *, params: Mapping[str, str] | None = None
    ) -> object:
        url = f"{self._base}/storage/v1/b/{quote(bucket, safe='')}{tail}"
        try:
            return (await self._transport.call("GET", url, params=params, retry=True)).json()
        except NotFound as error:
            raise NotFound(
                f"there is no bucket gs://{bucket}, or these credentials may not see it; create it, or name "
                "another one",
                status=error.status,
                code=error.code,
            ) from error

    async def _send(self, upload: Upload, checked: Checked) -> Answer:
        async with aclosing(pieces(aiter(checked), self._piece_bytes)) as cut:
            piece, last = await anext(cut)
            if last:
                return await send_whole(self._transport, upload, piece)
            session = await Session.open(self._transport, upload)
            answer = await session.put(piece, last=False)
            async for piece, last in cut:
                answer = await session.put(piece, last=last)
            return answer

    async def _stored_before(self, uri: GcsUri, checked: Checked, error: ApiError) -> ObjectInfo:
        """Return the object when this call stored it although the answer was lost; raise ``error`` if not."""
        with suppress(NotFound):
            found = await self.info(uri)
            if (found.crc32c, found.size_bytes) == (checked.crc32c, checked.size_bytes):
                return found
        raise error

    async def _verified(self, stored: ObjectInfo, checked: Checked) -> ObjectInfo:
        """Return ``stored`` when it is what was read; otherwise delete it and raise ``Unavailable``."""
        if (stored.crc32c, stored.size_bytes) == (checked.crc32c, checked.size_bytes):
            return stored
        await self.delete(stored.uri, if_generation_match=stored.generation)
        raise Unavailable(
            f"{stored.uri}: {stored.size_bytes} bytes with crc32c {stored.crc32c} were stored, "
            f"{checked.size_bytes} with {checked.crc32c} were sent; the object is deleted; upload it again"
        )

    async def _compose(
        self, target: GcsUri, sources: Sequence[ObjectInfo], if_generation_match: int | None
    ) -> ObjectInfo:
        answer = await self._transport.call(
            "POST",
            f"{self._url(target)}/compose",
            params={"fields": OBJECT_FIELDS, **_condition(if_generation_match)},
            json={
                "sourceObjects": [
                    {"name": source.uri.name, "generation": str(source.generation)} for source in sources
                ]
            },
            expect=(200, 412),
            retry=True,
        )
        size_bytes = sum(source.size_bytes for source in sources)
        if answer.status == _REFUSED_CONDITION:
            composed = await self.info(target) if answer.tries > 1 else None
            if composed is None or composed.size_bytes != size_bytes:
                raise answer.error()
            return composed
        composed = _object(answer)
        if composed.size_bytes != size_bytes:
            raise answer.unreadable(f"{composed.size_bytes} bytes were composed instead of {size_bytes}")
        return composed

    async def _tidy(self, parts: Sequence[ObjectInfo]) -> None:
        for part in parts:
            with suppress(ApiError, Unreachable):  # a left-over is overwritten next time and harms nobody
                await self.delete(part.uri, if_generation_match=part.generation)

    def _url(self, uri: GcsUri) -> str:
        return f"{self._base}/storage/v1{object_path(uri)}"


def _object(answer: Answer) -> ObjectInfo:
    return _object_in(answer, answer.json())


def _object_in(answer: Answer, value: object) -> ObjectInfo:
    try:
        return object_from(value)
    except Unreadable as error:
        raise answer.unreadable(str(error)) from error


def _groups(level: Sequence[ObjectInfo]) -> Iterator[Sequence[ObjectInfo]]:
    return (level[at : at + COMPOSE_LIMIT] for at in range(0, len(level), COMPOSE_LIMIT))


def _condition(if_generation_match: int | None) -> dict[str, str]:
    return {} if if_generation_match is None else {"ifGenerationMatch": str(if_generation_match)}


async def _once(data: bytes) -> AsyncGenerator[bytes]:
    yield data
