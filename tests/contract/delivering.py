"""Deliveries to a receiver: a ledger with messages, a worker's services, and a worker that can be killed.

``python -m tests.contract.delivering HOME URL`` is a worker in a process of its own that delivers once.
"""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path

from tests.fundamentals.house import built
from tests.receiving import OLD_SECRET, SECRET
from vertexq import steps
from vertexq.ledger import Ledger, NewDelivery, OutboxRange
from vertexq.results import SourceRange
from vertexq.simulator.timing import Timing
from vertexq.steps.services import Services
from vertexq.webhooks.address import webhook_of

TARGET = "webhook:hook"
SECRETS = {"HOOK_SECRET": SECRET, "OLD_SECRET": OLD_SECRET}
_SOURCE = SourceRange(submission_id="s-1", batch_id="b-1", object_name="gs://b/o", generation=7)


@asynccontextmanager
async def a_worker(home: Path, store_url: str, *, name: str = "hook") -> AsyncGenerator[Services]:
    """Give a worker's services, for which ``name`` is the store at ``store_url``; waits take milliseconds."""
    async with built(home, Timing.fast()) as house:
        options = replace(house.services.options, webhook_timeout_s=5.0, webhook_waits_s=(0.001,) * 9)
        webhooks = {name: webhook_of(store_url, SECRETS)}
        yield replace(house.services, options=options, webhooks=webhooks)


def with_options(services: Services, **changes: object) -> Services:
    """Return the services with other options."""
    return replace(services, options=replace(services.options, **changes))  # type: ignore[arg-type]


def put(ledger: Ledger, *names: str, submission: str = "s-1", target: str = TARGET, padding: int = 0) -> None:
    """Put messages into the outbox, each with so many bytes more."""
    messages = [
        NewDelivery(
            id=name, kind="vertexq.rows", target=target, submission_id=submission,
            body=b'{"type":"vertexq.rows","data":{"name":"%s"}}' % name.encode() + b" " * padding,
        )
        for name in names
    ]  # fmt: skip
    ledger.post("hook", _SOURCE, OutboxRange(position=1, fence=1), messages, admit=lambda _known: None)


async def deliver_all(services: Services, target: str = TARGET, *, most_s: float = 30.0) -> None:
    """Deliver again and again until nothing waits, as the sweeper does."""
    until_s = time.monotonic() + most_s
    while any(one.waiting for one in services.ledger.told("s-1")):
        assert time.monotonic() < until_s, f"something still waits after {most_s:g} s"
        await steps.deliver(services, target)


async def _deliver_once(home: Path, store_url: str) -> None:
    async with a_worker(home, store_url) as services:
        await steps.deliver(with_options(services, lease_s=0.1, webhook_timeout_s=0.4), TARGET)


if __name__ == "__main__":
    asyncio.run(_deliver_once(Path(sys.argv[1]), sys.argv[2]))
