"""Rows kept from one reading to the next, in a temporary file of bounded size: most sources are read once."""

from __future__ import annotations

from collections.abc import Iterator
from struct import Struct
from tempfile import TemporaryFile

import msgspec

from vertexq.check.verdict import Prepared

_LENGTH = Struct(">I")
_encode = msgspec.msgpack.Encoder().encode
_decode = msgspec.msgpack.Decoder(list[Prepared]).decode


class KeptRows:
    """Takes the rows of a reading; ``is_whole`` says whether all of them found room."""

    def __init__(self, *, limit_bytes: int) -> None:
        self.is_whole = True
        self._file = TemporaryFile()  # noqa: SIM115  (closed by close)
        self._left_bytes = limit_bytes

    def add(self, rows: list[Prepared]) -> None:
        """Keep some rows; when there is no room for them, forget them all."""
        if not self.is_whole:
            return
        data = _encode(rows)
        self._left_bytes -= len(data)
        if self._left_bytes < 0:
            self.is_whole = False
            self._file.truncate(0)
            return
        self._file.write(_LENGTH.pack(len(data)) + data)

    def __iter__(self) -> Iterator[list[Prepared]]:
        """Yield the rows as they were added."""
        self._file.seek(0)
        while head := self._file.read(_LENGTH.size):
            yield _decode(self._file.read(_LENGTH.unpack(head)[0]))

    def close(self) -> None:
        """Drop the file. Safe to repeat."""
        self._file.close()
