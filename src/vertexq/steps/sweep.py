"""Sweep: send hints for what is due or late, hand out free slots. Any number of sweepers do no harm."""

from __future__ import annotations

import structlog

from vertexq.deadlines import runs_again
from vertexq.ledger import Due, Record
from vertexq.names import TaskName
from vertexq.states import BatchState, SubmissionState
from vertexq.steps.dispatch import dispatch
from vertexq.steps.services import Services

log = structlog.get_logger(__name__)

HINTS_A_SWEEP = 1000
LATE_A_SWEEP = 100

SUBMISSION_STEP: dict[SubmissionState, TaskName] = {
    SubmissionState.QUEUED: TaskName.STAGE,
    SubmissionState.STAGING: TaskName.STAGE,
    SubmissionState.RUNNING: TaskName.SETTLE,
    SubmissionState.SETTLING: TaskName.SETTLE,
    SubmissionState.CANCELLING: TaskName.CANCEL,
}
BATCH_STEP: dict[BatchState, TaskName] = {
    BatchState.READY: TaskName.CREATE,
    BatchState.SENDING: TaskName.CREATE,
    BatchState.AMBIGUOUS: TaskName.CREATE,
    BatchState.BOUND: TaskName.POLL,
    BatchState.ONLINE: TaskName.ONLINE,
    BatchState.ENDED: TaskName.INGEST,
}


async def sweep(services: Services) -> None:
    """Send a hint for everything that is due or late and that nobody is working on; then fill free slots."""
    services.ledger.beat("sweep")
    due = services.ledger.due(limit=HINTS_A_SWEEP, resend_after_s=services.options.resend_after_s)
    hints = {hint for item in due if (hint := hint_for(item)) is not None}
    settling = [one.id for one in due if one.state == SubmissionState.SETTLING]
    hints |= {(TaskName.RERUN, (one,)) for one in settling}  # rows may have to be tried again
    cancelling = [one.id for one in due if one.state == SubmissionState.CANCELLING]
    hints |= {(TaskName.SETTLE, (one,)) for one in cancelling}  # the hint of the cancel may be lost
    strays = services.ledger.stray_places(quiet_s=services.options.poll_interval_s)
    hints |= {(TaskName.POLL, place) for place in strays}
    for task, args in sorted(hints):
        services.hints.send(task, *args)
    if due:
        log.info("swept", due=len(due), hints=len(hints))
    _remind_of_operations(services)
    _remind_of_deadlines(services)
    for target in services.ledger.remind_deliveries(resend_after_s=services.options.resend_after_s):
        services.hints.send(TaskName.DELIVER, target)
    for project, location in services.ledger.waiting_places():
        await dispatch(services, project, location)


def _remind_of_operations(services: Services) -> None:
    """Send hints for what is to be done to endpoints."""
    resend_after_s = services.options.resend_after_s
    for one in services.ledger.due_operations(limit=HINTS_A_SWEEP, resend_after_s=resend_after_s):
        services.hints.send(TaskName.OPERATE, one)


def _remind_of_deadlines(services: Services) -> None:
    """Send hints for what is late: to stop it, and to begin another round in case that hint was lost."""
    resend_after_s = services.options.resend_after_s
    for late in services.ledger.past_deadline(limit=LATE_A_SWEEP, resend_after_s=resend_after_s):
        services.hints.send(TaskName.DEADLINE, late.id)
        if runs_again(late):
            services.hints.send(TaskName.RERUN, late.id)


def hint_for(item: Due) -> tuple[TaskName, tuple[str, ...]] | None:
    """Return the hint for a record: the step its state waits for. Polls are one hint a location."""
    if item.record is Record.SUBMISSION:
        step = SUBMISSION_STEP.get(SubmissionState(item.state))
    else:
        step = BATCH_STEP.get(BatchState(item.state))
    if step is TaskName.CREATE and item.online:
        step = TaskName.ONLINE
    if step is None:
        return None
    return (step, (item.project, item.location)) if step is TaskName.POLL else (step, (item.id,))
