"""A checksum that follows a read across interruptions, compared with the object's own at the end."""

from __future__ import annotations

from vertexq.errors import StoreRefused, Unavailable
from vertexq.google.checksum import crc32c_text, extend
from vertexq.ledger import OutputRange


class RunningChecksum:
    """The crc32c of a range from its start to the last whole line; ``value`` may be kept and resumed."""

    def __init__(self, value: int = 0) -> None:
        self.value = value
        self._all = value  # of every byte that has arrived

    def follow(self, data: bytes, *, piece_start: int, position: int) -> None:
        """Take the next piece; ``position`` is where its last whole line ends, in bytes of the object."""
        if position > piece_start:
            self.value = extend(self._all, data[: position - piece_start])
        self._all = extend(self._all, data)

    def verify(self, part: OutputRange, *, committed_bytes: int) -> None:
        """Raise unless the bytes that arrived are the object's; ``part`` must be a whole object.

        Before anything is committed a mismatch is worth another read; after that a person must look.
        """
        whole = part.start == 0 and part.end == part.size_bytes
        found = crc32c_text(self._all)
        if not whole or not part.crc32c or found == part.crc32c:
            return
        what = f"{part.object_name}: the bytes that arrived have the checksum {found}, not {part.crc32c}"
        if committed_bytes:
            raise StoreRefused(f"{what}; rows of it are in the store already and may be wrong")
        raise Unavailable(f"{what}; they will be read again")
