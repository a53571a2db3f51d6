"""The task ``ingest``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.INGEST.value)
def ingest(batch_id: str) -> None:
    """Read answers into the store. Twice does no harm: rows and position are committed as one."""
    runtime.run(steps.ingest, batch_id)
