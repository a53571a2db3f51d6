"""What the transport asks: limits on calls to jobs, and the retry budget, both told apart by the URL.

Each try and each page of a list is a call. Only calls to batch prediction jobs are in Google's quota of
reads; Cloud Storage has a retry budget and no limit.
"""

from __future__ import annotations

import re
from typing import Protocol

from vertexq.errors import Throttled, VertexqError
from vertexq.limits.base import CallClass, Limits, verdict_of

_PLACE = re.compile(r"/v1/projects/([^/?#]+)/locations/([^/?#]+)/")
_JOBS = re.compile(r"/v1/projects/[^/?#]+/locations/[^/?#]+/batchPredictionJobs\b")
STORAGE = "storage"
"""The scope of the retry budget of everything that is not Vertex AI."""


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
        """Take one read for a call to jobs; let every other call go."""
        if (place := self._counted(url)) is None:
            return 0.0
        return await self._limits.take(*place, CallClass.READ)

    async def after(self, url: str, error: VertexqError | None) -> None:
        """Tell the limit how a try ended, and the budget when it worked."""
        if place := self._counted(url):
            asked_s = getattr(error, "retry_after_s", None)
            await self._limits.tell(*place, CallClass.READ, verdict_of(error), retry_after_s=asked_s)
        if error is None:
            await self._budget.earn(self._scope(url))

    async def may_repeat(self, url: str, error: VertexqError) -> bool:
        """Ask the budget."""
        return await self._budget.spend(self._scope(url), throttled=isinstance(error, Throttled))

    def _counted(self, url: str) -> tuple[str, str] | None:
        return self._place(url) if _JOBS.search(url) else None

    def _scope(self, url: str) -> str:
        place = self._place(url)
        return "projects/{}/locations/{}".format(*place) if place else STORAGE

    def _place(self, url: str) -> tuple[str, str] | None:
        found = _PLACE.search(url)
        if found is None:
            return None
        return self._project if found[1].isdigit() else found[1], found[2]
