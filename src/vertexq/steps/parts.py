"""Parts: prepared rows into the input file and the manifest of one batch, on disk, in flat memory."""

from __future__ import annotations

from collections.abc import AsyncIterator
from dataclasses import dataclass
from tempfile import TemporaryFile

import orjson

from vertexq.google.checksum import crc32c_text, extend
from vertexq.intake import Prepared
from vertexq.keys import wire_key

READ_BYTES = 1024 * 1024


class StagedFile:
    """A temporary file that knows its length and checksum while it grows."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  (closed by close)
        self._checksum = 0
        self.size_bytes = 0

    def write(self, line: bytes) -> None:
        """Append one line, its newline included."""
        self._file.write(line)
        self._checksum = extend(self._checksum, line)
        self.size_bytes += len(line)

    def crc32c(self) -> str:
        """Return the checksum as Cloud Storage writes it: base64 of four big-endian bytes."""
        return crc32c_text(self._checksum)

    async def chunks(self) -> AsyncIterator[bytes]:
        """Yield the file from its beginning, a mebibyte at a time."""
        self._file.seek(0)
        while chunk := self._file.read(READ_BYTES):
            yield chunk

    def close(self) -> None:
        """Drop the file."""
        self._file.close()


@dataclass(slots=True)
class Part:
    """One batch's files; ``rows`` counts the lines of each.

    A line of the input is ``{"key":"r<index>-<key>","request":…}``; a line of the manifest is
    ``[index, key, fingerprint in hex, source line]``.
    """

    input: StagedFile
    manifest: StagedFile
    rows: int = 0

    def close(self) -> None:
        """Drop both files."""
        self.input.close()
        self.manifest.close()


class PartWriter:
    """Fills parts up to a number of rows and of input bytes."""

    def __init__(self, *, rows_limit: int, bytes_limit: int) -> None:
        self._rows_limit = rows_limit
        self._bytes_limit = bytes_limit
        self._part: Part | None = None

    def add(self, row: Prepared) -> Part | None:
        """Add a row; return the part before it when that one is full."""
        full = None
        line_bytes = len(row.request) + len(row.key.encode()) + 48
        if self._part is not None and self._is_full(self._part, line_bytes):
            full, self._part = self._part, None
        if self._part is None:
            self._part = Part(StagedFile(), StagedFile())
        _append(self._part, row)
        return full

    def close(self) -> Part | None:
        """Return the last part, or None when there was no row since the last full one."""
        last, self._part = self._part, None
        return last

    def _is_full(self, part: Part, line_bytes: int) -> bool:
        return part.rows >= self._rows_limit or part.input.size_bytes + line_bytes > self._bytes_limit


def _append(part: Part, row: Prepared) -> None:
    key = orjson.dumps(wire_key(part.rows, row.key))
    part.input.write(b'{"key":%s,"request":%s}\n' % (key, row.request))
    entry = [part.rows, row.key, row.fingerprint.hex(), row.line]
    part.manifest.write(orjson.dumps(entry) + b"\n")
    part.rows += 1


def read_manifest_line(line: bytes) -> tuple[int, str, bytes]:
    """Return (index, producer's key, fingerprint) of a manifest line."""
    index, key, digest, _ = orjson.loads(line)
    return index, key, bytes.fromhex(digest)
