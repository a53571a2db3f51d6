r"""Bytes into lines: fed with chunks, split at ``\n`` only, bounded in memory. No I/O.

JSON Lines are bytes. U+2028, U+0085 and a lone ``\r`` are legal inside a JSON string and never end a line.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO
from operator import itemgetter

HEAD_BYTES = 1024
"""How much of an oversized line is kept for a person to look at."""


@dataclass(frozen=True, slots=True)
class Block:
    """Consecutive whole lines without their newlines; ``offset`` is where the first starts, in bytes.

    Blank lines are kept as empty lines, so that ``offset`` plus ``len(line) + 1`` is the next line's offset.
    """

    offset: int
    lines: list[bytes]


@dataclass(frozen=True, slots=True)
class Oversized:
    """A line over the limit; only its first kilobyte was kept. ``size_bytes`` leaves out the newline."""

    offset: int
    size_bytes: int
    head: bytes


class LineSplitter:
    """Split chunks into blocks of whole lines; a line over ``limit_bytes`` is passed over, not held."""

    def __init__(self, *, offset: int = 0, limit_bytes: int = 32 * 1024 * 1024) -> None:
        self._offset = offset  # of the first byte of the tail
        self._limit_bytes = limit_bytes
        self._tail: list[bytes] = []
        self._tail_bytes = 0
        self._too_long = False  # the line has grown over the limit; its size is counted, not its bytes kept

    def feed(self, chunk: bytes) -> list[Block | Oversized]:
        """Take the next chunk; return what it completes, in order."""
        lines, last = _split(chunk)
        if not lines:
            self._grow(last)
            return []
        ends_at = self._offset + self._tail_bytes + len(chunk) - len(last)
        self._grow(lines[0])
        first = self._end_line()
        if isinstance(first, Block) and len(chunk) <= self._limit_bytes:  # so no line of it can be too long
            lines[0] = first.lines[0]
            found: list[Block | Oversized] = [Block(first.offset, lines)]
        else:
            found = [first, *self._whole(lines[1:])]
        self._offset = ends_at
        self._grow(last)
        return found

    def close(self) -> list[Block | Oversized]:
        """Return the last line if the input did not end with a newline."""
        return [self._end_line()] if self._tail_bytes else []

    @property
    def position(self) -> int:
        """Return the offset of the first byte that is not part of a returned line."""
        return self._offset

    @property
    def is_within(self) -> bool:
        """Tell whether a line has begun that has not ended."""
        return self._tail_bytes > 0

    def _grow(self, piece: bytes) -> None:
        """Add a piece to the line at hand, or only count it once the line is too long."""
        self._tail_bytes += len(piece)
        if self._too_long or self._tail_bytes > self._limit_bytes:
            self._too_long = True
            self._tail = [b"".join([*self._tail, piece])[:HEAD_BYTES]]
        elif piece:
            self._tail.append(piece)

    def _end_line(self) -> Block | Oversized:
        offset, line, size_bytes, too_long = (
            self._offset,
            b"".join(self._tail),
            self._tail_bytes,
            self._too_long,
        )
        self._tail, self._tail_bytes, self._too_long = [], 0, False
        self._offset += size_bytes + 1
        return Oversized(offset, size_bytes, line) if too_long else Block(offset, [line])

    def _whole(self, lines: list[bytes]) -> list[Block | Oversized]:
        found: list[Block | Oversized] = []
        start, offset = 0, self._offset
        for at, line in enumerate(lines):
            if len(line) > self._limit_bytes:
                found += [Block(self._offset, lines[start:at])] if at > start else []
                found.append(Oversized(offset, len(line), line[:HEAD_BYTES]))
                start, self._offset = at + 1, offset + len(line) + 1
            offset += len(line) + 1
        if start < len(lines):
            found.append(Block(self._offset, lines[start:] if start else lines))
        self._offset = offset
        return found


_without_end: Callable[[bytes], bytes] = itemgetter(slice(-1))


def _split(chunk: bytes) -> tuple[list[bytes], bytes]:
    """Return the whole lines of a chunk, without their ends, and what is behind the last of them.

    ``chunk.split`` does the same; it looks at each byte by itself, and takes three times as long.
    """
    if b"\n" not in chunk:
        return [], chunk
    lines = BytesIO(chunk).readlines()
    last = b"" if chunk.endswith(b"\n") else lines.pop()
    return list(map(_without_end, lines)), last


class RangeSplitter:
    """Split the bytes of one range of an object into the lines that belong to it: those that start in it.

    With ``midway`` the bytes begin one before the range, so that a line that starts with it can be told from
    one that does not; whatever ends first began before the range and is left out.
    """

    def __init__(self, *, start: int, midway: bool, limit_bytes: int) -> None:
        self._start = start
        self._midway = midway
        self._splitter = LineSplitter(offset=start - midway, limit_bytes=limit_bytes)

    def feed(self, chunk: bytes) -> list[Block | Oversized]:
        """Take the next chunk; return what it completes, in order."""
        found = self._splitter.feed(chunk)
        if not self._midway or not found:
            return found
        self._midway = False
        return [*_without_first_line(found[0]), *found[1:]]

    def close(self) -> list[Block | Oversized]:
        """Return the last line if the object did not end with a newline."""
        return [] if self._midway else self._splitter.close()

    @property
    def position(self) -> int:
        """Return the offset of the first byte that is not part of a returned line."""
        return self._start if self._midway else self._splitter.position

    @property
    def is_within(self) -> bool:
        """Tell whether a line of this range has begun that has not ended."""
        return not self._midway and self._splitter.is_within


def _without_first_line(item: Block | Oversized) -> list[Block | Oversized]:
    if isinstance(item, Oversized) or len(item.lines) == 1:
        return []
    return [Block(item.offset + len(item.lines[0]) + 1, item.lines[1:])]
