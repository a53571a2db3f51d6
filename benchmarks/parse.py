"""Output lines to typed rows, without a store, against a loop that does nothing but ``orjson.loads``."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Callable, Iterator
from datetime import date
from pathlib import Path

import orjson

from benchmarks import lines
from benchmarks.measure import Measured, race
from vertexq import ranks
from vertexq.families import family_of
from vertexq.families.gemini_reading import reading
from vertexq.families.gemini_shapes import decode_line, decode_response
from vertexq.lines import Block, LineSplitter, Oversized
from vertexq.prices import PriceBook
from vertexq.rows import ReadContext, Reading, RowReader

ROWS = 50_000
MODEL = "gemini-2.5-flash-lite"
CHUNK_BYTES = 256 * 1024


def run() -> Iterator[Measured]:
    """Measure on one core, in CPU seconds; then what the parts of it take, each with those before it."""
    with tempfile.TemporaryDirectory() as folder:
        path = lines.write(Path(folder) / "predictions.jsonl", ROWS)
        for name, ours, aim in (
            ("parse to typed rows", lambda: typed(path), ">= 0.85 of a bare orjson.loads loop"),
            ("  of it: lines", lambda: _part(path, len), "a part, no aim"),
            ("  of it: lines, decoded", lambda: _part(path, _decoded), "a part, no aim"),
            ("  of it: lines, decoded, judged", lambda: _part(path, _read), "a part, no aim"),
        ):
            yield race(name, ours=ours, peer=lambda: bare(path), rows=ROWS, aim=aim)


def bare(path: Path) -> int:
    """Parse every line and throw it away."""
    loads, count = orjson.loads, 0
    with path.open("rb") as file:
        for line in file:
            loads(line)
            count += 1
    return count


class Typing:
    """Reads, matches, judges and prices every line, as a worker does."""

    def __init__(self, rows: int) -> None:
        self._rows, self._count = rows, 0
        context = ReadContext(
            submission_id="s", batch_id="b", attempt=1, rows=rows, source_object="gs://b/o",
            source_generation=1, price=PriceBook.shipped().price_of(MODEL, date(2026, 1, 1)),
        )  # fmt: skip
        self._reader = RowReader(context, family_of(MODEL).reading(context), ranks.empty(rows))
        self._splitter = LineSplitter()

    def feed(self, piece: bytes) -> None:
        """Take the next bytes."""
        self._take(self._splitter.feed(piece))

    def close(self) -> None:
        """Take the last line; every row must have come."""
        self._take(self._splitter.close())
        assert self._count == self._rows, self._count

    def _take(self, items: list[Block | Oversized]) -> None:
        for item in items:
            reading = Reading()
            self._reader.read(item, reading)
            self._count += len(reading.rows)


def typed(path: Path, rows: int = ROWS) -> None:
    """Make a typed row of every line; collection is off, as it is in a worker."""
    reading = Typing(rows)
    gc.disable()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                reading.feed(chunk)
        reading.close()
    finally:
        gc.enable()


def _part(path: Path, each: Callable[[bytes], object]) -> None:
    """Do only the beginning of it with every line."""
    splitter = LineSplitter()
    gc.disable()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                for item in splitter.feed(chunk):
                    for line in item.lines if isinstance(item, Block) else ():
                        each(line)
    finally:
        gc.enable()


_read = reading()


def _decoded(line: bytes) -> object:
    return decode_response(bytes(decode_line(line).response))
