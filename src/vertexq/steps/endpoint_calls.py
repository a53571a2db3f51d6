"""One call that changes an endpoint: its turn, the intent, the call itself, and what came of it."""

from __future__ import annotations

import structlog

from vertexq.endpoints import EndpointOrder, LongOperation, Operation, OperationKind, OperationState
from vertexq.errors import Ambiguous, ApiError, Refused, Throttled, Unreachable
from vertexq.failpoints import Failpoint, reach
from vertexq.google.vertex import NOT_SENT
from vertexq.ledger import Claim
from vertexq.limits.base import CallClass, verdict_of
from vertexq.steps.endpoint_plans import Call
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)

LONGEST_LOOK_S = 20.0
GROWTH = 1.5
"""Operations are polled after ``operation_look_s``, then after half as long again each time."""
BUSY_S = 5.0
"""How long an order waits at most for another operation on the endpoint, or for the limits."""
_BUSY = "other operations running"
_CONFLICT = 409


def look_wait_s(services: Services, looks: int) -> float:
    """Return the wait after look number ``looks`` (from 0): 1, 1.5, 2.25, … at most 20 s."""
    return min(services.options.operation_look_s * GROWTH ** min(looks, 32), LONGEST_LOOK_S)


async def send(
    services: Services, operation: Operation, wanted: EndpointOrder, call: Call, claim: Claim
) -> None:
    """Commit the intent, make one call, and note what came of it."""
    wait_s = await _turn(services, operation)
    ledger = services.ledger
    if wait_s:
        ledger.update_operation(operation, claim=claim, next_action_at=ledger.now() + seconds(wait_s))
        return
    sending = _intended(services, operation, call, claim)
    reach(Failpoint.OPERATE_INTENDED)
    try:
        begun = await _called(services, sending, wanted, call)
    except (Refused, Throttled, Ambiguous) as error:
        reach(Failpoint.OPERATE_ANSWERED)
        _not_begun(services, sending, error, claim)
        return
    reach(Failpoint.OPERATE_ANSWERED)
    running(services, sending, begun, claim)
    reach(Failpoint.OPERATE_RUNNING)


def _intended(services: Services, operation: Operation, call: Call, claim: Claim) -> Operation:
    ledger, now = services.ledger, services.ledger.now()
    again_at = now + seconds(services.options.request_deadline_s)
    if operation.state is OperationState.SENDING:
        return ledger.update_operation(
            operation, claim=claim, call=call.kind.value, reason=call.said, next_action_at=again_at
        )
    return ledger.move_operation(
        operation, OperationState.SENDING, claim=claim, call=call.kind.value, reason=call.said,
        sent_at=now, looks=0, next_action_at=again_at,
    )  # fmt: skip


async def _turn(services: Services, operation: Operation) -> float:
    """Take one of the project's calls that change something; return how long to wait for one, in seconds."""
    try:
        return await services.limits.take(operation.project, operation.location, CallClass.CREATE)
    except Unreachable as error:
        log.debug("limit_unreachable", operation=operation.id, reason=str(error))
        return BUSY_S


async def _called(
    services: Services, operation: Operation, wanted: EndpointOrder, call: Call
) -> LongOperation:
    """Make the call; the limits hear how it went."""
    failure: ApiError | None = None
    try:
        return await _call(services, operation.name, wanted, call)
    except ApiError as error:
        failure = error
        raise
    finally:
        asked_s = failure.retry_after_s if failure else None
        place = (operation.project, operation.location, CallClass.CREATE)
        await services.limits.tell(*place, verdict_of(failure), retry_after_s=asked_s)


async def _call(services: Services, name: str, wanted: EndpointOrder, call: Call) -> LongOperation:
    endpoints = services.endpoints
    match call.kind:
        case OperationKind.CREATE:
            return await endpoints.create(wanted)
        case OperationKind.DEPLOY:
            return await endpoints.deploy(name, wanted, call.traffic)
        case OperationKind.UNDEPLOY:
            return await endpoints.undeploy(name, call.deployed_model_id, call.traffic)
        case OperationKind.DELETE:
            return await endpoints.delete(name)


def running(services: Services, operation: Operation, begun: LongOperation, claim: Claim) -> None:
    """Note which of Google's operations carries out the call."""
    at = services.ledger.now() + seconds(look_wait_s(services, 0))
    services.ledger.move_operation(
        operation, OperationState.RUNNING, claim=claim, google_name=begun.name, stage=begun.stage, looks=0,
        attempts=0, reason=operation.reason, next_action_at=at,
    )  # fmt: skip
    log.info("operation_running", operation=operation.id, kind=operation.kind.value, name=begun.name)


def _not_begun(
    services: Services, operation: Operation, error: Refused | Throttled | Ambiguous, claim: Claim
) -> None:
    """Note why a call began nothing, or that nobody knows; the next look decides."""
    ledger, attempts = services.ledger, operation.attempts + 1
    busy = isinstance(error, Refused) and _BUSY in str(error)
    if isinstance(error, Refused) and not busy and error.status != _CONFLICT:
        end(services, operation, claim, OperationState.FAILED, f"Google refused it: {error}")
        return
    wait_s = services.options.backoff.wait_s(attempts, luck=services.luck(), asked_s=error.retry_after_s)
    at = ledger.now() + seconds(min(wait_s, BUSY_S) if busy else wait_s)
    if isinstance(error, Ambiguous) and error.code != NOT_SENT:
        ledger.update_operation(
            operation, claim=claim, reason=str(error), attempts=attempts, next_action_at=at
        )
        return
    ledger.move_operation(
        operation, OperationState.QUEUED, claim=claim, reason=str(error), attempts=attempts, next_action_at=at
    )


def end(
    services: Services,
    operation: Operation,
    claim: Claim,
    state: OperationState,
    said: str,
    *,
    stage: str = "",
) -> None:
    """Note that an order has come to its end, and how."""
    services.ledger.move_operation(operation, state, claim=claim, reason=said, stage=stage or operation.stage)
    log.info("operation_ended", operation=operation.id, kind=operation.kind.value, state=state.value)
