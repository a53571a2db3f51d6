"""The task ``cancel``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.CANCEL.value)
def cancel(submission_id: str) -> None:
    """Stop a submission. Twice does no harm: what has stopped stays stopped."""
    runtime.run(steps.cancel, submission_id)
