"""Enqueueing ``gs://`` sources, ledger and message, against a bare ``send_task`` to the same broker.

The peer writes nothing down: what it sent is gone when Redis is. Ours commits a submission durably before it
sends the same message.
"""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from itertools import count
from pathlib import Path

import psycopg

from benchmarks.measure import Measured, race
from vertexq import Client
from vertexq.broker import producer_app
from vertexq.embedded import Postgres
from vertexq.names import QueueName, TaskName
from vertexq.testing import postgres_server, valkey_server

CALLS = 300
ROUNDS = 5

_numbers = count()


def run() -> Iterator[Measured]:
    """Measure in wall seconds, one producer process, both ledgers with full durability."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        broker = stack.enter_context(valkey_server()).url
        server = stack.enter_context(postgres_server())
        yield _measured("SQLite", f"sqlite:///{home}/ledger.db", broker)
        yield _measured("PostgreSQL", _database(server), broker)


def _measured(name: str, ledger: str, broker: str) -> Measured:
    app = producer_app(broker)
    environ = {"VERTEXQ_LEDGER_URL": ledger, "VERTEXQ_BROKER_URL": broker}
    with Client(environ=environ) as client:
        measured = race(
            f"enqueue a gs:// source ({name})",
            ours=lambda: _times(lambda: _submit(client)),
            peer=lambda: _times(
                lambda: app.send_task(TaskName.STAGE.value, args=["s"], queue=QueueName.STAGE.value)
            ),
            rows=CALLS,
            aim=">= 300 a second" if name == "SQLite" else "more than with SQLite",
            clock=time.perf_counter,
            rounds=ROUNDS,
        )
    app.close()
    return measured


def _times(call: Callable[[], object]) -> None:
    for _ in range(CALLS):
        call()


def _submit(client: Client) -> None:
    client.submit("gs://bucket/rows.jsonl", model="gemini-2.5-flash", store="results")


def _database(server: Postgres) -> str:
    name = f"enqueue{next(_numbers)}"
    with psycopg.connect(server.url, autocommit=True) as connection:
        connection.execute(f"CREATE DATABASE {name} TEMPLATE template0".encode())
    return server.database_url(name)
