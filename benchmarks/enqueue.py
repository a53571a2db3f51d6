"""Enqueueing ``gs://`` sources, ledger and message, against a bare ``send_task`` to the same broker."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from benchmarks.measure import Measured, race
from vertexq import Client
from vertexq.broker import producer_app
from vertexq.names import QueueName, TaskName
from vertexq.testing import valkey_server

CALLS = 300
ROUNDS = 3


def run() -> Iterator[Measured]:
    """Measure in wall seconds, one producer process, the ledger in SQLite with full durability."""
    with tempfile.TemporaryDirectory() as folder, valkey_server() as valkey:
        app = producer_app(valkey.url)
        environ = {
            "VERTEXQ_LEDGER_URL": f"sqlite:///{Path(folder)}/ledger.db",
            "VERTEXQ_BROKER_URL": valkey.url,
        }
        with Client(environ=environ) as client:

            def ours() -> None:
                for _ in range(CALLS):
                    client.submit("gs://bucket/rows.jsonl", model="gemini-2.5-flash", store="results")

            def bare() -> None:
                for _ in range(CALLS):
                    app.send_task(TaskName.STAGE.value, args=["s"], queue=QueueName.STAGE.value)

            yield race(
                "enqueue a gs:// source (SQLite)",
                ours=ours,
                peer=bare,
                rows=CALLS,
                aim=">= 300 a second",
                clock=time.perf_counter,
                rounds=ROUNDS,
            )
        app.close()
