"""The task ``stage``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.STAGE.value)
def stage(submission_id: str) -> None:
    """Check, split and upload. Twice does no harm: a lease lets one in, what is staged is left alone."""
    runtime.run(steps.stage, submission_id)
