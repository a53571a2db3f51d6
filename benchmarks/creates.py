"""The paid call while answers get lost: ours against google-genai's async client in a caller's retry loop.

Of 1,000 accepted creates the simulator cuts off 1 %, answers 503 to 1 % and lets 1 % time out. What counts is
what would be paid for, from the simulator's own log.
"""

from __future__ import annotations

import asyncio
import importlib
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.measure import Measured
from benchmarks.thousand import MODEL, STAGED, STEPPERS, Tally, losses, ours, tally
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.faults import Faults
from vertexq.simulator.server import Simulator
from vertexq.states import JobState

WANTED = 1000
SHARE = 0.01
TRIES = 5
TIMEOUT_MS = 5_000


def run() -> Iterator[Measured]:
    """Count jobs paid for, duplicates among them, and jobs whose name their caller never learned."""
    with tempfile.TemporaryDirectory() as home:
        mine = asyncio.run(ours(Path(home), submissions=WANTED, share=SHARE))
    theirs = asyncio.run(google_genai(wanted=WANTED, share=SHARE))
    pairs = [
        ("paid for per job wanted", mine.paid_per_wanted, theirs.paid_per_wanted, "jobs", "1.000"),
        ("duplicates", mine.duplicates, theirs.duplicates, "jobs", "0"),
        ("lost handles", mine.lost, theirs.lost, "jobs", "0"),
        ("faults that fired", mine.fired.total(), theirs.fired.total(), "faults", "as many for both"),
    ]
    for name, own, peer, unit, aim in pairs:
        ratio = peer / own if own else 1.0 + peer
        yield Measured(
            name=f"creates, answers lost: {name} (google-genai async)",
            ours=own, peer=peer, ratio=ratio, unit=unit, aim=aim,
        )  # fmt: skip


async def google_genai(*, wanted: int, share: float, seed: int = 1) -> Tally:
    """Create jobs as people do: when the call fails, the job seems not to be there, so it is made again."""
    faults = Faults(*losses(share), seed=seed)
    behaviour = Behaviour(stuck_state=JobState.PENDING)  # what the jobs do later is not the point
    async with Simulator(seed=seed, faults=faults, behaviour=behaviour, buckets=[STAGED.bucket]) as simulator:
        client = _client(simulator.url)
        turns = asyncio.Semaphore(STEPPERS)
        try:
            known = await asyncio.gather(*(_made(client, turns, f"job-{n}") for n in range(wanted)))
        finally:
            await client.aio.aclose()
            client.close()
        names = [name for name in known if name]
        return tally(wanted, simulator.accepted, names, faults, done=len(names))


async def _made(client: Any, turns: asyncio.Semaphore, name: str) -> str:
    """Return the job's name; empty when every try failed."""
    source, dest = str(STAGED.join("input.jsonl")), str(STAGED.join(name))
    config = {"display_name": name, "dest": dest}
    async with turns:
        for _ in range(TRIES):
            try:
                job = await client.aio.batches.create(model=MODEL, src=source, config=config)
            except Exception:  # noqa: BLE001, S112  (the loop that stands in most programs)
                continue
            return str(job.name)
    return ""


def _client(url: str) -> Any:
    """Return a client that calls the simulator only, with credentials that nobody checks."""
    genai: Any = importlib.import_module("google.genai")  # its types are incomplete
    credentials: Any = importlib.import_module("google.oauth2.credentials")
    return genai.Client(
        vertexai=True,
        project="demo",
        location="us-central1",
        credentials=credentials.Credentials(token="fake"),  # noqa: S106  (nobody checks it)
        http_options={"base_url": url, "api_version": "v1", "timeout": TIMEOUT_MS},
    )
