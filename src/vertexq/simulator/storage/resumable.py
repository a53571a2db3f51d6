"""Resumable uploads: sessions that take an object in pieces and survive cut connections.

The protocol: https://docs.cloud.google.com/storage/docs/performing-resumable-uploads (read 2026-11).
"""

from __future__ import annotations

import re
import uuid
from dataclasses import dataclass, field

from aiohttp import web

from vertexq.errors import ApiError, NotFound, Refused, Unavailable
from vertexq.simulator.faults import Fault
from vertexq.simulator.objects import About, StoredObject, about_from
from vertexq.simulator.storage.conditions import Conditions, conditions_from, whole_number
from vertexq.simulator.storage.objects import ObjectStore
from vertexq.simulator.storage.staging import CHUNK_BYTES, Hashes, Staged
from vertexq.simulator.storage.upload import MayCreate, body_chunks, expected_hashes, name_from, read_resource

_FINISHED_KEPT = 1000
_CONTENT_RANGE = re.compile(r"bytes (?:(\d+)-(\d+)|\*)/(\d+|\*)")


@dataclass(slots=True, kw_only=True)
class Session:
    """One resumable upload. ``stored`` is the object once it is finished."""

    bucket: str
    name: str
    about: About
    conditions: Conditions
    total_bytes: int | None
    staged: Staged
    expected: Hashes = field(default_factory=Hashes)
    stored: StoredObject | None = None
    cancelled: bool = False
    writer: object = None  # the request that may write; a later one takes over


@dataclass(frozen=True, slots=True, kw_only=True)
class Piece:
    """What a PUT brings: bytes from ``start`` to ``end`` (exclusive; None: to the end of the body).

    ``start`` is None for a status query. ``total_bytes`` is None while the caller does not know it.
    """

    start: int | None
    end: int | None
    total_bytes: int | None

    @property
    def final(self) -> bool:
        """Say whether the object is complete after this piece."""
        return self.start is not None and (self.end is None or self.end == self.total_bytes)


def piece_from(header: str | None) -> Piece:
    """Read ``Content-Range``; none at all is a whole object. Raise ``Refused`` (400)."""
    if header is None:
        return Piece(start=0, end=None, total_bytes=None)
    found = _CONTENT_RANGE.fullmatch(header.strip())
    first, last, total = found.groups() if found else (None, None, None)
    total_bytes = int(total) if total and total != "*" else None
    backwards = first is not None and int(last or 0) < int(first)
    too_long = last is not None and total_bytes is not None and int(last) >= total_bytes
    if found is None or backwards or too_long:
        raise Refused("Failed to parse Content-Range header.", status=400, code="badRequest")
    if first is None:
        return Piece(start=None, end=None, total_bytes=total_bytes)
    return Piece(start=int(first), end=int(last or 0) + 1, total_bytes=total_bytes)


class Sessions:
    """The open, finished and cancelled sessions of a store; a restart of the simulator forgets them."""

    def __init__(self, store: ObjectStore) -> None:
        self._store = store
        self._sessions: dict[str, Session] = {}

    async def start(self, request: web.Request, may_create: MayCreate) -> web.Response:
        """Open a session; answer where to send the bytes."""
        said = read_resource(await request.read())
        bucket = request.match_info["bucket"]
        name = name_from(request, said, may_create)
        conditions = conditions_from(request.query)
        conditions.check(self._store.find(bucket, name))  # once more when the object is published
        content_type = request.headers.get("X-Upload-Content-Type")
        if content_type and not said.get("contentType"):
            said = {**said, "contentType": content_type}
        self._forget_finished()
        upload_id = uuid.uuid4().hex
        self._sessions[upload_id] = Session(
            bucket=bucket,
            name=name,
            about=about_from(said),
            conditions=conditions,
            total_bytes=whole_number(request.headers, "X-Upload-Content-Length"),
            staged=self._store.stage(),
            expected=expected_hashes(request, said),
        )
        link = request.url.origin().with_path(request.path)
        link = link.with_query(uploadType="resumable", name=name, upload_id=upload_id)
        return web.Response(headers={"Location": str(link), "X-GUploader-UploadID": upload_id})

    async def put(self, request: web.Request, fault: Fault | None) -> StoredObject | int:
        """Take a piece or answer a status query: the finished object, or how many bytes are kept."""
        session = self._session(request)
        if session.stored is not None:
            return session.stored
        piece = piece_from(request.headers.get("Content-Range"))
        self._agree_on_total(session, piece)
        if piece.start is None:
            done = piece.total_bytes == session.staged.size_bytes
            return self._finish(session, request) if done else session.staged.size_bytes
        return await self._take(session, piece, request, fault)

    def cancel(self, request: web.Request) -> web.Response:
        """Give a session up; what it kept is gone. Google answers 499."""
        session = self._session(request)
        if session.stored is None:
            session.cancelled = True
            session.staged.discard()
        return web.Response(status=499, reason="Client Closed Request")

    def close(self) -> None:
        """Let go of the files of open sessions."""
        for session in self._sessions.values():
            session.staged.discard()

    def _forget_finished(self) -> None:
        """Keep the newest finished sessions only, for callers who missed the answer."""
        over = [id_ for id_, session in self._sessions.items() if session.stored or session.cancelled]
        for id_ in over[:-_FINISHED_KEPT]:
            del self._sessions[id_]

    def _session(self, request: web.Request) -> Session:
        session = self._sessions.get(request.query.get("upload_id", ""))
        if session is None:
            raise NotFound("Upload session not found; start the upload again.", status=404, code="notFound")
        if session.cancelled:
            raise Refused("The upload was cancelled; start it again.", status=410, code="gone")
        return session

    @staticmethod
    def _agree_on_total(session: Session, piece: Piece) -> None:
        known = session.total_bytes
        if piece.total_bytes is not None and known not in {None, piece.total_bytes}:
            raise Refused(
                f"Invalid request. The total of {piece.total_bytes} bytes differs from the {known} bytes "
                "declared before.",
                status=400,
                code="badRequest",
            )
        session.total_bytes = known if piece.total_bytes is None else piece.total_bytes

    async def _take(
        self, session: Session, piece: Piece, request: web.Request, fault: Fault | None
    ) -> StoredObject | int:
        """Append what is new in the piece; a cut keeps whole quanta of 256 KiB, like Google."""
        kept = session.staged.size_bytes
        start = piece.start or 0
        if start > kept:
            raise _too_far(start, kept)
        session.writer = request
        received, tail = 0, b""
        try:
            async for chunk in body_chunks(request, fault):
                _still_ours(session, request)
                skip = max(0, min(kept - start - received, len(chunk)))  # Google ignores what it has
                received += len(chunk)
                tail = _keep_quanta(session.staged, tail + chunk[skip:])
        except ConnectionError as error:
            raise Unavailable("the caller went away in the middle of a piece", status=503) from error
        _check_length(piece, received, session.total_bytes)
        if not piece.final:
            return session.staged.size_bytes
        session.staged.write(tail)
        return self._finish(session, request)

    def _finish(self, session: Session, request: web.Request) -> StoredObject:
        header = expected_hashes(request, {})
        expected = Hashes(
            crc32c=header.crc32c or session.expected.crc32c, md5=header.md5 or session.expected.md5
        )
        try:
            session.stored = self._store.publish(
                session.staged,
                bucket=session.bucket,
                name=session.name,
                about=session.about,
                conditions=session.conditions,
                expected=expected,
            )
        except ApiError:
            session.cancelled = True
            raise
        return session.stored


def _keep_quanta(staged: Staged, data: bytes) -> bytes:
    whole = len(data) - len(data) % CHUNK_BYTES
    if whole:
        staged.write(data[:whole])
    return data[whole:]


def _still_ours(session: Session, request: web.Request) -> None:
    if session.cancelled or session.writer is not request:
        raise Unavailable("another request writes to this upload", status=503, code="backendError")


def _too_far(start: int, kept: int) -> Unavailable:
    return Unavailable(
        f"Invalid request.  According to the Content-Range header, the upload offset is {start} byte(s), "
        f"which exceeds already uploaded size of {kept} byte(s).",
        status=503,
        code="backendError",
    )


def _check_length(piece: Piece, received: int, total_bytes: int | None) -> None:
    promised = total_bytes if piece.end is None else piece.end - (piece.start or 0)
    if promised is not None and promised != received:
        raise Refused(
            f"Invalid request. {promised} bytes were promised, the body has {received}.",
            status=400,
            code="badRequest",
        )
    if not piece.final and received < CHUNK_BYTES:
        raise Refused(
            f"Invalid request.  The number of bytes uploaded is required to be equal or greater than "
            f"{CHUNK_BYTES}, except for the final request (it's recommended to be the exact multiple of "
            f"{CHUNK_BYTES}).  The received request contained {received} bytes, which does not meet this "
            "requirement.",
            status=400,
            code="badRequest",
        )
