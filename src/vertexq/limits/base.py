"""The promise of the limits on calls to Google: ask before a call, tell how it went."""

from __future__ import annotations

from enum import StrEnum
from typing import Protocol


class CallClass(StrEnum):
    """Google's quotas for the control plane, each per project, location and minute."""

    CREATE = "create"  # 60: creating and deleting jobs
    READ = "read"  # 600: get, list, cancel


class Verdict(StrEnum):
    """How a call went, as far as limits are concerned."""

    TAKEN = "taken"  # Google answered, also when it refused the call
    THROTTLED = "throttled"  # 429: slow down
    BROKEN = "broken"  # 5xx, no answer, no connection


class Limits(Protocol):
    """What every call over all workers together must keep to."""

    async def take(self, project: str, location: str, call: CallClass) -> float:
        """Take one call; return 0.0, or how long to wait in seconds before asking again.

        Raise ``Unreachable`` when the limits cannot be asked: a paid call is then not made. For reads a small
        limit of this process holds instead, and nothing is raised.
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
