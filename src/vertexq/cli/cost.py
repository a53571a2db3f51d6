"""``vertexq cost``: what a submission, or what the last days have cost, and which prices hold."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from datetime import timedelta
from typing import TYPE_CHECKING, Annotated

import typer

import vertexq
from vertexq.cli.reporting import AsJson, reported
from vertexq.model import PUSD_PER_USD
from vertexq.settings import NO_LEDGER, Settings

if TYPE_CHECKING:  # loaded when the command runs
    from vertexq.ledger import Ledger

DAYS_MOST = 3_650


def cost(
    submission_id: Annotated[
        str | None, typer.Argument(metavar="[ID]", help="The submission's id; without it, the last days.")
    ] = None,
    *,
    days: Annotated[
        int, typer.Option("--days", min=1, max=DAYS_MOST, help="How many days, today included (UTC).")
    ] = 7,
    prices: Annotated[bool, typer.Option("--prices", help="Print the prices that hold instead.")] = False,
    as_json: AsJson = False,
) -> None:
    """Say what was spent: by submission, or by day, project, model and tenant; or print the prices."""
    with reported(as_json=as_json):
        settings = Settings.for_producer()
        if prices:
            _refuse_id(submission_id)
            _say_prices(settings, as_json=as_json)
        elif submission_id is None:
            _say_last_days(settings, days, as_json=as_json)
        else:
            _say_one(settings, submission_id, as_json=as_json)


def _refuse_id(submission_id: str | None) -> None:
    if submission_id is not None:
        raise vertexq.BadInput("--prices prints the whole table; leave the submission's id out")


def _say_prices(settings: Settings, *, as_json: bool) -> None:
    from vertexq.cli.cost_said import say_prices  # noqa: PLC0415
    from vertexq.prices import PriceBook  # noqa: PLC0415

    say_prices(PriceBook.open(settings.prices), as_json=as_json)


def _say_one(settings: Settings, submission_id: str, *, as_json: bool) -> None:
    from vertexq.cli.cost_said import say_one  # noqa: PLC0415
    from vertexq.status import status_of  # noqa: PLC0415

    with _opened(settings) as ledger:
        submission, batches = ledger.submission(submission_id), ledger.batches(submission_id)
        strays = len(ledger.strays(submission_id))
    say_one(status_of(submission, batches, strays=strays), batches, as_json=as_json)


def _say_last_days(settings: Settings, days: int, *, as_json: bool) -> None:
    from vertexq.cli.cost_said import Day, say_days  # noqa: PLC0415

    with _opened(settings) as ledger:
        now = ledger.now()
        today = now.replace(hour=0, minute=0, second=0, microsecond=0)
        found = ledger.spending(since=today - timedelta(days=days - 1))
        projects = {one.project for one in found if one.day == today.date()} | {settings.project} - {""}
        spent = {project: ledger.spent_today(project) for project in sorted(projects)}
    cap_pusd = round(settings.daily_cap_usd * PUSD_PER_USD) or None
    caps = [Day(project=project, spent_pusd=pusd, cap_pusd=cap_pusd) for project, pusd in spent.items()]
    say_days(found, caps, days=days, as_json=as_json)


@contextmanager
def _opened(settings: Settings) -> Generator[Ledger]:
    """Open the ledger to read from it; nothing is made and nothing is changed."""
    from vertexq.cli.ledger_look import no_ledger  # noqa: PLC0415
    from vertexq.ledger import Ledger  # noqa: PLC0415

    if settings.ledger_url == NO_LEDGER:
        raise vertexq.BadInput("what was spent is in the ledger; set VERTEXQ_LEDGER_URL to ask for it")
    if missing := no_ledger(settings.ledger_url):
        raise vertexq.BadInput(missing)
    ledger = Ledger.open(settings.ledger_url, migrate=False)
    try:
        yield ledger
    finally:
        ledger.close()
