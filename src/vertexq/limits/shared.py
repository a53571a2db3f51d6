"""Limits on calls over all workers together: in Redis; while it is away no paid calls, and few reads."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass

from vertexq.errors import Unreachable
from vertexq.limits import gate as gates
from vertexq.limits.base import CallClass, Verdict
from vertexq.limits.gate import ASK_AGAIN_US, NAMES, Gate
from vertexq.limits.link import PREFIX, Link, script
from vertexq.limits.shape import Shape, alone

GATES = f"{PREFIX}limit:"
"""Before the keys of limits; what follows is ``projects/P/locations/L/CLASS``."""
LEAST_WAIT_S = 0.001
STARVED_GAPS = 10
MICRO = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Loss:
    """Since when a limit's state is found lost again and again before there was one grant.

    A careful limit waits a gap when its state is lost. Were it lost in every gap, nobody would ever be let
    through; so after ``STARVED_GAPS`` a process takes its turn all the same. Ten processes that all do so
    are still no faster than the limit.
    """

    since_s: float
    last_s: float

    def starves(self, now_s: float, gap_s: float) -> bool:
        """Tell whether it has gone on for too long, without a break."""
        unbroken = now_s - self.last_s <= STARVED_GAPS * gap_s
        return unbroken and now_s - self.since_s >= STARVED_GAPS * gap_s

    def again(self, now_s: float, gap_s: float) -> Loss:
        """Return the loss when the state was found lost once more; after a break it begins anew."""
        unbroken = now_s - self.last_s <= STARVED_GAPS * gap_s
        return Loss(since_s=self.since_s if unbroken else now_s, last_s=now_s)


class SharedLimits:
    """The limits of every project and location, each class of calls with its ``shapes``."""

    def __init__(self, link: Link, shapes: Mapping[CallClass, Shape]) -> None:
        self._link = link
        self._numbers = {call: shape.numbers() for call, shape in shapes.items()}
        self._alone = {call: alone(shape).numbers() for call, shape in shapes.items()}
        self._trusting = {call: shape.numbers() | {"careful": 0} for call, shape in shapes.items()}
        self._own: dict[str, Gate] = {}
        self._losses: dict[str, Loss] = {}
        self._probes: dict[str, int] = {}
        names = next(iter(self._numbers.values()))
        self._take, self._tell = (
            script("gate", NAMES=NAMES, SHAPE=tuple(names), WHAT=what, ASK_AGAIN=ASK_AGAIN_US)
            for what in ("take", "tell")
        )

    async def take(self, project: str, location: str, call: CallClass) -> float:
        """Take one call; return 0.0, or the seconds to wait. Raise ``Unreachable`` for a paid one."""
        key = gate_key(project, location, call)
        try:
            wait_us, probe = await self._take_shared(key, call)
        except Unreachable:
            if call is not CallClass.READ:
                raise
            wait_us, probe = self._take_alone(key, call), 0
        if probe:
            self._probes[key] = probe
        return max(wait_us / MICRO, LEAST_WAIT_S) if wait_us > 0 else 0.0

    async def tell(
        self,
        project: str,
        location: str,
        call: CallClass,
        verdict: Verdict,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        """Say how a call went; while Redis is away it goes unheard."""
        key = gate_key(project, location, call)
        retry_us = round(min(retry_after_s or 0.0, 1e9) * MICRO)
        args = [*self._numbers[call].values(), verdict.value, retry_us, self._probes.pop(key, 0)]
        try:
            await self._link.run(self._tell, key, args)
        except Unreachable:
            return

    async def _take_shared(self, key: str, call: CallClass) -> tuple[int, int]:
        now_s, gap_s = time.monotonic(), self._numbers[call]["gap"] / MICRO
        loss = self._losses.get(key)
        starved = loss is not None and loss.starves(now_s, gap_s)
        numbers = self._trusting[call] if starved else self._numbers[call]
        wait_us, probe, _, unknown = await self._link.run(self._take, key, [*numbers.values()])
        if wait_us <= 0:
            self._losses.pop(key, None)
        elif unknown:
            self._losses[key] = loss.again(now_s, gap_s) if loss else Loss(since_s=now_s, last_s=now_s)
        return wait_us, probe

    def _take_alone(self, key: str, call: CallClass) -> int:
        """Ask the limit of this process, on its own clock."""
        now_us = time.monotonic_ns() // 1_000
        self._own[key], grant = gates.take(self._own.get(key), now_us, self._alone[call])
        return grant.wait_us


def gate_key(project: str, location: str, call: CallClass) -> str:
    """Return the key of a limit."""
    return f"{GATES}projects/{project}/locations/{location}/{call.value}"
