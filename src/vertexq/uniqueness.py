"""Find keys that occur twice among any number of rows, in flat memory: hashes go to a temporary file."""

from __future__ import annotations

from collections.abc import Iterator
from hashlib import blake2b
from struct import Struct
from tempfile import SpooledTemporaryFile

_RECORD = Struct(">16sQ")
_IN_MEMORY_BYTES = 8 * 1024 * 1024
_ROWS_AT_ONCE = 500_000


class KeyLog:
    """Remembers the hash of every key; ``duplicates`` tells which rows share one."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  (closed by close)
        self._rows = 0

    def add(self, key: str, line: int) -> None:
        """Note the key of the row in ``line``."""
        self._file.write(_RECORD.pack(blake2b(key.encode(), digest_size=16).digest(), line))
        self._rows += 1

    def duplicates(self) -> Iterator[tuple[int, int]]:
        """Yield (line, earlier line) for every key that was there before."""
        slices = self._rows // _ROWS_AT_ONCE + 1
        for part in range(slices):
            seen: dict[bytes, int] = {}
            for digest, line in self._records():
                if digest[0] * slices // 256 == part:
                    earlier = seen.setdefault(digest, line)
                    if earlier != line:
                        yield line, earlier

    def close(self) -> None:
        """Drop the temporary file."""
        self._file.close()

    def _records(self) -> Iterator[tuple[bytes, int]]:
        self._file.seek(0)
        while block := self._file.read(_RECORD.size * 65_536):
            yield from _RECORD.iter_unpack(block)
