"""Output lines to Parquet, exactly once, against DuckDB's ``read_ndjson`` to Parquet on one thread."""

from __future__ import annotations

import gc
import tempfile
import time
from collections.abc import Callable, Iterator
from datetime import date
from functools import partial
from itertools import count
from pathlib import Path

import duckdb

from benchmarks import lines
from benchmarks.load import ingest
from benchmarks.measure import Measured, race
from benchmarks.objects import LocalObject
from vertexq import ranks
from vertexq.families.gemini_reading import reading as gemini_reading
from vertexq.lines import LineSplitter
from vertexq.prices import PriceBook
from vertexq.results import Chunk, Progress, Row, SourceRange
from vertexq.rows import ReadContext, Reading, RowReader
from vertexq.stores import Store, open_store

ROWS = 60_000
MODEL = "gemini-2.5-flash-lite"
CHUNK_BYTES = 256 * 1024
SUBMISSION = "bench"
AIM = ">= 1.0 of DuckDB's read_ndjson to Parquet with zstd, one thread"
_PATHS = (
    "$.candidates[0].content.parts[0].text", "$.candidates[0].finishReason", "$.modelVersion",
    "$.usageMetadata.promptTokenCount", "$.usageMetadata.candidatesTokenCount",
    "$.usageMetadata.totalTokenCount",
)  # fmt: skip
EVERYTHING = "SELECT * FROM read_ndjson('{}')"
"""DuckDB finds the types; the request goes in, too."""
SAME = f"""
    SELECT key, processed_at, status, response, found[1] AS text, found[2] AS finish_reason,
        found[3] AS model_version, found[4]::BIGINT AS prompt_tokens, found[5]::BIGINT AS output_tokens,
        found[6]::BIGINT AS total_tokens
    FROM (SELECT key, processed_time AS processed_at, status, response::VARCHAR AS response,
            json_extract_string(response, {list(_PATHS)}) AS found
        FROM read_ndjson('{{}}', columns={{{{
            key: 'VARCHAR', processed_time: 'TIMESTAMPTZ', status: 'VARCHAR', response: 'JSON'}}}}))"""
"""What we keep, in the quickest way that DuckDB has for it: the response as it came and what is in it."""


def run() -> Iterator[Measured]:
    """Measure CPU seconds of one thread, then wall seconds of a worker, whose store has its own thread."""
    numbers = count()
    with tempfile.TemporaryDirectory() as folder:
        home = Path(folder)
        path = lines.write(home / "predictions.jsonl", ROWS, distinct=True)

        def folder_of(name: str) -> Path:
            (made := home / f"{name}{next(numbers)}").mkdir()
            return made

        for what, query in (("as it is", EVERYTHING), ("to the same columns", SAME)):
            yield race(
                f"Parquet, one thread; DuckDB {what}",
                ours=lambda: ours(path, folder_of("ours")),
                peer=partial(_peer, path, folder_of, query),
                rows=ROWS, aim=AIM,
            )  # fmt: skip
        yield race(
            "Parquet, one worker; DuckDB as it is",
            ours=lambda: worker(path, folder_of("worker")),
            peer=partial(_peer, path, folder_of, EVERYTHING),
            rows=ROWS, aim=AIM, clock=time.perf_counter,
        )  # fmt: skip


def ours(path: Path, folder: Path) -> None:
    """Read, match, judge and price every line, commit it with its position as a worker does, and finish."""
    gc.disable()  # as it is there
    try:
        with open_store(f"parquet:///{folder}") as store:
            for chunk in _chunks(path, store):
                store.write(chunk, fence=1)
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


def peer(path: Path, target: Path, query: str) -> None:
    """Let DuckDB write every line, packed as ours are."""
    with duckdb.connect(config={"threads": 1}) as db:
        packing = "FORMAT parquet, COMPRESSION zstd, COMPRESSION_LEVEL 1"
        db.execute(f"COPY ({query.format(path)}) TO '{target}' ({packing})")


def _peer(path: Path, folder_of: Callable[[str], Path], query: str) -> None:
    peer(path, folder_of("peer") / "all.parquet", query)


def _chunks(path: Path, store: Store) -> Iterator[Chunk]:
    source = SourceRange(submission_id=SUBMISSION, batch_id="b", object_name="gs://b/o", generation=1)
    most_rows, most_bytes = store.chunk_rows or 0, store.chunk_bytes or 0
    start = offset = 0
    held: list[Row] = []
    for offset, rows in _rows(path):
        held += rows
        if len(held) >= most_rows or offset - start >= most_bytes:
            yield Chunk(source=source, start=start, progress=Progress(position=offset), rows=tuple(held))
            start, held = offset, []
    if held:
        yield Chunk(source=source, start=start, progress=Progress(position=offset + 1), rows=tuple(held))


def _rows(path: Path) -> Iterator[tuple[int, list[Row]]]:
    context = ReadContext(
        submission_id=SUBMISSION, batch_id="b", attempt=1, rows=ROWS, source_object="gs://b/o",
        source_generation=1, price=PriceBook.shipped().price_of(MODEL, date(2026, 1, 1)),
    )  # fmt: skip
    reader = RowReader(context, gemini_reading(), ranks.empty(ROWS))
    splitter, offset = LineSplitter(), 0
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            offset += len(chunk)
            for item in splitter.feed(chunk):
                reading = Reading()
                reader.read(item, reading)
                yield offset, reading.rows
