"""``vertexq retry`` and ``vertexq quarantine``, over submissions that really ran."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from tests.fundamentals.house import built
from tests.service.command_line import MODEL, CommandLine, command_line
from vertexq.simulator.behaviour import Behaviour
from vertexq.simulator.timing import Timing

ROWS = [{"key": f"k{number}", "prompt": f"Say {number}"} for number in range(12)]


def run(
    home: Path,
    behaviour: Behaviour,
    *,
    id: str = "",  # noqa: A002
    rounds: int = 0,
    finish_online: int = 0,
) -> None:
    """Let a vertexq below ``home`` finish what is enqueued, and a new submission, while Google behaves so."""

    async def work() -> None:
        async with built(home, Timing.fast()) as built_house:
            house = built_house.with_options(retry_rounds=rounds, retry_wait_s=0.02, output_wait_s=0.0)
            house.simulator.behaviours.set(behaviour)
            with house.client() as client:
                if id:
                    client.submit(ROWS, model=MODEL, store="results", id=id, finish_online=finish_online)
                await house.until_rest(id or client.list()[0].id)

    asyncio.run(work())


@pytest.fixture
def cli(tmp_path: Path) -> CommandLine:
    """Return a command line whose workers are run by the test."""
    return command_line(tmp_path)


def test_a_retry_is_noted_and_status_tells_of_it(cli: CommandLine) -> None:
    """It settles once more; the ledger knows which rows; asked for again it is the same."""
    run(cli.home, Behaviour(bad_rows=1.0), id="one")

    said, again = cli.run("retry", "one", "--failed"), cli.run("retry", "one", "--failed", "--json")

    assert (said.code, again.code) == (0, 0)
    assert "settling" in said.out
    assert "Watch it with: vertexq watch one" in said.out
    assert again.json()["state"] == "settling"


def test_nothing_to_try_again_is_said_and_is_no_error(cli: CommandLine) -> None:
    """The submission stays as it ended."""
    run(cli.home, Behaviour(), id="one")

    said = cli.run("retry", "one", "--failed", "--blocked", "--missing", "--quarantined")

    assert said.code == 0
    assert "there is nothing to try again" in said.out


@pytest.mark.parametrize(
    ("args", "sentence"),
    [
        (["one"], "say which rows"),
        (["nobody", "--failed"], "no submission called"),
        (["one", "--failed", "--model", "x"], "belongs to no family"),
    ],
)
def test_what_cannot_be_done_is_wrong_usage(cli: CommandLine, args: list[str], sentence: str) -> None:
    """With one sentence that says what to mend."""
    run(cli.home, Behaviour(bad_rows=1.0), id="one")

    said = cli.run("retry", *args)

    assert said.code == 2
    assert sentence in said.err


def test_status_tells_of_rounds(cli: CommandLine) -> None:
    """Two rounds by themselves, and what came of them."""
    run(cli.home, Behaviour(quota_rows=1.0), id="one", rounds=2)

    said, found = cli.run("status", "one"), cli.run("status", "one", "--json").json()

    rounds = [line for line in said.out.splitlines() if line.startswith("round ")]
    assert [line.split(maxsplit=1)[1] for line in rounds] == [
        "1 of 2 for 12 rows, 0 answered, ended",
        "2 of 2 for 12 rows, 0 answered, ended",
    ]
    assert [(one["round"], one["rows"], one["open"]) for one in found["rounds"]] == [(1, 12, 0), (2, 12, 0)]
    assert found["rows"]["failed"] == 12


def test_status_tells_in_what_google_and_its_output_differ(cli: CommandLine) -> None:
    """Google counts answers that are not in its output: the batch is named."""
    run(cli.home, Behaviour(unwritten_rows=1.0), id="one")

    said, found = cli.run("status", "one"), cli.run("status", "one", "--json").json()

    (difference,) = found["differences"]
    assert difference.endswith("-0: Google counts 12 answers, its output holds 0")
    assert f"difference    {difference}" in said.out
    assert found["rows"]["missing"] == 12


def test_quarantined_lines_are_named_without_what_they_say(cli: CommandLine) -> None:
    """Outputs are private: the bytes are shown when they are asked for."""
    run(cli.home, Behaviour(corrupt_rows=1.0), id="one")

    said, lines = cli.run("quarantine", "one"), cli.run("quarantine", "one", "--json").json_lines()
    raw = cli.run("quarantine", "one", "--json", "--raw", "--limit", 1).json_lines()

    heading, *rest = said.out.splitlines()
    assert heading.split("\t") == ["object", "generation", "offset", "bytes", "reason"]
    assert len(rest) == len(lines) == len(ROWS)
    assert "Say" not in said.out
    assert set(lines[0]) == {
        "batch_id",
        "source_object",
        "source_generation",
        "source_offset",
        "size_bytes",
        "reason",
    }
    assert min(line["source_offset"] for line in lines) == 0
    assert raw[0]["raw"].startswith('{"')


def test_quarantine_that_cannot_be_read_prints_no_heading(cli: CommandLine) -> None:
    """Only the error; and any of a submission's stores may be asked, as for results."""
    run(cli.home, Behaviour(), id="one")

    nobody, elsewhere = cli.run("quarantine", "nobody"), cli.run("quarantine", "one", "--store", "lake")

    assert (nobody.code, nobody.out) == (elsewhere.code, elsewhere.out) == (2, "")
    assert "no submission called" in nobody.err
    assert "does not land in 'lake', but in results" in elsewhere.err


def test_a_raw_line_is_fit_for_a_terminal(cli: CommandLine) -> None:
    """What is no text, and what a terminal would obey, is escaped; a line stays a line."""
    run(cli.home, Behaviour(corrupt_rows=1.0, odd_rows=1.0), id="one")

    said = cli.run("quarantine", "one", "--raw")

    assert said.code == 0
    assert all(line.count("\t") == 5 for line in said.out.splitlines())
    assert not any(mark in said.out for mark in ("\x1b", "\u2028", "\x85"))


def test_failed_rows_can_be_listed(cli: CommandLine) -> None:
    """Those that failed, are missing or were quarantined, or one outcome alone."""
    run(cli.home, Behaviour(bad_rows=0.4, missing_rows=0.3), id="one")

    counts = cli.run("status", "one", "--json").json()["rows"]
    both = cli.run("results", "one", "--failed", "--json").json_lines()
    missing = cli.run("results", "one", "--outcome", "missing", "--json").json_lines()

    assert len(both) == counts["failed"] + counts["missing"]
    assert len(missing) == counts["missing"] > 0


def test_status_tells_how_many_rows_were_answered_online(cli: CommandLine) -> None:
    """For people and for scripts; no job of Google's is counted for them."""
    run(cli.home, Behaviour(quota_rows=1.0), id="one", finish_online=20)

    said, found = cli.run("status", "one"), cli.run("status", "one", "--json").json()

    assert "online        12 answered online" in said.out.splitlines()
    assert (found["online_rows"], found["job_states"]) == (12, {"JOB_STATE_SUCCEEDED": 1})


def test_cost_tells_the_online_price(cli: CommandLine) -> None:
    """A job is a job: the batch that was answered online is none."""
    run(cli.home, Behaviour(quota_rows=1.0), id="one", finish_online=20)

    jobs = cli.run("cost", "one", "--json").json()["jobs"]
    (day,) = cli.run("cost", "--json").json()["days"]

    assert [(one["online"], one["cost_usd"] > 0) for one in jobs] == [(False, False), (True, True)]
    assert day["jobs"] == 1
    assert day["cost_usd"] == jobs[1]["cost_usd"]
