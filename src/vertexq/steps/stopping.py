"""Stopping: one batch of a submission that is cancelled or late, as gently as its state allows."""

from __future__ import annotations

import structlog

from vertexq.errors import Conflict, LeaseLost, Refused, VertexqError
from vertexq.ledger import Claim, Record
from vertexq.model import Batch
from vertexq.states import BatchState, JobState
from vertexq.steps.reconcile import adopt, lag_s
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)


async def stop(services: Services, batch: Batch, claim: Claim, *, withdraw: str) -> None:
    """Withdraw a batch that was not sent, with that reason; ask Google to stop a job that runs.

    Without a reason, what was not sent is left as it is. A batch that is being sent, or looked for, is left
    alone until it is known whether its job exists. What goes wrong with one batch must not keep the others
    from being stopped: it is logged, and tried again next time.
    """
    try:
        if batch.state is BatchState.READY and withdraw:
            await _withdraw(services, batch, claim, withdraw)
        elif batch.state is BatchState.BOUND:
            await _cancel(services, batch)
        elif batch.state is BatchState.ONLINE:
            services.ledger.hasten(Record.BATCH, batch.id)  # it ends by itself between two parts
    except LeaseLost:
        raise
    except Conflict:
        log.info("stop_overtaken", batch=batch.id)
    except VertexqError as error:
        log.warning("stop_failed", batch=batch.id, error=type(error).__name__, reason=str(error))


async def _withdraw(services: Services, batch: Batch, claim: Claim, reason: str) -> None:
    """Withdraw a batch; one that was tried before is looked for once more, as its job may turn up late.

    Right after a 429 that is too early, as Google's list lags: it is left alone until then.
    """
    lag = seconds(lag_s(services.options.settle_time_s))
    if batch.attempt and batch.sent_at is not None and services.ledger.now() < batch.sent_at + lag:
        return
    if batch.attempt and await adopt(services, batch, claim, everywhere=True):
        return
    services.ledger.move_batch(batch, BatchState.WITHDRAWN, claim=claim, reason=reason)


async def _cancel(services: Services, batch: Batch) -> None:
    """Ask for the end, unless Google is at it already, and look soon what came of it."""
    if batch.job_state != JobState.CANCELLING:
        try:
            await services.vertex.cancel(batch.job_name)
        except Refused as error:
            log.info("cancel_came_late", batch=batch.id, reason=str(error))
    services.ledger.hasten(Record.BATCH, batch.id)
