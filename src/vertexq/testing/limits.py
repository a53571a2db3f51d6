"""No limits: for tests and measurements that are about something else."""

from __future__ import annotations

from vertexq.limits.base import CallClass, Verdict


class NoLimits:
    """Lets every call through."""

    async def take(self, project: str, location: str, call: CallClass) -> float:
        """Grant it."""
        del project, location, call
        return 0.0

    async def tell(
        self,
        project: str,
        location: str,
        call: CallClass,
        verdict: Verdict,
        *,
        retry_after_s: float | None = None,
    ) -> None:
        """Listen to nobody."""
