"""A whole ingest into PostgreSQL, exactly once: against a bare COPY, the loop of tutorials, itself unsafe.

The server is durable, as anybody's is: it flushes what it commits, and writes whole pages to its log.
"""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Callable, Generator, Iterator, Sequence
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import psycopg

from benchmarks import lines
from benchmarks.load import BATCH, ingest
from benchmarks.measure import Measured, race
from benchmarks.objects import LocalObject
from vertexq.embedded.postgres import Postgres
from vertexq.families.gemini_reading import reading as gemini_reading
from vertexq.lines import LineSplitter
from vertexq.ranks import empty
from vertexq.results import Chunk, Progress, Row, SourceRange
from vertexq.rows import ReadContext, Reading, RowReader
from vertexq.stores.columns import COLUMNS
from vertexq.stores.layout import Layout
from vertexq.stores.postgres import PostgresStore
from vertexq.stores.postgres_copy import blocks
from vertexq.stores.postgres_rows import copy_lines
from vertexq.stores.postgres_sql import statements
from vertexq.stores.postgres_table import Table

ROWS = 60_000
BATCH_ROWS = 1_000
CHUNK_ROWS = 5_000
ROUNDS = 5
PIECE_BYTES = 256 * 1024
TABLE = """
CREATE TABLE {name} (
    submission_id text, key text, batch_id text, outcome text, text text, finish_reason text,
    error_code integer, error_message text, prompt_tokens bigint, output_tokens bigint,
    thoughts_tokens bigint, cached_tokens bigint, total_tokens bigint, cost_usd double precision,
    model_version text, processed_at timestamptz, response jsonb, source_object text,
    source_generation bigint, source_offset bigint, attempt integer, PRIMARY KEY (submission_id, key))
"""


def run() -> Iterator[Measured]:
    """Measure in wall seconds: the server does most of the work, in processes of its own."""
    with tempfile.TemporaryDirectory() as folder, _server() as server:
        home = Path(folder)
        path = lines.write(home / "predictions.jsonl", ROWS)
        fresh = _databases(server)
        homes = _folders(home)
        encoded = _encoded(path, home / "rows.copy")
        rows = _rows(path)

        def ours() -> float:
            return ingest(next(homes), store_url=fresh(), rows=ROWS, storage=LocalObject(path))

        def measured(name: str, aim: str, mine: Callable[[], float], peer: Callable[[], float]) -> Measured:
            clock = time.perf_counter
            return race(name, ours=mine, peer=peer, rows=ROWS, aim=aim, clock=clock, rounds=ROUNDS)

        yield measured(
            "ingest into PostgreSQL against a COPY of rows already encoded", ">= 0.8",
            ours, lambda: raw_copy(encoded, fresh()),
        )  # fmt: skip
        yield measured(
            "ingest into PostgreSQL against json.loads + executemany(1000)", ">= 4",
            ours, lambda: executemany(path, fresh()),
        )  # fmt: skip
        yield measured(
            "write to PostgreSQL, exactly once against without positions", ">= 0.9",
            lambda: write(PostgresStore, rows, fresh()), lambda: write(Unsafe, rows, fresh()),
        )  # fmt: skip


@contextmanager
def _server() -> Generator[Postgres]:
    with tempfile.TemporaryDirectory() as home:
        server = Postgres(Path(home))
        server.start()
        try:
            yield server
        finally:
            server.stop(immediate=True)


def _databases(server: Postgres) -> Callable[[], str]:
    """Return what makes an empty database and names it; the one before is dropped, and its pages written."""
    numbers = count()

    def fresh() -> str:
        name = f"bench{next(numbers)}"
        with psycopg.connect(server.url, autocommit=True) as admin:
            for (old,) in admin.execute("SELECT datname FROM pg_database WHERE datname LIKE 'bench%'"):
                admin.execute(f"DROP DATABASE {old} WITH (FORCE)".encode())
            admin.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
            admin.execute("CHECKPOINT")
        return server.database_url(name)

    return fresh


def _folders(home: Path) -> Iterator[Path]:
    for number in count():
        path = home / f"run{number}"
        path.mkdir()
        yield path


def _rows(path: Path) -> list[Row]:
    """Read the file as a worker does; all of it, for measuring what comes after."""
    context = ReadContext(
        submission_id="bench", batch_id=BATCH, attempt=1, rows=ROWS,
        source_object="gs://bench/out/predictions.jsonl", source_generation=1,
    )  # fmt: skip
    reader, splitter = RowReader(context, gemini_reading(), empty(ROWS)), LineSplitter()
    reading = Reading()
    for item in (*splitter.feed(path.read_bytes()), *splitter.close()):
        reader.read(item, reading)
    return reading.rows


def _encoded(path: Path, target: Path) -> Path:
    """Write the rows as the COPY stream that the store sends."""
    with target.open("wb") as file:
        file.writelines(blocks(_rows(path), COLUMNS, range(len(COLUMNS))))
    return target


def raw_copy(encoded: Path, url: str) -> float:
    """Send the finished bytes into the same table, in one COPY and one commit."""
    with PostgresStore(url):  # makes the table
        statement = statements(Layout(), Table()).copy
    with psycopg.connect(url) as connection, encoded.open("rb") as file:
        started = time.perf_counter()
        with connection.cursor() as cursor, cursor.copy(statement.encode()) as copy:
            while piece := file.read(PIECE_BYTES):
                copy.write(piece)
        connection.commit()
        return time.perf_counter() - started


def write(kind: type[PostgresStore], rows: Sequence[Row], url: str) -> float:
    """Write the rows chunk by chunk."""
    source = SourceRange(submission_id="bench", batch_id=BATCH, object_name="gs://b/o", generation=1)
    with kind(url) as store:
        started = time.perf_counter()
        for start in range(0, len(rows), CHUNK_ROWS):
            after = Progress(position=start + CHUNK_ROWS, state=bytes(2_000))
            part = tuple(rows[start : start + CHUNK_ROWS])
            store.write(Chunk(source=source, start=start, progress=after, rows=part), fence=1)
        return time.perf_counter() - started


class Unsafe(PostgresStore):
    """The same path without lock, position, fence and savepoint: COPY and commit."""

    def _write(self, chunk: Chunk, *, fence: int) -> None:
        del fence
        connection = self._connection()
        with connection.transaction():
            self._target(chunk.source.submission_id).copy(connection, chunk.rows)
            if chunk.quarantined:
                copy_lines(connection, chunk.quarantined)


def executemany(path: Path, url: str) -> float:
    """Parse with the standard library and insert a thousand rows at a time, as tutorials do."""
    marks = ", ".join(["%s"] * 21)
    statement = f"INSERT INTO answers VALUES ({marks}) ON CONFLICT DO NOTHING".encode()
    with psycopg.connect(url) as connection, path.open() as file:
        connection.execute(TABLE.format(name="answers").encode())
        connection.commit()
        started = time.perf_counter()
        batch: list[tuple[object, ...]] = []
        for line in file:
            batch.append(_row(line))
            if len(batch) == BATCH_ROWS:
                _insert(connection, statement, batch)
                batch = []
        _insert(connection, statement, batch)
        return time.perf_counter() - started


def _insert(connection: psycopg.Connection[Any], statement: bytes, batch: list[tuple[object, ...]]) -> None:
    if batch:
        with connection.cursor() as cursor:
            cursor.executemany(statement, batch)
    connection.commit()


def _row(line: str) -> tuple[object, ...]:
    parsed = json.loads(line)
    response = parsed["response"]
    candidate, usage = response["candidates"][0], response["usageMetadata"]
    return (
        "bench", parsed["key"], "b", "succeeded", candidate["content"]["parts"][0]["text"],
        candidate["finishReason"], None, None, usage["promptTokenCount"], usage["candidatesTokenCount"],
        usage.get("thoughtsTokenCount"), usage.get("cachedContentTokenCount"), usage["totalTokenCount"], 0.0,
        response["modelVersion"], parsed["processed_time"], json.dumps(response), "gs://b/o", 1, 0, 1,
    )  # fmt: skip
