"""The task ``rerun``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.RERUN.value)
def rerun(submission_id: str) -> None:
    """Run rows without an answer again. Twice does no harm: a batch has one successor, of one name."""
    runtime.run(steps.rerun, submission_id)
