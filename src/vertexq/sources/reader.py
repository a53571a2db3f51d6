"""One source from its stored bytes to its rows, whatever its format. No I/O."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator

from vertexq.errors import BadSource
from vertexq.intake import Intake, Prepared
from vertexq.lines import Block, LineSplitter, Oversized
from vertexq.sources.kinds import Format, format_of
from vertexq.sources.records import CsvRecords, Record
from vertexq.sources.unpack import Unpacker

RECORDS_AT_ONCE = 1_000

_UTF_8 = getincrementaldecoder("utf-8")


class SourceReader:
    """Fed with the bytes of a file, an object or a stream, yields its rows, some at a time.

    ``intake`` checks them and keeps the faults. ``name`` tells the format; that a source is packed shows in
    its first bytes. Raise ``BadSource`` for what makes all of it unreadable, such as a broken archive.
    """

    def __init__(self, name: str, intake: Intake, *, line_limit_bytes: int) -> None:
        self._unpacker = Unpacker(name)
        self._rows = _reading(name, intake, line_limit_bytes)

    def feed(self, data: bytes) -> Iterator[list[Prepared]]:
        """Take the next stored bytes."""
        for piece in self._unpacker.feed(data):
            yield from self._rows.feed(piece)

    def close(self) -> Iterator[list[Prepared]]:
        """Take the end of the source."""
        for piece in self._unpacker.close():
            yield from self._rows.feed(piece)
        yield from self._rows.close()


def _reading(name: str, intake: Intake, limit_bytes: int) -> _Lines | _Csv:
    kind = format_of(name)
    if kind is Format.PARQUET:
        raise BadSource(
            f"{name} is a Parquet file; only a local file of that kind can be read; nothing was sent"
        )
    if kind is Format.JSONL:
        return _Lines(name, intake, limit_bytes)
    delimiter = "\t" if kind is Format.TSV else ","
    return _Csv(intake, CsvRecords(name, limit_bytes=limit_bytes, delimiter=delimiter))


class _Lines:
    """JSON Lines."""

    def __init__(self, name: str, intake: Intake, limit_bytes: int) -> None:
        self._name = name
        self._intake = intake
        self._splitter = LineSplitter(limit_bytes=limit_bytes)
        self._seen = 0

    def feed(self, data: bytes) -> Iterator[list[Prepared]]:
        return map(self._block, self._splitter.feed(data))

    def close(self) -> Iterator[list[Prepared]]:
        return map(self._block, self._splitter.close())

    def _block(self, item: Block | Oversized) -> list[Prepared]:
        faults = self._intake.fault_count
        rows = self._intake.block(item)
        if self._intake.fault_count > faults:  # only then: good files are not decoded a second time
            _check_text(item, self._name, seen=self._seen)
        self._seen += len(item.lines) if isinstance(item, Block) else 1
        return rows


class _Csv:
    """Comma-separated or tab-separated records."""

    def __init__(self, intake: Intake, records: CsvRecords) -> None:
        self._intake = intake
        self._records = records
        self._before = intake.lines

    def feed(self, data: bytes) -> Iterator[list[Prepared]]:
        return rows_of_records(self._records.feed(data), self._intake, self._before)

    def close(self) -> Iterator[list[Prepared]]:
        return rows_of_records(self._records.close(), self._intake, self._before)


def rows_of_records(records: Iterable[Record], intake: Intake, before: int) -> Iterator[list[Prepared]]:
    """Yield the rows of records, some at a time; ``before`` is how many lines other sources had."""
    rows: list[Prepared] = []
    for record in records:
        row = intake.row(record.fields, line=before + record.line)
        if row is not None:
            rows.append(row)
        if len(rows) >= RECORDS_AT_ONCE:
            yield rows
            rows = []
    yield rows


def _check_text(item: Block | Oversized, name: str, *, seen: int) -> None:
    """Raise ``BadSource`` when a line is not UTF-8; ``seen`` lines came before."""
    for number, line in enumerate(item.lines if isinstance(item, Block) else [item.head], start=seen + 1):
        if not _is_text(line):
            raise BadSource(
                f"{name} is not a UTF-8 text file (line {number:,} is the first that is not); "
                "convert it first (iconv does); nothing was sent"
            )


def _is_text(line: bytes) -> bool:
    """Tell whether a line is UTF-8; its last character may be cut off. UTF-16 shows by its NULs."""
    try:
        _UTF_8().decode(line)
    except UnicodeDecodeError:
        return False
    return b"\0" not in line
