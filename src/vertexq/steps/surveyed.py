"""What a process has found out about Google, kept for some minutes, so that not every submission asks."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable

import structlog

from vertexq.steps.survey import Finding, Look, Weight

log = structlog.get_logger(__name__)


class Surveyed:
    """What this process has found, kept for ``keep_s`` seconds; of many who ask at once one looks.

    A finding that keeps a submission back is not kept: what was wrong may have been mended.
    """

    def __init__(self, *, keep_s: float = 300.0, clock: Callable[[], float] = time.monotonic) -> None:
        self._keep_s = keep_s
        self._clock = clock
        self._kept: dict[tuple[str, ...], tuple[float, Finding]] = {}
        self._looking: dict[tuple[str, ...], asyncio.Task[Finding]] = {}

    async def once(self, key: tuple[str, ...], look: Look) -> Finding:
        """Return what was found under ``key``, or what ``look`` finds now."""
        at_s, kept = self._kept.get(key, (0.0, None))
        if kept is not None and self._clock() - at_s < self._keep_s:
            return kept
        if key not in self._looking:
            self._looking[key] = asyncio.create_task(self._look(key, look()))
        return await asyncio.shield(self._looking[key])  # who gives up does not stop it for the others

    async def _look(self, key: tuple[str, ...], look: Awaitable[Finding]) -> Finding:
        try:
            finding = await look
        finally:
            del self._looking[key]
        if finding.weight is not Weight.ERROR:
            self._kept[key] = (self._clock(), finding)
        if finding.weight in (Weight.WARNING, Weight.ERROR):
            log.warning("preflight", about=finding.about, text=finding.text)
        elif finding.weight is Weight.UNKNOWN:
            log.info("preflight_unknown", about=finding.about, text=finding.text)
        return finding
