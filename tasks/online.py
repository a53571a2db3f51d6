"""The task ``online``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.ONLINE.value)
def online(batch_id: str) -> None:
    """Have the rows of a batch answered one by one. Twice does no harm: one worker holds its lease."""
    runtime.run(steps.online, batch_id)
