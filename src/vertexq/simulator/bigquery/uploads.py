"""Load jobs whose data comes along: in the second part of one request, or in a resumable upload.

https://docs.cloud.google.com/bigquery/docs/reference/api-uploads
"""

from __future__ import annotations

import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

from aiohttp import BodyPartReader, MultipartReader, web

from vertexq.errors import NotFound, Unavailable
from vertexq.simulator.bigquery.names import Json, invalid
from vertexq.simulator.faults import Fault
from vertexq.simulator.storage.resumable import piece_from
from vertexq.simulator.storage.staging import CHUNK_BYTES
from vertexq.simulator.storage.upload import body_chunks, cut_off, read_resource


@dataclass(frozen=True, slots=True, kw_only=True)
class Upload:
    """What a load job came with: its resource, and the file with its data."""

    resource: Json
    path: Path


@dataclass(slots=True, kw_only=True)
class _Session:
    """A resumable upload; ``finished`` is the answer, kept for callers who missed it."""

    resource: Json
    path: Path
    kept_bytes: int = 0
    finished: bytes | None = None


class Uploads:
    """The files of uploads below ``home``, and the resumable ones under way."""

    def __init__(self, home: Path) -> None:
        self._home = home
        self._sessions: dict[str, _Session] = {}

    def new_path(self) -> Path:
        """Return where a new file may be."""
        self._home.mkdir(parents=True, exist_ok=True)
        return self._home / uuid.uuid4().hex

    async def whole(self, request: web.Request, fault: Fault | None) -> Upload:
        """Read a multipart request; raise ``Refused`` (400) for one that is none."""
        path = self.new_path()
        try:
            reader = MultipartReader(request.headers, request.content)
            resource = read_resource(await (await _part(reader)).read())
            await _fill(path, cut_off(_chunks(await _part(reader)), request, fault))
        except (ValueError, AssertionError, KeyError) as error:
            raise invalid(f"Bad multipart upload: {error}", reason="badContent") from error
        except ConnectionError as error:
            raise Unavailable("the caller went away in the middle of an upload", status=503) from error
        return Upload(resource=resource, path=path)

    async def begin(self, request: web.Request) -> web.Response:
        """Open a session; answer where to send the bytes."""
        resource = read_resource(await request.read())
        upload_id = uuid.uuid4().hex
        path = self.new_path()
        path.touch()
        self._sessions[upload_id] = _Session(resource=resource, path=path)
        link = request.url.origin().with_path(request.path)
        link = link.with_query(uploadType="resumable", upload_id=upload_id)
        return web.Response(headers={"Location": str(link), "X-GUploader-UploadID": upload_id})

    async def put(self, request: web.Request, fault: Fault | None) -> Upload | web.Response:
        """Take a piece: the upload when it is complete, else how much is kept."""
        session = self._session(request)
        if session.finished is not None:
            return web.Response(body=session.finished, content_type="application/json")
        piece = piece_from(request.headers.get("Content-Range"))
        if piece.start is not None:
            await self._take(session, piece.start, request, fault)
        total = session.kept_bytes if piece.final else piece.total_bytes
        if total == session.kept_bytes:
            return Upload(resource=session.resource, path=session.path)
        headers = {"Range": f"bytes=0-{session.kept_bytes - 1}"} if session.kept_bytes else {}
        return web.Response(status=308, reason="Resume Incomplete", headers=headers)

    def finish(self, request: web.Request, answer: bytes) -> None:
        """Keep the answer of a finished upload."""
        self._session(request).finished = answer

    def close(self) -> None:
        """Forget the sessions and remove their files."""
        for session in self._sessions.values():
            session.path.unlink(missing_ok=True)
        self._sessions.clear()

    def _session(self, request: web.Request) -> _Session:
        session = self._sessions.get(request.query.get("upload_id", ""))
        if session is None:
            raise NotFound("Upload session not found; start the upload again.", status=404, code="notFound")
        return session

    @staticmethod
    async def _take(session: _Session, start: int, request: web.Request, fault: Fault | None) -> None:
        if start > session.kept_bytes:
            raise Unavailable("the piece begins behind what is kept", status=503, code="backendError")
        skip = session.kept_bytes - start
        try:
            with session.path.open("ab") as file:
                async for chunk in body_chunks(request, fault):
                    new, skip = chunk[skip:], max(0, skip - len(chunk))
                    file.write(new)
                    session.kept_bytes += len(new)
        except ConnectionError as error:
            raise Unavailable("the caller went away in the middle of a piece", status=503) from error


async def _part(reader: MultipartReader) -> BodyPartReader:
    part = await reader.next()
    if not isinstance(part, BodyPartReader):
        raise ValueError("a multipart upload has two parts: the job and its data")  # noqa: TRY004
    return part


async def _chunks(part: BodyPartReader) -> AsyncIterator[bytes]:
    while chunk := await part.read_chunk(CHUNK_BYTES):
        yield bytes(chunk)


async def _fill(path: Path, chunks: AsyncIterator[bytes]) -> None:
    with path.open("wb") as file:
        async for chunk in chunks:
            file.write(chunk)
