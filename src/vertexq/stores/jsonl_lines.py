"""Rows as JSON Lines, plain (``.jsonl``) or packed with Zstandard (``.jsonl.zst``)."""

from __future__ import annotations

import io
import json
import shutil
from collections.abc import Generator, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any, BinaryIO, cast

import orjson

from vertexq.errors import BadSettings, StoreRefused
from vertexq.results import Outcome, Result, Row
from vertexq.stores.columns import VECTOR, ColumnType, decode
from vertexq.stores.layout import Layout
from vertexq.stores.parts_encoding import Encoding, Source, Verdict
from vertexq.stores.vectors import check_lengths, compact

_PACKED = ".zst"
_LEVEL = 3
_BLOCK_BYTES = 1 << 20


class JsonLines(Encoding):
    """One JSON object a line; a response goes in as it is, only raw line ends become spaces."""

    name = "jsonl"
    wide = True

    def __init__(self, layout: Layout, *, compress: str = "") -> None:
        super().__init__(layout)
        if compress not in {"", "zstd"}:
            raise BadSettings(f"compress={compress[:20]!r} is not known; write compress=zstd or leave it out")
        self._compress = compress
        self._names = tuple(name for _, name in layout.names)
        # these hold bytes of JSON text
        self._json = tuple(name for column, name in layout.names if column.type is ColumnType.JSON)
        self._vector = layout.name_of(VECTOR)

    @property
    def ending(self) -> str:
        """Return ``.jsonl`` or ``.jsonl.zst``."""
        return f".jsonl{_PACKED if self._compress else ''}"

    def encode(self, rows: Sequence[Row]) -> bytes:
        """Write one object a line."""
        check_lengths(rows, self.layout.vector)
        plain = b"".join(map(self._line, rows))
        return cast("bytes", _zstandard().ZstdCompressor(_LEVEL).compress(plain)) if self._compress else plain

    def results(self, file: BinaryIO, name: str, *, submission_id: str) -> Iterator[Result]:
        """Read line by line."""
        for line in _lines(file, name):
            read = decode(line)
            for column in self._json:
                if isinstance(read.get(column), str):  # a value that is a text: not to be read once more
                    read[column] = json.dumps(read[column])
            yield self.layout.result_of([read.get(name) for name in self._names], submission_id=submission_id)

    def verdicts(self, file: BinaryIO, name: str) -> Iterator[Verdict]:
        """Read line by line."""
        key, outcome, attempt = map(self.layout.name_of, ("key", "outcome", "attempt"))
        for line in _lines(file, name):
            read = decode(line)
            yield Verdict(read[key], read.get(outcome, Outcome.SUCCEEDED.value), read.get(attempt, 1))

    def merge(self, sources: Iterable[Source], target: BinaryIO) -> None:
        """Copy lines as they are."""
        with _packing(target, packed=bool(self._compress)) as sink:
            for source in sources:
                if source.keep is None:
                    with _unpacking(source.file, source.name) as plain:
                        shutil.copyfileobj(plain, sink, _BLOCK_BYTES)
                else:
                    for line in self._kept(source):
                        sink.write(line)

    def _kept(self, source: Source) -> Iterator[bytes]:
        assert source.keep is not None  # noqa: S101  (for the type checkers)
        key = self.layout.name_of("key")
        for line in _lines(source.file, source.name):
            if source.keep(decode(line)[key]):
                yield line

    def _line(self, row: Row) -> bytes:
        fields: dict[str, Any] = dict(zip(self._names, self.layout.pick(row), strict=True))
        for name in self._json:
            raw = fields[name]
            if isinstance(raw, bytes):
                # Between tokens a raw line end is only white space; inside a string JSON does not allow one.
                fields[name] = orjson.Fragment(raw.replace(b"\n", b" "))
        if self._vector and row.embedding is not None:
            fields[self._vector] = orjson.Fragment(compact(row.embedding))
        return orjson.dumps(fields, option=orjson.OPT_APPEND_NEWLINE)


def _lines(file: BinaryIO, name: str) -> Iterator[bytes]:
    with _unpacking(file, name) as plain:
        yield from plain  # a binary file ends its lines at line feeds only


@contextmanager
def _unpacking(file: BinaryIO, name: str) -> Generator[BinaryIO]:
    if not name.endswith(_PACKED):
        yield file
        return
    zstandard = _zstandard()
    try:
        reader = zstandard.ZstdDecompressor().stream_reader(file, read_across_frames=True, closefd=False)
        yield cast("BinaryIO", io.BufferedReader(reader, _BLOCK_BYTES))
    except zstandard.ZstdError as error:
        raise StoreRefused(f"{name} is damaged: {error}") from error


@contextmanager
def _packing(file: BinaryIO, *, packed: bool) -> Generator[BinaryIO]:
    if not packed:
        yield file
        return
    with _zstandard().ZstdCompressor(_LEVEL).stream_writer(file, closefd=False) as writer:
        yield writer


def _zstandard() -> Any:
    try:
        import zstandard  # noqa: PLC0415  (an extra: only for those who have such files)
    except ModuleNotFoundError:
        raise BadSettings(
            "compress=zstd needs the package zstandard, which is not installed; pip install 'vertexq[zstd]'"
        ) from None
    return zstandard
