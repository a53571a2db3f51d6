"""A Celery application that is told when its submissions have ended.

It enqueues with ``on_complete="reports.done"`` (``"reports.done@queue"`` for another queue than ``celery``)
and runs a worker of its own, on the broker that vertexq's workers know as VERTEXQ_PRODUCER_BROKER_URL:

    python -m celery -A examples.on_complete worker --queues celery

A message may come more than once, always with the same id, so what was told is remembered.
"""

from __future__ import annotations

import os
import sqlite3
from typing import Any

from celery import Celery

DATABASE = os.environ.get("REPORTS_DB", "reports.db")
app = Celery("reports", broker=os.environ.get("VERTEXQ_PRODUCER_BROKER_URL", "redis://127.0.0.1:6379/0"))
app.conf.task_ignore_result = True


@app.task(name="reports.done")
def done(event: dict[str, Any]) -> None:
    """Take note of an end: ``event`` has ``id``, ``type``, ``timestamp`` and, below ``data``, the account."""
    data = event["data"]
    db = sqlite3.connect(DATABASE, timeout=30)
    with db:
        db.execute(
            "CREATE TABLE IF NOT EXISTS reports (id TEXT PRIMARY KEY, submission TEXT, state TEXT, rows)"
        )
        values = (event["id"], data["id"], data["state"], data["rows"]["succeeded"])
        is_new = db.execute("INSERT OR IGNORE INTO reports VALUES (?, ?, ?, ?)", values).rowcount
    db.close()
    if is_new:
        print(f"{data['id']} is {data['state']}: {data['rows']}, {data['cost_usd']} USD {data['reason']}")
