"""The task ``create``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.CREATE.value)
def create(batch_id: str) -> None:
    """Make the paid call for a batch. Twice does no harm: one sender wins, unclear calls are looked for."""
    runtime.run(steps.create, batch_id)
