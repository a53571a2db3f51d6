"""``vertexq status --limits``: what is limited, how much of it is taken, and that looking changes nothing."""
# redis has types that pyright calls partially unknown.
# pyright: reportUnknownMemberType=false, reportUnknownVariableType=false, reportUnknownArgumentType=false

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.contract.ledger_values import bound, new_batch, running, staging
from tests.service.command_line import CommandLine, command_line
from vertexq.cli.tables import Column, column_widths
from vertexq.embedded import Valkey
from vertexq.ledger import Ledger
from vertexq.limits.base import CallClass, Verdict
from vertexq.limits.budget import RetryBudget
from vertexq.limits.link import Link
from vertexq.limits.shape import shapes
from vertexq.limits.shared import SharedLimits
from vertexq.testing.batches import enter_batches

SCOPE = "projects/p/locations/europe-west4"
CREATE, READ = CallClass.CREATE, CallClass.READ


@pytest.fixture
def cli(tmp_path: Path, valkey_url: str) -> CommandLine:
    """Return a command line beside a Redis."""
    return command_line(tmp_path, VERTEXQ_BROKER_URL=valkey_url, GOOGLE_CLOUD_PROJECT="p")


def used(url: str) -> None:
    """Use the limits of one place: reads, a 429 that asks for 40 s, five creates that fail, a repeat."""

    async def use() -> None:
        async with Link(url) as link:
            of_calls = shapes(creates_per_minute=60, reads_per_minute=600, request_deadline_s=60.0)
            limits = SharedLimits(link, of_calls)
            for _ in range(3):
                await limits.take("p", "europe-west4", READ)
            await limits.tell("p", "europe-west4", READ, Verdict.THROTTLED, retry_after_s=40.0)
            for _ in range(5):
                await limits.tell("p", "europe-west4", CREATE, Verdict.BROKEN)
            await RetryBudget(link).spend(SCOPE, throttled=False)

    asyncio.run(use())


def in_flight(home: Path) -> None:
    """Have one job that runs, and two batches that wait."""
    ledger = Ledger.open(f"sqlite:///{home}/ledger.db")
    bound(ledger, running(ledger, batches=3)[0])
    ledger.close()


def test_scripts_get_everything_as_one_object(tmp_path: Path, cli: CommandLine, valkey_url: str) -> None:
    """Calls, retry budgets, jobs and money, with the bounds of this machine's settings."""
    used(valkey_url)
    in_flight(tmp_path)
    said = cli.run("status", "--limits", "--json")

    found = said.json()
    creates, reads = found["calls"][0], found["calls"][1]
    assert (said.code, found["redis"]) == (0, {"reachable": True, "error": ""})
    assert (creates["class"], creates["breaker"], creates["limit_per_minute"]) == ("create", "open", 60)
    assert 20 < creates["waits_s"] <= 30
    assert (reads["class"], reads["rate_per_minute"], reads["calls_last_minute"]) == ("read", 300, 3)
    assert 30 < reads["waits_s"] <= 40
    assert found["retry_budgets"] == [{"scope": SCOPE, "tokens": 486, "capacity": 500, "refused": 0}]
    assert found["jobs"] == [
        {"project": "p", "location": "europe-west4", "family": "gemini",
         "jobs": 1, "jobs_most": 8, "project_jobs": None, "unclear": 0, "waiting": 2,
         "rows": 2, "rows_most": None, "tokens": 0, "tokens_most": None}
    ]  # fmt: skip
    assert found["money"] == [{"project": "p", "spent_today_usd": 0.0, "daily_cap_usd": None}]


def test_families_with_slots_of_their_own_show_those_of_the_whole_project(
    tmp_path: Path, cli: CommandLine, valkey_url: str
) -> None:
    """A job in one location takes the one slot that all locations have."""
    used(valkey_url)
    ledger = Ledger.open(f"sqlite:///{tmp_path}/ledger.db")
    submission, claim = staging(ledger)
    new = [new_batch(n, family="text-embedding", location=place) for n, place in enumerate(("eu", "us"))]
    enter_batches(ledger, submission, new, claim=claim)
    bound(ledger, ledger.batches(submission.id)[0])
    ledger.close()

    lines = [line.split("\t") for line in cli.run("status", "--limits").out.splitlines()]
    jobs = cli.run("status", "--limits", "--json").json()["jobs"]

    assert ["p", "us", "text-embedding", "1/1 in the project", "0", "0", "0", "1"] in lines
    assert [(one["jobs"], one["jobs_most"], one["project_jobs"]) for one in jobs] == [(1, 1, 1), (0, 1, 1)]


def test_people_get_a_table_for_each_kind(tmp_path: Path, cli: CommandLine, valkey_url: str) -> None:
    """When piped, tab-separated lines under their headings; a place that nobody used is at rest."""
    used(valkey_url)
    in_flight(tmp_path)
    lines = [line.split("\t") for line in cli.run("status", "--limits").out.splitlines()]

    assert lines[0] == ["project", "location", "calls", "rate/limit", "last min", "breaker", "waits"]
    assert lines[2][:6] == ["p", "europe-west4", "read", "300/600", "3", "closed"]
    assert lines[3] == ["p", "global", "create", "60/60", "0", "closed", "-"]
    assert [SCOPE, "486", "500", "0"] in lines
    assert ["p", "europe-west4", "gemini", "1/8", "0", "2", "0", "2"] in lines
    assert ["p", "0.00 USD", "none"] in lines


def test_looking_changes_nothing(cli: CommandLine, valkey: Valkey, valkey_url: str) -> None:
    """Not in Redis, and no ledger comes into being."""
    used(valkey_url)
    with valkey.connect() as client:
        before = {key: client.hgetall(key) for key in client.scan_iter("*")}
        cli.run("status", "--limits")
        after = {key: client.hgetall(key) for key in client.scan_iter("*")}

    assert before == after
    assert not (cli.home / "ledger.db").exists()


def test_without_redis_the_ledgers_half_is_shown(tmp_path: Path) -> None:
    """The answer says so, and so does the exit code."""
    in_flight(tmp_path)
    cli = command_line(tmp_path)
    said, for_scripts = cli.run("status", "--limits"), cli.run("status", "--limits", "--json")

    assert (said.code, for_scripts.code) == (3, 3)
    assert "1/8" in said.out
    assert "VERTEXQ_BROKER_URL" in said.err
    assert for_scripts.json()["redis"]["reachable"] is False
    assert for_scripts.json()["calls"] == []


def test_limits_are_nobodys_own(cli: CommandLine) -> None:
    """An id beside them is a mistake; it is not quietly ignored."""
    said = cli.run("status", "nightly", "--limits")

    assert (said.code, "leave the id away" in said.err) == (2, True)


@pytest.mark.parametrize(("width", "shown"), [(40, [30, 4]), (20, [14, 4]), (12, [6, 4]), (11, None)])
def test_a_narrow_terminal_cuts_what_may_be_cut(width: int, shown: list[int] | None) -> None:
    """Numbers stay whole; where not even six characters of a name fit, there is a list instead of a table."""
    columns = (Column("name", may_be_cut=True), Column("rate", right=True))

    assert column_widths(columns, [["p" * 30, "1"]], width) == shown
