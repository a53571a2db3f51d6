"""The task ``settle``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.SETTLE.value)
def settle(submission_id: str) -> None:
    """Account for every row. Twice does no harm: the counts come from the ledger and are the same."""
    runtime.run(steps.settle, submission_id)
