"""Duties: what one process at a time should do, and what is only done twice when two do it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager, suppress

import structlog

from vertexq.errors import VertexqError
from vertexq.ledger.watched import Duty
from vertexq.steps.services import Services

log = structlog.get_logger(__name__)


@asynccontextmanager
async def on_duty(services: Services, name: str) -> AsyncGenerator[bool]:
    """Yield whether nobody else was on this duty; then we are, until the end of the block.

    The duty of one who died is free after two heartbeats: as two do no harm, it is handed on soon.
    """
    duty = services.ledger.take_duty(name, lease_s=2 * services.options.heartbeat_s)
    if duty is None:
        yield False
        return
    keeper = _Keeper(services, duty)
    task = asyncio.create_task(keeper.keep())
    try:
        yield True
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        services.ledger.end_duty(keeper.duty)


class _Keeper:
    """Says now and then, beside the work, that we are still on duty."""

    def __init__(self, services: Services, duty: Duty) -> None:
        self._services = services
        self.duty = duty

    async def keep(self) -> None:
        """Go on until cancelled, or until another has taken over."""
        while True:
            await asyncio.sleep(self._services.options.heartbeat_s)
            try:
                kept = self._services.ledger.keep_duty(self.duty)
            except VertexqError as error:
                log.warning("duty_not_kept", duty=self.duty.name, error=type(error).__name__)
                continue
            if kept is None:
                log.warning("duty_lost", duty=self.duty.name)
                return
            self.duty = kept
