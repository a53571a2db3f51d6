"""The promise of the limits on calls to Google: ask before a call, tell how it went."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol

from vertexq.errors import Ambiguous, ApiError, Throttled, Unavailable, Unreachable, VertexqError


class CallClass(StrEnum):
    """Google's quotas, each per project, location and minute."""

    CREATE = "create"  # 60: creating and deleting jobs
    READ = "read"  # 600: get, list, cancel
    ONLINE = "online"  # 30,000, of which a share: predict, generateContent, embedContent


class Verdict(StrEnum):
    """How a call went, as far as limits are concerned."""

    TAKEN = "taken"  # Google answered, also when it refused the call
    THROTTLED = "throttled"  # 429: slow down
    BROKEN = "broken"  # 5xx, no answer, no connection


GRANT_GOOD_S = 2.0
"""How soon a call must follow its grant, in seconds: the limits count on it, for they see grants, not calls.

Whoever comes later asks again; the grant that was not used costs nothing but its place.
"""

_SLOW_DOWN, _BROKEN_FROM = 429, 500


def verdict_of(error: VertexqError | None) -> Verdict:
    """Return the verdict on a call that ended with ``error``, or with success (None).

    An ``Ambiguous`` create is judged by the status that Google answered with; none means no answer.
    """
    if isinstance(error, Throttled) or (isinstance(error, ApiError) and error.status == _SLOW_DOWN):
        return Verdict.THROTTLED
    if isinstance(error, Unavailable | Ambiguous):
        no_answer = error.status == 0
        return Verdict.BROKEN if no_answer or error.status >= _BROKEN_FROM else Verdict.TAKEN
    return Verdict.BROKEN if isinstance(error, Unreachable) else Verdict.TAKEN


class Limits(Protocol):
    """What every call over all workers together must keep to."""

    async def take(self, project: str, location: str, call: CallClass) -> float:
        """Take one call; return 0.0, or how long to wait in seconds before asking again.

        Raise ``Unreachable`` when the limits cannot be asked: a paid call is then not made. For reads a small
        limit of this process holds instead, and nothing is raised. The call must be made within
        ``GRANT_GOOD_S``, and ``tell`` must hear of it.
        """
        ...

    async def tell(
        self,
        project: str,
        location: str,
        call: CallClass,
        verdict: Verdict,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        """Say how a call went, so that the limits adapt; never raises."""
        ...
