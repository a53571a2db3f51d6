"""The task ``sweep``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.SWEEP.value)
def sweep() -> None:
    """Send hints for what is due. Twice does no harm: two sweepers get disjoint records."""
    runtime.run(steps.sweep)
