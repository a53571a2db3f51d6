"""The task ``operate``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.OPERATE.value)
def operate(operation_id: str) -> None:
    """Carry out an order to an endpoint. Twice does no harm: one worker has it, and looks before it calls."""
    runtime.run(steps.operate, operation_id)
