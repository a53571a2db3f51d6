"""The task ``order``."""

from __future__ import annotations

from collections.abc import Mapping

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName


@shared_task(name=TaskName.ORDER.value)
def order(message: Mapping[str, object]) -> None:
    """Take over an order to an endpoint. Twice does no harm: the same id is the same operation."""
    runtime.run(steps.order, message)
