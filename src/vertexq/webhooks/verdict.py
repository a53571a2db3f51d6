"""What an answer to a webhook means, and when to try again. No I/O."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

WAITS_S = (5.0, 300.0, 1_800.0, 7_200.0, 18_000.0, 36_000.0, 50_400.0, 72_000.0, 86_400.0)
"""5 s, 5 min, 30 min, 2 h, 5 h, 10 h, 14 h, 20 h, 24 h: ten tries in three days (the specification's own)."""
LONGEST_ASKED_S = 86_400.0
"""However long a receiver asks to be left alone, after a day it is asked again."""

_GONE = 410
_HOLDS = (429, 503)


class Next(StrEnum):
    """What becomes of a delivery after a try."""

    DONE = "done"
    LATER = "later"
    GONE = "gone"  # the receiver wants no more of this submission
    GIVE_UP = "give up"


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """What came back: a status, or 0 and the reason why there is none."""

    status: int = 0
    failure: str = ""
    retry_after_s: float | None = None

    @property
    def taken(self) -> bool:
        """Tell whether the receiver took the message."""
        return 200 <= self.status < 300  # noqa: PLR2004

    @property
    def reason(self) -> str:
        """Say what came back, for a person."""
        if not self.status:
            return self.failure
        where = "; redirects are not followed, name the final address" if 300 <= self.status < 400 else ""  # noqa: PLR2004
        return f"the receiver answered HTTP {self.status}{where}"

    @property
    def holds_s(self) -> float:
        """Return for how long the receiver wants nothing at all, in seconds (429 and 503)."""
        return min(self.retry_after_s or 0.0, LONGEST_ASKED_S) if self.status in _HOLDS else 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What to do next, after which wait in seconds, and why."""

    next: Next
    wait_s: float = 0.0
    holds_s: float = 0.0  # for so long the receiver wants nothing at all
    reason: str = ""


def judge(answer: Answer, attempt: int, *, luck: float, waits_s: Sequence[float] = WAITS_S) -> Verdict:
    """Judge the answer to try number ``attempt`` (the first is 1); ``luck`` is in [0, 1).

    The wait is a fifth shorter to a fifth longer than the schedule says, and never shorter than asked for.
    """
    if answer.taken:
        return Verdict(next=Next.DONE)
    if answer.status == _GONE:
        return Verdict(next=Next.GONE, reason=f"{answer.reason}: it wants no more of this submission")
    if attempt > len(waits_s):
        return Verdict(next=Next.GIVE_UP, reason=f"{answer.reason}; given up after {attempt} tries")
    wait_s = waits_s[attempt - 1] * (0.8 + 0.4 * luck)
    asked_s = min(answer.retry_after_s or 0.0, LONGEST_ASKED_S)
    wait_s = max(wait_s, asked_s)
    return Verdict(next=Next.LATER, wait_s=wait_s, holds_s=answer.holds_s, reason=answer.reason)
