"""The task ``deliver``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.DELIVER.value)
def deliver(target: str) -> None:
    """Send what is due for a target. Twice does no harm: a delivery is in one worker's hands at a time."""
    runtime.run(steps.deliver, target)
