"""A process that sends batches: a worker's own services and its own create step, without Celery around it.

Run as ``python -m tests.service.sender BATCH…`` with a worker's environment; it ends when all are bound.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path

from vertexq import steps
from vertexq.embedded.process import Child, Command
from vertexq.names import TaskName
from vertexq.settings import Settings
from vertexq.states import BatchState
from vertexq.steps.services import Services
from worker.services import open_services
from worker.stack import ROOT

LOOK_S = 0.05


class NoHints:
    """Sends nothing: this process looks at its batches itself."""

    def send(self, task: TaskName, *args: str) -> None:
        """Drop the hint."""
        del task, args


async def send(batch_ids: Sequence[str]) -> None:
    """Run the create step on every batch that is due until each has its job."""
    async with open_services(Settings.for_worker(), hints=NoHints()) as services:
        waiting = list(batch_ids)
        while waiting:
            for batch_id in waiting:
                if _due(services, batch_id):
                    await steps.create(services, batch_id)
            waiting = [one for one in waiting if services.ledger.batch(one).state is not BatchState.BOUND]
            await asyncio.sleep(LOOK_S)


def _due(services: Services, batch_id: str) -> bool:
    at = services.ledger.batch(batch_id).next_action_at
    return at is None or at <= services.ledger.now()


@contextmanager
def senders(
    home: Path, environment: Mapping[str, str], shares: Sequence[Sequence[str]]
) -> Generator[list[Child]]:
    """Run a process for each share of the batches; stop those that are left at the end."""
    children = [
        Child(
            Command(
                args=[sys.executable, "-m", "tests.service.sender", *share],
                log=home / f"sender-{number}.log",
                cwd=ROOT,
                env={**os.environ, **environment},
            )
        )
        for number, share in enumerate(shares)
    ]
    try:
        yield children
    finally:
        for child in children:
            child.stop(grace_s=5)


if __name__ == "__main__":
    asyncio.run(send(sys.argv[1:]))
