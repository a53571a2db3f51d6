"""How limits stand, for people who look on: reads Redis and changes nothing."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from vertexq.limits.base import CallClass
from vertexq.limits.budget import BUDGETS
from vertexq.limits.gate import Gate
from vertexq.limits.link import Link
from vertexq.limits.shape import MINUTE_S
from vertexq.limits.shared import GATES, MICRO

_WINDOW_US = round(MINUTE_S * MICRO)


class Breaker(StrEnum):
    """What the breaker of a limit lets through."""

    CLOSED = "closed"  # every call
    OPEN = "open"  # none
    HALF_OPEN = "half open"  # one, as a probe


@dataclass(frozen=True, slots=True, kw_only=True)
class CallStanding:
    """One limit on calls. ``waits_s`` is how long nobody may call because Google or the breaker says so."""

    project: str
    location: str
    call: CallClass
    limit_per_minute: float
    rate_per_minute: float
    calls_last_minute: int = 0
    waits_s: float = 0.0
    breaker: Breaker = Breaker.CLOSED


@dataclass(frozen=True, slots=True, kw_only=True)
class BudgetStanding:
    """One retry budget: tokens left of how many, and how many repeats it refused since it was last full."""

    scope: str
    tokens: int
    capacity: int
    refused: int


async def call_standings(link: Link) -> list[CallStanding]:
    """Return every limit that was used in the last two hours. Raise ``Unreachable``."""
    found = await link.hashes(GATES)
    now_us = await link.now_us()
    standings = (standing_of(name, Gate.read(stored), now_us) for name, stored in found.items())
    return [one for one in standings if one is not None]


async def budget_standings(link: Link) -> list[BudgetStanding]:
    """Return every retry budget that was used in the last hour. Raise ``Unreachable``."""
    return [
        BudgetStanding(
            scope=scope,
            tokens=int(stored.get("tokens", "0")),
            capacity=int(stored.get("capacity", "0")),
            refused=int(stored.get("refused", "0")),
        )
        for scope, stored in (await link.hashes(BUDGETS)).items()
    ]


def standing_of(name: str, gate: Gate, now_us: int) -> CallStanding | None:
    """Return how the limit ``projects/P/locations/L/CLASS`` stands; None for another name."""
    match name.split("/"):
        case ["projects", project, "locations", location, call] if call in list(CallClass):
            until_us = max(gate.blocked_until, gate.open_until)
            return CallStanding(
                project=project,
                location=location,
                call=CallClass(call),
                limit_per_minute=gate.limit / MICRO,
                rate_per_minute=(gate.rate or gate.limit) / MICRO,
                calls_last_minute=_last_minute(gate, now_us),
                waits_s=max(0, until_us - now_us) / MICRO,
                breaker=_breaker(gate, now_us),
            )
        case _:
            return None


def _last_minute(gate: Gate, now_us: int) -> int:
    """Return the calls of the last minute, taking those of the minute before as spread evenly over it."""
    window, into_us = divmod(now_us, _WINDOW_US)
    left = 1 - into_us / _WINDOW_US
    if gate.window == window:
        return round(gate.calls + gate.calls_before * left)
    return round(gate.calls * left) if gate.window == window - 1 else 0


def _breaker(gate: Gate, now_us: int) -> Breaker:
    if not gate.open_until:
        return Breaker.CLOSED
    return Breaker.OPEN if gate.open_until > now_us else Breaker.HALF_OPEN
