"""Deliver: send what the ledger's outbox holds for one target, and note what became of it.

At least once: a worker that dies between the sending and the note leaves a delivery that is sent again with
the same id and the same body. A target that does not answer rests for a while, so that one that is down is
not asked once for each of a thousand messages.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import orjson
import structlog

from vertexq.errors import UnknownStore, Unreachable
from vertexq.ledger import Delivery
from vertexq.names import TaskName
from vertexq.recipients import Recipient, Way
from vertexq.steps.services import Services
from vertexq.webhooks.sender import Sender
from vertexq.webhooks.verdict import Answer, Next, Verdict, judge

log = structlog.get_logger(__name__)

AT_ONCE = 8
"""How many messages are on their way to a target at the same time, from one worker."""
LARGE_BYTES = 1024 * 1024
"""A larger message goes alone, so that memory holds one of them at a time."""
REST_S = 30.0
"""How long a target rests when none of them was taken."""

Send = Callable[[Delivery], Awaitable[Verdict]]


async def deliver(services: Services, target: str) -> None:
    """Send what is due for ``target``, for a slice of time; leave the rest to another hint."""
    recipient = Recipient.of_target(target)
    if recipient.way is Way.TASK:
        await _until_empty(services, target, lambda one: _tell(services, recipient, one))
        return
    try:
        webhook = services.webhook(recipient.name)
    except UnknownStore as error:
        reason = str(error)
        await _until_empty(services, target, lambda one: _failed(services, one, reason))
        return
    async with Sender(webhook, timeout_s=services.options.webhook_timeout_s) as sender:
        await _until_empty(services, target, lambda one: _post(services, sender, one))


async def _until_empty(services: Services, target: str, send: Send) -> None:
    loop, options = asyncio.get_running_loop(), services.options
    until_s = loop.time() + options.slice_s
    lease_s = 2 * options.webhook_timeout_s + options.lease_s  # the small ones, then a large one
    while loop.time() < until_s:
        taken = services.ledger.take_deliveries(target, owner=services.owner, lease_s=lease_s, limit=AT_ONCE)
        if not taken:
            return
        verdicts = await _all_of(services, taken, send)
        rest_s = max(verdict.holds_s for verdict in verdicts)
        if not any(verdict.next is Next.DONE for verdict in verdicts):
            rest_s = max(rest_s, min(REST_S, options.webhook_waits_s[0]))
        if rest_s:
            services.ledger.hold_target(target, wait_s=rest_s)
            return
    services.hints.send(TaskName.DELIVER, target)


async def _all_of(services: Services, taken: list[Delivery], send: Send) -> list[Verdict]:
    """Send and note the small ones together, then one large; give back what nothing is known of."""
    small = [one for one in taken if one.size_bytes <= LARGE_BYTES]
    large = [one for one in taken if one.size_bytes > LARGE_BYTES]
    try:
        services.ledger.let_go_of(large[1:])
        verdicts = await asyncio.gather(*(_one(services, one, send) for one in small))
        return verdicts + [await _one(services, one, send) for one in large[:1]]
    except BaseException:
        services.ledger.let_go_of(taken)
        raise


async def _one(services: Services, one: Delivery, send: Send) -> Verdict:
    verdict, ledger = await send(one), services.ledger
    match verdict.next:
        case Next.DONE:
            ledger.note_delivered(one)
        case Next.LATER:
            ledger.put_off_delivery(one, wait_s=verdict.wait_s, reason=verdict.reason)
        case Next.GONE | Next.GIVE_UP:
            ledger.abandon_delivery(one, reason=verdict.reason, gone=verdict.next is Next.GONE)
    if verdict.next is not Next.DONE:
        log.warning(
            "not_delivered", delivery=one.id, kind=one.kind, target=one.target, submission=one.submission_id,
            tries=one.attempts + 1, next=verdict.next.value, reason=verdict.reason,
        )  # fmt: skip
    return verdict


async def _post(services: Services, sender: Sender, one: Delivery) -> Verdict:
    body = services.ledger.delivery_body(one)
    return _judged(services, one, await sender.post(one.id, body))


async def _failed(services: Services, one: Delivery, reason: str) -> Verdict:
    return _judged(services, one, Answer(failure=reason))


def _judged(services: Services, one: Delivery, answer: Answer) -> Verdict:
    waits_s = services.options.webhook_waits_s
    return judge(answer, one.attempts + 1, luck=services.luck(), waits_s=waits_s)


async def _tell(services: Services, recipient: Recipient, one: Delivery) -> Verdict:
    """Hand an event to the producers' broker; it is tried until that takes it."""
    event = {"id": one.id, **orjson.loads(services.ledger.delivery_body(one))}
    try:
        services.producers.tell(recipient.name, recipient.queue, one.id, event)
    except Unreachable as error:
        wait_s = services.options.backoff.wait_s(one.attempts + 1, luck=services.luck())
        return Verdict(next=Next.LATER, wait_s=wait_s, reason=str(error))
    return Verdict(next=Next.DONE)
