"""``vertexq cost``: what was spent, over submissions that really ran, and the prices that hold."""

from __future__ import annotations

from pathlib import Path

import orjson
import pytest

from tests.service.command_line import CommandLine, command_line, finish, lines
from vertexq.prices import PriceBook


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with two submissions that ended."""
    home = tmp_path_factory.mktemp("home")
    finish(home, ["one", "two", "three"], submission_id="first")
    finish(home, ["four"], submission_id="second")
    return home


@pytest.fixture
def ran(home: Path) -> CommandLine:
    """Return a command line over submissions that ran."""
    return command_line(home, GOOGLE_CLOUD_PROJECT="demo")


def test_the_cost_of_a_submission_is_that_of_its_rows(ran: CommandLine) -> None:
    """What `cost` says is the sum of what `results` says row by row, and of the jobs."""
    said = ran.run("cost", "first", "--json").json()

    rows = ran.run("results", "first", "--json").json_lines()
    assert said["cost_usd"] == pytest.approx(sum(row["cost_usd"] for row in rows), abs=1e-12)
    assert said["cost_usd"] == sum(job["cost_usd"] for job in said["jobs"]) > 0
    assert (said["id"], said["rows"]["succeeded"], said["budget_usd"]) == ("first", 3, None)


def test_the_cost_of_a_submission_for_people(ran: CommandLine) -> None:
    """A fact a line."""
    said = ran.run("cost", "first")

    facts = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert said.code == 0
    assert (facts["id"], facts["rows"]) == ("first", "3 succeeded")
    assert facts["cost"].endswith(" USD")


def test_without_an_id_days_are_told(ran: CommandLine) -> None:
    """Both submissions ran today, in one project and with one model: one line, and no cap."""
    said = ran.run("cost", "--json").json()

    (day,) = said["days"]
    assert (day["project"], day["model"], day["tenant"]) == ("demo", "gemini-2.5-flash", "")
    assert (day["jobs"], day["rows"]) == (2, 4)
    costs = [ran.run("cost", name, "--json").json()["cost_usd"] for name in ("first", "second")]
    assert day["cost_usd"] == day["counted_usd"] == pytest.approx(sum(costs), abs=1e-12)
    assert said["today"] == [
        {"project": "demo", "spent_usd": day["counted_usd"], "cap_usd": None, "left_usd": None}
    ]


def test_days_are_lines_between_tabs_when_piped(ran: CommandLine) -> None:
    """With a heading, as `status` has one."""
    heading, line = ran.run("cost", "--days", 1).out.splitlines()

    assert heading.split("\t")[:4] == ["day", "project", "model", "tenant"]
    assert line.split("\t")[1:6] == ["demo", "gemini-2.5-flash", "", "2", "4"]


def test_a_cap_says_what_is_left_of_it(home: Path) -> None:
    """Never less than nothing."""
    cli = command_line(home, GOOGLE_CLOUD_PROJECT="demo", VERTEXQ_DAILY_CAP_USD="50")

    (today,) = cli.run("cost", "--json").json()["today"]

    assert today["cap_usd"] == 50
    assert today["left_usd"] == pytest.approx(50 - today["spent_usd"])


def test_the_prices_that_hold_can_be_copied_and_named(ran: CommandLine, tmp_path: Path) -> None:
    """A user changes a line of what was printed, names the file, and it holds."""
    printed = orjson.loads(ran.run("cost", "--prices", "--json").out)
    flash = next(line for line in printed["prices"] if line["model"] == "gemini-2.5-flash")
    file = tmp_path / "mine.json"
    file.write_bytes(orjson.dumps({"source": "our contract", "prices": [{**flash, "input": "0.10"}]}))

    mine = command_line(tmp_path, VERTEXQ_PRICES=str(file)).run("cost", "--prices", "--json").json()

    assert printed["prices"] == list(PriceBook.shipped().to_json()["prices"])  # type: ignore[call-overload]
    assert mine["source"].startswith("our contract; Model price table")
    assert next(line for line in mine["prices"] if line["model"] == "gemini-2.5-flash")["input"] == "0.1"


def test_prices_are_lines_between_tabs_when_piped(ran: CommandLine) -> None:
    """In US dollars per million tokens."""
    said = ran.run("cost", "--prices").out.splitlines()

    assert said[0].split("\t")[:5] == ["model", "from", "until", "input", "output"]
    assert "gemini-2.5-flash\t2025-06-17\t\t0.15\t1.25\t0.03\t0.3\t2.5" in said


@pytest.mark.parametrize(
    ("args", "says"),
    [
        (["nobody"], "no submission called 'nobody'"),
        (["first", "--prices"], "leave the submission's id out"),
        (["--days", "0"], "Invalid value for '--days'"),
    ],
)
def test_what_cannot_be_told_is_a_clear_error(ran: CommandLine, args: list[str], says: str) -> None:
    """Exit code 2, and a sentence."""
    said = ran.run("cost", *args)

    assert said.code == 2
    assert says in said.err


def test_a_broken_price_file_is_named(tmp_path: Path) -> None:
    """With the line and the field."""
    file = lines(tmp_path / "prices.json", {"prices": [{"model": "m", "from": "2026-01-01", "input": "x"}]})

    said = command_line(tmp_path, VERTEXQ_PRICES=str(file)).run("cost", "--prices")

    assert (said.code, said.out) == (2, "")
    assert 'price 1 (m) has no "output"' in said.err
    assert 'price 1 (m): "input" must be US dollars' in said.err


def test_the_doctor_finds_a_broken_price_file(tmp_path: Path) -> None:
    """Before a worker is started with it."""
    cli = command_line(tmp_path, VERTEXQ_PRICES=str(tmp_path / "none.json"))

    (settings,) = [one for one in cli.run("doctor", "--json").json() if one["check"] == "settings"]

    assert settings["level"] == "FAIL"
    assert "none.json, which cannot be read" in settings["text"]


@pytest.mark.parametrize("command", ["cost", "status"])
def test_asking_makes_no_ledger(tmp_path: Path, command: str) -> None:
    """A question leaves no file behind, and says that there is nothing yet and where it looked."""
    cli = command_line(tmp_path)

    said, one = cli.run(command), cli.run(command, "any")

    assert "here is no ledger at" in said.out + said.err
    assert (one.code, "no ledger at" in one.err) == (2, True)
    assert list(tmp_path.iterdir()) == []


def test_an_empty_ledger_has_no_list_for_scripts(tmp_path: Path) -> None:
    """No ledger is no submission: an empty array, and no error."""
    said = command_line(tmp_path).run("status", "--json")

    assert (said.code, said.json()) == (0, [])


def test_without_a_ledger_in_the_settings_nothing_can_be_told(tmp_path: Path) -> None:
    """A producer that needs the broker only is told what to set."""
    said = command_line(tmp_path, VERTEXQ_LEDGER_URL="none").run("cost")

    assert said.code == 2
    assert "set VERTEXQ_LEDGER_URL" in said.err
