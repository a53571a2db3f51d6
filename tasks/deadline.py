"""The task ``deadline``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.DEADLINE.value)
def deadline(submission_id: str) -> None:
    """Stop what is late. Twice does no harm: what has stopped stays stopped."""
    runtime.run(steps.deadline, submission_id)
