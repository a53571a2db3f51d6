"""What a grant, a verdict and the passing of time do to one limit; the script in Redis does the same. No I/O.

Times are microseconds on one clock, rates are millionths of a call a minute: whole numbers below 2**53, so
that Lua's doubles hold them exactly.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Self

from vertexq.limits.base import Verdict

ASK_AGAIN_US = 5_000_000
"""While a probe is out, how soon others ask whether it came back."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Gate:
    """The state of one limit. A time of 0 is none.

    ``empty_at`` is when the bucket is empty again (the generic cell rate algorithm), ``rate`` how many calls
    a minute are let through now (0: all that the limit allows). ``probe`` names the grant of the probe that
    is out. Calls are counted in windows: number ``window`` is the present one.
    """

    limit: int = 0
    empty_at: int = 0
    rate: int = 0
    cut_at: int = 0
    blocked_until: int = 0
    failures: int = 0
    open_until: int = 0
    probe: int = 0
    probe_until: int = 0
    window: int = 0
    calls: int = 0
    broken: int = 0
    calls_before: int = 0
    broken_before: int = 0

    @classmethod
    def read(cls, stored: Mapping[str, str]) -> Self:
        """Read what Redis holds; what is missing, or was never a number, is 0."""
        numbers = {name: stored.get(name, "0") for name in NAMES}
        return cls(**{name: int(text) if text.lstrip("-").isdigit() else 0 for name, text in numbers.items()})


NAMES = tuple(field.name for field in fields(Gate))


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What was said to a caller: to wait so long, or (0) to go; ``probe`` names the grant of a probe."""

    wait_us: int = 0
    probe: int = 0


def take(gate: Gate | None, now: int, shape: Mapping[str, int]) -> tuple[Gate, Grant]:
    """Ask for one call: the limit afterwards, and what the caller is told."""
    gate = _at(gate, now, shape)
    wait_us = max(_closed_for(gate, now), _full_for(gate, now, shape))
    if wait_us > 0:
        return gate, Grant(wait_us=wait_us)
    granted = replace(gate, empty_at=max(gate.empty_at, now) + gap_us(gate, shape), calls=gate.calls + 1)
    if not gate.open_until:
        return granted, Grant()
    return replace(granted, probe=now, probe_until=now + shape["probe_for"]), Grant(probe=now)


def tell(
    gate: Gate | None,
    now: int,
    shape: Mapping[str, int],
    verdict: Verdict,
    *,
    retry_us: int = 0,
    probe: int = 0,
) -> Gate:
    """Take note of how a call went; ``probe`` is what its grant said, ``retry_us`` what was asked for."""
    gate = _at(gate, now, shape)
    if retry_us > 0:
        until = now + min(retry_us, shape["longest_block"])
        gate = replace(gate, blocked_until=max(gate.blocked_until, until))
    if verdict is Verdict.BROKEN:
        gate = replace(gate, failures=gate.failures + 1, broken=gate.broken + 1)
    else:
        gate = replace(gate, failures=0)
        gate = _cut(gate, now, shape) if verdict is Verdict.THROTTLED else _raised(gate, shape)
    return _switched(gate, now, shape, broken=verdict is Verdict.BROKEN, probe=probe)


def gap_us(gate: Gate, shape: Mapping[str, int]) -> int:
    """Return the time between two calls at the present rate."""
    return math.ceil(shape["gap"] * shape["limit"] / (gate.rate or shape["limit"]))


def _at(gate: Gate | None, now: int, shape: Mapping[str, int]) -> Gate:
    """Return the limit as it is now: known, in the present window, and nothing further ahead than it can be.

    A clock that was set back, or another server's, would else keep calls waiting for as long as it is off.
    """
    if gate is None:
        gate = Gate(empty_at=now + shape["gap"] if shape["careful"] else 0)
    if gate.rate >= shape["limit"]:
        gate = replace(gate, rate=0)
    window = now // shape["window"]
    if gate.window == window - 1:
        gate = replace(gate, calls_before=gate.calls, broken_before=gate.broken, calls=0, broken=0)
    elif gate.window != window:
        gate = replace(gate, calls_before=0, broken_before=0, calls=0, broken=0)
    return replace(
        gate,
        limit=shape["limit"],
        window=window,
        empty_at=min(gate.empty_at, now + shape["burst"] * gap_us(gate, shape)),
        cut_at=min(gate.cut_at, now),
        blocked_until=min(gate.blocked_until, now + shape["longest_block"]),
        open_until=min(gate.open_until, now + shape["open_for"]),
        probe_until=min(gate.probe_until, now + shape["probe_for"]),
    )


def _closed_for(gate: Gate, now: int) -> int:
    """Return how long the server, the breaker or a probe keeps calls away."""
    wait_us = max(0, gate.blocked_until - now)
    if gate.open_until > now:
        return max(wait_us, gate.open_until - now)
    if gate.open_until and gate.probe_until > now:
        return max(wait_us, min(gate.probe_until - now, ASK_AGAIN_US))
    return wait_us


def _full_for(gate: Gate, now: int, shape: Mapping[str, int]) -> int:
    """Return how long until the bucket has room for one."""
    gap = gap_us(gate, shape)
    return max(gate.empty_at, now) + gap - shape["burst"] * gap - now


def _cut(gate: Gate, now: int, shape: Mapping[str, int]) -> Gate:
    """Halve the rate, unless it was halved a moment ago: calls that were on their way tell the same again."""
    if gate.cut_at and now - gate.cut_at < shape["cut_every"]:
        return gate
    rate = gate.rate or shape["limit"]
    return replace(gate, rate=max(shape["floor"], rate // 2), cut_at=now)


def _raised(gate: Gate, shape: Mapping[str, int]) -> Gate:
    """Raise the rate by what the time between two calls is worth: evenly in time, whatever the rate."""
    if not gate.rate:
        return gate
    worth = math.floor(shape["limit"] * (gap_us(gate, shape) / shape["rise"]))
    rate = gate.rate + min(gate.rate, worth)
    return replace(gate, rate=0 if rate >= shape["limit"] else rate)


def _switched(gate: Gate, now: int, shape: Mapping[str, int], *, broken: bool, probe: int) -> Gate:
    """Open or close the breaker. While it is open only the probe's verdict counts."""
    if gate.open_until:
        if not probe or probe != gate.probe:
            return gate
        if broken:
            return replace(gate, open_until=now + shape["open_for"], probe=0, probe_until=0)
        return replace(gate, open_until=0, probe=0, probe_until=0, failures=0, broken=0, broken_before=0)
    if broken and _too_many(gate, shape):
        return replace(gate, open_until=now + shape["open_for"], probe=0, probe_until=0)
    return gate


def _too_many(gate: Gate, shape: Mapping[str, int]) -> bool:
    calls, broken = gate.calls + gate.calls_before, gate.broken + gate.broken_before
    enough = calls >= shape["least_calls"]
    return gate.failures >= shape["failures"] or (enough and broken * 100 >= calls * shape["broken_percent"])
