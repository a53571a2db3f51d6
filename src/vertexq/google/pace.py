"""How often a call is tried again and how long it waits in between. No I/O."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """Capped exponential waits with full jitter.

    With the defaults the waits are drawn from 0 up to 1, 2, 4, 8 and 16 s, and the sixth failure is final.
    """

    first_s: float = 1.0
    cap_s: float = 30.0
    tries: int = 6

    def wait_s(self, tries: int, *, dice: float, retry_after_s: float | None = None) -> float | None:
        """Return how long to wait after failure number ``tries`` (from 1), or None to give up.

        ``dice`` is in [0, 1). What the server asked for is a lower bound, also above the cap.
        """
        if tries >= self.tries:
            return None
        span_s = min(self.cap_s, self.first_s * (1 << (tries - 1)))
        return (retry_after_s or 0.0) + span_s * dice
