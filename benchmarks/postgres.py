"""A whole ingest into PostgreSQL, exactly once, against the loop that people write themselves; one file."""

from __future__ import annotations

import json
import tempfile
import time
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import psycopg

from benchmarks import lines
from benchmarks.load import ingest
from benchmarks.measure import Measured, race
from benchmarks.objects import LocalObject
from vertexq.testing import postgres_server

ROWS = 60_000
BATCH_ROWS = 1_000
ROUNDS = 3
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
    numbers = count()
    with tempfile.TemporaryDirectory() as folder, postgres_server() as server:
        home = Path(folder)
        path = lines.write(home / "predictions.jsonl", ROWS)

        def ours() -> float:
            number = next(numbers)
            (home / f"run{number}").mkdir()
            url = _fresh(server.url, server.database_url(f"ours{number}"), f"ours{number}")
            return ingest(home / f"run{number}", store_url=url, rows=ROWS, storage=LocalObject(path))

        yield race(
            "ingest into PostgreSQL",
            ours=ours,
            peer=lambda: executemany(path, server.url, f"peer{next(numbers)}"),
            rows=ROWS,
            aim=">= 3 x json.loads + executemany(1000)",
            clock=time.perf_counter,
            rounds=ROUNDS,
        )


def _fresh(admin_url: str, url: str, name: str) -> str:
    with psycopg.connect(admin_url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
    return url


def executemany(path: Path, url: str, name: str) -> None:
    """Parse with the standard library and insert a thousand rows at a time, as tutorials do."""
    marks = ", ".join(["%s"] * 21)
    statement = f"INSERT INTO {name} VALUES ({marks}) ON CONFLICT DO NOTHING".encode()
    with psycopg.connect(url) as connection, path.open() as file:
        connection.execute(TABLE.format(name=name).encode())
        batch: list[tuple[object, ...]] = []
        for line in file:
            batch.append(_row(line))
            if len(batch) == BATCH_ROWS:
                _insert(connection, statement, batch)
                batch = []
        _insert(connection, statement, batch)


def _insert(connection: psycopg.Connection, statement: bytes, batch: list[tuple[object, ...]]) -> None:
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
