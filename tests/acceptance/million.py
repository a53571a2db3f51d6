"""1,000,000 rows in 40 objects into PostgreSQL, three readers, one killed every 5 seconds, and undisturbed.

``python -m tests.acceptance.million`` runs it in full size and prints one JSON object; the tests take a share
of the rows and of the time.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Generator
from contextlib import ExitStack, closing, contextmanager
from dataclasses import dataclass
from multiprocessing.context import ForkServerProcess
from pathlib import Path

import orjson
import psycopg

from tests.acceptance.reading import BUCKET, OUTPUT, Site, enter, start
from vertexq.embedded.process import Child, Command, await_ready, await_true, free_port
from vertexq.google.auth import default_tokens
from vertexq.google.rest import Transport
from vertexq.google.storage import Storage
from vertexq.ledger import Ledger
from vertexq.states import SubmissionState
from vertexq.testing import postgres_server

ROWS, BATCHES, OBJECTS, READERS, KILL_EVERY_S, END_S = 1_000_000, 5, 8, 3, 5.0, 500.0
_LINE = (
    b'{"key":"r%d-b%d.%d","status":"","response":{"candidates":[{"content":{"parts":[{"text":"Row %d."}]},'
    b'"finishReason":"STOP"}],"usageMetadata":{"promptTokenCount":%d,"candidatesTokenCount":3}}}\n'
)
_ROW = "md5(concat_ws('|', key, outcome, text, source_object, source_offset))"
_SUM = f"""SELECT count(*), count(DISTINCT key), sum(cost_usd::numeric)::text,
    sum(('x' || substr({_ROW}, 1, 15))::bit(60)::bigint)::text
    FROM vertexq_results WHERE submission_id = %s"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What one run left: rows, different keys, cost, and a checksum that does not depend on the order."""

    stored: tuple[int, int, str, str]
    counted: int
    cost_pusd: int
    kills: int
    seconds: float


def run(site: Site, name: str, *, rows: int, kill_every_s: float = 0.0) -> Run:
    """Read everything once; with ``kill_every_s``, a reader is killed so often and another comes."""
    with closing(Ledger.open(site.ledger_url)) as ledger:
        directories = [str(OUTPUT.join(f"b{n}")) for n in range(BATCHES)]
        enter(ledger, name, rows=rows // BATCHES, store="a", directories=directories)
        began_s, kills = time.monotonic(), 0
        readers = [start(site, name) for _ in range(READERS)]
        while not await_true(lambda: _is_done(ledger, name), timeout_s=kill_every_s or END_S):
            assert time.monotonic() - began_s < END_S, "it does not come to its end"
            _kill(readers.pop(0))
            readers.append(start(site, name))
            kills += 1
        took_s = time.monotonic() - began_s
        for reader in readers:
            reader.join(30)
        done = ledger.submission(name)
    with psycopg.connect(site.stores["a"]) as connection:
        found = connection.execute(_SUM.encode(), [name]).fetchone()
    assert found is not None
    return Run(
        stored=found, counted=done.counts.succeeded, cost_pusd=done.cost_pusd, kills=kills, seconds=took_s
    )


def _is_done(ledger: Ledger, name: str) -> bool:
    return ledger.submission(name).state is SubmissionState.DONE


def _kill(reader: ForkServerProcess) -> None:
    if reader.pid is not None and reader.is_alive():
        os.kill(reader.pid, signal.SIGKILL)
    reader.join(10)


@contextmanager
def million_site(home: Path, postgres_url: str, rows: int) -> Generator[Site]:
    """Serve the objects from a process of its own; ledger and store are in PostgreSQL."""
    port, log = free_port(), home / "simulator.log"
    args = (sys.executable, "-m", "vertexq.simulator", "--port", str(port), "--bucket", BUCKET)
    child = Child(
        Command(args=[*args, "--data-dir", str(home / "google")], log=log, cwd=home, env=os.environ)
    )
    try:
        await_ready(child, lambda: b"export" in log.read_bytes(), what="the simulator", timeout_s=60)
        endpoint = f"http://127.0.0.1:{port}"
        asyncio.run(_upload(endpoint, rows))
        options = {"lease_s": 3.0, "heartbeat_s": 0.5, "slice_s": 120.0}
        yield Site(ledger_url=postgres_url, endpoint=endpoint, stores={"a": postgres_url}, options=options)
    finally:
        child.stop()


async def _upload(endpoint: str, rows: int) -> None:
    each = rows // BATCHES // OBJECTS
    async with Transport(await default_tokens(emulator=True), deadline_s=600) as transport:
        storage = Storage(transport, endpoint=endpoint)
        for batch in range(BATCHES):
            for shard in range(OBJECTS):
                uri = OUTPUT.join(f"b{batch}/predictions-{shard:05}-of-{OBJECTS:05}.jsonl")
                await storage.upload(uri, _lines(batch, range(shard * each, (shard + 1) * each)))


async def _lines(batch: int, numbers: range) -> AsyncIterator[bytes]:
    for at in range(0, len(numbers), 1_000):
        yield b"".join(_LINE % (n, batch, n, n, n % 97) for n in numbers[at : at + 1_000])


def main() -> None:
    """Run it twice, undisturbed and disturbed, and say whether the same came out."""
    with ExitStack() as stack:
        home = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        url = stack.enter_context(postgres_server()).database_url("postgres")
        site = stack.enter_context(million_site(home, url, ROWS))
        calm = run(site, "calm", rows=ROWS)
        rough = run(site, "rough", rows=ROWS, kill_every_s=KILL_EVERY_S)
    held = (calm.stored, calm.counted, calm.cost_pusd) == (rough.stored, rough.counted, rough.cost_pusd)
    said = {
        "fault": f"kill -9 of one of {READERS} readers every {KILL_EVERY_S:g} s, {ROWS:,} rows in 40 objects",
        "invariants": "same count, checksum and cost as an undisturbed run",
        "held": held and calm.counted == ROWS,
        "kills": rough.kills,
        "seconds": [round(calm.seconds, 1), round(rough.seconds, 1)],
    }
    sys.stdout.write(orjson.dumps(said).decode() + "\n")
    sys.exit(0 if said["held"] else 1)


if __name__ == "__main__":
    main()
