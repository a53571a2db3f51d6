"""Endpoints: carry out one order, a call at a time, and follow Google's operation to its end.

Before every call the endpoint is looked at, and the intent is committed. A call whose answer was lost is not
made again before another look: a new endpoint is known by its id, a deployed model by the id that we chose.
"""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import suppress
from datetime import datetime

import structlog

from vertexq.endpoint_orders import from_message, in_place
from vertexq.endpoints import EndpointOrder, LongOperation, Operation, OperationKind, OperationState
from vertexq.errors import ApiError, BadInput, Conflict, NotFound
from vertexq.failpoints import Failpoint, reach
from vertexq.ledger import Claim, Record
from vertexq.names import TaskName
from vertexq.steps.endpoint_calls import end, look_wait_s, running, send
from vertexq.steps.endpoint_plans import Call, Done, Wrong, plan
from vertexq.steps.leases import judged, under
from vertexq.steps.services import Services, seconds

log = structlog.get_logger(__name__)

LOOKS_BEFORE_AGAIN = 2
"""How often the endpoint is looked at before a deploy with a lost answer is sent again."""
SKEW_S = 600.0  # how far Google's clock may be from the database's


async def order(services: Services, message: Mapping[str, object]) -> None:
    """Take over an order that somebody sent through the broker; twice is one order."""
    try:
        operation_id, wanted = from_message(message)
        operation, _ = services.ledger.order(operation_id, wanted, actor=services.owner)
    except BadInput as error:
        log.warning("order_refused", id=str(message.get("id", ""))[:63], reason=str(error))
        return
    services.hints.send(TaskName.OPERATE, operation.id)


async def operate(services: Services, operation_id: str) -> None:
    """Do the next piece of an order's work; do nothing when somebody else has it in hand, or it has ended."""
    ledger = services.ledger
    claim = ledger.claim(
        Record.OPERATION, operation_id, owner=services.owner, lease_s=services.options.lease_s
    )
    if claim is None:
        return
    reach(Failpoint.OPERATE_CLAIMED)

    async def work(held: Claim) -> None:
        await _go_on(services, ledger.operation(operation_id), held)

    await under(services, claim, work, lambda error: _put_off(services, claim, error))


async def _go_on(services: Services, operation: Operation, claim: Claim) -> None:
    match operation.state:
        case OperationState.DONE | OperationState.FAILED:
            return
        case OperationState.RUNNING:
            await _look(services, operation, claim)
        case OperationState.QUEUED | OperationState.SENDING:
            await _advance(services, operation, claim)


async def _advance(services: Services, operation: Operation, claim: Claim) -> None:
    """Look at the endpoint and do what is left to be done."""
    operation = _placed(services, operation, claim)
    wanted = _effective(operation)
    found = None
    with suppress(NotFound):
        found = await services.endpoints.get(operation.name)
    next_one = plan(wanted, found)
    if isinstance(next_one, Done):
        end(services, operation, claim, OperationState.DONE, next_one.said)
    elif isinstance(next_one, Wrong):
        end(services, operation, claim, OperationState.FAILED, next_one.said)
    elif await _may_send(services, operation, next_one, claim):
        await send(services, services.ledger.operation(operation.id), wanted, next_one, claim)


def _placed(services: Services, operation: Operation, claim: Claim) -> Operation:
    """Write down where the endpoint is, for an order that left it to the worker."""
    if operation.name:
        return operation
    options = services.options
    return services.ledger.update_operation(
        operation,
        claim=claim,
        project=operation.project or options.project,
        location=operation.location or options.location,
    )


def _effective(operation: Operation) -> EndpointOrder:
    """Return the order with its place; raise ``BadInput`` when it does not fit there."""
    return in_place(operation.order, operation.project, operation.location)


async def _may_send(services: Services, operation: Operation, call: Call, claim: Claim) -> bool:
    """Tell whether a call may be made (again): a deploy only when an earlier one certainly made nothing."""
    unclear = operation.state is OperationState.SENDING and call.kind is OperationKind.DEPLOY
    if not unclear or operation.sent_at is None:
        return True
    begun = await _begun_since(services, operation)
    if begun is not None:
        running(services, operation, begun, claim)
        return False
    looks, ledger = operation.looks + 1, services.ledger
    settled = ledger.now() >= operation.sent_at + seconds(services.options.settle_time_s)
    if settled and looks >= LOOKS_BEFORE_AGAIN:
        ledger.move_operation(operation, OperationState.QUEUED, claim=claim, looks=0)
        return True
    wait_s = look_wait_s(services, looks)
    ledger.update_operation(
        operation, claim=claim, looks=looks, next_action_at=ledger.now() + seconds(wait_s)
    )
    return False


async def _begun_since(services: Services, operation: Operation) -> LongOperation | None:
    """Return a deploy on the endpoint that may be ours: it began since we sent ours, and is not another's."""
    since = (operation.sent_at or operation.created_at) - seconds(SKEW_S)
    taken = {
        one.google_name.rpartition("/")[2]
        for one in services.ledger.operations(endpoint=operation.endpoint, limit=1000)
    }
    async for one in services.endpoints.operations(operation.name):
        ours = one.deployed_model_id in {"", operation.deployed_model_id} and not one.error
        known = one.name.rpartition("/")[2] in taken
        if one.kind == "DeployModel" and ours and not known and _late(one.created, since):
            return one
    return None


def _late(created: datetime | None, since: datetime) -> bool:
    return created is None or created >= since


async def _look(services: Services, operation: Operation, claim: Claim) -> None:
    """Look at Google's operation, note how far it is, and end with it."""
    try:
        now = await services.endpoints.operation(operation.google_name)
    except NotFound:
        log.warning("operation_forgotten", operation=operation.id, name=operation.google_name)
        await _forgotten(services, operation, claim)
        return
    if not now.done:
        _note_progress(services, operation, now, claim)
    elif now.error:
        end(
            services,
            operation,
            claim,
            OperationState.FAILED,
            f"Google ended it: {now.error}",
            stage=now.stage,
        )
    elif operation.call != operation.kind.value or _is_anothers(operation, now):  # there is more to do
        _ask_the_endpoint(services, operation, claim)
    else:
        said = "; ".join((operation.reason, *now.failures)).removeprefix("; ")
        end(services, operation, claim, OperationState.DONE, said, stage=now.stage)


def _is_anothers(operation: Operation, now: LongOperation) -> bool:
    """Tell whether a deploy that was followed after a lost answer turns out to be somebody else's."""
    return now.deployed_model_id not in {"", operation.deployed_model_id}


async def _forgotten(services: Services, operation: Operation, claim: Claim) -> None:
    """Go by the endpoint when Google does not know the operation; a deploy is not begun again by itself."""
    if operation.kind is not OperationKind.DEPLOY:
        _ask_the_endpoint(services, operation, claim)
        return
    there = False
    with suppress(NotFound):
        there = (await services.endpoints.get(operation.name)).has(operation.deployed_model_id)
    state = OperationState.DONE if there else OperationState.FAILED
    said = "the model is deployed" if there else "the model is not deployed: order it again"
    end(services, operation, claim, state, f"Google has forgotten the operation; {said}")


def _ask_the_endpoint(services: Services, operation: Operation, claim: Claim) -> None:
    """Let the next step look at the endpoint itself: it says what is left to be done."""
    services.ledger.move_operation(operation, OperationState.QUEUED, claim=claim, looks=0)
    services.hints.send(TaskName.OPERATE, operation.id)


def _note_progress(services: Services, operation: Operation, now: LongOperation, claim: Claim) -> None:
    ledger, looks = services.ledger, operation.looks + 1
    reason = "; ".join(now.failures) or operation.reason
    at = ledger.now() + seconds(look_wait_s(services, looks))
    ledger.update_operation(
        operation, claim=claim, looks=looks, stage=now.stage, reason=reason, attempts=0, next_action_at=at
    )


def _put_off(services: Services, claim: Claim, error: Exception) -> None:
    """Try again later, however often, what may pass; end what cannot."""
    ledger, backoff = services.ledger, services.options.backoff
    operation = ledger.operation(claim.id)
    may_pass, reason = judged(error)
    log.warning("operation_step_failed", operation=operation.id, error=type(error).__name__)
    with suppress(Conflict):
        if not may_pass:
            end(services, operation, claim, OperationState.FAILED, reason)
            return
        attempts = operation.attempts + 1
        asked_s = error.retry_after_s if isinstance(error, ApiError) else None
        wait_s = backoff.wait_s(attempts, luck=services.luck(), asked_s=asked_s)
        ledger.update_operation(
            operation, claim=claim, attempts=attempts, reason=reason,
            next_action_at=ledger.now() + seconds(wait_s),
        )  # fmt: skip
