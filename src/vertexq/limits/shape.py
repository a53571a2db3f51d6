"""The numbers that a limit goes by, and the limits that Google's quotas call for. No I/O."""

from __future__ import annotations

import math
from dataclasses import dataclass

from vertexq.limits.base import GRANT_GOOD_S, CallClass

MINUTE_S = 60.0
ONLINE_PROBE_S = 310.0
"""Longer than an online call, which is given five minutes."""
_MICRO = 1_000_000
_SCRIPT_SAFE = 2**53
"""Above it Lua's numbers, which are doubles, leave whole numbers out."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Shape:
    """One limit: ``per_minute`` calls in any minute, ``burst`` of them at once after a pause.

    With ``careful`` a limit that Redis does not know (any more) counts as used a moment ago, so that a Redis
    that has lost its memory lets no call through too early.

    A 429 halves the rate, at most once in ``cut_every_s``, down to one a minute; successes raise it again, at
    most to the double each and from nothing to ``per_minute`` in ``rise_s``. What a server asks for in
    ``Retry-After`` is heeded up to ``longest_block_s``.

    The breaker opens for ``open_s`` after ``failures`` broken calls in a row, or when of at least
    ``least_calls`` in the present and the last ``window_s`` the share ``broken_share`` was broken. Then one
    call is let through as a probe, and another when nothing was heard of it for ``probe_s``: longer than any
    call takes. What nobody uses for ``keep_s`` is forgotten.
    """

    per_minute: int
    burst: int = 1
    careful: bool = False
    grant_good_s: float = GRANT_GOOD_S
    cut_every_s: float = 15.0  # a quarter of the minute over which Google counts
    rise_s: float = 120.0
    longest_block_s: float = 3_600.0
    failures: int = 5
    least_calls: int = 10
    broken_share: float = 0.5
    open_s: float = 30.0
    probe_s: float = 70.0
    window_s: float = MINUTE_S
    keep_s: float = 7_200.0

    @property
    def gap_us(self) -> int:
        """Return the time between two calls at the full rate, in microseconds.

        A call reaches Google up to ``grant_good_s`` after its grant, so that a minute at Google sees the
        grants of a slightly longer time, T = 60 s + ``grant_good_s``. A bucket of ``burst`` grants at most
        ``burst`` + T / gap in it, hence gap = T / (``per_minute`` - ``burst`` + 1). With 60 a minute, one at
        once and 2 s: 62 / 60 = 1.034 s. With 600 a minute and 10 at once: 62 / 591 = 0.105 s.
        """
        span_us = (MINUTE_S + self.grant_good_s) * _MICRO
        return math.ceil(span_us / max(1, self.per_minute - self.burst + 1))

    def numbers(self) -> dict[str, int]:
        """Return what the script calculates with: whole numbers, times in µs, rates in millionths."""
        return {
            "limit": self.per_minute * _MICRO,
            "floor": min(1, self.per_minute) * _MICRO,
            "gap": self.gap_us,
            "burst": self.burst,
            "careful": int(self.careful),
            "cut_every": _us(self.cut_every_s),
            "rise": _us(self.rise_s),
            "longest_block": _us(self.longest_block_s),
            "failures": self.failures,
            "least_calls": self.least_calls,
            "broken_percent": round(self.broken_share * 100),
            "open_for": _us(self.open_s),
            "probe_for": _us(self.probe_s),
            "window": _us(self.window_s),
            "keep_ms": math.ceil(self.keep_s * 1000),
        }


def shapes(
    *,
    creates_per_minute: int,
    reads_per_minute: int,
    online_per_minute: int = 300,
    request_deadline_s: float,
) -> dict[CallClass, Shape]:
    """Return the limits of each class of calls, per project and location."""
    probe_s = request_deadline_s + 10.0
    return {
        CallClass.CREATE: Shape(per_minute=creates_per_minute, careful=True, probe_s=probe_s),
        CallClass.READ: Shape(
            per_minute=reads_per_minute,
            burst=max(1, min(10, reads_per_minute // 20)),
            failures=12,  # one read is tried six times: a job that cannot be read must not stop all others
            least_calls=20,
            probe_s=probe_s,
        ),
        CallClass.ONLINE: Shape(
            per_minute=online_per_minute,
            burst=max(1, min(10, online_per_minute // 20)),
            careful=True,
            failures=12,  # one call is made three times
            least_calls=20,
            probe_s=ONLINE_PROBE_S,
        ),
    }


def alone(shape: Shape) -> Shape:
    """Return what one process may do while Redis is away: a twentieth, evenly, as if others did the same."""
    return Shape(per_minute=max(1, shape.per_minute // 20), grant_good_s=0.0)


def _us(seconds: float) -> int:
    return min(round(seconds * _MICRO), _SCRIPT_SAFE)
