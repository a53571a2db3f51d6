"""What must hold when a job is sent, and which bound is in the way. Frozen, no I/O."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


@dataclass(frozen=True, slots=True, kw_only=True)
class Bounds:
    """What must hold when a job is sent; None is no bound. Money is in pico-dollars.

    Jobs, rows and tokens count what is in flight in one project, location and family. A batch larger than
    the bound on rows or tokens is sent when nothing else is in flight.
    """

    jobs: int
    rows: int | None = None
    tokens: int | None = None
    daily_pusd: int | None = None  # of the project, since midnight UTC
    budget_pusd: int | None = None  # of the submission


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
