"""The task ``enqueue``."""

from __future__ import annotations

from collections.abc import Mapping

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.ENQUEUE.value)
def enqueue(message: Mapping[str, object]) -> None:
    """Take over a submission from the broker. Twice does no harm: the same id is the same submission."""
    runtime.run(steps.enqueue, message)
