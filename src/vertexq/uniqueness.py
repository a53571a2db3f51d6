"""Find keys that occur twice among any number of rows, in flat memory.

The first 250,000 keys, more than a batch has, are kept as they are (about 40 MiB); of more than these, hashes
go to a temporary file.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from hashlib import blake2b
from struct import Struct
from tempfile import SpooledTemporaryFile
from typing import NamedTuple

_RECORD = Struct(">16sQhQQ")
_IN_MEMORY_BYTES = 8 * 1024 * 1024
_IN_MEMORY_KEYS = 250_000
_ROWS_AT_ONCE = 500_000
_MARKED = re.compile(r"(~+)[0-9]+\Z")


class Repetition(NamedTuple):
    """A row whose key an earlier one has; group and tokens are those it was noted with."""

    line: int
    earlier: int
    group: int
    input_tokens: int
    output_tokens: int


_Noted = tuple[int, int, int, int]  # line, group, input and output tokens


class KeyLog:
    """Remembers every key; ``duplicates`` tells which rows share one."""

    def __init__(self) -> None:
        self._file = SpooledTemporaryFile(max_size=_IN_MEMORY_BYTES)  # noqa: SIM115  (closed by close)
        self._rows = 0  # in the file
        self._room = _IN_MEMORY_KEYS  # for keys in memory
        self._known: dict[str, int] = {}
        self._repeated: list[tuple[str, _Noted]] = []
        self._tildes = 0  # of the longest run that only a number follows, to the end of a key

    @property
    def mark(self) -> str:
        """Return what no key has before a number at its end: one ``~``, or more."""
        return "~" * (self._tildes + 1)

    def add(self, key: str, line: int, group: int = 0, input_tokens: int = 0, output_tokens: int = 0) -> None:
        """Note the key of the row in ``line``; the rest is what a ``Repetition`` says of it."""
        if "~" in key and (marked := _MARKED.search(key)):
            self._tildes = max(self._tildes, len(marked[1]))
        if not self._room:
            self._log(key, (line, group, input_tokens, output_tokens))
            return
        self._room -= 1
        if self._known.setdefault(key, line) != line:
            self._repeated.append((key, (line, group, input_tokens, output_tokens)))
        if not self._room:
            self._empty()

    def duplicates(self) -> Iterator[Repetition]:
        """Yield every row whose key was there before, in no order."""
        for key, (line, *noted) in self._repeated:
            yield Repetition(line, self._known[key], *noted)
        slices = self._rows // _ROWS_AT_ONCE + 1
        for part in range(slices):
            seen: dict[bytes, int] = {}
            for digest, line, *noted in self._records():
                if digest[0] * slices // 256 == part:
                    earlier = seen.setdefault(digest, line)
                    if earlier != line:
                        yield Repetition(line, earlier, *noted)

    def close(self) -> None:
        """Drop the temporary file."""
        self._file.close()

    def _empty(self) -> None:
        """Move what is in memory to the file, first occurrences first."""
        for key, line in self._known.items():
            self._log(key, (line, 0, 0, 0))
        for key, noted in self._repeated:
            self._log(key, noted)
        self._known, self._repeated = {}, []

    def _log(self, key: str, noted: _Noted) -> None:
        self._file.write(_RECORD.pack(blake2b(key.encode(), digest_size=16).digest(), *noted))
        self._rows += 1

    def _records(self) -> Iterator[tuple[bytes, int, int, int, int]]:
        self._file.seek(0)
        while block := self._file.read(_RECORD.size * 65_536):
            yield from _RECORD.iter_unpack(block)
