"""The task ``poll``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.POLL.value)
def poll(project: str, location: str) -> None:
    """Look at the jobs of a place. Twice does no harm: it reads, and every move is compare-and-set."""
    runtime.run(steps.poll, project, location)
