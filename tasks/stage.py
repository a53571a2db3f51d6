"""The task ``stage``."""

from __future__ import annotations

from celery import shared_task

from tasks import runtime
from vertexq import steps
from vertexq.names import TaskName

HOUR_S = 3600


# A source may be as large as a disk, and a stage that begins again reads it from the beginning, so it must
# not be cut off again and again. Hints are acknowledged early and the lease has a heartbeat: nobody waits for
# this message, and a worker that dies is noticed within seconds, however long the limit is.
@shared_task(name=TaskName.STAGE.value, soft_time_limit=24 * HOUR_S, time_limit=24 * HOUR_S + 60)
def stage(submission_id: str) -> None:
    """Check, split and upload. Twice does no harm: a lease lets one in, what is staged is left alone."""
    runtime.run(steps.stage, submission_id)
