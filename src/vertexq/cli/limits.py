"""``vertexq status --limits``: what is limited, how much of it is taken, and who must wait for what."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass

import typer

from vertexq.cli.ledger_look import missing_file
from vertexq.cli.reporting import ExitCode, complain, say, say_json
from vertexq.cli.tables import Column, say_table
from vertexq.errors import Unreachable
from vertexq.families import FAMILY_JOBS
from vertexq.ledger import Ledger
from vertexq.ledger.flights import InFlight
from vertexq.limits.base import CallClass
from vertexq.limits.link import Link
from vertexq.limits.standing import BudgetStanding, CallStanding, budget_standings, call_standings
from vertexq.model import PUSD_PER_USD
from vertexq.plain import duration, money
from vertexq.settings import NO_LEDGER, Settings


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """All limits, as this machine's settings and the two places that count see them.

    ``redis_fault`` says why Redis does not answer; ``spent_pusd`` is what projects have spent today.
    """

    settings: Settings
    calls: Sequence[CallStanding]
    budgets: Sequence[BudgetStanding]
    jobs: Sequence[InFlight]
    spent_pusd: dict[str, int]
    redis_fault: str = ""

    def project_jobs(self, one: InFlight) -> int:
        """Return how many jobs of a family hold slots in all locations of its project."""
        mine = (one.project, one.family)
        return sum(each.jobs for each in self.jobs if (each.project, each.family) == mine)


def say_limits(settings: Settings, *, as_json: bool) -> None:
    """Print how all limits stand; leave with exit code 3 when Redis does not answer. Changes nothing."""
    standing = look(settings)
    if as_json:
        say_json(to_json(standing))
    else:
        _say_tables(standing)
    if standing.redis_fault:
        complain(standing.redis_fault)
        raise typer.Exit(ExitCode.UNREACHABLE)


def look(settings: Settings) -> Standing:
    """Ask the ledger and Redis. Raise ``Unreachable`` or ``BadSettings`` for a ledger that cannot be read."""
    jobs, spent_pusd = _ask_ledger(settings)
    try:
        calls, budgets = asyncio.run(_ask_redis(settings))
        fault = ""
    except Unreachable as error:
        calls, budgets, fault = [], [], str(error)
    return Standing(
        settings=settings,
        calls=calls if fault else _with_unused(settings, calls, jobs),
        budgets=budgets,
        jobs=jobs,
        spent_pusd=spent_pusd,
        redis_fault=fault,
    )


def _ask_ledger(settings: Settings) -> tuple[list[InFlight], dict[str, int]]:
    if settings.ledger_url == NO_LEDGER or missing_file(settings.ledger_url) is not None:
        return [], {}
    ledger = Ledger.open(settings.ledger_url, migrate=False)
    try:
        jobs = ledger.in_flight()
        projects = sorted({*(one.project for one in jobs), settings.project} - {""})
        return jobs, {project: ledger.spent_today(project) for project in projects}
    finally:
        ledger.close()


async def _ask_redis(settings: Settings) -> tuple[list[CallStanding], list[BudgetStanding]]:
    async with Link(settings.broker_url, warn=False) as link:
        return await call_standings(link), await budget_standings(link)


def _with_unused(
    settings: Settings, calls: Sequence[CallStanding], jobs: Sequence[InFlight]
) -> list[CallStanding]:
    """Add the limits of known places that nobody has used lately: they are at rest."""
    places = {(one.project, one.location) for one in jobs}
    if settings.project:
        places.add((settings.project, settings.location))
    per_minute = {CallClass.CREATE: settings.creates_per_minute, CallClass.READ: settings.reads_per_minute}
    used = {(one.project, one.location, one.call): one for one in calls}
    for project, location in places:
        for call, most in per_minute.items():
            rest = CallStanding(
                project=project, location=location, call=call, limit_per_minute=most, rate_per_minute=most
            )
            used.setdefault((project, location, call), rest)
    return [used[key] for key in sorted(used)]


CALLS = (
    Column("project", may_be_cut=True), Column("location", may_be_cut=True), Column("calls"),
    Column("rate/limit", right=True), Column("last min", right=True),
    Column("breaker"), Column("waits", right=True),
)  # fmt: skip
BUDGETS = (
    Column("retry budget of", may_be_cut=True), Column("tokens", right=True), Column("of", right=True),
    Column("refused", right=True),
)  # fmt: skip
JOBS = (
    Column("project", may_be_cut=True), Column("location", may_be_cut=True), Column("family"),
    Column("jobs", right=True), Column("unclear", right=True), Column("rows", right=True),
    Column("tokens", right=True), Column("waiting", right=True),
)  # fmt: skip
MONEY = (Column("project", may_be_cut=True), Column("spent today", right=True), Column("cap", right=True))


def _say_tables(standing: Standing) -> None:
    tables = [
        (CALLS, [_call_cells(one) for one in standing.calls]),
        (
            BUDGETS,
            [[one.scope, str(one.tokens), str(one.capacity), str(one.refused)] for one in standing.budgets],
        ),
        (JOBS, [_job_cells(one, standing) for one in standing.jobs]),
        (
            MONEY,
            [_money_cells(project, pusd, standing.settings) for project, pusd in standing.spent_pusd.items()],
        ),
    ]
    shown = [(columns, rows) for columns, rows in tables if rows]
    for number, (columns, rows) in enumerate(shown):
        if number:
            say()
        say_table(columns, rows)
    if not shown and not standing.redis_fault:
        say("Nothing is known of any limit: no worker has made a call yet.")


def _call_cells(one: CallStanding) -> list[str]:
    return [
        one.project,
        one.location,
        one.call.value,
        f"{_rate(one)}/{one.limit_per_minute:g}",
        str(one.calls_last_minute),
        one.breaker.value,
        duration(one.waits_s) if one.waits_s else "-",
    ]


def _rate(one: CallStanding) -> str:
    """Write a rate below the limit with three digits, the limit itself whole."""
    reduced = one.rate_per_minute < one.limit_per_minute
    return f"{one.rate_per_minute:.3g}" if reduced else f"{one.rate_per_minute:g}"


def _job_cells(one: InFlight, standing: Standing) -> list[str]:
    settings, alone = standing.settings, one.family in FAMILY_JOBS
    jobs = standing.project_jobs(one) if alone else one.jobs
    return [
        one.project,
        one.location,
        one.family,
        f"{jobs:,}/{_most(one, settings):,}" + (" in the project" if alone else ""),
        str(one.unclear),
        _of(one.rows, settings.rows_in_flight),
        _of(one.tokens, settings.tokens_in_flight),
        f"{one.waiting:,}",
    ]


def _most(one: InFlight, settings: Settings) -> int:
    return min(settings.running_jobs, FAMILY_JOBS.get(one.family, settings.running_jobs))


def _of(taken: int, most: int) -> str:
    return f"{taken:,}/{most:,}" if most else f"{taken:,}"


def _money_cells(project: str, pusd: int, settings: Settings) -> list[str]:
    return [
        project,
        money(pusd / PUSD_PER_USD),
        money(settings.daily_cap_usd) if settings.daily_cap_usd else "none",
    ]


def to_json(standing: Standing) -> dict[str, object]:
    """Return the object that ``--json`` prints; a bound of null is none."""
    settings = standing.settings
    return {
        "redis": {"reachable": not standing.redis_fault, "error": standing.redis_fault},
        "calls": [_call_json(one) for one in standing.calls],
        "retry_budgets": [
            {"scope": one.scope, "tokens": one.tokens, "capacity": one.capacity, "refused": one.refused}
            for one in standing.budgets
        ],
        "jobs": [_job_json(one, standing) for one in standing.jobs],
        "money": [
            {
                "project": project,
                "spent_today_usd": pusd / PUSD_PER_USD,
                "daily_cap_usd": settings.daily_cap_usd or None,
            }
            for project, pusd in standing.spent_pusd.items()
        ],
    }


def _call_json(one: CallStanding) -> dict[str, object]:
    return {
        "project": one.project,
        "location": one.location,
        "class": one.call.value,
        "limit_per_minute": one.limit_per_minute,
        "rate_per_minute": round(one.rate_per_minute, 3),
        "calls_last_minute": one.calls_last_minute,
        "breaker": one.breaker.value,
        "waits_s": round(one.waits_s, 3),
    }


def _job_json(one: InFlight, standing: Standing) -> dict[str, object]:
    settings = standing.settings
    return {
        "project": one.project,
        "location": one.location,
        "family": one.family,
        "jobs": one.jobs,
        "jobs_most": _most(one, settings),
        "project_jobs": standing.project_jobs(one) if one.family in FAMILY_JOBS else None,
        "unclear": one.unclear,
        "rows": one.rows,
        "rows_most": settings.rows_in_flight or None,
        "tokens": one.tokens,
        "tokens_most": settings.tokens_in_flight or None,
        "waiting": one.waiting,
    }
