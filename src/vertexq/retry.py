"""When to try again and when to look again: pure functions of counts, ages and a random number."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime

LONGEST_ASKED_S = 3_600.0
"""However long a server asks to be left alone, after an hour it is asked again, as by ``limits/shape.py``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Backoff:
    """How long to wait after a failed attempt, in seconds.

    The wait after attempt ``n`` (the first is 1) is ``first_s * 2 ** (n - 1)``, at most ``longest_s``: with
    the defaults 2, 4, 8, 16, 32, 64, 128, 256, 300, 300, ... After ``attempts`` of them a person is asked.
    """

    first_s: float = 2.0
    longest_s: float = 300.0
    attempts: int = 12

    def wait_s(self, attempt: int, *, luck: float, asked_s: float | None = None) -> float:
        """Return the wait after ``attempt``; ``luck`` is in [0, 1).

        ``asked_s`` is what the server asked for; it is heeded up to ``LONGEST_ASKED_S``.
        """
        longest = min(self.first_s * 2.0 ** min(attempt - 1, 64), self.longest_s)
        return max(spread(longest, luck=luck), min(asked_s or 0.0, LONGEST_ASKED_S))


def row_may_pass(code: int | None) -> bool:
    """Tell whether a row that failed with this HTTP status may be answered another time."""
    return code in (408, 429) or (code is not None and 500 <= code < 600 and code != 501)  # noqa: PLR2004


def asked_s(retry_after: str | None, now: datetime) -> float | None:
    """Read ``Retry-After``: seconds, or a date (RFC 9110, section 10.2.3); None for anything else."""
    if not retry_after:
        return None
    if retry_after.strip().isdecimal():
        return float(retry_after)
    try:
        at = parsedate_to_datetime(retry_after)
    except ValueError:
        return None
    return max((at.replace(tzinfo=at.tzinfo or UTC) - now).total_seconds(), 0.0)


def spread(wait_s: float, *, luck: float) -> float:
    """Return a wait between half of ``wait_s`` and all of it, so that many waiters do not wake as one."""
    return wait_s * (0.5 + luck / 2)


def look_wait_s(quiet_s: float, *, longest_s: float = 2.0) -> float:
    """Return when to look again at what was quiet for so long: a fifth of that, from 0.1 to ``longest_s``."""
    return min(max(quiet_s / 5, 0.1), longest_s)


def poll_wait_s(age_s: float, *, first_s: float, longest_s: float, luck: float) -> float:
    """Return when to look at a job again: a tenth of its age, between ``first_s`` and ``longest_s``.

    With 30 and 600 seconds: at age 0 every 30 s, at an hour every 6 minutes, from 100 minutes on every 10.
    """
    return spread(min(max(age_s / 10, first_s), longest_s), luck=luck)
