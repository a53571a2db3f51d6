"""Parts: prepared rows into the input file and the manifest of one batch, on disk, in flat memory."""

from __future__ import annotations

from binascii import hexlify
from collections.abc import AsyncIterator, Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby
from tempfile import TemporaryFile

import orjson

from vertexq import carried as bits
from vertexq.families.wire import Wire
from vertexq.google.checksum import crc32c_text, extend
from vertexq.intake import Prepared
from vertexq.model import Batch, Estimate
from vertexq.sources.tables import is_table

READ_BYTES = 1024 * 1024
OPEN_PARTS = 32
"""How many parts may grow at once; the one that has waited longest is closed for another."""
OPEN_BYTES_OF_PARTS = 4
"""How many full inputs the open parts may hold together."""


class StagedFile:
    """A temporary file that knows its length and checksum while it grows."""

    def __init__(self) -> None:
        self._file = TemporaryFile()  # noqa: SIM115  (closed by close)
        self._checksum = 0
        self.size_bytes = 0

    def write(self, data: bytes) -> None:
        """Append whole lines, their newlines included."""
        self._file.write(data)
        self._checksum = extend(self._checksum, data)
        self.size_bytes += len(data)

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


class Part:
    """One batch's files; ``rows`` counts the lines of each.

    ``wire`` is the form of the input's lines. Rows that are set aside have a manifest only. Tokens are summed
    up as the check reckoned them.
    """

    def __init__(self, wire: Wire, *, aside: bool = False) -> None:
        self.wire = wire
        self.input = StagedFile()
        self.manifest = StagedFile()
        self.aside = aside
        self.rows = 0
        self.input_tokens = 0
        self.output_tokens = 0
        self.assumed_rows = 0  # rows that set no limit to their output
        self._carried = bytearray()

    @property
    def estimate(self) -> Estimate:
        """Return what the rows will take, not priced yet."""
        return Estimate(
            rows=0 if self.aside else self.rows - bits.count(self._carried),
            input_tokens=self.input_tokens,
            output_tokens=self.output_tokens,
            assumed_rows=self.assumed_rows,
        )

    @property
    def carried(self) -> bytes:
        """Return a bit a row: its answer came with the input. Empty when there is none."""
        return bits.covering(self._carried, self.rows)

    def add(self, rows: Sequence[Prepared], *, bytes_limit: int) -> int:
        """Append rows until the input is full; return how many of them went in.

        This is the hot path of staging: one loop over local names, and a write for many lines at once.
        """
        index, size_bytes = self.rows, self.input.size_bytes
        tokens, answers, assumed = self.input_tokens, self.output_tokens, self.assumed_rows
        lines: list[bytes] = []
        entries: list[bytes] = []
        dumps, crc32c, add_line, add_entry = orjson.dumps, extend, lines.append, entries.append
        wire = self.wire
        keyed, head, middle, tail = bool(wire.key), wire.head, wire.middle, wire.tail
        for name, digest, request, number, _, given, answered, _ in rows:
            key = dumps(name)
            if keyed:
                line = b"%br%d-%b%b%b%b" % (head, index, key[1:], middle, request, tail)
            else:
                line = request + b"\n"
            size_bytes += len(line)
            if size_bytes > bytes_limit and index:
                break
            add_line(line)
            note = b"" if keyed else _retyped(wire, request)
            add_entry(
                b'[%d,%b,"%b",%d,%d%b]\n' % (index, key, hexlify(digest), number, crc32c(0, line), note)
            )
            tokens += given
            answers += answered
            if not answered:
                assumed += 1
            index += 1
        self.input.write(b"".join(lines))
        self.manifest.write(b"".join(entries))
        self.rows, self.input_tokens, self.output_tokens, self.assumed_rows = index, tokens, answers, assumed
        return len(lines)

    def set_aside(self, rows: Sequence[Prepared]) -> int:
        """Append rows that are not to be sent; return how many."""
        entries = [
            orjson.dumps([index, row.key, "", row.line, 0, row.reason])
            for index, row in enumerate(rows, start=self.rows)
        ]
        self.manifest.write(b"\n".join([*entries, b""]))
        self.rows += len(entries)
        return len(entries)

    def add_staged(self, row: Prepared, line: bytes, *, carried: bool = False) -> None:
        """Append a row to the manifest only: its ``line`` is where it belongs already.

        One that is ``carried`` has its answer there, too, and takes no tokens.
        """
        note = b"" if self.wire.key else _retyped(self.wire, line)
        entry = b'[%d,%b,"%b",%d,%d%b]\n' % (
            self.rows, orjson.dumps(row.key), hexlify(row.fingerprint), row.line, extend(0, line), note,
        )  # fmt: skip
        self.manifest.write(entry)
        self.rows += 1
        if carried:
            self._carried = bits.with_row(self._carried, self.rows - 1)
            return
        self.input_tokens += row.input_tokens
        self.output_tokens += row.output_tokens
        self.assumed_rows += not row.output_tokens

    def add_again(self, entry: ManifestLine) -> None:
        """Append a row of another manifest, under the next index; its input is staged without its line."""
        end = b',"","%b"' % hexlify(entry.retyped) if entry.retyped else b""
        self.manifest.write(
            b'[%d,%b,"%b",%d,%d%b]\n'
            % (self.rows, orjson.dumps(entry.key), hexlify(entry.fingerprint), entry.line, entry.crc32c, end)
        )
        self.rows += 1

    def close(self) -> None:
        """Drop both files."""
        self.input.close()
        self.manifest.close()


class PartWriter:
    """Fills parts up to a number of rows and of input bytes.

    No part holds rows of two groups; rows that are set aside have parts of their own. Parts come out in an
    order that the rows alone decide. At most ``OPEN_PARTS`` grow at once, and what they hold together is no
    more than four full ones.
    """

    def __init__(self, wire: Wire, *, rows_limit: int, bytes_limit: int) -> None:
        self._wire = wire
        self._rows_limit = rows_limit
        self._bytes_limit = bytes_limit
        self._open: dict[int, Part] = {}  # by group; the one that has waited longest comes first

    def add(self, rows: Iterable[Prepared]) -> Iterator[Part]:
        """Take rows, a block at a time; yield the parts that are full."""
        for group, some in groupby(rows, key=_group):
            run = list(some)
            while run:
                part = self._part(group)
                room = run[: self._rows_limit - part.rows]
                taken = part.set_aside(room) if part.aside else part.add(room, bytes_limit=self._bytes_limit)
                run = run[taken:]
                if run:
                    del self._open[group]
                    yield part
            yield from self._over_limit()

    def close(self) -> Iterator[Part]:
        """Yield the parts that are left."""
        while self._open:
            yield self._oldest()

    def discard(self) -> None:
        """Drop the files of parts that were not handed out. Safe to repeat."""
        for part in self.close():
            part.close()

    def _part(self, group: int) -> Part:
        part = self._open.pop(group, None) or Part(self._wire, aside=group == _ASIDE)
        self._open[group] = part
        return part

    def _over_limit(self) -> Iterator[Part]:
        while len(self._open) > 1 and (
            len(self._open) > OPEN_PARTS or self._size_bytes() > self._most_bytes()
        ):
            yield self._oldest()

    def _size_bytes(self) -> int:
        return sum(part.input.size_bytes for part in self._open.values())

    def _most_bytes(self) -> int:
        return OPEN_BYTES_OF_PARTS * self._bytes_limit

    def _oldest(self) -> Part:
        return self._open.pop(next(iter(self._open)))


_ASIDE = -1


def _group(row: Prepared) -> int:
    return _ASIDE if row[7] else row[4]  # by position: this is asked for every row


def is_own(batch: Batch) -> bool:
    """Tell whether a batch's input is the producer's own object; ours lie beside their manifest.

    Jobs never read a table of the producer's, only our copy.
    """
    place = batch.input_uri.rpartition("/")[0]
    return not is_table(batch.input_uri) and place != batch.manifest_uri.rpartition("/")[0]


@dataclass(frozen=True, slots=True)
class ManifestLine:
    """What the manifest says about one row; ``reason`` only when it was set aside.

    ``retyped`` is a second fingerprint, of a keyless row with texts that look like numbers.
    """

    index: int
    key: str
    fingerprint: bytes
    line: int
    crc32c: int
    reason: str
    retyped: bytes = b""


def read_manifest_line(line: bytes) -> ManifestLine:
    """Read ``[index, key, fingerprint, source line, crc32c of the staged line, reason?, retyped?]``."""
    index, key, digest, number, *rest = orjson.loads(line)
    crc32c = rest[0] if rest else 0
    reason = rest[1] if len(rest) > 1 else ""
    retyped = bytes.fromhex(rest[2]) if len(rest) > 2 else b""  # noqa: PLR2004
    return ManifestLine(index, key, bytes.fromhex(digest), number, crc32c, reason, retyped)


def _retyped(wire: Wire, request: bytes) -> bytes:
    """Return the end of a keyless row's entry: by what an echo is known in which texts became numbers."""
    digest = wire.retyped_digest(orjson.loads(request))
    return b"" if digest is None else b',"","%b"' % hexlify(digest)
