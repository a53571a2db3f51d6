"""Output lines to typed rows, without a store, against a loop that does nothing but ``orjson.loads``."""

from __future__ import annotations

import gc
import tempfile
from collections.abc import Iterator
from datetime import date
from pathlib import Path

import orjson

from benchmarks import lines
from benchmarks.measure import Measured, race
from vertexq import ranks
from vertexq.families import family_of
from vertexq.lines import LineSplitter
from vertexq.prices import PriceBook
from vertexq.rows import ReadContext, Reading, RowReader

ROWS = 50_000
MODEL = "gemini-2.5-flash-lite"
CHUNK_BYTES = 256 * 1024


def run() -> Iterator[Measured]:
    """Measure on one core, in CPU seconds."""
    with tempfile.TemporaryDirectory() as folder:
        path = lines.write(Path(folder) / "predictions.jsonl", ROWS)
        yield race(
            "parse to typed rows",
            ours=lambda: typed(path),
            peer=lambda: bare(path),
            rows=ROWS,
            aim=">= 0.7 of a bare orjson.loads loop",
        )


def bare(path: Path) -> int:
    """Parse every line and throw it away."""
    loads, count = orjson.loads, 0
    with path.open("rb") as file:
        for line in file:
            loads(line)
            count += 1
    return count


def typed(path: Path) -> int:
    """Read, match, judge and price every line, as a worker does; collection is off, as it is there."""
    context = ReadContext(
        submission_id="s", batch_id="b", attempt=1, rows=ROWS, source_object="gs://b/o", source_generation=1,
        price=PriceBook.shipped().price_of(MODEL, date(2026, 1, 1)),
    )  # fmt: skip
    reader = RowReader(context, family_of(MODEL).read, ranks.empty(ROWS))
    splitter, count = LineSplitter(), 0
    gc.disable()
    try:
        with path.open("rb") as file:
            while chunk := file.read(CHUNK_BYTES):
                for item in splitter.feed(chunk):
                    reading = Reading()
                    reader.read(item, reading)
                    count += len(reading.rows)
    finally:
        gc.enable()
    assert count == ROWS, count
    return count
