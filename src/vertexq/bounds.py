"""What must hold when a job is sent, and which bound is in the way. Frozen, no I/O."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from enum import StrEnum
from typing import Self


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What must hold when a job is sent; None is no bound. Money is in pico-dollars.

    Jobs, rows and tokens count what is in flight in one project, location and family. A batch larger than
    the bound on rows or tokens is sent when nothing else is in flight. The families in ``family_jobs`` may
    have so many jobs at once in a project: for them all of its locations are one.
    """

    jobs: int
    rows: int | None = None
    tokens: int | None = None
    daily_pusd: int | None = None  # of the project, since midnight UTC
    budget_pusd: int | None = None  # of the submission
    family_jobs: Mapping[str, int] = field(default_factory=dict[str, int])

    def of(self, family: str) -> Self:
        """Return the bounds that hold for a family."""
        return replace(self, jobs=min(self.jobs, self.family_jobs.get(family, self.jobs)))


class HeldBy(StrEnum):
    """Which bound keeps a batch from being sent."""

    JOBS = "jobs"
    ROWS = "rows"
    TOKENS = "tokens"
    DAILY_CAP = "daily cap"
    BUDGET = "budget"


@dataclass(frozen=True, slots=True, kw_only=True)
class Held:
    """Why a batch cannot be sent now: so much is taken, this batch wants so much, so much is the bound."""

    by: HeldBy
    taken: int
    wanted: int
    bound: int
