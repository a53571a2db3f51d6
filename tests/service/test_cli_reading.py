"""``vertexq status``, ``watch``, ``results`` and ``cancel``, over submissions that really ran."""

from __future__ import annotations

from contextlib import closing
from pathlib import Path

import pytest

from tests.service.command_line import MODEL, CommandLine, command_line, finish, lines
from vertexq.ledger import Ledger, Record
from vertexq.states import SubmissionState

ROBOT = {"key": "odd", "request": {"contents": [{"role": "robot", "parts": [{"text": "x"}]}]}}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Return a home with two submissions that ended: all rows answered, and one row of four failed."""
    home = tmp_path_factory.mktemp("home")
    finish(home, ["one", "two", "three"], submission_id="good")
    finish(home, [{"key": "a", "prompt": "one"}, "two", "three", ROBOT], submission_id="mixed")
    return home


@pytest.fixture
def ran(home: Path) -> CommandLine:
    """Return a command line over submissions that ran. Only for commands that change nothing."""
    return command_line(home)


@pytest.fixture
def waiting(tmp_path: Path, valkey_url: str) -> CommandLine:
    """Return a command line over one submission, ``w-1``, that no worker takes up."""
    cli = command_line(tmp_path, VERTEXQ_BROKER_URL=valkey_url)
    rows = lines(tmp_path / "rows.jsonl", {"prompt": "one"}, {"prompt": "two"})
    cli.run("submit", rows, "-m", MODEL, "-s", "results", "--id", "w-1")
    return cli


def test_status_is_one_object_for_scripts(ran: CommandLine) -> None:
    """The names are those that are promised."""
    said = ran.run("status", "mixed", "--json")

    found = said.json()
    assert (said.code, found["id"], found["state"], found["batches"]) == (0, "mixed", "done", 2)
    assert found["rows"] == {
        "sent": 4,
        "answered": 4,
        "succeeded": 3,
        "blocked": 0,
        "failed": 1,
        "quarantined": 0,
        "missing": 0,
    }
    assert found["cost_usd"] > 0
    assert found["set_aside_rows"] == 1


def test_status_for_people_names_what_there_is(ran: CommandLine) -> None:
    """A fact a line, and none that is empty."""
    said = ran.run("status", "mixed")

    facts = dict(line.split(maxsplit=1) for line in said.out.splitlines())
    assert (said.code, facts["state"], facts["outcomes"]) == (0, "done", "3 succeeded, 1 failed")
    assert (facts["rows"], facts["batches"]) == ("4 sent, 4 answered", "1 aside, 1 ingested")
    assert "reason" not in facts


def test_without_an_id_status_lists_the_newest_first(ran: CommandLine) -> None:
    """Tab-separated with a heading when piped, a JSON array for scripts."""
    plain, one, both = (
        ran.run("status"),
        ran.run("status", "--limit", 1, "--json"),
        ran.run("status", "--json"),
    )

    assert [line.split("\t")[0] for line in plain.out.splitlines()] == ["id", "mixed", "good"]
    assert [found["id"] for found in one.json()] == ["mixed"]
    assert [found["id"] for found in both.json()] == ["mixed", "good"]


def test_a_ledger_without_submissions_says_so(tmp_path: Path) -> None:
    """An empty array for scripts, a sentence for people."""
    cli = command_line(tmp_path)
    Ledger.open(f"sqlite:///{tmp_path}/ledger.db").close()

    assert cli.run("status").out == "The ledger has no submissions yet.\n"
    assert cli.run("status", "--json").json() == []


@pytest.mark.parametrize("command", ["status", "watch", "results", "cancel"])
def test_an_unknown_id_is_an_error_with_exit_code_2(ran: CommandLine, command: str) -> None:
    """For every command that takes one."""
    said = ran.run(command, "nope", "--json")

    assert (said.code, said.json()["kind"]) == (2, "UnknownSubmission")
    assert said.err.startswith("error: ")


def test_results_when_piped_are_key_outcome_and_text(ran: CommandLine) -> None:
    """A row a line, whatever is in the texts; a failed row shows its error."""
    said = ran.run("results", "mixed")

    rows = {
        key: (outcome, text) for key, outcome, text in (line.split("\t") for line in said.out.splitlines())
    }
    assert (said.code, set(rows)) == (0, {"a", "1", "2", "odd"})
    assert rows["odd"] == (
        "failed",
        "role at request.contents.role: the role must be user, model or function",
    )
    assert rows["a"][0] == "succeeded"


def test_results_for_scripts_are_json_lines_with_every_column(ran: CommandLine) -> None:
    """Also the response as Google wrote it."""
    said = ran.run("results", "good", "--json")

    rows = {row["key"]: row for row in said.json_lines()}
    assert set(rows) == {"0", "1", "2"}
    assert rows["0"]["outcome"] == "succeeded"
    assert rows["0"]["response"]["candidates"][0]["finishReason"] == "STOP"
    assert rows["0"]["processed_at"].endswith("Z")


@pytest.mark.parametrize(
    ("options", "count"),
    [
        (("--failed",), 1),
        (("--outcome", "succeeded"), 3),
        (("--outcome", "succeeded", "--failed"), 4),
        (("--outcome", "blocked"), 0),
        (("--limit", 2), 2),
    ],
)
def test_results_can_be_narrowed(ran: CommandLine, options: tuple[object, ...], count: int) -> None:
    """By outcome and by number; no row at all is no error."""
    said = ran.run("results", "mixed", *options, "--json")

    assert (said.code, len(said.json_lines())) == (0, count)


def test_a_store_that_is_not_configured_here_is_named(home: Path) -> None:
    """The variable to set is in the message."""
    said = command_line(home, VERTEXQ_STORE_RESULTS="").run("results", "good")

    assert (said.code, "VERTEXQ_STORE_RESULTS" in said.err) == (2, True)


@pytest.mark.parametrize(("submission_id", "code"), [("good", 0), ("mixed", 1)])
def test_watching_ends_with_what_became_of_the_rows(ran: CommandLine, submission_id: str, code: int) -> None:
    """0 when every row was answered, 1 when one was not; piped, the progress is plain lines."""
    said = ran.run("watch", submission_id)

    assert said.code == code
    assert said.out.startswith("done ")
    assert f"id            {submission_id}\n" in said.out


def test_watching_as_json_gives_an_object_a_change(ran: CommandLine) -> None:
    """The last one is how it ended."""
    said = ran.run("watch", "mixed", "--json")

    assert (said.code, [one["state"] for one in said.json_lines()]) == (1, ["done"])


def test_watching_can_be_limited_in_time(waiting: CommandLine) -> None:
    """The submission goes on; the exit code says that it is not done."""
    said = waiting.run("watch", "w-1", "--timeout", 0)

    assert said.code == 1
    assert said.out.startswith("queued ")
    assert said.err.startswith("error: submission w-1 is still queued after 0 s")


def test_cancelling_asks_once_and_says_how_it_stands(waiting: CommandLine) -> None:
    """Asking again changes nothing."""
    first, second = waiting.run("cancel", "w-1", "--json"), waiting.run("cancel", "w-1")

    assert (first.code, first.json()["state"]) == (0, "cancelling")
    assert (second.code, "state         cancelling" in second.out) == (0, True)


def test_cancelling_what_is_in_hand_says_when_it_takes_effect(waiting: CommandLine) -> None:
    """Whoever stages is not disturbed, so the state is still staging."""
    with closing(Ledger.open(waiting.environ["VERTEXQ_LEDGER_URL"])) as ledger:
        ledger.claim(Record.SUBMISSION, "w-1", owner="worker", lease_s=600)
        ledger.move_submission(ledger.submission("w-1"), SubmissionState.STAGING)

    said = waiting.run("cancel", "w-1")

    assert (said.code, "state         staging" in said.out) == (0, True)
    assert said.out.endswith("The cancel is noted; it takes effect when the work at hand (staging) ends.\n")


def test_cancelling_what_has_ended_says_so(ran: CommandLine) -> None:
    """It is not an error: there is nothing left to stop."""
    said = ran.run("cancel", "good")

    assert said.code == 0
    assert said.out.endswith("It has ended; there is nothing left to stop.\n")


@pytest.mark.parametrize(
    "args",
    [
        ("submit",),
        ("submit", "rows.jsonl"),
        ("results", "good", "--outcome", "great"),
        ("results", "good", "--limit", 0),
        ("results", "good", "--limit", 99_999_999_999_999_999_999),
        ("status", "--limit", 99_999_999_999_999_999_999),
        ("status", "--limit", "many"),
        ("check", "rows.jsonl"),
        ("frobnicate",),
    ],
)
def test_wrong_usage_ends_with_2(ran: CommandLine, args: tuple[object, ...]) -> None:
    """What is missing or wrong is on standard error."""
    said = ran.run(*args)

    assert (said.code, said.out) == (2, "")
    assert "Error" in said.err
