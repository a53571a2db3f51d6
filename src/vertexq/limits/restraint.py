"""What the transport asks: limits on calls to jobs, and the retry budget, both told apart by the URL.

Each try and each page of a list is a call. Calls to batch prediction jobs and endpoints are in Google's quota
of reads, online calls in another; Cloud Storage has a retry budget and no limit.
"""

from __future__ import annotations

import re
from typing import Protocol

from vertexq.errors import Throttled, Unreachable, VertexqError
from vertexq.limits.base import CallClass, Limits, verdict_of

_PLACE = re.compile(r"/v1/projects/([^/?#]+)/locations/([^/?#]+)/")
_ONLINE = re.compile(r"/(?:endpoints|models)/[^/?#]+:(?:predict|rawPredict|generateContent|embedContent)\b")
_READS = re.compile(
    r"/v1/projects/[^/?#]+/locations/[^/?#]+/(?:batchPredictionJobs|endpoints|operations)\b"
    r"[^:?#]*(?::cancel)?(?:[?#]|$)"
)
STORAGE = "storage"
"""The scope of the retry budget of everything that is not Vertex AI."""
ONLINE = "/online"
"""What follows a place in the scope of the retry budget of its online calls."""
AWAY_S = 5.0
"""How long a paid call waits before it asks again, while the limits cannot be asked."""


class Budget(Protocol):
    """Repeated calls are paid for with successful ones; see ``RetryBudget``."""

    async def earn(self, scope: str) -> None:
        """Note a call that worked."""
        ...

    async def spend(self, scope: str, *, throttled: bool) -> bool:
        """Ask to repeat one call."""
        ...


class SharedRestraint:
    """Keeps a transport to the limits and the budget of all workers.

    Google writes the project's number into a job's name; such a call counts for ``project``.
    """

    def __init__(self, limits: Limits, budget: Budget, *, project: str) -> None:
        self._limits = limits
        self._budget = budget
        self._project = project

    async def before(self, url: str) -> float:
        """Take one read for a call to jobs or endpoints, one online call for a paid one; let others go."""
        if (counted := self._counted(url)) is None:
            return 0.0
        try:
            return await self._limits.take(*counted)
        except Unreachable:  # a paid call is not made while nobody can say how many there were
            return AWAY_S

    async def after(self, url: str, error: VertexqError | None) -> None:
        """Tell the limit how a try ended, and the budget when it worked."""
        if counted := self._counted(url):
            asked_s = getattr(error, "retry_after_s", None)
            await self._limits.tell(*counted, verdict_of(error), retry_after_s=asked_s)
        if error is None:
            await self._budget.earn(self._scope(url))

    async def may_repeat(self, url: str, error: VertexqError) -> bool:
        """Ask the budget."""
        return await self._budget.spend(self._scope(url), throttled=isinstance(error, Throttled))

    def _counted(self, url: str) -> tuple[str, str, CallClass] | None:
        call = CallClass.ONLINE if _ONLINE.search(url) else CallClass.READ if _READS.search(url) else None
        place = self._place(url)
        return (*place, call) if place and call else None

    def _scope(self, url: str) -> str:
        place = self._place(url)
        if place is None:
            return STORAGE
        return "projects/{}/locations/{}".format(*place) + (ONLINE if _ONLINE.search(url) else "")

    def _place(self, url: str) -> tuple[str, str] | None:
        found = _PLACE.search(url)
        if found is None:
            return None
        return self._project if found[1].isdigit() else found[1], found[2]
