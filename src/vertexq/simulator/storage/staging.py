"""Bytes on their way in: written to a file and hashed as they come."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from pathlib import Path

import google_crc32c

from vertexq.errors import Refused

CHUNK_BYTES = 256 * 1024
_extend: Callable[[int, bytes], int] = google_crc32c.extend  # pyright: ignore[reportUnknownMemberType, reportUnknownVariableType]


@dataclass(frozen=True, slots=True, kw_only=True)
class Hashes:
    """The checksums of an object in base64; an empty one is unknown."""

    crc32c: str = ""
    md5: str = ""

    def check(self, found: Hashes) -> None:
        """Raise ``Refused`` (400) when a known checksum differs from what was ``found``."""
        for word, given, computed in (("CRC32C", self.crc32c, found.crc32c), ("MD5", self.md5, found.md5)):
            if given and given != computed:
                raise Refused(
                    f'Provided {word} "{given}" doesn\'t match calculated {word} "{computed}".',
                    status=400,
                    code="invalid",
                )


class Staged:
    """A file being filled; nobody sees it before it is published under a name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.size_bytes = 0
        self._file = path.open("wb")
        self._crc32c = 0
        self._md5 = hashlib.md5(usedforsecurity=False)

    def write(self, data: bytes) -> None:
        """Append ``data``."""
        self._file.write(data)
        self._crc32c = _extend(self._crc32c, data)
        self._md5.update(data)
        self.size_bytes += len(data)

    async def fill(self, chunks: AsyncIterator[bytes]) -> None:
        """Append everything that comes."""
        async for chunk in chunks:
            self.write(chunk)

    def seal(self) -> Hashes:
        """Close the file and return the checksums of all that was written."""
        self._file.close()
        crc32c = base64.b64encode(self._crc32c.to_bytes(4, "big")).decode()
        return Hashes(crc32c=crc32c, md5=base64.b64encode(self._md5.digest()).decode())

    def discard(self) -> None:
        """Close and remove the file, if it is still here. Safe to repeat."""
        self._file.close()
        self.path.unlink(missing_ok=True)


def hashes_from_header(header: str) -> Hashes:
    """Read ``X-Goog-Hash: crc32c=…,md5=…``."""
    known: dict[str, str] = {}
    for part in header.split(","):
        name, _, value = part.strip().partition("=")
        known[name] = value
    return Hashes(crc32c=known.get("crc32c", ""), md5=known.get("md5", ""))
