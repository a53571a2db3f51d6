"""Output lines to Parquet, exactly once, against DuckDB's ``read_ndjson`` to Parquet on one thread."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Iterator
from datetime import date
from itertools import count
from pathlib import Path

import duckdb

from benchmarks import lines
from benchmarks.load import ingest
from benchmarks.measure import Measured, race
from benchmarks.objects import LocalObject
from vertexq import ranks
from vertexq.families import family_of
from vertexq.lines import LineSplitter
from vertexq.prices import PriceBook
from vertexq.results import Chunk, Progress, Row, SourceRange
from vertexq.rows import ReadContext, Reading, RowReader
from vertexq.stores import open_store

ROWS = 60_000
MODEL = "gemini-2.5-flash-lite"
CHUNK_BYTES = 256 * 1024
CHUNK_ROWS = 5_000  # as a worker's
SUBMISSION = "bench"
AIM = ">= 1.0 of DuckDB's read_ndjson to Parquet with zstd, one thread"


def run() -> Iterator[Measured]:
    """Measure CPU seconds of one thread, then wall seconds of a worker, whose store has its own thread."""
    numbers = count()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        path = lines.write(home / "predictions.jsonl", ROWS, distinct=True)

        def folder_of(name: str) -> Path:
            (made := home / f"{name}{next(numbers)}").mkdir()
            return made

        def theirs() -> None:
            peer(path, folder_of("peer") / "all.parquet")

        yield race(
            "Parquet, parts as they land, one thread",
            ours=lambda: ours(path, folder_of("ours")), peer=theirs, rows=ROWS, aim=AIM,
        )  # fmt: skip
        yield race(
            "Parquet, joined and packed with zstd, one thread",
            ours=lambda: ours(path, folder_of("ours"), finish=True), peer=theirs, rows=ROWS, aim=AIM,
        )  # fmt: skip
        yield race(
            "Parquet, joined and packed with zstd, one worker",
            ours=lambda: worker(path, folder_of("worker")), peer=theirs, rows=ROWS, aim=AIM,
            clock=time.perf_counter,
        )  # fmt: skip


def ours(path: Path, folder: Path, *, finish: bool = False) -> None:
    """Read, match, judge and price every line and commit it with its position, as a worker does."""
    gc.disable()  # as it is there
    try:
        with open_store(f"parquet:///{folder}") as store:
            for chunk in _chunks(path):
                store.write(chunk, fence=1)
            if finish:
                store.finish(SUBMISSION)
    finally:
        gc.enable()


def worker(path: Path, folder: Path) -> float:
    """Run the worker's own step on an object that is a local file; return its seconds with ``finish``."""
    url = f"parquet:///{folder}/out"
    took_s = ingest(folder, store_url=url, rows=ROWS, storage=LocalObject(path))
    with open_store(url) as store:
        started = time.perf_counter()
        store.finish(SUBMISSION)
        return took_s + time.perf_counter() - started


def peer(path: Path, target: Path) -> None:
    """Let DuckDB find the types and write every line."""
    with duckdb.connect(config={"threads": 1}) as db:
        db.execute(
            f"COPY (SELECT * FROM read_ndjson('{path}')) TO '{target}' (FORMAT parquet, COMPRESSION zstd)"
        )


def _chunks(path: Path) -> Iterator[Chunk]:
    source = SourceRange(submission_id=SUBMISSION, batch_id="b", object_name="gs://b/o", generation=1)
    start = 0
    held: list[Row] = []
    for offset, rows in _rows(path):
        held += rows
        if len(held) >= CHUNK_ROWS:
            yield Chunk(source=source, start=start, progress=Progress(position=offset), rows=tuple(held))
            start, held = offset, []
    if held:
        yield Chunk(source=source, start=start, progress=Progress(position=start + 1), rows=tuple(held))


def _rows(path: Path) -> Iterator[tuple[int, list[Row]]]:
    context = ReadContext(
        submission_id=SUBMISSION, batch_id="b", attempt=1, rows=ROWS, source_object="gs://b/o",
        source_generation=1, price=PriceBook.shipped().price_of(MODEL, date(2026, 1, 1)),
    )  # fmt: skip
    reader = RowReader(context, family_of(MODEL).read, ranks.empty(ROWS))
    splitter, offset = LineSplitter(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            offset += len(chunk)
            for item in splitter.feed(chunk):
                reading = Reading()
                reader.read(item, reading)
                yield offset, reading.rows
