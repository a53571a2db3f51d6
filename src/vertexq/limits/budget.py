"""The retry budget: how often all workers together may repeat a call that failed.

When everything fails, retries only add to the load. So a repeated call costs tokens and a success earns one:
as a rule of thumb one call in fourteen may be repeated. The numbers are those of botocore's retry quota: 500
tokens, 14 for a retry, 5 for one after a 429, and 1 back for each success.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

import structlog

from vertexq.errors import Unreachable
from vertexq.limits.link import PREFIX, Link, script

BUDGETS = f"{PREFIX}retries:"
"""Before the keys of retry budgets; what follows is their scope."""

log = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True, kw_only=True)
class Tariff:
    """What is in a full bucket, what a repeat costs, and when a bucket that nobody uses is full again."""

    capacity: int = 500
    retry: int = 14
    throttled: int = 5
    keep_s: float = 3_600.0

    def cost(self, *, throttled: bool) -> int:
        """Return what one repeat costs."""
        return self.throttled if throttled else self.retry


@dataclass(slots=True)
class Bucket:
    """Tokens of one process: what counts while Redis is away."""

    capacity: int
    tokens: int = field(init=False)

    def __post_init__(self) -> None:
        """Begin full."""
        self.tokens = self.capacity

    def spend(self, cost: int, *, earned: int = 0) -> bool:
        """Add what was earned, then take ``cost`` if it is there."""
        self.tokens = min(self.capacity, self.tokens + earned)
        granted = self.tokens >= cost
        self.tokens -= cost if granted else 0
        return granted


class RetryBudget:
    """The budgets of every scope, shared by all workers; a fifth of each, for this process, without Redis.

    Successes are told to Redis with the next repeat, or ``tell_every`` at a time, or after ``tell_after_s``:
    a call that works costs no other.
    """

    def __init__(
        self,
        link: Link,
        *,
        tariff: Tariff | None = None,
        tell_every: int = 20,
        tell_after_s: float = 10.0,
        clock: Callable[[], float] | None = None,
    ) -> None:
        self._link = link
        self._tariff = tariff or Tariff()
        self._tell_every, self._tell_after_s = tell_every, tell_after_s
        self._clock = clock or (lambda: asyncio.get_running_loop().time())
        self._earned: dict[str, int] = {}
        self._told_s: dict[str, float] = {}
        self._own: dict[str, Bucket] = {}
        self._empty: set[str] = set()
        self._script = script("budget")

    async def earn(self, scope: str) -> None:
        """Note a call that worked; never raises."""
        earned = self._earned[scope] = self._earned.get(scope, 0) + 1
        told_s = self._told_s.setdefault(scope, self._clock())
        if earned >= self._tell_every or self._clock() - told_s >= self._tell_after_s:
            await self._ask(scope, 0)

    async def spend(self, scope: str, *, throttled: bool) -> bool:
        """Ask to repeat one call; never raises."""
        granted = await self._ask(scope, self._tariff.cost(throttled=throttled))
        if not granted and scope not in self._empty:
            log.warning("retry_budget_empty", scope=scope, effect="failed calls are not repeated for now")
        (self._empty.discard if granted else self._empty.add)(scope)
        return granted

    async def _ask(self, scope: str, cost: int) -> bool:
        earned = self._earned.pop(scope, 0)
        self._told_s[scope] = self._clock()
        args = [self._tariff.capacity, earned, cost, round(self._tariff.keep_s * 1000)]
        try:
            granted, _ = await self._link.run(self._script, f"{BUDGETS}{scope}", args)
        except Unreachable:
            own = self._own.setdefault(scope, Bucket(max(1, self._tariff.capacity // 5)))
            return own.spend(cost, earned=earned)
        return bool(granted)
