r"""Records: CSV bytes and Parquet files into mappings, one record after the other.

A CSV file is UTF-8, its first line names the fields, and a field in quotes may hold commas, quotes written
twice and line ends (RFC 4180). Every field is a text. Parquet keeps the types of its columns.
"""

from __future__ import annotations

import csv
import sys
from base64 import b64encode
from collections.abc import Iterator, Mapping
from datetime import timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, NamedTuple, cast

from vertexq.errors import BadInput, BadSource
from vertexq.lines import Block, LineSplitter, Oversized

ROWS_AT_ONCE = 1_000
"""How many records of a Parquet file are in memory, besides the column chunks of one row group."""

_BOM = b"\xef\xbb\xbf"


class Record(NamedTuple):
    """A record and the line it begins in, counted from 1."""

    line: int
    fields: Mapping[str, Any]


class CsvRecords:
    """Fed with the bytes of a CSV file; ``name`` is what errors call it.

    What is not CSV at all raises ``BadSource``: after a broken quote nothing that follows can be trusted.
    """

    def __init__(self, name: str, *, limit_bytes: int, delimiter: str = ",") -> None:
        _allow_fields_of(limit_bytes)
        self._name = name
        self._limit_bytes = limit_bytes
        self._delimiter = delimiter
        self._splitter = LineSplitter(limit_bytes=limit_bytes)
        self._header: list[str] | None = None
        self._open: list[str] = []  # the lines of a record whose quotes are not closed yet
        self._open_bytes = 0
        self._line = 0  # lines taken so far

    def feed(self, chunk: bytes) -> Iterator[Record]:
        """Yield the records that a chunk completes."""
        for item in self._splitter.feed(chunk):
            yield from self._taken(item)

    def close(self) -> Iterator[Record]:
        """Yield the last record, if the file does not end with a line end."""
        for item in self._splitter.close():
            yield from self._taken(item)
        if self._open:
            raise self._bad(self._line - len(self._open) + 1, "has a quote that is never closed")

    def _taken(self, item: Block | Oversized) -> Iterator[Record]:
        if isinstance(item, Oversized):
            raise self._bad(self._line + 1, f"has {item.size_bytes:,} bytes, more than the limit")
        lines = self._texts(item.lines)
        first = self._line - len(lines) - len(self._open) + 1
        pending, self._open, self._open_bytes = [*self._open, *lines], [], 0
        yield from self._records(pending, first)

    def _texts(self, lines: list[bytes]) -> list[str]:
        if self._line == 0 and lines:
            lines[0] = lines[0].removeprefix(_BOM)
        texts: list[str] = []
        for line in lines:
            self._line += 1
            try:
                texts.append(line.decode() + "\n")
            except UnicodeDecodeError:
                raise self._bad(self._line, "is not UTF-8; convert the file first (iconv does)") from None
        return texts

    def _records(self, lines: list[str], first: int) -> Iterator[Record]:
        """Yield the whole records of ``lines``; keep those of the last one when its quotes are open."""
        feed = _Lines(lines)
        reader = csv.reader(feed, delimiter=self._delimiter, strict=True)
        begins = 0
        while begins < len(lines):
            try:
                fields = next(reader)
            except _MoreNeeded:
                self._keep(lines[begins:], first + begins)
                return
            except csv.Error as error:
                raise self._bad(first + begins, f"is no CSV: {error}") from None
            if fields:
                yield from self._record(fields, first + begins)
            begins = feed.at

    def _keep(self, lines: list[str], first: int) -> None:
        self._open = lines
        self._open_bytes = sum(map(len, lines))
        if self._open_bytes > self._limit_bytes:
            raise self._bad(first, "has a quote that is not closed within the limit of a line")

    def _record(self, fields: list[str], line: int) -> Iterator[Record]:
        if self._header is None:
            self._header = self._checked(fields, line)
            return
        if len(fields) > len(self._header):
            raise self._bad(line, f"has {len(fields)} fields and the header {len(self._header)}")
        yield Record(line, dict(zip(self._header, fields, strict=False)))

    def _checked(self, header: list[str], line: int) -> list[str]:
        names = [name.strip() for name in header]
        if not all(names) or len(set(names)) < len(names):
            raise self._bad(line, "must name every field, each by another name: it is the header")
        return names

    def _bad(self, line: int, text: str) -> BadSource:
        return BadSource(f"{self._name}: line {line:,} {text}; nothing was sent")


class _MoreNeeded(Exception):
    """A record goes on behind the last line."""


class _Lines:
    """An iterator over lines that says how far it is, and that its end is not the file's."""

    def __init__(self, lines: list[str]) -> None:
        self.at = 0
        self._lines = lines

    def __iter__(self) -> _Lines:
        return self

    def __next__(self) -> str:
        if self.at == len(self._lines):
            raise _MoreNeeded
        self.at += 1
        return self._lines[self.at - 1]


def _allow_fields_of(limit_bytes: int) -> None:
    """Let fields be as long as a line; the csv module has one limit for the process, 128 KiB at first."""
    wanted = min(limit_bytes, sys.maxsize)
    if csv.field_size_limit() < wanted:
        csv.field_size_limit(wanted)


def parquet_records(path: Path) -> Iterator[Record]:
    """Yield the rows of a Parquet file, a row group at a time; their "lines" are their numbers, from 1.

    Raise ``BadInput`` when pyarrow is not installed, ``BadSource`` when the file cannot be read.
    """
    try:
        import pyarrow as pa  # type: ignore[import-untyped]  # noqa: PLC0415  (an extra, and slow to import)
        from pyarrow import parquet  # noqa: PLC0415  # pyright: ignore[reportMissingTypeStubs]
    except ModuleNotFoundError:
        raise BadInput(
            f"{path} is a Parquet file and the package pyarrow is not installed; "
            "pip install 'vertexq[parquet]'"
        ) from None
    errors = (cast("Any", pa).ArrowException, OSError)
    try:
        with cast("Any", parquet).ParquetFile(path) as file:
            yield from _numbered(file.iter_batches(batch_size=ROWS_AT_ONCE))
    except errors as error:
        advice = getattr(error, "strerror", None) or "it is damaged, or no Parquet file"
        raise BadSource(f"{path} cannot be read: {advice}; nothing was sent") from error


def _numbered(batches: Iterator[Any]) -> Iterator[Record]:
    number = 0
    for batch in batches:
        for row in batch.to_pylist():
            number += 1
            yield Record(number, {name: _plain(value) for name, value in row.items()})


def _plain(value: Any) -> Any:
    """Return a value that JSON has: bytes as base64, decimals and spans of time as text."""
    if isinstance(value, str | int | float | None):
        return value
    if isinstance(value, bytes):
        return b64encode(value).decode()
    if isinstance(value, Decimal | timedelta):
        return str(value)
    if isinstance(value, list):
        return [_plain(one) for one in cast("list[Any]", value)]  # type: ignore[redundant-cast]
    if isinstance(value, dict):
        return {str(name): _plain(one) for name, one in cast("dict[Any, Any]", value).items()}  # type: ignore[redundant-cast]
    return value
