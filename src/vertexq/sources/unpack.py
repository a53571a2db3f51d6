"""Unpack ``.gz`` and ``.zst`` bytes as they come in, in pieces of bounded size. No I/O.

Compression is told by the first bytes, whatever a source is called. A few bytes may stand for gigabytes
(gzip 1,030 : 1, Zstandard 32,768 : 1), so both are unpacked a little at a time: nobody holds the whole.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from typing import Any, Protocol

from vertexq.errors import BadInput, BadSource

PIECE_BYTES = 1024 * 1024
"""The largest piece of gzip's; one of Zstandard's has at most ``ZSTD_STEP_BYTES`` * 32,768 more."""
ZSTD_STEP_BYTES = 256
GATHERED_BYTES = 256 * 1024
"""Small pieces are joined up to this size, so that what follows is not called for every few lines."""
ZSTD_WINDOW_BYTES = 128 * 1024 * 1024
"""The most memory a frame may ask for: what the zstd program itself allows without ``--long``."""

_GZIP = b"\x1f\x8b"
_ZSTD = b"\x28\xb5\x2f\xfd"
_HEAD_BYTES = 4
_GZIP_FORMAT = 31  # zlib's window bits: 15, and 16 for a gzip header


class _Stream(Protocol):
    """Unpacks one kind of compression; ``close`` raises ``EOFError`` when its end is not there."""

    def feed(self, data: bytes) -> Iterator[bytes]: ...

    def close(self) -> None: ...


class Unpacker:
    """Fed with stored bytes, yields the bytes that were packed; plain bytes pass as they are.

    ``name`` is what errors call the source, and tells what it should be.
    """

    def __init__(self, name: str) -> None:
        self.name = name
        self._head: bytes | None = b""
        self._stream: _Stream | None = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        """Yield what the next stored bytes stand for; raise ``BadSource`` when they are broken."""
        if self._head is not None:
            self._head += data
            if len(self._head) < _HEAD_BYTES:
                return
            data, self._head = self._head, None
            self._stream = self._told(data)
        yield from self._unpacked(data)

    def close(self) -> Iterator[bytes]:
        """Yield the rest; raise ``BadSource`` when the end of the archive is missing."""
        if self._head:  # shorter than any archive
            head, self._head = self._head, None
            self._stream = self._told(head)
            yield from self._unpacked(head)
        if self._stream is not None:
            try:
                self._stream.close()
            except EOFError:
                raise BadSource(
                    f"{self.name} ends in the middle of its archive: it was cut off when it was written or "
                    "copied; nothing was sent. Copy it again."
                ) from None

    def _told(self, head: bytes) -> _Stream | None:
        """Choose by the first bytes; a name that promises something else is a mistake of somebody's."""
        if head.startswith(_GZIP):
            return _Gzip()
        if head.startswith(_ZSTD):
            return _Zstd(self.name)
        for ending in (".gz", ".zst"):
            if self.name.endswith(ending):
                raise BadSource(f"{self.name} is called {ending} and is no such archive; nothing was sent")
        return None

    def _unpacked(self, data: bytes) -> Iterator[bytes]:
        if self._stream is None:
            yield data
            return
        try:
            yield from self._stream.feed(data)
        except (zlib.error, _ZstdBroken) as error:
            raise BadSource(
                f"{self.name} cannot be unpacked: {error}; nothing was sent. Pack it anew."
            ) from None


class _Gzip:
    """One gzip member after the other; zeros that pad the file are passed over."""

    def __init__(self) -> None:
        self._member = zlib.decompressobj(_GZIP_FORMAT)
        self._begun = False

    def feed(self, data: bytes) -> Iterator[bytes]:
        while data:
            if not self._begun:
                data = data.lstrip(b"\0")
                if not data:
                    return
                self._begun = True
            yield self._member.decompress(data, PIECE_BYTES)
            data = self._member.unconsumed_tail
            if self._member.eof:
                data = self._member.unused_data
                self._member, self._begun = zlib.decompressobj(_GZIP_FORMAT), False

    def close(self) -> None:
        if self._begun:
            raise EOFError


class _ZstdBroken(Exception):
    """The bytes are no Zstandard frame, or one that asks for too much memory."""


class _Zstd:
    """One Zstandard frame after the other."""

    def __init__(self, name: str) -> None:
        try:
            import zstandard  # noqa: PLC0415  (an extra: only for those who have such files)
        except ModuleNotFoundError:
            raise BadInput(
                f"{name} is packed with Zstandard and the package zstandard is not installed; "
                "pip install 'vertexq[zstd]'"
            ) from None
        self._error: type[Exception] = zstandard.ZstdError
        self._context = zstandard.ZstdDecompressor(max_window_size=ZSTD_WINDOW_BYTES)
        self._frame: Any = None

    def feed(self, data: bytes) -> Iterator[bytes]:
        held: list[bytes] = []
        held_bytes = 0
        for at in range(0, len(data), ZSTD_STEP_BYTES):
            for piece in self._steps(data[at : at + ZSTD_STEP_BYTES]):
                held.append(piece)
                held_bytes += len(piece)
            if held_bytes >= GATHERED_BYTES:
                yield b"".join(held)
                held, held_bytes = [], 0
        yield b"".join(held)

    def _steps(self, step: bytes) -> Iterator[bytes]:
        while step:
            if self._frame is None:
                self._frame = self._context.decompressobj()
            yield self._decompress(step)
            step = b""
            if self._frame.eof:
                step, self._frame = self._frame.unused_data, None

    def close(self) -> None:
        if self._frame is not None:
            raise EOFError

    def _decompress(self, step: bytes) -> bytes:
        try:
            piece: bytes = self._frame.decompress(step)
        except self._error as error:
            raise _ZstdBroken(str(error)) from None
        return piece
