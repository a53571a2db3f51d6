"""How often a call is tried again, how long it waits in between, and whom it asks before. No I/O."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from vertexq.errors import VertexqError


class Restraint(Protocol):
    """What calls that may be repeated keep to, over all workers together; the URL says which limit holds.

    Nothing here raises. The paid create is not among these calls: its step asks for itself.
    """

    async def before(self, url: str) -> float:
        """Return 0.0 when the call may be made now, or how long to wait before asking again, in seconds."""
        ...

    async def after(self, url: str, error: VertexqError | None) -> None:
        """Take note of how one try ended."""
        ...

    async def may_repeat(self, url: str, error: VertexqError) -> bool:
        """Say whether a try that ended with ``error`` may be followed by another."""
        ...


class Unrestrained:
    """No restraint beyond the pace: for one process on its own, such as a command."""

    async def before(self, url: str) -> float:
        """Let the call be made."""
        del url
        return 0.0

    async def after(self, url: str, error: VertexqError | None) -> None:
        """Take note of nothing."""

    async def may_repeat(self, url: str, error: VertexqError) -> bool:
        """Let it be repeated."""
        del url, error
        return True


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
