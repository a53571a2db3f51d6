"""The examples of those who are told, as processes of their own: a webhook receiver, a Celery application."""

from __future__ import annotations

import os
import sqlite3
import sys
import urllib.error
import urllib.request
from collections.abc import Generator
from contextlib import closing, contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from tests.fundamentals.house import House, built
from tests.receiving import SECRET
from vertexq import Client
from vertexq.broker import CeleryProducers
from vertexq.embedded.process import Child, Command, await_true
from vertexq.simulator.timing import Timing
from vertexq.steps.storebook import StoreBook
from vertexq.webhooks.address import webhook_of
from worker.stack import ROOT

PROMPTS = [{"key": f"k{number}", "prompt": f"Say {number}"} for number in range(60)]


@contextmanager
def started(home: Path, *args: str, **environ: str) -> Generator[Child]:
    """Run a program until left; its output is ``home/log``."""
    command = Command(args=[sys.executable, *args], log=home / "log", cwd=ROOT, env={**os.environ, **environ})
    child = Child(command)
    try:
        yield child
    finally:
        child.stop(grace_s=10)


def query(path: Path, statement: str) -> list[tuple[object, ...]]:
    """Ask a SQLite file; nothing when it has no such table yet."""
    if not path.exists():
        return []
    with closing(sqlite3.connect(path, timeout=30)) as db:
        try:
            return db.execute(statement).fetchall()
        except sqlite3.OperationalError:
            return []


async def run(house: House, *, store: str, on_complete: str, stores: dict[str, str]) -> str:
    """Let a submission run to its end and everything be told; return its id."""
    told = house.services.ledger.told
    with Client(environ=house.environ() | stores) as client:
        sent = client.submit(PROMPTS, model="gemini-2.5-flash", store=store, on_complete=on_complete)
        await house.until_rest(sent.id)
    await house.until(lambda: bool(told(sent.id)) and not any(one.waiting for one in told(sent.id)))
    assert [one.abandoned for one in told(sent.id)] == [0]
    return sent.id


async def test_the_receiver_keeps_every_row_and_the_end(tmp_path: Path) -> None:
    """It takes what is signed, keeps each row once, and turns away what anybody else sends."""
    database, environ = tmp_path / "received.db", {"HOOK_SECRET": SECRET}
    program = ("examples/webhook_receiver.py", "--port", "0", "--db", str(database))
    with started(tmp_path, *program, **environ):
        assert await_true(lambda: "receiving on" in (tmp_path / "log").read_text(), timeout_s=30)
        address = (tmp_path / "log").read_text().split()[2]
        url = f"webhook+{address}hook?secret_env=HOOK_SECRET&allow_http=true&allow_private=true"
        async with built(tmp_path, Timing.fast()) as house:
            stores = StoreBook({"hook": url}, ledger_url=f"sqlite:///{tmp_path}/ledger.db")
            webhooks = {"hook": webhook_of(url, environ)}
            knowing = replace(house, services=replace(house.services, stores=stores, webhooks=webhooks))
            name = await run(
                knowing, store="hook", on_complete="webhook:hook", stores={"VERTEXQ_STORE_HOOK": url}
            )
            await stores.close()
        with pytest.raises(urllib.error.HTTPError, match="401"):
            urllib.request.urlopen(urllib.request.Request(address, data=b"{}"))  # noqa: S310, ASYNC210

    rows = query(database, "SELECT submission_id, key, outcome FROM answers ORDER BY key")
    assert rows == sorted((name, row["key"], "succeeded") for row in PROMPTS)
    assert [row[:2] for row in query(database, "SELECT * FROM ends")] == [(name, "done")]


async def test_the_celery_application_hears_of_the_end(tmp_path: Path, valkey_url: str) -> None:
    """Its own worker, on its own queue, runs its own task; twice told is once noted."""
    database = tmp_path / "reports.db"
    environ = {"VERTEXQ_PRODUCER_BROKER_URL": valkey_url, "REPORTS_DB": str(database)}
    options = ("--pool", "solo", "--without-gossip", "--without-mingle", "--queues", "reports")
    with started(tmp_path, "-m", "celery", "-A", "examples.on_complete", "worker", *options, **environ):
        with closing(CeleryProducers(valkey_url)) as producers:
            async with built(tmp_path, Timing.fast()) as house:
                knowing = replace(house, services=replace(house.services, producers=producers))
                name = await run(knowing, store="results", on_complete="reports.done@reports", stores={})
            noted = await_true(lambda: bool(query(database, "SELECT * FROM reports")), timeout_s=60)
            assert noted, (tmp_path / "log").read_text()
            (report,) = query(database, "SELECT * FROM reports")
            data = {"id": name, "state": "done", "rows": {"succeeded": 60}, "cost_usd": 1, "reason": ""}
            for message_id in (str(report[0]), "another"):
                producers.tell("reports.done", "reports", message_id, {"id": message_id, "data": data})
        two = "SELECT id FROM reports WHERE id = 'another'"
        assert await_true(lambda: bool(query(database, two)), timeout_s=60)

    assert report[1:] == (name, "done", 60)
    assert len(query(database, "SELECT * FROM reports")) == 2
