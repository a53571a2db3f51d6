"""A checksum that follows a read across interruptions, to be compared with the object's own at the end."""

from __future__ import annotations

from collections.abc import Sequence

from vertexq.errors import BadOutput, Unavailable
from vertexq.google.checksum import combine, crc32c_text, extend
from vertexq.ledger import OutputRange


class RunningChecksum:
    """The crc32c of a range from its start to the last whole line; ``value`` may be kept and resumed.

    Bytes that the range only looks at, before its start and behind its end, are left out.
    """

    def __init__(self, part: OutputRange, value: int = 0) -> None:
        self.value = value
        self._part = part
        self._all = value  # of every byte that has arrived

    def follow(self, data: bytes, *, piece_start: int, position: int) -> None:
        """Take the next piece; ``position`` is where its last whole line ends, in bytes of the object."""
        start, end = self._part.start, self._part.end
        data = data[max(start - piece_start, 0) : max(end - piece_start, 0)]
        piece_start = max(piece_start, start)
        if position > piece_start:
            self.value = extend(self._all, data[: position - piece_start])
        self._all = extend(self._all, data)

    def complete(self) -> None:
        """Note that the range was read to its end: now ``value`` is that of all its bytes."""
        self.value = self._all

    def verify(self, *, is_stored: bool) -> None:
        """Raise unless the bytes that arrived are the object's; a part of an object cannot tell.

        Before anything is stored a mismatch is worth another read; after that a person must look.
        """
        part = self._part
        if part.start == 0 and part.end == part.size_bytes:
            _compare(part, self._all, is_stored=is_stored)


def verify_whole(parts: Sequence[OutputRange], values: Sequence[int]) -> None:
    """Raise ``BadOutput`` unless the ranges of one object, in order, make up its checksum."""
    found = 0
    for part, value in zip(parts, values, strict=True):
        found = combine(found, value, part.end - part.start)
    _compare(parts[0], found, is_stored=True)


def _compare(part: OutputRange, value: int, *, is_stored: bool) -> None:
    found = crc32c_text(value)
    if not part.crc32c or found == part.crc32c:
        return
    what = f"{part.object_name}: the bytes that arrived have the checksum {found}, not {part.crc32c}"
    if is_stored:
        raise BadOutput(
            f"{what}; rows of it are in the store already and may be wrong. Compare the object's checksum "
            "(gcloud storage hash), then run the submission again under another id"
        )
    raise Unavailable(f"{what}; they will be read again")
