"""From an application's rows to its results, through real workers; and back from what kills them."""

# Neither redis nor google-cloud-storage has types that pyright knows in full.
# pyright: reportUnknownMemberType=false

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Callable

import orjson
import psutil
import psycopg
import pytest
import redis

from vertexq import AsyncClient, BadInput, Client, Status, SubmissionState
from vertexq.embedded.process import await_true
from vertexq.ledger import Ledger
from worker.stack import ROOT, Stack

MODEL = "gemini-2.5-flash"


def test_the_example_of_the_readme_prints_what_the_readme_says(stack: Stack) -> None:
    """The first thing a stranger sees is true."""
    example = ROOT / "examples" / "quickstart.py"
    readme = (ROOT / "README.md").read_text()
    code, output = _blocks(readme)

    ran = subprocess.run(
        [sys.executable, example], env=stack.full_environment(), capture_output=True, text=True, check=True
    )

    assert example.read_text().partition("import vertexq\n")[2] == code.partition("import vertexq\n")[2]
    assert ran.stdout == output


def test_emptying_the_broker_in_the_middle_of_a_run_loses_nothing(stack: Stack) -> None:
    """FLUSHALL, again and again: the ledger is the truth and the sweeper sends hints again."""
    with Client(environ=stack.environment) as client, _broker(stack) as broker:
        ids = [client.submit(_prompts(300), model=MODEL, store="results").id for _ in range(3)]
        flushed: list[bool] = []

        done = [client.wait(one, timeout_s=90, on_progress=_flush(broker, flushed)) for one in ids]

    assert len(flushed) > 3
    assert [(one.state, one.counts.succeeded) for one in done] == [(SubmissionState.DONE, 300)] * 3
    assert len(_creates(stack, done)) == 3


def test_a_worker_that_is_killed_again_and_again_loses_nothing(stack: Stack) -> None:
    """Kill -9 for the worker and its children, in the middle of whatever they do."""
    with Client(environ=stack.environment) as client:
        ids = [client.submit(_prompts(400), model=MODEL, store="results").id for _ in range(2)]
        for _ in range(3):
            _kill_everything(stack.child("worker").pid)
            stack.start_worker()
        done = [client.wait(one, timeout_s=90) for one in ids]
        keys = [sorted(result.key for result in client.results(one)) for one in ids]

    assert [(one.state, one.counts.succeeded) for one in done] == [(SubmissionState.DONE, 400)] * 2
    assert keys == [sorted(str(n) for n in range(400))] * 2
    assert len(_creates(stack, done)) == 2


def test_a_producer_without_a_ledger_enqueues_through_the_broker(stack: Stack) -> None:
    """It needs nothing but Redis, names rows by gs:// URI, and cannot ask."""
    source = _put(stack, "mine/rows.jsonl", b'{"key":"a","prompt":"Say a"}\n{"key":"b","prompt":"Say b"}\n')
    broker_only = {
        "VERTEXQ_BROKER_URL": stack.environment["VERTEXQ_BROKER_URL"],
        "VERTEXQ_LEDGER_URL": "none",
    }
    with Client(environ=broker_only) as client:
        sent = client.submit(source, model=MODEL, store="results", id="through-the-broker")
        client.submit(source, model=MODEL, store="results", id="through-the-broker")
        with pytest.raises(BadInput, match="no ledger"):
            client.get(sent.id)
    with Client(environ=stack.environment) as client:
        assert await_true(lambda: sent.id in {one.id for one in client.list()}, timeout_s=30)

        assert client.wait(sent.id, timeout_s=60).counts.succeeded == 2


async def test_asyncio_programs_have_the_same_verbs(stack: Stack) -> None:
    """Rows from an async generator, results as an async iterator."""

    async def rows() -> AsyncIterator[dict[str, str]]:
        for number in range(50):
            yield {"key": f"k{number}", "prompt": f"Say {number}"}

    async with AsyncClient(environ=stack.environment) as client:
        submission = await client.submit(rows(), model=MODEL, store="results")
        status = await client.wait(submission.id, timeout_s=60)
        keys = {result.key async for result in client.results(submission.id)}

    assert status.counts.succeeded == 50
    assert keys == {f"k{number}" for number in range(50)}


def test_postgresql_holds_ledger_and_results(postgres_stack: Stack) -> None:
    """The same application on PostgreSQL; a rolled back transaction enqueues nothing."""
    url = postgres_stack.environment["VERTEXQ_LEDGER_URL"]
    with Client(environ=postgres_stack.environment) as client, psycopg.connect(url) as connection:
        client.list()
        lost = client.submit(_prompts(3), model=MODEL, store="results", connection=connection)
        connection.rollback()
        kept = client.submit(_prompts(500), model=MODEL, store="results", connection=connection)
        connection.commit()
        status = client.wait(kept.id, timeout_s=60)

        assert lost.id not in {one.id for one in client.list()}
        assert status.counts.succeeded == 500
        assert connection.execute("SELECT count(*) FROM vertexq_results").fetchone() == (500,)


def _prompts(rows: int) -> list[str]:
    return [f"Say {number}" for number in range(rows)]


def _blocks(readme: str) -> tuple[str, str]:
    """Return the README's first code block and the output below it."""
    _, code, _, output, *_ = readme.split("```")
    return code.removeprefix("python\n"), output.removeprefix("\n")


def _broker(stack: Stack) -> redis.Redis:
    path = stack.environment["VERTEXQ_BROKER_URL"].removeprefix("redis+socket://").partition("?")[0]
    return redis.Redis(unix_socket_path=path)


def _flush(broker: redis.Redis, flushed: list[bool]) -> Callable[[Status], None]:
    def flush(_: Status) -> None:
        broker.flushall()
        flushed.append(True)

    return flush


def _kill_everything(pid: int) -> None:
    worker = psutil.Process(pid)
    for process in [*worker.children(recursive=True), worker]:
        os.kill(process.pid, signal.SIGKILL)


def _creates(stack: Stack, done: list[Status]) -> list[str]:
    """Return the jobs that the simulator accepted for these submissions: an oracle outside our code."""
    ledger = Ledger.open(stack.environment["VERTEXQ_LEDGER_URL"])
    ids = {batch.id for one in done for batch in ledger.batches(one.id)}
    ledger.close()
    log = (stack.home / "google" / "creates.jsonl").read_bytes().splitlines()
    return [name for line in log if (name := orjson.loads(line)["display_name"]) in ids]


def _put(stack: Stack, name: str, data: bytes) -> str:
    """Put an object into the stack's bucket with Google's own client."""
    from google.auth.credentials import AnonymousCredentials  # noqa: PLC0415
    from google.cloud import storage  # type: ignore[import-untyped]  # noqa: PLC0415

    bucket = stack.environment["VERTEXQ_STAGING"].removeprefix("gs://").partition("/")[0]
    client = storage.Client(
        project="p",
        credentials=AnonymousCredentials(),  # type: ignore[no-untyped-call]
        client_options={"api_endpoint": stack.environment["STORAGE_EMULATOR_HOST"]},
    )
    client.bucket(bucket).blob(name).upload_from_string(data)
    client.close()
    return f"gs://{bucket}/{name}"
