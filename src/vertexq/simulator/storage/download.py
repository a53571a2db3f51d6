"""Downloads: whole objects, ranges, and gzip objects unpacked for callers who cannot.

What is unpacked when: https://docs.cloud.google.com/storage/docs/transcoding (read 2026-11).
"""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, replace
from email.utils import format_datetime
from typing import BinaryIO

from aiohttp import web

from vertexq.errors import Refused
from vertexq.simulator._suffer import hang_up, pause
from vertexq.simulator.faults import Action, Fault
from vertexq.simulator.objects import StoredObject
from vertexq.simulator.storage.staging import CHUNK_BYTES

_RANGE = re.compile(r"bytes=(\d*)-(\d*)")
_GZIP = 31  # zlib's word for "expect a gzip header"


@dataclass(frozen=True, slots=True, kw_only=True)
class Span:
    """The bytes from ``start`` to ``end`` (exclusive) of ``of_bytes``."""

    start: int
    end: int
    of_bytes: int

    @property
    def length_bytes(self) -> int:
        """How many bytes that is."""
        return self.end - self.start


def span_from(header: str, size_bytes: int) -> Span | None:
    """Read a ``Range`` header (RFC 9110, section 14.1.2); None when there is no range to honour.

    Raise ``Refused`` (416) when no byte of an object of ``size_bytes`` is in the range.
    """
    found = _RANGE.fullmatch(header.strip())
    first, last = found.groups() if found else ("", "")
    if not first and not last:
        return None
    start = int(first) if first else max(0, size_bytes - int(last))
    end = min(int(last) + 1, size_bytes) if first and last else size_bytes
    if first and last and int(last) < start:
        return None
    if start >= size_bytes:
        raise Refused(f"The requested range cannot be satisfied: {header}", status=416, code="invalid")
    return Span(start=start, end=end, of_bytes=size_bytes)


async def send(
    request: web.Request, stored: StoredObject, content: BinaryIO, fault: Fault | None
) -> web.StreamResponse:
    """Stream an object, or the range of it that is asked for."""
    headers = _headers(stored)
    if stored.content_encoding == "gzip" and not _stays_packed(request, stored):
        headers["Warning"] = "214 UploadServer gunzipped"
        return await _stream(request, 200, headers, _unpacked(content), fault)
    if stored.content_encoding:
        headers["Content-Encoding"] = stored.content_encoding
    whole = Span(start=0, end=stored.size_bytes, of_bytes=stored.size_bytes)
    asked = "" if _is(fault, Action.IGNORE_RANGE) else request.headers.get("Range", "")
    try:
        span = span_from(asked, stored.size_bytes)
    except Refused as error:
        unsatisfied = {"Content-Range": f"bytes */{stored.size_bytes}"}
        return web.Response(status=416, text=str(error), content_type="text/html", headers=unsatisfied)
    if span is not None:
        off = 1 if _is(fault, Action.WRONG_RANGE) else 0
        headers["Content-Range"] = f"bytes {span.start + off}-{span.end - 1 + off}/{span.of_bytes}"
    sent = _shortened(span or whole, fault)
    headers["Content-Length"] = str(sent.length_bytes)
    return await _stream(request, 206 if span else 200, headers, _pieces(content, sent), fault)


def _stays_packed(request: web.Request, stored: StoredObject) -> bool:
    accepted = request.headers.get("Accept-Encoding", "")
    return "gzip" in accepted or "no-transform" in stored.about.texts.get("cacheControl", "")


def _shortened(span: Span, fault: Fault | None) -> Span:
    if fault is None or fault.action is not Action.SHORTEN:
        return span
    return replace(span, end=min(span.end, span.start + fault.after_bytes))


def _is(fault: Fault | None, action: Action) -> bool:
    return fault is not None and fault.action is action


def _headers(stored: StoredObject) -> dict[str, str]:
    hashes = f"crc32c={stored.crc32c}" + (f",md5={stored.md5}" if stored.md5 else "")
    headers = {
        "Accept-Ranges": "bytes",
        "Content-Type": stored.content_type,
        "ETag": stored.etag,
        "Last-Modified": format_datetime(stored.updated, usegmt=True),
        "X-Goog-Generation": str(stored.generation),
        "X-Goog-Metageneration": str(stored.metageneration),
        "X-Goog-Hash": hashes,
        "X-Goog-Storage-Class": "STANDARD",
        "X-Goog-Stored-Content-Encoding": stored.content_encoding or "identity",
        "X-Goog-Stored-Content-Length": str(stored.size_bytes),
    }
    sent = {"contentDisposition": "Content-Disposition", "contentLanguage": "Content-Language"}
    sent |= {"cacheControl": "Cache-Control"}
    said = stored.about.texts
    return headers | {header: said[name] for name, header in sent.items() if name in said}


def _pieces(content: BinaryIO, span: Span) -> Iterator[bytes]:
    content.seek(span.start)
    left = span.length_bytes
    while left:
        piece = content.read(min(CHUNK_BYTES, left))
        left -= len(piece)
        yield piece


def _unpacked(content: BinaryIO) -> Iterator[bytes]:
    """Yield the content of a gzip file, of all its members; memory stays at a few chunks."""
    unpacker = zlib.decompressobj(_GZIP)
    while data := content.read(CHUNK_BYTES):
        while data:
            try:
                yield unpacker.decompress(data, CHUNK_BYTES)
            except zlib.error as error:
                raise ConnectionAbortedError("the object is said to be gzip and is not") from error
            data = unpacker.unconsumed_tail
            if unpacker.eof:
                data, unpacker = unpacker.unused_data, zlib.decompressobj(_GZIP)
    yield unpacker.flush()


async def _stream(
    request: web.Request, status: int, headers: dict[str, str], pieces: Iterator[bytes], fault: Fault | None
) -> web.StreamResponse:
    response = web.StreamResponse(status=status, headers=headers)
    await response.prepare(request)
    sent_bytes = 0
    for piece in pieces:
        hit = fault is not None and sent_bytes + len(piece) > fault.after_bytes >= sent_bytes
        if fault is None or not hit:
            await response.write(piece)
        elif fault.action in {Action.CUT, Action.STALL}:
            await response.write(piece[: fault.after_bytes - sent_bytes])
            await pause(request, fault.delay_s)
            hang_up(request)
            return response
        else:
            await response.write(_spoilt(piece, fault.after_bytes - sent_bytes, fault))
        sent_bytes += len(piece)
    return response


def _spoilt(piece: bytes, at: int, fault: Fault) -> bytes:
    if fault.action is not Action.CORRUPT:
        return piece
    return piece[:at] + bytes([piece[at] ^ 0xFF]) + piece[at + 1 :]
